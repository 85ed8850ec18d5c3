"""Constant expressions: their values, in float64.

d / 2 + sqrt(rate)   with {"d": 8, "rate": 0.25}   →   4.5
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from innerloop.artifact.errors import Diagnostic
from innerloop.artifact.limits import LARGEST_SIZE
from numpy.typing import NDArray

from ..numerics.functions import POINTWISE
from ..numerics.operations import softmax
from ..syntax.nodes import (
    Array,
    Binary,
    Call,
    Compare,
    Expr,
    Grad,
    MoveExpression,
    Name,
    Negate,
    Not,
    Number,
    Operation,
    Part,
    Place,
    Power,
    ReadExpression,
    TheirsExpression,
)

Array64 = NDArray[np.float64]


class NoSize(ValueError):
    """A computed size that is none."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic


_FUNCTIONS: dict[str, Callable[..., object]] = {
    **{f.name: f.value for f in POINTWISE.values() if f.slope is not None},
    "sum": np.sum,
    "size": lambda a: np.shape(a)[0],
    "transpose": np.transpose,
    "diag": np.diag,
    "row_sums": lambda a: np.sum(a, 1),
    "column_sums": lambda a: np.sum(a, 0),
    "softmax": softmax,
    "logsumexp": lambda v: np.log(np.sum(np.exp(v))),
    "argmax": lambda v: np.eye(len(v))[np.argmax(v)],
    "max": lambda *of: np.maximum(*of) if len(of) == 2 else np.max(of[0]),
    "min": lambda *of: np.minimum(*of) if len(of) == 2 else np.min(of[0]),
}
_COMPARE: dict[str, Callable[[Array64, Array64], object]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
}


def evaluate(expr: Expr, bindings: Mapping[str, object]) -> Array64:
    """The value of a constant expression, in float64.

    Raises KeyError for a name without a value, ValueError for what is no constant, NoSize for a size that is none.
    """
    with np.errstate(all="ignore"):
        return np.asarray(_evaluate(expr, bindings), dtype=np.float64)


def size_of(expr: Expr, bindings: Mapping[str, object]) -> int:
    """The value of a size. Raises NoSize where it is none, and as `evaluate` does."""
    size = float(evaluate(expr, bindings))
    for fault in unless_whole(expr, size, 1, LARGEST_SIZE, "size"):
        raise NoSize(fault)
    return int(size)


def unless_whole(expr: Expr, value: float, least: int, most: int, what: str) -> list[Diagnostic]:
    """What is wrong with a size or count of this value, if anything is."""
    if np.isfinite(value) and value == int(value) and least <= value <= most:
        return []
    return [Diagnostic(f"this {what} is {value:g}", expr.span, f"it must be a whole number from {least} to {most}")]


def slices(places: Sequence[Place], bindings: Mapping[str, object]) -> tuple[int | slice, ...]:
    """What they are to NumPy."""
    found: list[int | slice] = []
    for place in places:
        low = size_of(place.low, bindings) - 1
        found.append(low if place.high is None else slice(low, size_of(place.high, bindings)))
    return tuple(found)


def _evaluate(expr: Expr, bindings: Mapping[str, object]) -> Array64:
    def value(part: Expr) -> Array64:
        return np.asarray(_evaluate(part, bindings), dtype=np.float64)

    match expr:
        case Number(value=number):
            return np.float64(number)  # type: ignore[return-value]
        case Name(name=name) | TheirsExpression(name=name):
            return np.asarray(bindings[name], dtype=np.float64)
        case Array(items=items):
            parts = [value(item) for item in items]
            alike = all(part.shape == parts[0].shape for part in parts)
            return np.array(parts) if alike else np.concatenate([np.atleast_1d(part) for part in parts])
        case Call(function="concat", arguments=arguments):
            return np.concatenate([np.atleast_1d(value(part)) for part in arguments])
        case Part(operand=operand, places=places):
            return np.asarray(value(operand)[slices(places, bindings)])
        case Negate(operand=operand):
            return -value(operand)
        case Not(operand=operand):
            return 1.0 - value(operand)
        case Power(base=base, exponent=exponent):
            return value(base) ** int(exponent.value)
        case Compare(operator=operator, left=left, right=right):
            return np.asarray(_COMPARE[operator](value(left), value(right)), dtype=np.float64)
        case Binary(operator=operator, left=left, right=right):
            return _binary(operator, value(left), value(right))
        case Operation(keyword="affine", arguments=(argument,)):
            return value(argument)
        case Operation(keyword=keyword, arguments=(left, right)):
            return _binary(keyword, value(left), value(right))
        case Call(function="identity", arguments=(size,)):
            return np.eye(size_of(size, bindings))
        case Call(function=function, arguments=arguments) if function in _FUNCTIONS:
            return np.asarray(_FUNCTIONS[function](*map(value, arguments)), dtype=np.float64)
        case Call() | Operation() | ReadExpression() | Grad() | MoveExpression():
            raise ValueError("not a constant")


def _binary(operator: str, a: Array64, b: Array64) -> Array64:
    match operator:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*" | "mul" | "and":
            return a * b
        case "or":
            return 1.0 - (1.0 - a) * (1.0 - b)
        case "@" | "dot":
            return np.asarray(np.tensordot(a, b, axes=(-1, 0)))
        case "outer":
            return np.multiply.outer(a, b)
        case "^":
            return a**b
        case _:
            return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=(a != 0) | (b != 0))
