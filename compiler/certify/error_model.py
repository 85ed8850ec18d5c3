"""What an operation computes in the weights, as a function of what it computes exactly: the error model.

    operation    systematic                                   rounding, rms (u: one unit, 2⁻²⁴ or 2⁻⁵³)
    product      c R_a R_b (e(s₊) − e(s₋)), e the bank's fit  u c R_a R_b √(2 floor² + rate² (a² + b²)/2), a, b over R
      with gates –                                            u √(2 Σ (c a b)² + their sum²)
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
    field        –                                            u/2: the data are rounded to the weights' precision;
                                                              one-hot codes are exact
    constant     as the weights' precision holds it           –

A factor far below its radius R is multiplied with a far smaller error than one at it: see square_banks.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats, Indices
from innerloop.artifact.reference.arithmetic import UNIT
from innerloop.artifact.sparse import Matrix

from ..architectures.targets import Target
from ..emit.norms import NORMS
from ..interpreter.ball import Ball
from ..interpreter.calibrate import Ranges
from ..ir.graph import (
    Affine,
    Attend,
    Constant,
    Count,
    Divide,
    Field,
    Final,
    Function,
    Gather,
    Graph,
    Keep,
    Merge,
    Mine,
    Move,
    Node,
    Phi,
    Product,
    Read,
    Softmax,
    Theirs,
    Value,
)
from ..numerics.approximant import Approximant
from ..numerics.attention_gates import Draws, shift, slope, weights
from ..numerics.exponential_sums import MANY, sink
from ..numerics.fit_smooth import fit
from ..numerics.linear_by_softmax import SCALES, SINK, relative_error
from ..numerics.square_banks import FINENESS, Bank, Squares, square_bank
from ..schedule.constructions import CURVE, Construction, default_squares
from .inexact import Inexact, Operand, noisy, usual
from .score_errors import exponential_error, softmax_error


@dataclass(frozen=True)
class ErrorModel:
    """Of a graph's operations on a target, in the weights' precision."""

    graph: Graph
    ranges: Ranges
    dtype: Dtype
    target: Target

    def of(
        self, value: Value, chosen: Construction | None = None, drawn: bool = False, times: float = 1.0
    ) -> Inexact | None:
        """What one value's operation makes, built as `chosen` (None: by default); None where nothing is lost. `drawn`:
        the errors of products' fits are multiplied by normal numbers, as if the factors stood elsewhere on the fit.
        `times`: so many times the rounding."""
        node, unit = self.graph[value], times * UNIT[self.dtype]
        match node.op:
            case Product():
                if self.target.gated:
                    return _exact_product(node.op, unit)
                left, right = (self.ranges.ball(o) for o in node.operands)
                squares = chosen if isinstance(chosen, Squares) else default_of(node, self.ranges, self.dtype)
                return _product(node.op, left, right, squares, unit, drawn)
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
                return _quotient(2.0 ** (-2.0 * NORMS[self.target.norm].divide_bits[self.dtype] - 1.0), unit)
            case Affine(matrices, offset):
                return _affine(matrices, offset.array, unit)
            case Attend("softmax", _):
                return softmax_error(unit)
            case Attend("exp", _):
                reach = self.ranges.reach(value)
                return exponential_error(unit, sink(reach, MANY, self.dtype))
            case Attend() if not self.target.linear:
                size = self.ranges.reach(value) * np.max(np.abs(self.ranges[node.operands[2]]), axis=0)
                lost = 0.25 * unit * SINK[self.dtype] * sum(abs(s.weight) for s in SCALES[self.dtype]) * size
                share = relative_error(self.dtype)
                return lambda array, _, rng: noisy(array, lost + share * np.abs(array), rng)
            case Field(name) if name in self._onehot:
                return None
            case Field():
                return lambda array, _, rng: noisy(array, 0.5 * unit * np.abs(array), rng)
            case Constant(values):
                held = values.array.astype(self.dtype).astype(np.float64)
                off = (held - values.array).ravel()
                return (lambda array, _, rng: array + off) if off.any() else None
            case Gather("mean", _):
                return _mean(unit)
            case Count() | Move() | Merge() | Mine():
                return None
            case Softmax() | Gather() | Attend() | Read() | Theirs() | Phi() | Final():
                return lambda array, _, rng: noisy(array, unit * (np.abs(array) + usual(array)), rng)
            case other:
                assert_never(other)

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


# Products ----------------------------------------------------------------------------------------


def _exact_product(op: Product, unit: float) -> Inexact:
    """Every product is rounded once, and their sum."""
    form = op.form
    gather = Matrix.of(form.out, np.arange(form.out.size), form.coefficient**2, (form.size, form.out.size))

    def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
        terms = gather.apply((operand(0)[..., form.left] * operand(1)[..., form.right]) ** 2)
        return noisy(array, unit * np.sqrt(2.0 * terms + array**2), rng)

    return model


def _product(op: Product, left: Ball, right: Ball, squares: Squares, unit: float, drawn: bool) -> Inexact:
    form, bank = op.form, square_bank(squares)
    i, j, c = form.left, form.right, form.coefficient
    radius_a, radius_b = (np.where(ball.radius > 0, ball.radius, 1.0) for ball in (left, right))
    floor, rate = (unit * units for units in bank.rounding)
    worst = float(np.abs(bank.fit).max())
    fitted = worst > 0.5 * rate
    if not fitted:
        rate = float(np.hypot(rate, worst))
    share, lone = (2.25, 4.5) if squares.shared else (0.5, 2.0)
    shape_a, shape_b = (form.size, form.sizes[0]), (form.size, form.sizes[1])
    of_a = Matrix.of(form.out, i, share * (rate * c * radius_b[j]) ** 2, shape_a)
    of_b = Matrix.of(form.out, j, share * (rate * c * radius_a[i]) ** 2, shape_b)
    by_b = Matrix.of(form.out, i, (unit * c * right.centre[j]) ** 2, shape_a)
    by_a = Matrix.of(form.out, j, (unit * c * left.centre[i]) ** 2, shape_b)
    always = np.bincount(
        form.out,
        lone * (floor * c * radius_a[i] * radius_b[j]) ** 2 + (unit * c * left.centre[i] * right.centre[j]) ** 2,
        minlength=form.size,
    )
    gather = Matrix.of(form.out, np.arange(c.size), c * radius_a[i] * radius_b[j], (form.size, c.size))

    def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
        a, b = operand(0), operand(1)
        near_a, near_b = a - left.centre, b - right.centre
        variance = always + of_a.apply(near_a**2) + of_b.apply(near_b**2) + (unit * array) ** 2
        if by_a.nnz or by_b.nnz:
            variance = variance + by_a.apply(b**2) + by_b.apply(a**2)
        found = noisy(array, np.sqrt(variance), rng)
        near_a, near_b = near_a / radius_a, near_b / radius_b
        if fitted or not max(np.abs(near_a).max(initial=0.0), np.abs(near_b).max(initial=0.0)) <= 1.0:
            errors = _fit_error(bank, near_a[..., i], near_b[..., j], squares.shared)
            found += gather.apply(errors * rng.standard_normal(errors.shape) if drawn else errors)
        return found

    return model


def _fit_error(bank: Bank, a: Floats, b: Floats, shared: bool) -> Floats:
    """Of a·b, by the squares that it is made of, which are fitted on [−1, 1]."""

    def error(s: Floats) -> Floats:
        beyond = ~(np.abs(s) <= 1.0)  # NaN too
        place: Indices = (np.where(beyond, 1.0, s + 1.0) * FINENESS + 0.5).astype(np.int64)
        found = bank.fit[place]
        if beyond.any():
            found[beyond] = bank.square(s[beyond]) - s[beyond] ** 2
        return found

    both = error(0.5 * (a + b))
    return 2.0 * both - 0.5 * error(a) - 0.5 * error(b) if shared else both - error(0.5 * (a - b))


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


def _mean(unit: float) -> Inexact:
    def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
        several = operand(1).sum(-1, keepdims=True) > 1.0
        return noisy(array, np.where(several, unit * (np.abs(array) + usual(array)), 0.0), rng)

    return model


def _affine(matrices: tuple[Matrix, ...], offset: Floats, unit: float) -> Inexact | None:
    if len(matrices) == 1 and not offset.any() and np.diff(matrices[0].csr.indptr).max(initial=0) <= 1:
        return None
    squared = [Matrix(m.csr**2) for m in matrices]

    def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
        variance = sum((m.apply(operand(k) ** 2) for k, m in enumerate(squared)), offset**2)
        return noisy(array, unit * np.sqrt(variance), rng)

    return model
