"""What an operation computes in the weights, as a function of what it computes exactly: the error model.

    operation    systematic                                   rounding, rms (u: one unit, 2⁻²⁴ or 2⁻⁵³)
    product      c R_a R_b (e(s₊) − e(s₋)), e the bank's fit  u c R_a R_b √(2 floor² + rate² (a² + b²)/2), a, b over R
      with gates –                                            u √(2 Σ (c a b)² + their sum²)
      of a code  –                                            u √(Σ (2 c R_a b)² + their sum²), b 0 or 1
    function     the curve                                    u √Σ (neurons' values and what rounds on their way in)²
    comparison   anything where x is at the threshold         – (attention_gates.py)
    division     1 − rest²/2N², as the norm divides           3 u
    affine                                                    u √Σ (terms)²
    mean         –                                            u of the mean, and of the usual size of means; of one
                                                              token alone it is a copy, and exact
    softmax      –                                            u √(Σ (terms)² + δ² + 4) of each logit, δ below the
                                                              largest (of that, which is exact: u √Σ); a mean's
    sum of exp   1 / (1 + Z e^(−c)) (exponential_sums.py)     the same of each logit, δ below the rest token's
    scored mean  drawn: the share that the heads' sum is off  u L Σ|c| R ¼ of the largest value (linear_by_softmax.py)
    delta rule   –                                            u √Σ (terms)² of every product, and of every S that is
                                                              written, on its way through the later updates
    field        –                                            u/2: the data are rounded to the weights' precision;
                                                              one-hot codes are exact
    constant     as the weights' precision holds it           –

In 16 bits u is half a unit, coefficients are rounded too, and of a mean nothing is lost but of itself.
A factor far below its radius R is multiplied with a far smaller error than one at it: see square_banks.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.precisions import SHORT, UNIT, rounding
from innerloop.artifact.sparse import Matrix

from ..architectures.targets import Target
from ..emit.norms import NORMS
from ..interpreter.calibrate import Ranges
from ..interpreter.delta import recalled
from ..ir.graph import (
    Affine,
    Attend,
    Constant,
    Delta,
    Divide,
    Field,
    Function,
    Gather,
    Graph,
    Keep,
    Merge,
    Move,
    Node,
    Product,
    Read,
    Softmax,
    Value,
)
from ..ir.operation_classes import Source, Structural
from ..ir.positional import Count
from ..numerics.approximant import Approximant
from ..numerics.attention_gates import Draws, shift, slope, weights
from ..numerics.exponential_sums import MANY, sink
from ..numerics.fit_smooth import fit
from ..numerics.linear_by_softmax import SCALES, SINK, relative_error
from ..numerics.sizes import sizes_of
from ..numerics.square_banks import Squares, square_bank
from ..schedule.constructions import CURVE, Construction, default_squares
from ..transforms.algebra.codes import codes
from .inexact import Inexact, Once, Operand, noisy, usual
from .product_errors import coded_product, exact_product, product
from .score_errors import exponential_error, softmax_error

ROUNDS = UNIT | {short: 0.5 * UNIT[short] for short in SHORT}
"""What a rounding is off by, rms, as a share. Of 16 bits every operation is rounded, two to five times, by 0.4 units
each, and nothing else counts; of more, what a unit stands for is that and what sums lose on their way."""


@dataclass(frozen=True)
class ErrorModel:
    """Of a graph's operations on a target, in the weights' precision."""

    graph: Graph
    ranges: Ranges
    dtype: Dtype
    target: Target
    shrunk: float = 0.0
    """By what share a norm makes what is read smaller, at most (slots.py)."""
    apart: bool = False
    """Whether no task's error may depend on the other tasks."""

    def of(
        self, value: Value, chosen: Construction | None = None, drawn: bool = False, times: float = 1.0
    ) -> Inexact | None:
        """What one value's operation makes, built as `chosen` (None: by default); None where nothing is lost. `drawn`:
        the errors of products' fits are multiplied by normal numbers, as if the factors stood elsewhere on the fit.
        `times`: so many times the rounding."""
        found = self._rounded(value, chosen, drawn, times)
        reads = 2 if isinstance(self.graph[value].op, Product) else 1
        if not self.shrunk or isinstance(self.graph[value].op, Source | Structural):
            return found
        return _read_smaller(found, self.shrunk, reads, drawn)

    def _rounded(self, value: Value, chosen: Construction | None, drawn: bool, times: float) -> Inexact | None:
        """The operation alone, of operands that are read as they are."""
        node, unit = self.graph[value], times * ROUNDS[self.dtype]
        match node.op:
            case Product():
                key = value, chosen, times
                if key not in self._products:
                    self._products[key] = self._product(value, node, chosen, unit)
                return self._products[key][drawn]
            case Function(name, arguments):
                low, high = self.ranges.domain(name, node.operands[0])
                relative = chosen if isinstance(chosen, float) else CURVE[self.dtype]
                ends = float(low.min()), float(high.max())
                return _function(fit(name, arguments, *ends, relative, self.target.activation), unit)
            case Keep(_, which):
                decides = node.operands[0]
                reach = np.abs(self.ranges[decides]).max(axis=0)[list(which)]
                level = shift(decides in self.ranges.ties, self.target.gated, self.dtype)
                return _kept(node.op, slope(reach, self.dtype), level)
            case Divide():
                return _quotient(2.0 ** (-2.0 * NORMS[self.target.norm].own(sizes_of(self.dtype)).divide - 1.0), unit)
            case Affine(matrices, offset):
                return _affine(matrices, offset.array, unit, self.dtype)
            case Attend("softmax", _, rest):
                return softmax_error(unit, self.apart, rest)
            case Attend("exp", _):
                reach = self.ranges.reach(value)
                return exponential_error(unit, sink(reach, MANY, self.dtype))
            case Attend() if not self.target.linear:
                size = self.ranges.reach(value) * np.max(np.abs(self.ranges[node.operands[2]]), axis=0)
                lost = 0.25 * unit * SINK[self.dtype] * sum(abs(s.weight) for s in SCALES[self.dtype]) * size
                share = relative_error(self.dtype)
                return lambda array, _, rng: noisy(array, lost + share * np.abs(array), rng)
            case Delta():
                return _delta(node.op, unit)
            case Field(name) if name in self._onehot:
                return None
            case Constant(values):
                held = values.array.astype(self.dtype).astype(np.float64)
                off = (held - values.array).ravel()
                return (lambda array, _, rng: array + off) if off.any() else None
            case Gather("mean", _):
                return _mean(unit, 0.0 if self.dtype in SHORT else 1.0, self.apart)
            case Count() | Move() | Merge():
                return None
            case Source():
                return lambda array, _, rng: noisy(array, 0.5 * unit * np.abs(array), rng)
            case Softmax() | Gather() | Attend() | Read() | Structural():
                return lambda array, _, rng: noisy(array, unit * (np.abs(array) + usual(array, self.apart)), rng)
            case other:
                assert_never(other)

    @cached_property
    def _products(self) -> dict[tuple[Value, Construction | None, float], tuple[Inexact, Inexact]]:
        """As they are, and drawn, of those that were asked for."""
        return {}

    def _product(self, value: Value, node: Node, chosen: Construction | None, unit: float) -> tuple[Inexact, Inexact]:
        assert isinstance(node.op, Product)
        if self.target.gated:
            exact = exact_product(node.op, unit)
            return exact, exact
        left, right = (self.ranges.ball(o) for o in node.operands)
        if (code := self._codes.get(value)) is not None:
            coded = coded_product(node.op, code, (right, left)[code], unit)
            return coded, coded
        squares = chosen if isinstance(chosen, Squares) else default_of(node, self.ranges, self.dtype)
        return product(node.op, left, right, square_bank(squares, self.target.activation), squares.shared, unit)

    @cached_property
    def _codes(self) -> dict[Value, int]:
        return codes(self.graph, self.dtype)

    @property
    def _onehot(self) -> set[str]:
        return {f.name for f in self.graph.signature.fields if f.onehot}


