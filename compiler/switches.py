"""Comparisons as attention: a head reads its own token where x > 0 and the rest token, which is 0, elsewhere.

    logit                                           float32     float64
    own token       G x / R − S  (x ≥ 0: + S)       R bounds |x|
    rest token      0
    other tokens    at least A below the own token
    G                                               2⁴⁸         2⁸⁰
    S               where the sample holds x = 0    2²⁷         2⁴⁸
                    elsewhere                       2²²         2⁴⁰
    A                                               2³⁰         2⁴⁰

Softmax weights are exactly 1 and 0 where logits are 104 (float64: 745) apart, so what is read is the value itself, bit
for bit, or 0. The ramp is 208 R/G wide, less than a unit of any x that decides, and stands S/G from 0: x > 0 is 0 at 0,
x ≥ 0 is 1. Products of GELUs make a 0 to 2⁻²³ R only; where the sample holds one, S/G is 2⁻²¹ (2⁻³²). Elsewhere it is
2⁻²⁶ (2⁻⁴⁰), lest it decide what rounding has not touched: in support_vector, 30 steps, one task of 64 has an example
within 2⁻²³ R of the margin (SPD 1.5e-4 instead of 6e-12).

x comes to all tokens of the data alike, and only the own position sets them apart: so A is far above what rounding
leaves of G.

Two MLP sublayers, r = relu(w − x) and relu(v − K r) − relu(−v − K r), are as exact, and a layer more. One sublayer of
neurons is not: relu(G x) − relu(G x − 1) rounds at G R, so that a ramp of 1e-3 R costs 6e-5.
"""

from __future__ import annotations

import numpy as np

from .sparse import Floats

GAIN = {"float32": 2.0**48, "float64": 2.0**80}
SHIFT = {
    ("float32", True): 2.0**27,
    ("float32", False): 2.0**22,
    ("float64", True): 2.0**48,
    ("float64", False): 2.0**40,
}
"""By the precision, and by whether x is 0 anywhere on the sample."""
APART = {"float32": 2.0**30, "float64": 2.0**40}
UNCLEAR = 0.75
"""The share of the shift within which the weight may be anything."""


def offset(strict: bool, tied: bool, dtype: str) -> float:
    """The own token's logit at x = 0."""
    return -SHIFT[dtype, tied] if strict else SHIFT[dtype, tied]


def slope(reach: Floats, dtype: str) -> Floats:
    """What x in ±`reach` is multiplied by."""
    return GAIN[dtype] / np.where(reach > 0.0, reach, 1.0)


def weights(x: Floats, strict: bool, reach: Floats, tied: bool, dtype: str, rng: np.random.Generator) -> Floats:
    """Of the own token, drawn where rounding decides."""
    logit = x * slope(reach, dtype) + offset(strict, tied, dtype)
    return np.where(np.abs(logit) < UNCLEAR * SHIFT[dtype, tied], rng.random(x.shape), logit > 0.0)
