"""The residual stream under LayerNorm, or under no norm: constants in pairs, and a balance.

    slots   0 … 15             pair i of the norm's constants ±C at i and 8 + i, after them its scratch pairs ±N
            16, 17             `zero` (never written), `balance`; or
            i and 8 + i        the rest token's flag and the balance, where there is room
            unused ones        more of the balance, where slots are to be of like sizes

The norm. With constants aᵢ·C, −aᵢ·C where 2 Σ aᵢ² = width (four squares do, Lagrange), the variance
is C² to float precision as long as the squares of all else sum to less than half an ulp of
width · C²; so LayerNorm divides by C, a power of two, and with gain C it is the identity, exactly.

The mean. +C and −C stand `LANES` apart, because a sum must cancel them before it adds anything small: PyTorch keeps a
running mean in each of 8 SIMD lanes, and in the constants' lanes the first two vectors make it exactly 0. (In adjacent
slots, so in two lanes, C swallows what else is added there, and in float32 the mean is off by ulps of C.) What is
written is balanced: every write puts minus its sum into `balance`, so that the stream sums to rounding error, which
`layer_norm` in runtime/layers/functions.py rounds to exactly 0 beside C. For other runtimes every read puts minus its
sum on `zero`, which holds minus the mean, so that the mean cancels.

The rest token. Where it is not divided, a division's norm makes what it holds 10⁸ times as large, and of several slots
that a value is read from the mean does not cancel to the last bit. So its mean should be 0 for PyTorch, too: its flag
and the balance, all that it holds where tokens hold no position and no scan starts at other than 0, stand `LANES` apart
as +C and −C do. (With a mean of 7e-8 there conjugate gradients on GPT-NeoX grew a divisor of 10¹⁸ at the rest token,
and other tokens read it as themselves: SPD/d 1e-4.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats, Indices

from .residual_stream import Stream

LANES = 8
"""Slots from +C to −C, which stand in the first two vectors of so many float32 numbers."""


@dataclass(frozen=True)
class LayerNormStream(Stream):
    """Where there is a norm the width is a multiple of 2 · `LANES`."""

    @property
    def balanced(self) -> bool:
        return self.constants.any

    @property
    def unit_width(self) -> int:
        return 2 * LANES if self.balanced else 1

    @property
    def zero(self) -> int:
        return 2 * LANES * self.balanced

    @property
    def balancer(self) -> int:
        """Opposite the rest token's flag, which stands in the first slot that the pairs leave, where it is all that
        the rest token holds: no position, and a vector that has room."""
        lane = len(self.constants.weights) * (bool(self.constants.scale) + bool(self.constants.divide))
        alone = self.balanced and not self.positioned and not self.digits
        return LANES + lane if alone and lane < LANES else self.zero + 1

    def _pairs(self, number: int) -> Indices:
        """First the positive ones."""
        count = len(self.constants.weights)
        first = number * count + np.arange(count)
        return np.concatenate([first, LANES + first])

    def _pattern(self, slots: Indices) -> Floats:
        """+aᵢ, −aᵢ."""
        pattern = np.zeros(self.width)
        pattern[slots] = np.multiply.outer([1.0, -1.0], self.constants.weights).ravel()
        return pattern

    def _free(self) -> Indices:
        """What the norm leaves of the first ones, and all from `first` on."""
        taken = np.arange(self.width) < self.first
        taken[: self.zero] = False
        if self.balancer < self.zero:
            taken[self.balancer] = True
        if self.constants.scale:
            taken[self._pairs(0)] = True
        if self.constants.divide:
            taken[self.scratch] = True
        return np.flatnonzero(~taken)
