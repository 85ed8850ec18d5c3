"""The table of compiler/numerics/linear_by_softmax.py, fitted anew: softmax heads that make a head of linear
attention.

    python -m scripts.refit_scales              both precisions, with no more rounding than the table's
    python -m scripts.refit_scales --most 5     with Σ|cₖ| up to 5

before   Σ|cₖ|, which multiplies rounding
after    2 Σ cₖ sinh(εₖ s) ≈ s on [0, 1], of two scales εₖ: the largest error over s + 0.05 is least

    precision    table: error, Σ|cₖ|        found: error, Σ|cₖ|
    float32      2.1e-5     3.0034          1.1e-5     3.0034
    float64      1.24e-12   165.76          1.17e-12   165.76

For given scales Lawson's algorithm finds the weights: least squares, again and again, with more of a say for points
where the error is large. The smaller the scales, the smaller the error and the larger the weights, so that Σ|cₖ|
decides how small they are; their ratio is searched.
"""

from __future__ import annotations

import argparse

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.compiler.numerics.linear_by_softmax import SCALES
from scipy.optimize import brentq, minimize_scalar

NEAR = 0.05
"""Errors count by the size of s, down to here."""
S = np.linspace(0.0, 1.0, 1001)
STEPS = 60
RATIOS, SMALLEST = (1.3, 6.0), (1e-4, 3.0)
"""Where the ratio of the scales is looked for, and the smaller of them."""


def weights(scales: Floats) -> Floats:
    """Those whose largest error is least, one for each scale."""
    matrix, wanted = 2.0 * np.sinh(S[:, None] * scales) / (S[:, None] + NEAR), S / (S + NEAR)
    length, say = np.linalg.norm(matrix, axis=0), np.ones(S.size)
    found = []
    for _ in range(STEPS):
        root = np.sqrt(say)
        solution = np.linalg.lstsq(matrix / length * root[:, None], wanted * root, rcond=1e-18)[0] / length
        off = np.abs(matrix @ solution - wanted)
        found.append((float(off.max()), solution))
        say = say * (off + 1e-3 * off.max())
        say = say / say.sum()
    return np.asarray(min(found, key=lambda pair: pair[0])[1])


def error(scales: Floats, weight: Floats) -> float:
    """The largest |2 Σ c sinh(ε s) − s| / (s + 0.05)."""
    return float(np.max(np.abs(2.0 * np.sinh(S[:, None] * scales) @ weight - S) / (S + NEAR)))


def fitted(most: float) -> tuple[Floats, Floats]:
    """Scales and weights of the least error, with Σ|c| of `most`."""

    def scales(ratio: float) -> Floats:
        pair = np.array([ratio, 1.0])
        over = brentq(lambda x: np.abs(weights(np.exp(x) * pair)).sum() - most, *np.log(SMALLEST), xtol=1e-9)
        return np.asarray(np.exp(over) * pair)

    def off(ratio: float) -> float:
        found = scales(ratio)
        return float(np.log(error(found, weights(found))))

    best = scales(float(minimize_scalar(off, bounds=RATIOS, method="bounded", options={"xatol": 1e-2}).x))
    return best, weights(best)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits the table of linear_by_softmax.py anew.")
    parser.add_argument("--most", type=float, help="the sum of the weights' magnitudes (default: the table's)")
    options = parser.parse_args()
    for dtype, table in SCALES.items():
        scales, weight = fitted(options.most or sum(abs(scale.weight) for scale in table))
        print(f"{dtype}: error {error(scales, weight):.4g}, sum of weights {np.abs(weight).sum():.6g}")
        print("    " + ", ".join(f"Scale({e!r}, {c!r})" for e, c in zip(scales.tolist(), weight.tolist(), strict=True)))


if __name__ == "__main__":
    main()
