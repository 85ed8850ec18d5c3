"""Products from plain GELUs.

    a·b = ((a + b)/2)² − ((a − b)/2)²,      s² ≈ Σₖ cₖ (g(wₖ(s − tₖ)) + g(wₖ(−s − tₖ))),   |s| ≤ 1

with g the tanh-GELU (Akyürek et al. 2022, App. C, use g(a + b) − g(a) − g(b)). The terms of a square
cancel, so what float32 rounds is Σ|cₖ wₖ s| ulps and not s². Unshifted pairs need Σ|c w| of 10 and more;
pairs shifted by t > 0, which stay shut for small s, leave one of about 1/w at the origin. Fitted to
least error and least rounding together, with weights 1/(s + 0.01), rms errors on [R/2, R]:

    bank                  R = 1     0.3       0.1       0.03      0.01
    coarse, 4 pairs       1.2e-7    3.0e-8    8.2e-9    3.8e-9    1.2e-9
    fine, 8 pairs         1.1e-7    1.5e-8    5.0e-9    1.7e-9    5.5e-10
    float64, 4 pairs      fit of 3e-12, rounding below

(measured in tests/test_products.py). Both halves of a product carry the same error at s = 0, so a
product by 0 is 0. Errors are times the radii of both factors.
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
    return np.asarray(0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3))))


def silu(x: Floats) -> Floats:
    """Llama's: x / (1 + exp(−x))."""
    with np.errstate(over="ignore"):
        return np.asarray(x / (1.0 + np.exp(-x)))


_COARSE = (
    (0.6415558659264641, 1.5406364169497708, 3.0721111593485246, 2.6401001027435114),
    (0.0012099004798375953, 0.016845045384125654, 1.4343772846869036, 1.0723373995491459),
    (3.9311194715099793, -0.14506626074908222, 0.06544339983324257, 0.05208783515662515),
)
_FINE = (
    (1.1846163828817862, 2.863357275172162, 5.339505398472993, 4.748808768683026,
     4.119340426927887, 3.708001588016909, 3.478267977210372, 2.9861909655869043),
    (-9.683688939292229e-06, 0.009002437583008982, 0.36905653662148663, 0.49872182592685843,
     0.5879447558386012, 0.8502919760041043, 1.036609153109446, 1.3497856919015288),
    (1.2371573498638213, -0.049465951676890926, 0.0005941728068064898, -0.0008192507001560202,
     0.02360776587946559, 0.06777935149661637, 0.057873573001355885, 0.26395491010320743),
)  # fmt: skip


@cache
def square_bank(dtype: str, fine: bool = False, copies: int = 1) -> Bank:
    """The bank for that precision. Several `copies`, of slightly different scales, round independently: their mean
    has 1/√copies of the rounding."""
    if dtype == "float32":
        scale, shift, weight = (np.array(row) for row in (_FINE if fine else _COARSE))
        error = 1.1e-7
    else:
        scale, shift, weight = _exact_pairs()
        error = 3e-12
    factors = 1.0 - 0.03 * np.arange(copies)
    up = np.concatenate([scale * f for f in factors])
    bias = -np.tile(scale * shift, copies)
    down = np.concatenate([weight / (f * f * copies) for f in factors])
    return Bank(np.kron(up, [1.0, -1.0]), np.repeat(bias, 2), np.repeat(down, 2), error / np.sqrt(copies))


def _exact_pairs() -> tuple[Floats, Floats, Floats]:
    """Four unshifted pairs whose error is that of a polynomial of degree ten: far below what float32 can hold."""
    scale = np.array([0.1, 0.2, 0.3, 0.4])
    s = np.cos(np.linspace(0.0, np.pi / 2, 2000))
    pairs = gelu(s[:, None] * scale) + gelu(-s[:, None] * scale)
    size = np.abs(pairs).max(axis=0)
    weight = np.linalg.lstsq(pairs / size / (s[:, None] + 1e-3), s * s / (s + 1e-3), rcond=1e-17)[0] / size
    return scale, np.zeros(4), weight
