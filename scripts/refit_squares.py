"""The tables of compiler/numerics/square_banks.py, fitted anew, for any activation.

    python -m scripts.refit_squares gelu_tanh                  all banks: scale, shift, weight of each pair
    python -m scripts.refit_squares gelu_erf --bank coarse     one of them

before   an activation, so many pairs of neurons, and what their rounding costs
after    Σₖ weightₖ (g(scaleₖ (s − shiftₖ)) + g(scaleₖ (−s − shiftₖ))) ≈ s², |s| ≤ 1

What is least is the rms, over s in [0, 1], of `SMOOTH` times the error (of shifted pairs) and of the rounding in
float32 together, both divided by s + 0.01, and of `SLOPE` times the error of the slope: errors of a fit are alike in
all products that stand near each other, and rounding is not; gradients of a model go by the slope. s is even on [0, 1],
or, for shifted pairs, whose rounding should be small for small s, even in its logarithm from 0.003 on. For given scales
and shifts the weights are a least-squares problem, whose ridge is the rounding; scales and shifts are found by
`scipy.optimize.least_squares` from random starts. Unshifted pairs are fitted as they stand when they are halved.
Shifted pairs pay for a share of what PyTorch's activation leaves of a neuron that is nearly shut.

    bank      pairs     criterion of the table       of what is found from 6 starts
              tanh erf  tanh        erf              tanh        erf
    1         1    1    1.189e-05   1.187e-05        1.189e-05   1.187e-05
    2         2    2    2.008e-06   1.998e-06        2.007e-06   1.998e-06
    3         3    3    1.06e-06    1.052e-06        1.059e-06   1.052e-06
    coarse    4    4    2.05e-07    4.633e-07        2.336e-07   4.611e-07
    fine      6    8    1.185e-07   2.06e-07         1.328e-07   3.964e-07
    finer     12   16   4.42e-08    1.132e-07        5.296e-08   1.232e-07
    finest    24   24   2.14e-08    6.083e-08        2.522e-08   7.856e-08
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.precisions import UNIT
from innerloop.compiler.numerics.activations import ACTIVATIONS, Activation
from innerloop.compiler.numerics.square_banks import Bank, Squares, paired, square_bank
from innerloop.compiler.numerics.square_tables import SHIFTED, TABLES
from scipy.optimize import least_squares

NEAR = 0.01
"""Errors count by the size of s, down to here."""
SMOOTH, SLOPE = 3.0, 0.03
EVEN, SHORT = np.linspace(0.0, 1.0, 401), np.geomspace(3e-3, 1.0, 401)
SHUT, LEFT = -5.3, 0.14
"""From here up to 0 PyTorch's GELU is off by so many units of x."""
SHARE = {"gelu_tanh": 0.5, "gelu_erf": 10.0, "silu": 0.0}
"""Of that, what shifted pairs pay for: its erf is off by more, where 2 < |x| < 4."""
SCALES, SHIFTS = (0.01, 40.0), (-0.1, 2.0)
"""Where they are looked for."""


@dataclass(frozen=True)
class Kind:
    """What a bank is fitted as: so many pairs, `shifted` or halved."""

    pairs: int
    shifted: bool


BANKS = ("1", "2", "3", *SHIFTED)


def kind_of(bank: str, activation: Activation) -> Kind:
    """As large as in the table, or for an activation that has none as the tanh-GELU's."""
    tables = TABLES.get(activation.name, TABLES["gelu_tanh"])
    return Kind(int(bank), False) if bank.isdigit() else Kind(len(tables.shifted[bank][0]), True)


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
        scale, shift = _shifted(k, rng) if kind.shifted else (rng.uniform(0.01, 1.0, k), np.zeros(k))
        start = np.concatenate([np.log(scale), shift[: k * kind.shifted]])
        with suppress(np.linalg.LinAlgError):  # from here no weights are found
            found.append(least_squares(residual, start, bounds=(low, high), x_scale="jac", max_nfev=200))
    best = placed(min(found, key=lambda f: float(f.cost)).x)
    weight = solved(*equations(kind, activation, *best))
    return Fit(*best, weight, criterion(kind, activation, *best, weight))


