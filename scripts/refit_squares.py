"""The tables of compiler/numerics/square_banks.py, fitted anew, for any activation.

    python -m scripts.refit_squares gelu_tanh                  all banks: scale, shift, weight of each pair
    python -m scripts.refit_squares gelu_erf --bank coarse     one of them

before   an activation, so many pairs of neurons, and what their rounding costs
after    Σₖ weightₖ (g(scaleₖ (s − shiftₖ)) + g(scaleₖ (−s − shiftₖ))) ≈ s², |s| ≤ 1

What is least is the rms, over s in [0, 1], of the error and of the rounding in float32 together, both divided by
s + 0.01; s is even on [0, 1], or, for shifted pairs, whose rounding should be small for small s, even in its logarithm
from 0.003 on. For given scales and shifts the weights are a least-squares problem, whose ridge is the rounding; scales
and shifts are found by `scipy.optimize.least_squares` from random starts. Unshifted pairs are fitted as they stand when
they are halved. The fine bank pays for a tenth of what PyTorch's GELU leaves of a neuron that is shut.

    bank      pairs    shifts    criterion of the table    of what is found, from 24 starts
    1         1        no        1.1893e-05                1.1893e-05
    2         2        no        2.0078e-06                2.0065e-06
    3         3        no        1.0599e-06                1.0593e-06
    coarse    4        yes       1.7794e-07                1.1790e-07
    fine      8        yes       8.6370e-08                6.8604e-08
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.precisions import UNIT
from innerloop.compiler.numerics.activations import ACTIVATIONS, Activation
from innerloop.compiler.numerics.square_banks import Bank, paired
from scipy.optimize import least_squares

NEAR = 0.01
"""Errors count by the size of s, down to here."""
EVEN, SHORT = np.linspace(0.0, 1.0, 401), np.geomspace(3e-3, 1.0, 201)
SHUT, LEFT = -5.3, 0.14
"""From here up to 0 PyTorch's GELU is off by so many units of x."""
SCALES, SHIFTS = (0.01, 20.0), (-0.1, 2.5)
"""Where they are looked for."""


@dataclass(frozen=True)
class Kind:
    """What a bank is fitted as: so many pairs, `shifted` or halved; `noise`: its share of what PyTorch leaves."""

    pairs: int
    shifted: bool
    noise: float = 0.0


BANKS = {
    "1": Kind(1, False),
    "2": Kind(2, False),
    "3": Kind(3, False),
    "coarse": Kind(4, True),
    "fine": Kind(8, True, 0.1),
}


@dataclass(frozen=True)
class Fit:
    scale: Floats
    shift: Floats
    weight: Floats
    criterion: float

    def bank(self, activation: Activation) -> Bank:
        return paired(self.scale, -self.scale * self.shift, self.weight, activation)


def fitted(kind: Kind, activation: Activation, starts: int, seed: int = 0) -> Fit:
    """The best of so many random starts."""
    rng, k = np.random.default_rng(seed), kind.pairs
    low = np.concatenate([np.full(k, np.log(SCALES[0])), np.full(k * kind.shifted, SHIFTS[0])])
    high = np.concatenate([np.full(k, np.log(SCALES[1])), np.full(k * kind.shifted, SHIFTS[1])])

    def placed(x: Floats) -> tuple[Floats, Floats]:
        return np.exp(x[:k]), x[k:] if kind.shifted else np.zeros(k)

    def residual(x: Floats) -> Floats:
        matrix, wanted = equations(kind, activation, *placed(x))
        return np.asarray(matrix @ solved(matrix, wanted) - wanted) / UNIT["float32"]

    found = []
    for _ in range(starts):
        scale = rng.uniform(1.0, 7.0, k) if kind.shifted else rng.uniform(0.01, 1.0, k)
        shift = rng.uniform(0.0, 1.3, k)
        if kind.shifted:  # one pair is open at 0
            scale[0], shift[0] = 0.3 * scale[0], 0.0
        start = np.concatenate([np.log(scale), shift[: k * kind.shifted]])
        found.append(least_squares(residual, start, bounds=(low, high), x_scale="jac", max_nfev=200))
    best = placed(min(found, key=lambda f: float(f.cost)).x)
    weight = solved(*equations(kind, activation, *best))
    return Fit(*best, weight, criterion(kind, activation, *best, weight))


def criterion(kind: Kind, activation: Activation, scale: Floats, shift: Floats, weight: Floats) -> float:
    """The rms of error and rounding together, by the size of s."""
    matrix, wanted = equations(kind, activation, scale, shift)
    return float(np.linalg.norm(matrix @ weight - wanted))


def equations(kind: Kind, activation: Activation, scale: Floats, shift: Floats) -> tuple[Floats, Floats]:
    """matrix [rows, pairs] @ weights = wanted [rows]: a row for each s, and for each pair what its rounding costs."""
    neurons = paired(scale, -scale * shift, np.ones(scale.size), activation)
    s = SHORT if kind.shifted else EVEN
    size = 1.0 / (s + NEAR) / np.sqrt(s.size)
    x = s[:, None] * neurons.up + neurons.bias
    values = activation.value(x).reshape(s.size, -1, 2)
    rounded = neurons.units(s) ** 2 + np.where((x > SHUT) & (x < 0.0), kind.noise * LEFT * x, 0.0) ** 2
    if not kind.shifted:  # one neuron of the pair, with twice the weight, and a slope
        rounded[:, 0::2], rounded[:, 1::2] = 4.0 * rounded[:, 0::2], 0.0
    lost = rounded.reshape(s.size, -1, 2).sum(-1)
    rows = [values.sum(-1) * size[:, None], np.diag(UNIT["float32"] * np.sqrt(size**2 @ lost))]
    if not kind.shifted:
        rows.append(UNIT["float32"] * float(np.linalg.norm(s * size)) * scale[None, :])
    matrix = np.concatenate(rows)
    return matrix, np.concatenate([s**2 * size, np.zeros(len(matrix) - s.size)])


def solved(matrix: Floats, wanted: Floats) -> Floats:
    """The weights: columns of one length first, since they differ by decades."""
    length = np.linalg.norm(matrix, axis=0)
    return np.asarray(np.linalg.lstsq(matrix / length, wanted, rcond=1e-15)[0] / length)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits the tables of square_banks.py anew.")
    parser.add_argument("activation", choices=ACTIVATIONS)
    parser.add_argument("--bank", choices=BANKS, action="append", help="one of them (default: all)")
    parser.add_argument("--starts", type=int, default=24, help="random starts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noise", type=float, help="the share of what PyTorch leaves that shifted pairs pay for")
    options = parser.parse_args()
    for name in options.bank or BANKS:
        kind = BANKS[name] if options.noise is None else replace(BANKS[name], noise=options.noise)
        found = fitted(kind, ACTIVATIONS[options.activation], options.starts, options.seed)
        print(f"{name}: criterion {found.criterion:.5g}")
        for row in (found.scale, found.shift, found.weight):
            print(f"    {tuple(row.tolist())},")


if __name__ == "__main__":
    main()
