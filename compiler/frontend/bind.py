"""Parameters to values: what the user gave, then defaults, each checked.

    program f(d, rate = 0.1)  with {"d": 8}   →   {"d": 8, "rate": 0.1}

A parameter that sizes or counts something is a whole number: an int. Any other scalar is a float, and
one with a type is an array of that shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from innerloop.artifact.errors import CompileError, Diagnostic, near
from innerloop.artifact.limits import LARGEST_SIZE, LONGEST_SCAN, MOST_PASSES

from ..syntax.nodes import (
    Assign,
    Call,
    Define,
    Expr,
    Name,
    Output,
    Parameter,
    Part,
    Program,
    Repeat,
    Scan,
    Statement,
)
from ..syntax.traversal import statements, walk
from ..syntax.unparse import unparse_range
from .constants import Array64, NoSize, evaluate, unless_whole

Bound = int | float | Array64


def bind(program: Program, given: Mapping[str, object]) -> dict[str, Bound]:
    """The value of every parameter, in the order of the program.

    Raises CompileError with every missing, unknown, or unsuitable one.
    """
    faults: list[Diagnostic] = []
    known = [parameter.name for parameter in program.parameters]
    for name in given:
        if name not in known:
            listed = ", ".join(known) or "none"
            hint = near(name, known) or f"the parameters of {program.name}: {listed}"
            faults.append(Diagnostic(f"{program.name} has no parameter `{name}`", None, hint))
    sizes, counts = whole_parameters(program)
    bound: dict[str, Bound] = {}
    waiting: list[Diagnostic] = []
    for parameter in program.parameters:
        try:
            value = _value(parameter, given, bound, sizes, counts)
            _within(parameter, value, bound)
            bound[parameter.name] = value
        except _Unsuitable as fault:
            faults.append(fault.diagnostic)
        except _Waits as waits:
            waiting.append(waits.diagnostic)
    if not faults:
        faults.extend(waiting)
    if not faults:
        faults.extend(_counts_and_sizes(program, bound))
    if faults:
        raise CompileError(faults, program.text, program.source)
    return bound


class _Fault(Exception):
    def __init__(self, message: str, parameter: Parameter, hint: str) -> None:
        self.diagnostic = Diagnostic(message, parameter.span, hint)


class _Unsuitable(_Fault):
    """A value that does not fit."""


class _Waits(_Fault):
    """A value that stands on another one: no fault of its own if that one has a fault."""


def whole_parameters(program: Program) -> tuple[frozenset[str], frozenset[str]]:
    """The parameters that size something (1 or more), and those that only count passes (0 or more)."""
    sizes: list[Expr] = []
    counts: list[Expr] = []
    for parameter in program.parameters:
        sizes.extend(parameter.type.dimensions if parameter.type else ())
    for field in program.fields:
        sizes.extend(field.type.dimensions)
    for statement in _statements(program):
        match statement:
            case Repeat(count=count):
                counts.append(count)
            case Scan(limit=limit):
                sizes.append(limit)
            case Assign(type=type) if type is not None:
                sizes.extend(type.dimensions)
    sizes.extend(_identities(program))
    sizes.extend(_places(program))
    named = {p.name for p in program.parameters}
    return _names(sizes) & named, (_names(counts) - _names(sizes)) & named


def _statements(program: Program) -> Iterator[Statement]:
    """All of them, those in `def`s too."""
    for statement in statements(program.body):
        yield statement
        if isinstance(statement, Define):
            yield from statements(statement.body)


def _expressions(program: Program) -> Iterator[Expr]:
    """All of them, and everything inside."""
    exprs = [p.default for p in program.parameters if p.default is not None]
    exprs += [s.value for s in _statements(program) if isinstance(s, Assign | Define | Output)]
    return (node for expr in exprs for node in walk(expr))


def _identities(program: Program) -> list[Expr]:
    """The sizes of all `identity(n)`."""
    calls = (node for node in _expressions(program) if isinstance(node, Call))
    return [node.arguments[0] for node in calls if node.function == "identity"]


def _places(program: Program) -> list[Expr]:
    """The numbers of all components."""
    parts = (node for node in _expressions(program) if isinstance(node, Part))
    return [end for part in parts for place in part.places for end in (place.low, place.high) if end is not None]


def _names(exprs: Iterable[Expr]) -> frozenset[str]:
    return frozenset(node.name for expr in exprs for node in walk(expr) if isinstance(node, Name))


def _value(
    parameter: Parameter,
    given: Mapping[str, object],
    bound: Mapping[str, Bound],
    sizes: frozenset[str],
    counts: frozenset[str],
) -> Bound:
    name = parameter.name
    if name in given:
        raw = _numbers(parameter, given[name])
    elif parameter.default is None:
        raise _Unsuitable(f"parameter `{name}` has no value", parameter, f"give one: {name}=…, or -p {name}=…")
    else:
        raw = _computed(parameter, parameter.default, bound, "default")
    if not np.all(np.isfinite(raw)):
        raise _Unsuitable(f"parameter `{name}` holds NaN or infinity", parameter, "it must be finite")
    if parameter.type is not None and parameter.type.base != "scalar":
        shape = tuple(int(_computed(parameter, d, bound, "shape")) for d in parameter.type.dimensions)
        if raw.shape == () and name not in given:
            raw = np.broadcast_to(raw, shape).copy()
        if raw.shape != shape:
            raise _Unsuitable(
                f"parameter `{name}` has shape {_shape(raw.shape)}", parameter, f"it must have shape {_shape(shape)}"
            )
        return raw
    if raw.shape != ():
        raise _Unsuitable(f"parameter `{name}` has shape {_shape(raw.shape)}", parameter, "it must be one number")
    number = float(raw)
    if name not in sizes and name not in counts:
        return number
    least = 1 if name in sizes else 0
    if number != int(number) or number < least:
        use = "sizes" if name in sizes else "counts"
        raise _Unsuitable(
            f"parameter `{name}` is {number:g}", parameter, f"it {use} something: a whole number, {least} or more"
        )
    return int(number)


def _within(parameter: Parameter, value: Bound, bound: Mapping[str, Bound]) -> None:
    """Raises _Unsuitable for a number outside the parameter's range."""
    within = parameter.range
    if within is None:
        return
    low, high = (float(_computed(parameter, end, bound, "range")) for end in (within.low, within.high))
    numbers = np.ravel(value)
    above = numbers > low if within.open_low else numbers >= low
    below = numbers < high if within.open_high else numbers <= high
    outside = numbers[~(above & below)]
    if outside.size:
        told = f"{'is' if np.ndim(value) == 0 else 'holds'} {outside[0]:g}, outside {unparse_range(within)}"
        least, most = "above" if within.open_low else "at least", "below" if within.open_high else "at most"
        ends = f"{least} {low:g} and {most} {high:g}"
        raise _Unsuitable(f"parameter `{parameter.name}` {told}", parameter, f"it must be {ends}")


