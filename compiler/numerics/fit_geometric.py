"""Functions that are steep at one end, as sums of neurons that are open to that end.

    log, sqrt, 1/x      g(wₖ (tₖ − x)), knots tₖ at equal ratios      few are open where the function is flat
    exp, sigmoid to 0   g(wₖ (x − tₖ)), knots tₖ at equal distances   all are closed below: there it is exactly 0

Each looks alike at every scale, and so do the neurons: the error is relative to the function (of a log, absolute), at
every size of x, and so is rounding: what is open at x is no larger than the function there. Only the square root,
small where all are open, keeps the rounding of its largest value. Knots beyond both ends, and neurons wider than
their distance, make errors fall off fast with their number. Largest relative errors, fit and in float32:

    1/x on [1e-3, 3]     8e-8, 1.5e-7     58 GELUs         1/x on [1e-3, 30]    8e-8, 1.4e-7     72 GELUs
    1/x on [1e-6, 276]   8e-8, 1.3e-7    124 GELUs         sqrt on [1e-3, 30]   2e-9, 7e-6       73 GELUs

(tests/numerics/test_steep.py). A Newton step, r (2 − s r), could only add its own rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Floats

from .activations import Activation
from .approximant import Approximant, NoFit
from .functions import POINTWISE, function

FORMS = ((4, 0.5), (6, 0.5), (6, 0.3), (8, 0.3))
"""Knots for each doubling, and how steep a neuron is at its knot, of one over their distance: the first that reaches
the tolerance over `TRIED` doublings does so over more."""
TRIED = 6
BEYOND = 2.5
"""Knots stand so far beyond each end, in widths of a neuron there."""
SAMPLES = 8
"""Points of the fit between neighbouring knots."""
RIDGE = 0.1
"""Of the tolerance: what neurons larger than the function cost."""
FLAT = 1e-3
"""Of the tolerance: an exponential is followed down to so much of its largest value."""
NEAR = 1e-5
"""Of its largest value: a root's error is relative down to here, and below as it is here."""
SHUT = 64.0
"""Where a neuron is shut."""
VANISHING = -600.0
"""Where exp(x) is 1e-261: what is weighed by less is soon no number of float64."""
LOWEST = 1e-15
"""Of the largest x: roots and logarithms are followed down to here."""


def steep(name: str, low: float, high: float, tolerance: float, activation: Activation) -> Approximant | None:
    """The function on [low, high], off by `tolerance` of its value if that can be had; None for other functions.

    Raises NoFit where it is not finite: log and sqrt need high > 0, and 1/x numbers of one sign.
    """
    match POINTWISE[name].steep:
        case ("logarithm" | "root") as kind:
            if high <= 0.0:
                raise NoFit(f"{name} on [{low:.4g}, {high:.4g}]")
            found = _scaled(name, max(low / 1.05, LOWEST * high), 1.05 * high, tolerance, activation)
            return found if kind == "logarithm" else _level(found)
        case "inverse":
            if low <= 0.0 <= high:
                raise NoFit(f"1/x on [{low:.4g}, {high:.4g}]")
            found = _scaled(
                name, min(abs(low), abs(high)) / 1.05, 1.05 * max(abs(low), abs(high)), tolerance, activation
            )
            if low > 0.0:
                return found
            return replace(found, up=-found.up, down=-found.down, constant=-found.constant, grid=-found.grid[::-1])
        case ("exponential" | "exponential to 0") as kind:
            if kind == "exponential to 0" and high > 0.0:
                return None
            high = max(high, VANISHING)
            high += 0.05 + min(1e-3 * (high - low), 1.0)
            return _exponential(name, max(low, high + np.log(FLAT * tolerance)), high, tolerance, activation)
        case None:
            return None
        case other:
            assert_never(other)


