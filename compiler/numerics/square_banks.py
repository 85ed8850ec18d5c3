"""Squares from plain GELUs, and products from squares.

    a·b = s₊² − s₋²,  s± = (a ± b)/2            two squares a product
    a·b = 2 s₊² − ½ a² − ½ b²                   one, and the lone squares a², b², which all products of a task share
    s²  ≈ Σₖ cₖ (g(wₖ(s − tₖ)) + g(wₖ(−s − tₖ))),   |s| ≤ 1

with g the tanh-GELU (Akyürek et al. 2022, App. C, use g(a + b) − g(a) − g(b)). The terms of a square
cancel, so what float32 rounds is Σ|cₖ wₖ s| ulps and not s². Unshifted pairs need Σ|c w| of 8 and more;
pairs shifted by t > 0, which stay shut for small s, leave one of about 1/w at the origin. Fitted to
least error and least rounding together, with weights 1/(s + 0.01), rms errors on [R/2, R]:

    bank                  R = 1     0.3       0.1       0.03      0.01
    coarse, 4 pairs       1.2e-7    2.0e-8    9.6e-9    2.7e-9    7.7e-10
      … by PyTorch        1.2e-7    2.0e-8    1.0e-8    4.6e-9    4.0e-9
    fine, 6 pairs         6.7e-8    1.6e-8    5.1e-9    1.8e-9    6.1e-10
      … by PyTorch        6.7e-8    1.7e-8    6.7e-9    6.0e-9    4.6e-9
    finer, 12 pairs       4.8e-8    7.7e-9    1.7e-9    5.2e-10   2.9e-10
      … by PyTorch        4.7e-8    8.4e-9    2.7e-9    1.7e-9    1.6e-9
    finest, 24 pairs      5.7e-8    6.5e-9    1.1e-9    1.8e-10   8.9e-11
      … by PyTorch        5.7e-8    7.4e-9    1.4e-9    9.1e-10   8.9e-10
    float64, 4 pairs      fit of 3e-12, rounding below

(measured in tests/numerics/test_products.py). The more kinks a square has, the fewer neurons are open near 0, and what
they round there goes as the distance between two kinks; at |s| = 1 as its root. PyTorch's 0.5 x (1 + tanh) rounds
1 + tanh, where x / (1 + exp) does not, until from x = −5.3 on it is 0: a shut neuron adds 0.14 |x| units there and none
here. Banks are fitted with a share of that noise, so that shut pairs weigh little, or lie beyond −5.3. Both halves of a
product carry the same error at s = 0, so a product by 0 is 0. Errors are times the radii of both factors.

Where less will do (`tolerance=`): unshifted pairs can be *halved*, g(x) + g(−x) = 2 g(x) − x, a neuron a pair, and
what is linear in all the squares of a task is one correction of its output. `wₖ` by Nelder–Mead from random starts,
`cₖ` by least squares with the rounding of the halved form as its ridge (u = 2⁻²⁴, the same weights 1/(s + 0.01)).
Neurons a square, and errors of products of factors in [−1, 1], in float32 (exact: in float64):

    bank                     neurons    largest, rms     lone squares shared
    1 pair                   2          2.7e-5  3.2e-6   3.2e-5  6.2e-6
    1 pair, halved           1          3.4e-5  3.9e-6   5.2e-5  7.1e-6
    2 pairs                  4          3.3e-6  5.7e-7   5.1e-6  8.7e-7
    2 pairs, halved          2          4.6e-6  8.0e-7   8.4e-6  1.1e-6
    3 pairs                  6          1.6e-6  2.7e-7   3.3e-6  4.1e-7
    3 pairs, halved          3          2.1e-6  3.9e-7   4.3e-6  5.4e-7
    coarse                   8          5.1e-7  8.5e-8   8.9e-7  1.2e-7
    fine                     12         3.5e-7  5.0e-8   8.2e-7  7.8e-8
    finer                    24         2.7e-7  3.9e-8   4.7e-7  6.0e-8
    finest                   48         2.7e-7  4.2e-8   6.0e-7  6.6e-8
    exact                    8          6.5e-12 2.6e-12  1.6e-11 4.3e-12
    exact, halved            4          6.5e-12 2.6e-12  1.6e-11 4.3e-12

The tables (square_tables.py) are fitted by scripts/refit_squares.py, for any activation. These figures are of the
tanh-GELU; the erf-GELU does as well, with 8, 16 and 24 pairs in its fine, finer and finest bank.

Of d² products of two vectors 2d² squares are made apart, and d² + 2d shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.precisions import UNIT

from .activations import GELU, Activation
from .square_tables import SHIFTED, TABLES


@dataclass(frozen=True)
class Bank:
    """s² ≈ slope · s + Σ down · g(up · s + bias) over neurons, |s| ≤ 1."""

    up: Floats
    bias: Floats
    down: Floats
    slope: float = 0.0
    activation: Activation = GELU

    def square(self, s: Floats) -> Floats:
        """What the bank makes of s [...], in float64."""
        return np.asarray(self.slope * s + self.activation.value(s[..., None] * self.up + self.bias) @ self.down)

    @cached_property
    def fit(self) -> Floats:
        """Its error at s = −1 … 1 [2 · FINENESS + 1], without rounding."""
        s = np.linspace(-1.0, 1.0, 2 * FINENESS + 1)
        return self.square(s) - s * s

    @cached_property
    def rounding(self) -> tuple[float, float, float]:
        """(floor, linear, square): rounding leaves at most √(floor² + (linear s)² + (square s²)²) units, rms: every
        neuron rounds what goes in and out, those that are open at s are the more, the more pairs there are, and so does
        each sum of one neuron more."""
        s = np.concatenate([[0.0], np.geomspace(0.01, 1.0, 100)])
        terms = self.activation.value(s[:, None] * self.up + self.bias) * self.down
        sums = np.minimum(ADDED * np.abs(np.cumsum(terms, axis=1)), np.abs(terms) / UNIT["float32"])
        units = ((self.units(s) * self.down) ** 2 + sums**2).sum(1) + (self.slope * s) ** 2
        s, floor, above = s[1:], units[0], np.maximum(units[1:] - units[0], 0.0)
        linear = np.max((above / s**2)[s <= NEAR])
        square = np.max(np.maximum(above - linear * s**2, 0.0) / s**4)
        return float(np.sqrt(floor)), float(np.sqrt(linear)), float(np.sqrt(square))

    @property
    def most(self) -> float:
        """What rounding leaves at |s| = 1, in units, rms, at most."""
        return float(np.linalg.norm(self.rounding))

    def units(self, s: Floats) -> Floats:
        """What each neuron rounds at s [n], in units of what it is multiplied by going down [n, neurons]."""
        x = s[:, None] * self.up + self.bias
        opened = np.abs(self.activation.derivative(x)) * (np.abs(s[:, None] * self.up) + np.abs(self.bias))
        return np.asarray(np.abs(self.activation.value(x)) + opened)


FINENESS = 1024
NEAR, ADDED = 0.1, 0.4
"""Up to here what rounding leaves goes as s. A sum is off by so many units of itself, rms, or by all that was added."""

MOST_COPIES = 12
"""Each is wider than the one before, and what a wide one rounds grows: 48 copies, of which some are as good as flat,
round sixty times worse than one."""


@dataclass(frozen=True)
class Squares:
    """A construction of the products of one task.

    `bank`: one of shifted pairs (`SHIFTED`), exact, or the number of unshifted pairs. `copies`, of the exact bank:
    several, of slightly different scales, round independently, and their mean has 1/√copies of the rounding. `halved`:
    one neuron of each pair is traded for a linear correction. `shared`: lone squares instead of squares of
    differences."""

    bank: str | int
    copies: int = 1
    halved: bool = False
    shared: bool = False


@cache
def square_bank(squares: Squares, activation: Activation = GELU) -> Bank:
    """The bank of a construction, of these neurons. Only unshifted pairs can be halved."""
    fitted = TABLES[activation.name]
    match squares.bank:
        case name if name in SHIFTED:
            scale, shift, weight = (np.array(row) for row in fitted.shifted[str(name)])
        case "exact":
            scale, shift, weight = _exact_pairs(activation)
        case count:
            scale, weight = (np.array(row) for row in fitted.unshifted[int(count)])
            shift = np.zeros(scale.size)
    assert 1 <= squares.copies <= (MOST_COPIES if squares.bank == "exact" else 1), squares
    factors = 1.0 - 0.03 * np.arange(squares.copies)
    up = np.concatenate([scale * f for f in factors])
    bias = -np.tile(scale * shift, squares.copies)
    down = np.concatenate([weight / (f * f * squares.copies) for f in factors])
    if squares.halved:
        assert not shift.any(), squares
        return Bank(up, bias, 2.0 * down, -float(up @ down), activation)
    return paired(up, bias, down, activation)


def paired(up: Floats, bias: Floats, down: Floats, activation: Activation = GELU) -> Bank:
    """Each neuron, and after it its mirror image."""
    both = np.column_stack([up, -up]).ravel()
    return Bank(both, np.repeat(bias, 2), np.repeat(down, 2), activation=activation)


def _exact_pairs(activation: Activation) -> tuple[Floats, Floats, Floats]:
    """Four unshifted pairs whose error is that of a polynomial of degree ten: far below what float32 can hold."""
    scale = np.array([0.1, 0.2, 0.3, 0.4])
    s = np.cos(np.linspace(0.0, np.pi / 2, 2000))
    pairs = activation.value(s[:, None] * scale) + activation.value(-s[:, None] * scale)
    size = np.abs(pairs).max(axis=0)
    weight = np.linalg.lstsq(pairs / size / (s[:, None] + 1e-3), s * s / (s + 1e-3), rcond=1e-17)[0] / size
    return scale, np.zeros(4), weight
