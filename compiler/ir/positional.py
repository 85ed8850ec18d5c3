"""Operations that are a function of the position alone: the table of positions, or of roles, holds what they say.

One that is new is a class here and in `PositionalOp`, its value in interpreter/oracle.py, its column of the table in
emit/embedding.py, and the pass that makes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .operation_classes import Positional


@dataclass(frozen=True, slots=True)
class Count(Positional):
    """How many `kind` tokens I see, myself included; with `none`, 1 if I see none and else 0."""

    kind: str
    none: bool = False

    @property
    def label(self) -> str:
        return f"no {self.kind}" if self.none else f"count {self.kind}"


@dataclass(frozen=True, slots=True)
class Angles(Positional):
    """My position as so many angles, their cosines and their sines (position_angles.py)."""

    count: int

    @property
    def text(self) -> str:
        return f"my position as {self.count} angles"

    @property
    def shape(self) -> tuple[int, ...]:
        return (2 * self.count,)

    @property
    def bounds(self) -> tuple[float, float]:
        return -1.0, 1.0


PositionalOp = Count | Angles
