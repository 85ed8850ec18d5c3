"""Products from plain GELUs.

    a·b = ((a + b)/2)² − ((a − b)/2)²,      s² ≈ Σₖ cₖ (g(wₖ(s − tₖ)) + g(wₖ(−s − tₖ))),   |s| ≤ 1

with g the tanh-GELU. Beside the unshifted pairs of numerics in the literature (Akyürek et al. 2022,
App. C use g(a + b) − g(a) − g(b)), pairs shifted by t > 0 are exactly 0 for small s; so the rounding
of the sum falls with |s|, and not only with the range. Both the fit and Σ|cₖ wₖ|, which multiplies
the rounding of float32, were minimised with weights 1/(|s| + 0.02):

    pairs                       rms error on |s| ≤ 1     ≤ 0.2      ≤ 0.05      Σ|c w|
    3, shifted, float32         1.1e-7                   2.9e-8     4.7e-9      4.8
    4, unshifted, float32       2.0e-7                   –          –           11.1
    4, unshifted, float64       2.7e-12                  –          6.6e-14     26

(measured in tests/test_products.py). Both halves of a product carry the same error at s = 0, so a
product by 0 is 0. Errors are times R_a · R_b for factors of magnitude R_a, R_b.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from .sparse import Floats


@dataclass(frozen=True)
class Bank:
    """s² ≈ Σ down · g(up · s + bias) over neurons, |s| ≤ 1; `error` is the rms error on that range."""

    up: Floats
    bias: Floats
    down: Floats
    error: float


def gelu(x: Floats) -> Floats:
    """GPT-2's: 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
    return 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)))


@cache
def square_bank(dtype: str) -> Bank:
    """The bank for that precision."""
    if dtype == "float32":
        scale = np.array([0.6415558659264641, 1.5406364169497708, 3.0721111593485246, 2.6401001027435114])
        shift = np.array([0.0012099004798375953, 0.016845045384125654, 1.4343772846869036, 1.0723373995491459])
        weight = np.array([3.9311194715099793, -0.14506626074908222, 0.06544339983324257, 0.05208783515662515])
        error = 9.4e-8
    else:
        scale = np.array([0.1, 0.2, 0.3, 0.4])
        shift = np.zeros(4)
        s = np.cos(np.linspace(0.0, np.pi / 2, 2000))
        pairs = gelu(s[:, None] * scale) + gelu(-s[:, None] * scale)
        size = np.abs(pairs).max(axis=0)
        weight = np.linalg.lstsq(pairs / size / (s[:, None] + 1e-3), s * s / (s + 1e-3), rcond=1e-17)[0] / size
        error = 3e-12
    mirrored = np.array([1.0, -1.0])
    return Bank(np.kron(scale, mirrored), np.repeat(-scale * shift, 2), np.repeat(weight, 2), error)
