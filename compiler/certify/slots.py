"""Slots, as they are when the weights run: how large each is, and what all of them do to the norm.

before   weights, and streams [width, tasks, 1 + tokens] after their sublayers
after    the largest slot over the median one; by what share a norm makes smaller what is read

A norm divides by the root of all squares, and so by √(1 + r²/c²) more than by its constants alone, r² the sum of all
other squares and c² theirs: what is read is smaller by ε = r²/2c². In float32 and float64 constants are so large that ε
rounds to nothing; where they are kept small (numerics/sizes.py) it is measured, and belongs to the error model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.precisions import UNIT
from innerloop.artifact.reference.arithmetic import Real
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.weights import Weights

from ..architectures.targets import Target
from ..emit.norms import NORMS
from ..emit.residual_stream import Stream
from ..numerics.sizes import Sizes


@dataclass
class SlotSizes:
    """What was seen of a stream so far: `squares` [width] of each slot, in all, and `rest`, the largest sum of the
    squares of a token's slots without the norm's constants."""

    stream: Stream
    squares: Floats = field(init=False)
    rest: float = 0.0

    def __post_init__(self) -> None:
        self.squares = np.zeros(self.stream.width)

    def look(self, x: Real) -> None:
        """One stream [width, tasks, 1 + tokens]."""
        squares = np.square(x.reshape(len(x), -1), dtype=np.float64)
        self.squares += squares.sum(axis=1)
        self.rest = max(self.rest, float(squares[self.stream.norm_pattern == 0.0].sum(axis=0).max(initial=0.0)))

    @property
    def spread(self) -> float:
        """The largest slot over the median one (root mean squares): of all that there are, over those that hold
        anything and are none of the norm's constants; NaN if none does."""
        held = self.squares[(self.squares > 0.0) & (self.stream.norm_pattern == 0.0)]
        return float(np.sqrt(self.squares.max() / np.median(held))) if held.size else float("nan")

    @property
    def shrunk(self) -> float:
        """ε at most."""
        constants = float(np.sum((self.stream.norm_pattern * self.stream.constants.scale) ** 2))
        return 0.5 * self.rest / constants if constants else 0.0


def counts(target: Target, dtype: Dtype, sizes: Sizes, stream: Stream) -> bool:
    """Whether the norm's constants are so small that other slots count beside them."""
    own = NORMS[target.norm].own(sizes)
    return bool(stream.constants.scale) and 2.0 ** (-2.0 * own.bits) > UNIT[dtype] and not stream.constants.divide


def shrinkage(weights: Weights, stream: Stream, tasks: Sequence[TokenData]) -> float:
    """ε at most, on these tasks."""
    seen = SlotSizes(stream)
    for data in tasks:
        forward(weights, data, seen.look)
    return seen.shrunk