def _shifted(pairs: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Kinks all over [0, 1], about as wide as they are apart; one pair is open at 0."""
    if rng.random() < 1 / 3:
        scale, shift = rng.uniform(0.12 * pairs, 0.9 * pairs, pairs) + 0.3, rng.uniform(0.0, 1.3, pairs)
    else:
        scale = rng.uniform(0.5, 1.0) * pairs * np.exp(rng.normal(0.0, 0.15, pairs))
        shift = np.linspace(0.0, 1.0 + rng.uniform(0.0, 2.0) / pairs, pairs) + rng.normal(0.0, 0.1 / pairs, pairs)
    scale[0], shift[0] = 0.3 * scale[0], 0.0
    return scale, np.clip(shift, 0.9 * SHIFTS[0], 0.95 * SHIFTS[1])


def criterion(kind: Kind, activation: Activation, scale: Floats, shift: Floats, weight: Floats) -> float:
    """The rms of error and rounding together, by the size of s."""
    matrix, wanted = equations(kind, activation, scale, shift)
    return float(np.linalg.norm(matrix @ weight - wanted))


def equations(kind: Kind, activation: Activation, scale: Floats, shift: Floats) -> tuple[Floats, Floats]:
    """matrix [rows, pairs] @ weights = wanted [rows]: a row for each s, for each pair what its rounding costs, and for
    each s the slope."""
    neurons = paired(scale, -scale * shift, np.ones(scale.size), activation)
    s = SHORT if kind.shifted else EVEN
    size = 1.0 / (s + NEAR) / np.sqrt(s.size)
    x = s[:, None] * neurons.up + neurons.bias
    values = activation.value(x).reshape(s.size, -1, 2)
    share = SHARE[activation.name] if kind.shifted else 0.0
    rounded = neurons.units(s) ** 2 + np.where((x > SHUT) & (x < 0.0), share * LEFT * x, 0.0) ** 2
    if not kind.shifted:  # one neuron of the pair, with twice the weight, and a slope
        rounded[:, 0::2], rounded[:, 1::2] = 4.0 * rounded[:, 0::2], 0.0
    lost = rounded.reshape(s.size, -1, 2).sum(-1)
    rows = [values.sum(-1) * size[:, None], np.diag(UNIT["float32"] * np.sqrt(size**2 @ lost))]
    if not kind.shifted:
        rows.append(UNIT["float32"] * float(np.linalg.norm(s * size)) * scale[None, :])
    wanted = [s**2 * size, np.zeros(sum(map(len, rows[1:])))]
    if kind.shifted:
        rows[0], wanted[0] = SMOOTH * rows[0], SMOOTH * wanted[0]
        slopes = activation.derivative(EVEN[:, None] * neurons.up + neurons.bias) * neurons.up
        share = SLOPE / np.sqrt(EVEN.size)
        rows.append(share * slopes.reshape(EVEN.size, -1, 2).sum(-1))
        wanted.append(share * 2.0 * EVEN)
    return np.concatenate(rows), np.concatenate(wanted)


def solved(matrix: Floats, wanted: Floats) -> Floats:
    """The weights: columns of one length first, since they differ by decades."""
    length = np.linalg.norm(matrix, axis=0)
    return np.asarray(np.linalg.lstsq(matrix / length, wanted, rcond=1e-15)[0] / length)


def tabled(name: str, activation: Activation) -> float:
    """The criterion of the repository's table."""
    bank = square_bank(Squares(int(name) if name.isdigit() else name), activation)
    scale, weight = bank.up[0::2], bank.down[0::2]
    return criterion(kind_of(name, activation), activation, scale, -bank.bias[0::2] / scale, weight)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits the tables of square_banks.py anew.")
    parser.add_argument("activation", choices=ACTIVATIONS)
    parser.add_argument("--bank", choices=BANKS, action="append", help="one of them (default: all)")
    parser.add_argument("--starts", type=int, default=24, help="random starts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    activation = ACTIVATIONS[options.activation]
    for name in options.bank or BANKS:
        found = fitted(kind_of(name, activation), activation, options.starts, options.seed)
        beside = f" (the table's: {tabled(name, activation):.4g})" if activation.name in TABLES else ""
        print(f"{name}: criterion {found.criterion:.4g}{beside}")
        for row in (found.scale, found.shift, found.weight):
            print(f"    {tuple(row.tolist())},")


if __name__ == "__main__":
    main()
