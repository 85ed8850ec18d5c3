"""Comparisons as attention: a head reads its own token where x > 0 and the rest token, which is 0, elsewhere.

    logit                                           float32     float64
    own token       G x / R − S  (x ≥ 0: + S)       R bounds |x|
    rest token      0
    other tokens    at least A below the own token
    G                                               2⁴⁸         2⁸⁰
    A                                               2³⁰         2⁴⁰
    S                                               2²²         2⁴⁰
      where the sample holds x = 0, or x = 0 is     2³⁰         2⁴³
      asked for; products are of GELUs                          2⁴⁸

Softmax weights are exactly 1 and 0 where logits are 104 (float64: 745) apart, so what is read is the value itself, bit
for bit, or 0. The ramp is 208 R/G wide, less than a unit of any x that decides, and stands S/G from 0: x > 0 is 0 at 0,
x ≥ 0 is 1. Rounding keeps an x that should be 0 within 2⁻²³ R of it, GELUs within 2⁻²³ R as measured and 2⁻¹⁹ R as
predicted (perceptron, d = 3 and 8, whose first comparison is of w = 0); S/G is more than that only where the sample
holds such an x, lest it decide what rounding has not touched: in support_vector, 30 steps, one task of 64 has an
example within 2⁻²³ R of the margin (at S/G = 2⁻²³ SPD 1.5e-4 instead of 6e-12).

x comes to all tokens of the data alike, and only the own position sets them apart: so A is far above what rounding
leaves of G.

Two MLP sublayers, r = relu(w − x) and relu(v − K r) − relu(−v − K r), are as exact, and a layer more. One sublayer of
neurons is not: relu(G x) − relu(G x − 1) rounds at G R, so that a ramp of 1e-3 R costs 6e-5.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats

GAIN = {"float32": 2.0**48, "float64": 2.0**80}
SHIFT = {"float32": (2.0**22, 2.0**30, 2.0**30), "float64": (2.0**40, 2.0**43, 2.0**48)}
"""Where x is nowhere 0 on the sample, where it is, and where it is and products are of GELUs."""
APART = {"float32": 2.0**30, "float64": 2.0**40}
UNCLEAR = 0.75
"""The share of the shift within which the weight may be anything."""


class Draws(Protocol):
    """Where rounding is drawn from: a NumPy generator, or what gives the same again and again."""

    def standard_normal(self, shape: tuple[int, ...], /) -> Floats: ...

    def random(self, shape: tuple[int, ...], /) -> Floats: ...


def shift(tied: bool, gated: bool, dtype: Dtype) -> float:
    """S, for an x that is 0 somewhere on the sample (`tied`), on a target whose products are `gated` or not."""
    nowhere, exact, rough = SHIFT[dtype]
    return nowhere if not tied else exact if gated else rough


ROUNDED = {False: 2.0**-22, True: 2.0**-24}
"""How far rounding keeps an x that is 0 from 0, as a share of R, where products are of GELUs, and where they are gated
(float32; float64 has 2⁻²⁹ of that). What the threshold is shifted by is more where the sample holds such an x."""


def undecided(reach: Floats, tied: bool, exact: bool, gated: bool, dtype: Dtype) -> tuple[Floats, Floats]:
    """Between which magnitudes of x the decision is not that of its sign. What is smaller is taken for the 0 that the
    sample holds (`tied`), and is one but for rounding (`exact`: there is none)."""
    zone = (1.0 + UNCLEAR) * shift(tied, gated, dtype) / slope(reach, dtype)
    rounding = 0.0 if exact else ROUNDED[gated] * (1.0 if dtype == "float32" else 2.0**-29)
    if not tied:
        return np.full(reach.shape, 0.0 if exact else -1.0), np.maximum(zone, rounding * reach)
    return np.minimum(8.0 * rounding * reach, 0.5 * zone), zone


def slope(reach: Floats, dtype: Dtype) -> Floats:
    """What x in ±`reach` is multiplied by."""
    return GAIN[dtype] / np.where(reach > 0.0, reach, 1.0)


def weights(x: Floats, slopes: Floats, strict: bool, level: float, rng: Draws) -> Floats:
    """Of the own token, with the shift `level`; drawn where rounding decides."""
    logit = x * slopes + (-level if strict else level)
    return np.where(np.abs(logit) < UNCLEAR * level, rng.random(x.shape), logit > 0.0)