def _computed(parameter: Parameter, expr: Expr, bound: Mapping[str, Bound], what: str) -> Array64:
    try:
        return evaluate(expr, bound)
    except (KeyError, TypeError, ValueError):
        hint = f"give a value: {parameter.name}=…, or -p {parameter.name}=…"
        raise _Waits(f"the {what} of `{parameter.name}` cannot be computed", parameter, hint) from None


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]" if shape else "of one number"


def _numbers(parameter: Parameter, value: object) -> Array64:
    hint = "a number" if parameter.type is None or parameter.type.base == "scalar" else "an array of numbers"
    try:
        array = np.asarray(value)
    except ValueError:
        raise _Unsuitable(f"parameter `{parameter.name}` has rows of unequal length", parameter, hint) from None
    except MemoryError:
        raise
    except Exception:  # whatever another library's array raises
        kind = type(value).__name__
        raise _Unsuitable(f"parameter `{parameter.name}` is a {kind} that NumPy cannot read", parameter, hint) from None
    if array.dtype.kind not in "iuf":
        shown = repr(value)
        shown = shown if len(shown) <= 40 else shown[:37] + "…"
        raise _Unsuitable(f"parameter `{parameter.name}` is {shown}", parameter, f"it must be {hint}")
    return array.astype(np.float64)


def _counts_and_sizes(program: Program, bound: Mapping[str, Bound]) -> list[Diagnostic]:
    """Sizes and counts that are computed, such as `vector[d - 8]`, and the ranges of fields."""
    faults: list[Diagnostic] = []

    def whole(expr: Expr, least: int, most: int, what: str) -> None:
        try:
            value = float(evaluate(expr, bound))
        except (KeyError, TypeError, ValueError):
            return
        faults.extend(unless_whole(expr, value, least, most, what))

    for field in program.fields:
        for size in field.type.dimensions:
            whole(size, 1, LARGEST_SIZE, "size")
        if field.low is not None and field.high is not None:
            try:
                low, high = evaluate(field.low, bound), evaluate(field.high, bound)
            except NoSize as fault:
                faults.append(fault.diagnostic)
                continue
            if not bool(np.all(low < high)):
                hint = "the first number of a range is the smaller one"
                faults.append(Diagnostic(f"the range of `{field.name}` is [{low:g}, {high:g}]", field.low.span, hint))
    for statement in _statements(program):
        match statement:
            case Repeat(count=count):
                whole(count, 0, MOST_PASSES, "count")
            case Scan(limit=limit):
                whole(limit, 1, LONGEST_SCAN, "limit")
            case Assign(type=type) if type is not None:
                for size in type.dimensions:
                    whole(size, 1, LARGEST_SIZE, "size")
    for size in _identities(program):
        whole(size, 1, LARGEST_SIZE, "size")
    return faults