def default_of(node: Node, ranges: Ranges, dtype: Dtype) -> Squares:
    """What a product is built from where nothing else is chosen."""
    assert isinstance(node.op, Product)
    left, right = (ranges.ball(o) for o in node.operands)
    pairs = {(i, j) if i <= j else (j, i) for i, j in zip(*_factors(node), strict=True)}
    return default_squares(left, right, len(pairs), dtype)


def _factors(node: Node) -> tuple[list[int], list[int]]:
    """The factors of each term, numbered so that equal ones have equal numbers."""
    assert isinstance(node.op, Product)
    form, (left, right) = node.op.form, node.operands
    return form.left.tolist(), (form.right + (0 if left == right else form.sizes[0])).tolist()


def _read_smaller(model: Inexact | None, most: float, reads: int, drawn: bool) -> Inexact:
    """Operands that come out of the norm smaller by up to that share, at each token by another, or all by as much."""

    def smaller(array: Floats, operand: Operand, rng: Draws) -> Floats:
        left = 1.0 - most * (rng.random((*array.shape[:-1], 1)) if drawn else 1.0)
        given = array * left**reads
        return given if model is None else model(given, lambda k: operand(k) * (left if k < reads else 1.0), rng)

    return smaller


# Softmax reads -----------------------------------------------------------------------------------


# Functions, divisions, sums ----------------------------------------------------------------------


def _function(curve: Approximant, unit: float) -> Inexact:
    def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
        value, units = curve.at(operand(0))
        return noisy(value, 1.5 * unit * units, rng)  # exp is a few units off itself

    return model


def _kept(op: Keep, slopes: Floats, level: float) -> Inexact:
    def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
        return np.asarray(operand(1) * weights(operand(0)[..., op.which], slopes, op.strict, level, rng))

    return model


def _quotient(lost: float, unit: float) -> Inexact:
    def model(array: Floats, _: Operand, rng: Draws) -> Floats:
        share = rng.random((*array.shape[:-1], 1))
        return noisy(array * (1.0 - lost * share), 3.0 * unit * np.abs(array), rng)

    return model


def _mean(unit: float, usually: float, apart: bool) -> Inexact:
    def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
        several = operand(1).sum(-1, keepdims=True) > 1.0
        size = np.abs(array) + usually * usual(array, apart)
        return noisy(array, np.where(several, unit * size, 0.0), rng)

    return model


def _delta(op: Delta, unit: float) -> Inexact:
    def model(_: Floats, operand: Operand, rng: Draws) -> Floats:
        def lose(made: Floats, size: Floats) -> Floats:
            return noisy(made, unit * size, rng)

        return recalled(op, [operand(k) for k in range(5)], lose)[:, operand(5)[0].astype(int)]

    return model


def _affine(matrices: tuple[Matrix, ...], offset: Floats, unit: float, dtype: Dtype) -> Inexact | None:
    single = len(matrices) == 1 and not offset.any() and np.diff(matrices[0].csr.indptr).max(initial=0) <= 1
    if single and (dtype not in SHORT or np.array_equal(rounding(dtype)(matrices[0].csr.data), matrices[0].csr.data)):
        return None
    terms = [Once(partial(_squared, m.squared)) for m in matrices]

    def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
        variance = sum((term(operand(k)) for k, term in enumerate(terms)), offset**2)
        return noisy(array, unit * np.sqrt(variance), rng)

    return model


def _squared(matrix: Matrix, array: Floats) -> Floats:
    return matrix.apply(array**2)