def _scaled(name: str, low: float, high: float, tolerance: float, activation: Activation) -> Approximant:
    """Knots at equal ratios."""

    def f(x: Floats) -> Floats:
        return function(name, (), x)

    def made(high: float, knots: float, width: float) -> Solved:
        ratio = np.log(2.0) / knots
        beyond = int(np.ceil(BEYOND / width))
        count = int(np.ceil(np.log(high / low) / ratio)) + 1
        t = low * np.exp(ratio * np.arange(-beyond, count + beyond))
        x = low * np.exp(np.linspace(0.0, np.log(high / low), SAMPLES * count + 1))
        y = f(x)
        match POINTWISE[name].steep:
            case "logarithm":
                size, weight, line = np.ones(t.size), np.ones(x.size), 1.0
            case "root":
                size, weight, line = f(t), 1.0 / (y + NEAR * y[-1]), float(y[-1])
            case _:
                size, weight, line = f(t), 1.0 / y, float(y[-1])
        return _solved(f, x, -width / (ratio * t), t, size * ratio / width, weight, line, tolerance, activation)

    return made(high, *_form(lambda *form: made(min(high, low * 2.0**TRIED), *form), tolerance))[0]


def _level(curve: Approximant) -> Approximant:
    """The same curve, level below 0: what rounding makes of a root's 0 is not far from 0, at a slope that is."""
    falls = curve.slope + float(curve.up @ curve.down)
    up = SHUT / float(curve.grid[0])
    return replace(
        curve, up=np.append(curve.up, -up), bias=np.append(curve.bias, 0.0), down=np.append(curve.down, falls / up)
    )


def _exponential(name: str, low: float, high: float, tolerance: float, activation: Activation) -> Approximant:
    """Knots at equal distances."""

    def f(x: Floats) -> Floats:
        return function(name, (), x)

    def made(low: float, knots: float, width: float) -> Solved:
        distance = np.log(2.0) / knots
        beyond = int(np.ceil(BEYOND / width))
        count = int(np.ceil((high - low) / distance)) + 1
        t = low + distance * np.arange(-beyond, count + beyond)
        x = np.linspace(low, high, SAMPLES * count + 1)
        y = f(x)
        up = np.full(t.size, width / distance)
        return _solved(f, x, up, t, np.exp(t) * distance / width, 1.0 / (y + y[0]), 0.0, tolerance, activation)

    return made(low, *_form(lambda *form: made(max(low, high - TRIED * np.log(2.0)), *form), tolerance))[0]


Solved = tuple[Approximant, float]
"""A curve, and its largest error as the fit weighs errors."""


def _form(made: Callable[[float, float], Solved], tolerance: float) -> tuple[float, float]:
    """The first of `FORMS` that reaches the tolerance, or what comes nearest."""
    errors = []
    for form in FORMS:
        errors.append(made(*form)[1])
        if errors[-1] <= tolerance:
            break
    return FORMS[int(np.argmin(errors))]


def _solved(
    f: Callable[[Floats], Floats],
    x: Floats,
    up: Floats,
    knots: Floats,
    size: Floats,
    weight: Floats,
    line: float,
    tolerance: float,
    activation: Activation,
) -> Solved:
    """Least squares of weight · error, with a ridge on each neuron over its `size`; `line` is the size of the constant
    and of the slope at the end, 0 for neither."""
    from scipy.linalg import lstsq

    y = f(x)
    columns = activation.value((x[:, None] - knots) * up) * size
    end = float(x[-1]) if line else 1.0
    if line:
        columns = np.column_stack([columns, np.full_like(x, line), x * (line / end)])
    rows = np.vstack([columns * weight[:, None], RIDGE * tolerance * np.eye(columns.shape[1])])
    wanted = np.concatenate([y * weight, np.zeros(columns.shape[1])])
    found = lstsq(rows, wanted, lapack_driver="gelsy", check_finite=False)
    solution = np.asarray(found[0])  # pyright: ignore[reportOptionalSubscript]  # SciPy has no types
    off = np.abs(columns @ solution - y)
    constant, slope = (solution[-2] * line, solution[-1] * line / end) if line else (0.0, 0.0)
    down, error = solution[: knots.size] * size, float(off.max())
    curve = Approximant(up, -up * knots, down, float(slope), float(constant), error, f, x, activation)
    return curve, float((off * weight).max())
