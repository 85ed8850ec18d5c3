"""How models are compared: on which tasks, and how many of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .measures.distance import Fields, Floats

Told = Callable[[str, int, int], None]


class Draw(Protocol):
    """Tasks of one kind: the same seed gives the same; `changes` are what shifts, by name."""

    def __call__(self, seed: int, tasks: int, **changes: float) -> tuple[Fields, Floats]:
        """The fields, and the targets [tasks, rows, *shape] of the output, NaN at rows without a truth."""
        ...


@dataclass(frozen=True)
class Settings:
    """tasks for predictions; inside for streams, of probes and patches; `mlp`: two-layer probes beside the linear;
    `variables` to probe (None: all that the compiled stream holds and are no fields)."""

    tasks: int = 1000
    inside: int = 1000
    seed: int = 0
    mlp: bool = False
    variables: tuple[str, ...] | None = None
