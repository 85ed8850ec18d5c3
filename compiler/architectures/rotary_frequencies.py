"""Rotary positions: which pairs of a head's dimensions turn, which stand still, and how the turning ones find a token.

Llama turns pair i of a query or key at position p by the angle p fᵢ, fᵢ = θ^(−2i/d_head). A key of 1 in pair i and a
query A e^(i fᵢ o) then meet in the logit A cos fᵢ(Δ + o), Δ the distance from the key's token back to the query's:
only distances count. With θ = 10¹⁵ the pairs

    T fᵢ ≥ 2.4e-4    turn: Σ Aᵢ (cos fᵢδ − 1) is 0 at the token wanted (δ = 0) and at most −`ROTARY_GAP` at all
                     others; the least Σ Aᵢ that does it for all |δ| < T is a linear programme
    below            stand still: flags, and what is read with a score of its own

    d_head    16       64       64, a quarter of it at θ = 10⁶
    turn      4        15       8                              of 8, 32 and 8 pairs, T = 1025
    Σ Aᵢ      77,955   1,141    1,804

Where a quarter of the dimensions turns (GPT-NeoX), the others stand still for good, and all pairs of it may turn; at
θ = 10⁶ one of them tells far from near over 230,000 tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.rotations import turning_of

from .targets import ROTARY, Rotary

STILL = 2.4e-4
"""The angle that a pair may turn over a whole sequence and count as still."""
STEEP = 1.3
"""The angle up to which the sine of a pair tells distances apart."""
ROTARY_GAP = 256.0
"""Between the token that is read and all others; what is read where there is none has half of it."""


@dataclass(frozen=True)
class Phases:
    """The pairs of a head: `frequency` [d_head / 2], of which the first `turning.size` turn, with `weights` [turning].

    `still` [dimensions]: the dimensions that stand still, the stillest first. `slow` is a pair whose sine grows with
    the distance as far as there are tokens, and `amplitude` what sets neighbours apart by `ROTARY_GAP` there.
    """

    frequency: Floats
    weights: Floats
    still: Indices
    slow: int
    amplitude: float

    def exact(self, positions: int, unit: float) -> int:
        """How many of the stillest dimensions keep products of queries and keys to `unit`: a pair that turns by φ takes
        φ²/2 from the products in it, and adds φ times those of its one half with the other."""
        turns = self.frequency[self.still[: self.still.size // 2]] * positions
        return int(np.sum(turns**2 <= 2.0 * unit) + np.sum(turns <= unit) * (turns[-1] ** 2 <= 2.0 * unit))

    @property
    def total(self) -> float:
        """Σ Aᵢ: the logit of the token that is wanted."""
        return float(self.weights.sum())


@cache
def phases(d_head: int, positions: int, rotary: Rotary = ROTARY) -> Phases:
    """For sequences of up to `positions` tokens, the rest token included."""
    half, turned = d_head // 2, turning_of(d_head, rotary.fraction)
    frequency = np.append(rotary.theta ** (-2.0 * np.arange(turned // 2) / turned), np.zeros((d_head - turned) // 2))
    turning = int(np.sum(frequency * positions >= STILL))
    order = np.arange(half - 1, turning - 1, -1)
    slow = int(np.argmax(frequency * positions < STEEP))
    if not frequency[slow] * positions < STEEP or not frequency[slow]:
        raise AssertionError(f"no phase tells near from far over {positions} tokens")
    amplitude = ROTARY_GAP / (frequency[slow] * np.cos(frequency[slow] * positions))
    return Phases(
        frequency,
        _weights(frequency[:turning], positions),
        np.concatenate([order, order + half]),
        slow,
        float(amplitude),
    )


def _weights(frequency: Floats, positions: int) -> Floats:
    """The least Σ Aᵢ, Aᵢ ≥ 0, with Σ Aᵢ (1 − cos fᵢδ) ≥ ROTARY_GAP for 0 < δ < positions."""
    from scipy.optimize import linprog  # takes as long to import as all of NumPy, and only rotary targets need it

    distance = np.arange(1, max(positions, 2))
    falls = 1.0 - np.cos(distance[:, None] * frequency[None, :])
    found = linprog(np.ones(frequency.size), A_ub=-falls, b_ub=np.full(distance.size, -ROTARY_GAP), method="highs")
    if not found.success:
        raise AssertionError(f"no phases tell {positions} tokens apart: {found.message}")
    return np.asarray(found.x, dtype=np.float64)
