"""Functions of one number: all that is known of each, in one record.

    name, value      what a program calls, and what it means, in NumPy
    slope            its derivative as program text, of the operand `v`, the function's own value `f` and its arguments
    takes            what numbers it is defined on
    kinks            where it bends, if it is straight elsewhere (fit_smooth.py)
    steep            how it looks alike at every scale, if it does (fit_geometric.py)
    level            whether it is level far out, at both ends or below

A record here is all that a new function needs: checker, interpreter, `grad`, constants, neurons, error model and guard
take from it what they ask. What has neither kinks nor is steep is fitted by least squares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .operations import divide, erf
from .when_used import np

if TYPE_CHECKING:
    from innerloop.artifact.arrays import Floats

Kinks = tuple[list[tuple[float, float]], float, float]
"""(place, change of slope) of each kink, the slope left of all, and the value at 0 of the line left of all."""
Takes = Literal["all numbers", "positive numbers", "numbers that are not negative", "numbers of one sign"]
Steep = Literal["logarithm", "root", "inverse", "exponential", "exponential to 0"]
"""`exponential to 0`: like one where its operand is not above 0, and smooth elsewhere."""
Level = Literal["nowhere", "below", "at both ends"]


@dataclass(frozen=True)
class PointwiseFunction:
    """`slope` None: not of the language, and only written by passes; "0": what a sign has. `compares`: whether it is
    decided by a switch of attention, and not made of neurons (predicate.py)."""

    name: str
    value: Callable[..., Floats]
    slope: str | None
    takes: Takes = "all numbers"
    arguments: tuple[str, ...] = ()
    kinks: Callable[..., Kinks] | None = None
    steep: Steep | None = None
    level: Level = "nowhere"
    compares: bool = False

    def __post_init__(self) -> None:
        if self.level == "below" and self.steep != "exponential":
            raise ValueError(f"{self.name}: a curve is level below as exp is alone; a smooth one goes on as a line")

    @property
    def keeps_sign(self) -> bool:
        """Whether its operand must not cross or leave 0."""
        return self.takes != "all numbers"


def _sigmoid(x: Floats) -> Floats:
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, e) / (1.0 + e))


POINTWISE = {
    f.name: f
    for f in (
        PointwiseFunction("relu", lambda x: np.maximum(x, 0.0), "v > 0", kinks=lambda: ([(0.0, 1.0)], 0.0, 0.0)),
        PointwiseFunction("abs", lambda x: np.abs(x), "sign(v)", kinks=lambda: ([(0.0, 2.0)], -1.0, 0.0)),
        PointwiseFunction("sign", lambda x: np.sign(x), "0", compares=True),
        PointwiseFunction("sigmoid", _sigmoid, "f * (1 - f)", steep="exponential to 0", level="at both ends"),
        PointwiseFunction("tanh", lambda x: np.tanh(x), "1 - f^2", level="at both ends"),
        PointwiseFunction("exp", lambda x: np.exp(x), "f", steep="exponential", level="below"),
        PointwiseFunction("log", lambda x: np.log(x), "1 / v", "positive numbers", steep="logarithm"),
        PointwiseFunction("sqrt", lambda x: np.sqrt(x), "0.5 / f", "numbers that are not negative", steep="root"),
        PointwiseFunction("sin", lambda x: np.sin(x), "cos(v)"),
        PointwiseFunction("cos", lambda x: np.cos(x), "-sin(v)"),
        PointwiseFunction("erf", erf, "1.1283791670955126 * exp(-v^2)", level="at both ends"),  # 2/√π
        PointwiseFunction("softplus", lambda x: np.logaddexp(x, 0.0), "sigmoid(v)"),
        PointwiseFunction(
            "clip",
            lambda x, low, high: np.clip(x, low, high),
            "(v > low) * (v < high)",
            arguments=("low", "high"),
            kinks=lambda low, high: ([(low, 1.0), (high, -1.0)], 0.0, low),
        ),
        PointwiseFunction("positive", lambda x: (x > 0).astype(np.float64), None, compares=True),
        PointwiseFunction("nonnegative", lambda x: (x >= 0).astype(np.float64), None, compares=True),
        PointwiseFunction(
            "reciprocal", lambda x: divide(np.sign(x) ** 2, x), None, "numbers of one sign", steep="inverse"
        ),
    )
}
"""By name. `reciprocal` is 1/x, and 0 at 0."""


def function(name: str, arguments: tuple[float, ...], x: Floats) -> Floats:
    """A `Function` of the graph, component by component."""
    with np.errstate(all="ignore"):
        return np.asarray(POINTWISE[name].value(x, *arguments))
