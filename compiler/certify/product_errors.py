"""What a product computes in the weights: by gates or codes, rounded; by squares of sums and differences,
fitted, too.

before   a product's form, the ranges of its factors, what it is built from
after    what it gives instead of an array, from its factors
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.sparse import Matrix

from ..emit.ungated_neurons import CLOSED
from ..interpreter.ball import Ball
from ..ir.graph import Product
from ..numerics.attention_gates import Draws
from ..numerics.square_banks import FINENESS, Bank
from .inexact import Inexact, Once, Operand, noisy


def exact_product(op: Product, unit: float) -> Inexact:
    """Every product is rounded once, and their sum."""
    form = op.form
    gather = Matrix.of(form.out, np.arange(form.out.size), form.coefficient**2, (form.size, form.out.size))

    def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
        terms = gather.apply((operand(0)[..., form.left] * operand(1)[..., form.right]) ** 2)
        return noisy(array, unit * np.sqrt(2.0 * terms + array**2), rng)

    return model


def coded_product(op: Product, code: int, other: Ball, unit: float) -> Inexact:
    """What is multiplied by 1 is rounded as what closes it is, and what is multiplied by 0 is 0."""
    form = op.form if code == 1 else op.form.swapped
    rounds = unit * CLOSED * form.coefficient * other.most[form.left]
    by_code = Matrix.of(form.out, form.right, rounds**2, (form.size, form.sizes[1]))

    def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
        return noisy(array, np.sqrt(by_code.apply(operand(code) ** 2) + (unit * array) ** 2), rng)

    return model


def product(op: Product, left: Ball, right: Ball, bank: Bank, shared: bool, unit: float) -> tuple[Inexact, Inexact]:
    """With how far the fit is off as it is where the factors stand, and as drawn."""
    form = op.form
    i, j, c = form.left, form.right, form.coefficient
    radius_a, radius_b = (np.where(ball.radius > 0, ball.radius, 1.0) for ball in (left, right))
    floor, linear, square = (unit * units for units in bank.rounding)
    worst = float(np.abs(bank.fit).max())
    fitted = worst > 0.5 * unit * bank.most
    if not fitted:
        linear = float(np.hypot(linear, worst))
    share, lone = (2.25, 4.5) if shared else (0.5, 2.0)
    shape_a, shape_b = (form.size, form.sizes[0]), (form.size, form.sizes[1])
    sizes = share * (c * radius_a[i] * radius_b[j]) ** 2
    of_a, of_b = Matrix.of(form.out, i, sizes, shape_a), Matrix.of(form.out, j, sizes, shape_b)
    by_b = Matrix.of(form.out, i, (unit * c * right.centre[j]) ** 2, shape_a)
    by_a = Matrix.of(form.out, j, (unit * c * left.centre[i]) ** 2, shape_b)
    always = np.bincount(
        form.out,
        lone * (floor * c * radius_a[i] * radius_b[j]) ** 2 + (unit * c * left.centre[i] * right.centre[j]) ** 2,
        minlength=form.size,
    )
    gather = Matrix.of(form.out, np.arange(c.size), c * radius_a[i] * radius_b[j], (form.size, c.size))

    def built(drawn: bool) -> Inexact:
        by_left = Once(partial(_Factor.of, left.centre, radius_a, (linear, square), of_a, by_b))
        by_right = Once(partial(_Factor.of, right.centre, radius_b, (linear, square), of_b, by_a))

        def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
            a, b = by_left(operand(0)), by_right(operand(1))
            variance = always + a.own
            variance += b.own
            variance += (unit * array) ** 2
            variance += b.other
            variance += a.other
            found = noisy(array, np.sqrt(variance, out=variance), rng)
            if fitted or not max(a.reach, b.reach) <= 1.0:
                near_a, near_b = (operand(0) - left.centre) / radius_a, (operand(1) - right.centre) / radius_b
                errors = _fit_error(bank, near_a[..., i], near_b[..., j], shared)
                found += gather.apply(errors * rng.standard_normal(errors.shape) if drawn else errors)
            return found

        return model

    return built(drawn=False), built(drawn=True)


@dataclass(frozen=True)
class _Factor:
    """How far a factor is from its centre at most, in radii; what that adds to the variance, and what the factor does
    beside the other's centre."""

    reach: float
    own: Floats
    other: Floats | float

    @staticmethod
    def of(
        centre: Floats, radius: Floats, units: tuple[float, float], own: Matrix, other: Matrix, factor: Floats
    ) -> _Factor:
        """`units`: what rounding leaves of a square, by its size and by itself (`Bank.rounding`)."""
        near = (factor - centre) / radius
        size = near**2
        lost = own.apply((units[0] * units[0]) * size + (units[1] * size) ** 2)
        reach = float(np.abs(near, out=near).max(initial=0.0))
        return _Factor(reach, lost, other.apply(factor**2) if other.nnz else 0.0)


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
