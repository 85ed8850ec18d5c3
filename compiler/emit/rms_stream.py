"""The residual stream under RMSNorm: the norm's constants, and nothing to balance.

    slots   0 …       aᵢ·C, where Σ aᵢ² = width (four squares do, Lagrange), then the norm's scratch aᵢ·N
            then      what other streams hold: nothing is kept at 0

The root mean square is C to float precision as long as the squares of all else sum to less than half an ulp of the
smallest constant's: RMSNorm divides by C, a power of two, and with gain C it is the identity, exactly, for
whatever order the squares are added in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats, Indices

from .residual_stream import Stream


@dataclass(frozen=True)
class RmsStream(Stream):
    @property
    def balanced(self) -> bool:
        return False

    @property
    def unit_width(self) -> int:
        return 1

    @property
    def zero(self) -> int:
        return len(self.constants.weights) * (2 if self.constants.divide else 1)

    @property
    def balancer(self) -> int:
        return self.zero

    def _pairs(self, number: int) -> Indices:
        count = len(self.constants.weights)
        return number * count + np.arange(count)

    def _pattern(self, slots: Indices) -> Floats:
        pattern = np.zeros(self.width)
        pattern[slots] = self.constants.weights
        return pattern

    def _free(self) -> Indices:
        return np.arange(self.first, self.width)
