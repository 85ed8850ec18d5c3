"""Functions of one number as sums of GELUs, on the range that they are needed on.

    f(x) ≈ constant + slope · x + Σₖ cₖ g(wₖ (x − tₖ))

Functions with kinks are sums of relu(x) = g(κx)/κ, off by at most 0.17/κ (0.28/κ for SiLUs), with
κ = 2⁴⁰ over the range: what is left is rounding. (The cube in tanh-GELU is then 2¹²⁶ at most, a float32 still.) Kinks
far from the range are none: clip(x, −10⁶, 10⁶) of x in [−1, 1] is x, and not x + 10⁶ − 10⁶.
Smooth ones are least-squares fits: knots as dense as the curvature asks, as many as it takes
to reach the tolerance, with a ridge on |cₖ wₖ|, which multiplies rounding; beyond the range, where the sum would go on
as a line, two sharp kinks keep it level. Steep ones: fit_geometric.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import ceil, inf, log

import numpy as np
from innerloop.artifact.arrays import Floats

from .activations import GELU, Activation
from .approximant import Approximant, NoFit
from .fit_geometric import steep
from .functions import POINTWISE, function

SHARPNESS = 40
"""log₂ of κ times the range."""
LEVEL_AT = 1e4
"""Where they are level, whatever the range."""
BEYOND = 0.02
"""So far beyond the range, as a share of it, the curve of one of them is level."""
FINER = 1e3
"""A function that bends within units is not seen by two looks at a range of 10¹⁰."""
WIDEST = 1e15
"""No smooth function is fitted to more: numbers of float64 are then no longer closer than its bends."""
APART = 8.0
"""Units in the last place between two points."""
SATURATED = 40.0
"""Beyond it a function that is level at both ends is as good as its limits: 1 − tanh(20) is below 1e-17."""
FAR = 200
"""Points from where a curve is level to the end of a range."""
SURE = 4.0
"""So many times the rms of what neurons round it is at most."""
HIGHEST = 700.0
"""Of what exp is taken: beyond, it is soon no number of float64."""
KNOTS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256)


@cache
def fit(
    name: str, arguments: tuple[float, ...], low: float, high: float, tolerance: float, activation: Activation = GELU
) -> Approximant:
    """The curve of a function of the language on [low, high], off by `tolerance` of its largest value (smooth ones) or
    of its value (steep ones). Raises NoFit where it is not finite there, and for what has `no_fit`."""

    def truth(x: Floats) -> Floats:
        return function(name, arguments, x)

    if (only := no_fit(name, low, high)) is not None:
        raise NoFit(f"{name} on [{low:.4g}, {high:.4g}]; it is fitted {only}")
    found = steep(name, low, high, tolerance, activation)
    if found is not None:
        return _level(found, low, high) if POINTWISE[name].level == "at both ends" else found
    bends = POINTWISE[name].kinks
    if bends is not None:
        return _piecewise(*bends(*arguments), low, high, truth, activation)
    if POINTWISE[name].level == "at both ends":
        bent = max(min(low, SATURATED), -SATURATED - 1.0), min(max(high, -SATURATED), SATURATED + 1.0)
        return _reaching(_level(_fitted(truth, *bent, tolerance, activation), *bent), low, high)
    return _fitted(truth, low, high, tolerance, activation)


def _fitted(
    truth: Callable[[Floats], Floats], low: float, high: float, tolerance: float, activation: Activation
) -> Approximant:
    """On a little more than the range."""
    span = max(high - low, 1e-6)
    return _smooth(truth, low - 1e-3 * span, high + 1e-3 * span, tolerance, activation)


def no_fit(name: str, low: float, high: float) -> str | None:
    """What numbers a function has a curve of, if it has none on [low, high]."""
    bends, steep = POINTWISE[name].kinks, POINTWISE[name].steep
    if steep == "exponential" and high > HIGHEST:
        return f"of numbers up to {HIGHEST:.0f}"
    smooth = bends is None and (steep is None or (steep == "exponential to 0" and high > 0.0))
    return f"of numbers no more than {WIDEST:.0e} apart" if smooth and not high - low <= WIDEST else None


def domain(
    name: str,
    arguments: tuple[float, ...],
    low: float,
    high: float,
    tolerance: float,
    activation: Activation = GELU,
) -> tuple[float, float]:
    """Where the curve that is fitted to [low, high] is the function to that tolerance: beyond the range too, where both
    go on as the same straight line."""
    bends = POINTWISE[name].kinks
    if bends is not None:
        left, right = _dropped([at for at, _ in bends(*arguments)[0]], low, high)
        return max(left, default=-inf), min(right, default=inf)
    if POINTWISE[name].level == "at both ends":
        far = np.array([-LEVEL_AT, LEVEL_AT])
        found, _ = fit(name, arguments, low, high, tolerance, activation).neurons(far)
        below, above = np.abs(found - function(name, arguments, far)) <= 2.0 * tolerance
        return -inf if below else low, inf if above else high
    return -inf if POINTWISE[name].level == "below" else low, high


def _piecewise(
    kinks: list[tuple[float, float]],
    slope: float,
    constant: float,
    low: float,
    high: float,
    f: Callable[[Floats], Floats],
    activation: Activation,
) -> Approximant:
    """Kinks that are farther from the range than it is wide are straight lines on it."""
    left, right = _dropped([at for at, _ in kinks], low, high)
    for at, turn in kinks:
        if at in left:
            slope, constant = slope + turn, constant - turn * at
    near = [kink for kink in kinks if kink[0] not in (*left, *right)]
    place, change = np.array(near).reshape(-1, 2).T
    radius = max(abs(low), abs(high), *np.abs(place)) or 1.0
    sharp = 2.0 ** (SHARPNESS - np.ceil(np.log2(radius)))
    error = activation.gap / sharp * float(np.abs(change).sum())
    return Approximant(
        np.full(place.size, sharp),
        -sharp * place,
        change / sharp,
        slope,
        constant,
        error,
        f,
        np.zeros(0),
        activation,
        kinks=place.size,
    )


def _dropped(places: list[float], low: float, high: float) -> tuple[list[float], list[float]]:
    """The kinks that are farther below the range, and farther above it, than it is wide."""
    span = high - low
    return [at for at in places if at < low - span], [at for at in places if at > high + span]


def _level(curve: Approximant, low: float, high: float) -> Approximant:
    """The curve, level beyond the range: a kink at each end takes away the slope that it goes on with."""
    span = max(high - low, 1e-6)
    slopes = curve.up * curve.down
    left, right = (curve.slope + float(slopes[curve.up * side > 0.0].sum()) for side in (-1.0, 1.0))
    at, out = np.array([low - BEYOND * span, high + BEYOND * span]), np.array([-1.0, 1.0])
    sharp = 2.0 ** (SHARPNESS - np.ceil(np.log2(np.abs(at).max())))
    turn = np.array([left, -right])
    return replace(
        curve,
        up=np.concatenate([curve.up, sharp * out]),
        bias=np.concatenate([curve.bias, -sharp * out * at]),
        down=np.concatenate([curve.down, turn / sharp]),
        kinks=curve.kinks + at.size,
    )


def _reaching(curve: Approximant, low: float, high: float) -> Approximant:
    """The curve, level at its ends, with a grid that reaches over the range, and its error there: what its neurons
    round grows with x."""
    first, last = float(curve.grid[0]), float(curve.grid[-1])
    below = first - np.geomspace(1e-3, max(first - low, 1e-3), FAR)[::-1]
    above = last + np.geomspace(1e-3, max(high - last, 1e-3), FAR)
    beyond = np.concatenate([below[below >= low], above[above <= high]])
    value, units = curve.neurons(beyond)
    off = np.abs(value - curve.truth(beyond)) + SURE * np.finfo(np.float64).eps * units
    grid = np.concatenate([beyond[beyond < first], curve.grid, beyond[beyond > last]])
    return replace(curve, grid=grid, error=max(curve.error, float(off.max(initial=0.0))))


def blunted(curve: Approximant, reach: float, most: float) -> Approximant:
    """The curve with kinks whose neurons read no more than `most` of a value that is `reach` at most."""
    up, bias, less = np.abs(curve.up), np.abs(curve.bias), np.ones(curve.up.size)
    last = slice(curve.up.size - curve.kinks, None)
    room = most / np.maximum(up[last] * max(reach, 1.0), bias[last])
    less[last] = np.minimum(1.0, 2.0 ** np.floor(np.log2(room)))
    return replace(curve, up=curve.up * less, bias=curve.bias * less, down=curve.down / less)


def _smooth(
    f: Callable[[Floats], Floats], low: float, high: float, tolerance: float, activation: Activation
) -> Approximant:
    x = _samples(f, low, high)
    y = f(x)
    size = max(float(np.abs(y).max()), 1e-30)
    best: Approximant | None = None
    for count in KNOTS:
        curve = _least_squares(f, x, y, _knots(x, y, count), tolerance, activation)
        if best is None or curve.error < best.error:
            best = curve
        if best.error <= tolerance * size:
            break
    assert best is not None
    return _held(best, low, high) if high - low > FINER else best


def _held(curve: Approximant, low: float, high: float) -> Approximant:
    """The curve with the error that it has at other points too: around each knot, where its own bends are, and at all
    sizes of x and of the distance from an end, where the function's are. On a wide range the grid of the fit may have
    none between two bends."""
    sizes, around = np.geomspace(1e-3, high - low, 1500), np.linspace(-4.0, 4.0, 33)
    knots = ((around[:, None] - curve.bias) / curve.up).ravel()
    units = np.linspace(-40.0, 40.0, 1601)
    every = np.concatenate([curve.grid, knots, units, sizes, -sizes, low + sizes, high - sizes])
    x = np.unique(every[(every >= low) & (every <= high)])
    error = max(float(np.abs(curve.neurons(part)[0] - curve.truth(part)).max()) for part in np.array_split(x, 16))
    return replace(curve, error=max(curve.error, error), grid=x)


def _samples(f: Callable[[Floats], Floats], low: float, high: float) -> Floats:
    """A grid as dense as the function bends: each look is `FINER` times as fine where it does. Of a range that takes
    more than two, some points of each stay."""
    x = np.linspace(low, high, 4001)
    looks = 2 + max(0, ceil(log(max(high - low, 1.0), FINER)) - 1)
    coarse = [x[::8]]
    for _ in range(looks):
        weight = np.cumsum(np.concatenate([[0.0], _density(x, f(x)) * np.diff(x)]))
        x = _apart(np.interp(np.linspace(0.0, weight[-1], 4001), weight, x))
        coarse.append(x[::8])
    return x if looks == 2 else _apart(np.concatenate([x, *coarse]))


def _apart(x: Floats) -> Floats:
    """The points in order, without those that are as good as the one before: between them there is no slope."""
    x = np.unique(x)
    apart = np.ones(x.size, bool)
    apart[1:] = np.diff(x) > APART * np.spacing(np.abs(x[1:]))
    return x[apart]


def _density(x: Floats, y: Floats) -> Floats:
    """Knots a length, for each interval: |f″|^(1/3), and a tenth of them even."""
    slope = np.diff(y) / np.maximum(np.diff(x), 1e-300)
    bend = np.abs(np.gradient(slope, 0.5 * (x[1:] + x[:-1]))) ** (1 / 3)
    total = float(np.sum(bend * np.diff(x)))
    return np.asarray(bend + 0.1 * max(total, 1e-12) / (x[-1] - x[0]))


def _knots(x: Floats, y: Floats, count: int) -> Floats:
    weight = np.cumsum(np.concatenate([[0.0], _density(x, y) * np.diff(x)]))
    return np.unique(np.interp(np.linspace(0.0, weight[-1], count), weight, x))


def _least_squares(
    f: Callable[[Floats], Floats], x: Floats, y: Floats, knots: Floats, tolerance: float, activation: Activation
) -> Approximant:
    up = 1.2 / np.gradient(knots)
    bias = -up * knots
    features = activation.value(x[:, None] * up + bias)
    scale = max(float(np.abs(x).max()), 1e-12)
    columns = np.column_stack([features / up, np.ones_like(x), x / scale])
    ridge = tolerance * float(np.abs(y).max()) * 0.3 * np.eye(columns.shape[1])
    ridge[knots.size :] = 0.0
    solution = np.linalg.lstsq(np.vstack([columns, ridge]), np.concatenate([y, np.zeros(ridge.shape[0])]), rcond=None)[
        0
    ]
    error = float(np.abs(columns @ solution - y).max())
    down, slope = solution[: knots.size] / up, float(solution[-1] / scale)
    return Approximant(up, bias, down, slope, float(solution[-2]), error, f, x, activation)
