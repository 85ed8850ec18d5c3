"""Positions: how tokens are found where they are learned, and where they are rotary.

positions   which rule finds a token          heads               the stream holds
learned     position · slope + table          learned_heads.py    p/P, (p/P)², digits, tables
digital     a table, by digits                digital_heads.py    digits of p and of each relation's target
rotary      distance; farthest; nearest       rotary_heads.py     nothing

Digits are what 16 bits tell positions apart by.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.precisions import UNIT
from innerloop.artifact.rotations import turning_of
from innerloop.artifact.signature import Kinds, Pattern
from innerloop.artifact.tokens import role_kinds

from ..architectures.digital_positions import digital_rule
from ..architectures.learned_positions import CopyRule, copy_rule, digits
from ..architectures.relation import Relation
from ..architectures.rotary_frequencies import phases
from ..architectures.rotary_positions import rotary_copy_rule
from ..architectures.targets import Rotary, Target
from ..numerics.sizes import Sizes
from .digital_heads import DigitalHeads
from .heads import Heads
from .learned_heads import LearnedHeads, scale_of
from .residual_stream import Stream
from .rotary_heads import RotaryHeads

LEAST = 16
"""As many dimensions of a head turn at least."""
LARGE = 1024
"""Of heads whose scores have no room in smaller ones."""


@dataclass(frozen=True)
class PositionScheme(ABC):
    """Of sequences of one pattern, up to `n_positions` tokens."""

    pattern: Pattern
    n_positions: int
    dtype: Dtype
    sizes: Sizes
    target: Target

    @property
    def biased(self) -> bool:
        """Whether what attention writes has a bias."""
        return self.target.biases == "everywhere"

    @cached_property
    def role_kinds(self) -> tuple[str | None, ...]:
        return role_kinds(self.pattern)

    @property
    def causal(self) -> bool:
        return not self.pattern.visible_context

    @cached_property
    def hidden(self) -> tuple[int, ...]:
        """Under `visible context` attention goes both ways, and what comes after the context is hidden role by role."""
        count = len(self.role_kinds)
        return tuple(range(count - len(self.pattern.suffix), count)) if self.pattern.visible_context else ()

    @property
    @abstractmethod
    def tabled(self) -> bool:
        """Whether there is a table of positions, which writes them into the stream, and the norm's constants too."""

    @property
    @abstractmethod
    def squared(self) -> bool:
        """Whether the stream holds positions and their squares."""

    @abstractmethod
    def digits(self, divides: bool) -> int:
        """Slots that tell a token from all others, in a stream that is divided or not."""

    @property
    def codes(self) -> int:
        """Slots of a relation that has a table."""
        return 1

    def coded(self, targets: Floats) -> Floats:
        """What the table holds in them: targets [positions] → [positions, codes]."""
        return targets[:, None] / scale_of(self.n_positions)

    @abstractmethod
    def rule(self, relation: Relation, kinds: Kinds) -> CopyRule | None:
        """How readers of `kinds` find their token; None if no head does."""

    @abstractmethod
    def head_sizes(self, query: int) -> tuple[int, ...]:
        """Those to choose from that hold queries of so many dimensions, the smallest first."""

    @abstractmethod
    def heads(self, stream: Stream, divided: tuple[float, float] | None, dividing: Kinds | None) -> Heads:
        """For one attention sublayer; if its norm divides, by numbers of the range `divided`, at tokens of the kinds
        `dividing`."""


@dataclass(frozen=True)
class LearnedScheme(PositionScheme):
    @property
    def tabled(self) -> bool:
        return True

    @property
    def squared(self) -> bool:
        return True

    def digits(self, divides: bool) -> int:
        return int(digits(self.n_positions).shape[1]) if divides else 0

    def rule(self, relation: Relation, kinds: Kinds) -> CopyRule | None:
        return copy_rule(self.pattern, relation, kinds, self.n_positions)

    def head_sizes(self, query: int) -> tuple[int, ...]:
        """16 and 64, or the next that do."""
        small = 16
        while small < query:
            small *= 2
        return small, max(64, 2 * small if small > 16 else 64)

    def heads(self, stream: Stream, divided: tuple[float, float] | None, dividing: Kinds | None) -> Heads:
        return LearnedHeads(
            stream, self.role_kinds, self.n_positions, self.biased, self.dtype, self.sizes, divided, self.hidden,
            causal=self.causal,
        )  # fmt: skip


@dataclass(frozen=True)
class DigitalScheme(LearnedScheme):
    """Every relation's target is written out, in digits that the token wanted has of its own position."""

    @property
    def squared(self) -> bool:
        return False

    @property
    def codes(self) -> int:
        return self.digits(True)

    def digits(self, divides: bool) -> int:
        return super().digits(True)

    def coded(self, targets: Floats) -> Floats:
        return digits(self.n_positions)[targets.astype(np.int64)]

    def rule(self, relation: Relation, kinds: Kinds) -> CopyRule | None:
        return digital_rule(self.pattern, relation, kinds, self.n_positions)

    def heads(self, stream: Stream, divided: tuple[float, float] | None, dividing: Kinds | None) -> Heads:
        return DigitalHeads(
            stream, self.role_kinds, self.n_positions, self.biased, self.dtype, self.sizes, divided, self.hidden,
            causal=self.causal,
        )  # fmt: skip


@dataclass(frozen=True)
class RotaryScheme(PositionScheme):
    @property
    def rotary(self) -> Rotary:
        assert isinstance(self.target.positions, Rotary)
        return self.target.positions

    @property
    def tabled(self) -> bool:
        return False

    @property
    def squared(self) -> bool:
        return False

    def digits(self, divides: bool) -> int:
        return 0

    def rule(self, relation: Relation, kinds: Kinds) -> CopyRule | None:
        """By a distance that the role decides; or the first or the latest of its kind."""
        return rotary_copy_rule(self.pattern, relation, kinds, self.n_positions)

    def head_sizes(self, query: int) -> tuple[int, ...]:
        """The two smallest whose pairs that stand still hold a query of so many dimensions, and the flags; what is
        scored in pairs that turn by nothing in this precision, if there are so many. One where the target's have a
        size."""
        flags, own, fraction = 2 + len(self.hidden), self.target.head, self.rotary.fraction
        sizes = [s for s in self.sizes.rotary_heads if turning_of(s, fraction) >= LEAST] if own is None else [own]
        every = (phases(size, self.n_positions, self.rotary) for size in (*sizes, LARGE))
        fit = [p for p in every if p.still.size >= max(query, flags)]
        exact = [p for p in fit if p.exact(self.n_positions, UNIT[self.dtype]) >= query - flags - 1]
        return tuple(2 * p.frequency.size for p in exact or fit)[: 2 if own is None else 1]

    def heads(self, stream: Stream, divided: tuple[float, float] | None, dividing: Kinds | None) -> Heads:
        return RotaryHeads(
            stream, self.role_kinds, self.n_positions, self.biased, self.dtype, self.sizes, divided, self.hidden,
            dividing=dividing, rotary=self.rotary,
        )  # fmt: skip
