"""Functions of one number as sums of GELUs, on the range that they are needed on.

    f(x) ≈ constant + slope · x + Σₖ cₖ g(wₖ (x − tₖ))

Functions with kinks (relu, abs, clip, sign, comparisons) are sums of relu(x) = g(κx)/κ, off by at most
0.17/κ, with κ = 2²⁴ over the range. A comparison and the sign are ramps, `RAMP` of the range wide.
Smooth ones (sigmoid, tanh, exp, log, sqrt) are least-squares fits: knots as dense as the curvature
asks, as many as it takes to reach the tolerance, with a ridge on |cₖ wₖ|, which multiplies rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .oracle import function
from .sparse import Floats
from .squares import gelu

RAMP = 1e-3
KNOTS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256)


@dataclass(frozen=True)
class Curve:
    """f(x) ≈ constant + slope · x + Σ down · g(up · x + bias); `error` is the largest on [low, high]."""

    up: Floats
    bias: Floats
    down: Floats
    slope: float
    constant: float
    error: float


Activation = Callable[[Floats], Floats]


def fit(
    name: str,
    arguments: tuple[float, ...],
    low: float,
    high: float,
    dtype: str,
    activation: Activation = gelu,
    left: bool = False,
) -> Curve:
    """The curve of a function of the language on [low, high], of neurons g(wₖ (tₖ − x)) with `left`, wₖ > 0.

    Raises ValueError where it is not finite there."""
    span = max(high - low, 1e-6)
    low, high = low - 1e-3 * span, high + 1e-3 * span
    radius = max(abs(low), abs(high))
    kinks = _kinks(name, arguments, radius)
    if kinks is not None:
        return _piecewise(*kinks, radius)
    if name in ("log", "sqrt"):
        low = max(low, 1e-4 * high if name == "log" else 0.0)
        if high <= 0.0:
            raise ValueError(f"{name} on [{low:.4g}, {high:.4g}]")
    tolerance = 3e-7 if dtype == "float32" else 1e-10
    if left:
        curve = _smooth(lambda x: function(name, arguments, -x), -high, -low, tolerance, activation)
        return replace(curve, up=-curve.up, slope=-curve.slope)
    return _smooth(lambda x: function(name, arguments, x), low, high, tolerance, activation)


def _kinks(
    name: str, arguments: tuple[float, ...], radius: float
) -> tuple[list[tuple[float, float]], float, float] | None:
    """(place, change of slope) of each kink, the slope left of all, and the value at −∞'s line at 0."""
    width = RAMP * radius
    match name:
        case "relu":
            return [(0.0, 1.0)], 0.0, 0.0
        case "abs":
            return [(0.0, 2.0)], -1.0, 0.0
        case "clip":
            low, high = arguments
            return [(low, 1.0), (high, -1.0)], 0.0, low
        case "sign":
            return [(-width, 1 / width), (width, -1 / width)], 0.0, -1.0
        case "positive":
            return [(0.0, 1 / width), (width, -1 / width)], 0.0, 0.0
        case "nonnegative":
            return [(-width, 1 / width), (0.0, -1 / width)], 0.0, 0.0
        case _:
            return None


def _piecewise(kinks: list[tuple[float, float]], slope: float, constant: float, radius: float) -> Curve:
    sharp = 2.0 ** (24 - np.ceil(np.log2(radius)))
    place = np.array([k[0] for k in kinks])
    change = np.array([k[1] for k in kinks])
    error = 0.17 / sharp * float(np.abs(change).sum())
    return Curve(np.full(place.size, sharp), -sharp * place, change / sharp, slope, constant, error)


def _smooth(f: Callable[[Floats], Floats], low: float, high: float, tolerance: float, activation: Activation) -> Curve:
    x = _samples(f, low, high)
    y = f(x)
    size = max(float(np.abs(y).max()), 1e-30)
    best: Curve | None = None
    for count in KNOTS:
        curve = _least_squares(x, y, _knots(x, y, count), tolerance, activation)
        if best is None or curve.error < best.error:
            best = curve
        if best.error <= tolerance * size:
            break
    assert best is not None
    return best


def _samples(f: Callable[[Floats], Floats], low: float, high: float) -> Floats:
    """A grid as dense as the function bends."""
    x = np.linspace(low, high, 4001)
    for _ in range(2):
        weight = np.cumsum(np.concatenate([[0.0], _density(x, f(x)) * np.diff(x)]))
        x = np.interp(np.linspace(0.0, weight[-1], 4001), weight, x)
    return x


def _density(x: Floats, y: Floats) -> Floats:
    """Knots a length, for each interval: |f″|^(1/3), and a tenth of them even."""
    slope = np.diff(y) / np.maximum(np.diff(x), 1e-300)
    bend = np.abs(np.gradient(slope, 0.5 * (x[1:] + x[:-1]))) ** (1 / 3)
    total = float(np.sum(bend * np.diff(x)))
    return np.asarray(bend + 0.1 * max(total, 1e-12) / (x[-1] - x[0]))


def _knots(x: Floats, y: Floats, count: int) -> Floats:
    weight = np.cumsum(np.concatenate([[0.0], _density(x, y) * np.diff(x)]))
    return np.interp(np.linspace(0.0, weight[-1], count), weight, x)


def _least_squares(x: Floats, y: Floats, knots: Floats, tolerance: float, activation: Activation) -> Curve:
    up = 1.2 / np.gradient(knots)
    bias = -up * knots
    features = activation(x[:, None] * up + bias)
    scale = max(float(np.abs(x).max()), 1e-12)
    columns = np.column_stack([features / up, np.ones_like(x), x / scale])
    ridge = tolerance * float(np.abs(y).max()) * 0.3 * np.eye(columns.shape[1])
    ridge[knots.size :] = 0.0
    solution = np.linalg.lstsq(np.vstack([columns, ridge]), np.concatenate([y, np.zeros(ridge.shape[0])]), rcond=None)[
        0
    ]
    error = float(np.abs(columns @ solution - y).max())
    return Curve(up, bias, solution[: knots.size] / up, float(solution[-1] / scale), float(solution[-2]), error)
