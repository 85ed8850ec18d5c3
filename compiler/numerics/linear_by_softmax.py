"""Linear attention from softmax heads: (query · key) value as a difference of heads with opposite signs.

    Σₖ cₖ (Aₖ⁺ − Aₖ⁻),   Aₖ^± = Σⱼ e^(±εₖ s_j) v_j / (n e^L + Σⱼ e^(±εₖ s_j)),   s_j = (query · key_j)/R,  |s_j| ≤ 1

The rest token, whose value is 0, has the logit L + log n (n tokens are read; for a sum n is a constant), and so the
denominators are n e^L up to e⁻ᴸ. Even orders cancel: 2 Σₖ cₖ sinh(εₖ s) ≈ s, and the difference is
e⁻ᴸ/R · meanⱼ (query · key_j) v_j. Scales and weights are fitted to least error and least Σ|cₖ|, which multiplies
rounding, with weights 1/(s + 0.05); largest error of s on [0, 1]

    two heads, float32     1.5e-4        (von Oswald et al. 2022 cancel the constant in this way)
    four heads, float32    2.2e-5, and 1.2e-6 below 0.1
    four heads, float64    1.3e-12 (the weights to all their digits: with eight of them it is 9e-7)

of which the four are used. scripts/refit_scales.py fits such a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from innerloop.artifact.arrays import Dtype

HEADS = 4
"""Softmax heads for one of linear attention."""


@dataclass(frozen=True)
class Scale:
    """A pair of heads: logits ±epsilon · s, and the weight of their difference."""

    epsilon: float
    weight: float


SCALES = {
    "float32": (Scale(0.50761492, -0.23379033), Scale(0.22337927, 2.76959109)),
    "float64": (Scale(0.0092291, -12.963086203729627), Scale(0.00405532, 152.79623282056272)),
}
SINK = {"float32": 14.0, "float64": 34.0}
"""L: e⁻ᴸ is what is lost, and float32 rounds logits to L · 6e-8."""


@cache
def relative_error(dtype: Dtype) -> float:
    """The largest |2 Σ cₖ sinh(εₖ s) − s| / (s + 0.05), for s in [0, 1]."""
    s = np.linspace(0.0, 1.0, 1001)
    found = sum(2.0 * scale.weight * np.sinh(scale.epsilon * s) for scale in SCALES[dtype])
    return float(np.max(np.abs(found - s) / (s + 0.05)))
