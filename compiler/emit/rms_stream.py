"""The residual stream under RMSNorm: the norm's constants, and nothing to balance.

    slots   0 …       aᵢ·C, where Σ aᵢ² = width (four squares do, Lagrange), then the norm's scratch aᵢ·N
            then      the atoms, as allocate.py placed them, and unused slots up to the width

The root mean square is C to float precision as long as the squares of all else sum to less than half an ulp of the
smallest constant's: RMSNorm divides by C, a power of two, and with gain C it is the identity, exactly, for
whatever order the squares are added in. There is no position table: the role flags write the constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from innerloop.artifact.sparse import Floats, Indices

from .residual_stream import Stream


@dataclass(frozen=True)
class RmsStream(Stream):
    """`width` slots; `first` is the first atom's."""

    @property
    def balanced(self) -> bool:
        return False

    def _pairs(self, number: int) -> Indices:
        """The slots of the constants (0) or of what stands after them (1)."""
        count = len(self.constants.weights)
        return number * count + np.arange(count)

    def _pattern(self, slots: Indices) -> Floats:
        pattern = np.zeros(self.width)
        pattern[slots] = self.constants.weights
        return pattern

    @property
    def zero(self) -> int:
        """The first slot after the norm's own; no slot is kept at 0."""
        return len(self.constants.weights) * (2 if self.constants.divide else 1)

    @cached_property
    def _open(self) -> Indices:
        return np.arange(self.first, self.width)
