"""Building expressions with the tidy forms that a person would write; autodiff.py builds with these.

    times(1, e) → e      times(2, e / 2) → e      plus(e, 0) → e      times(c, -e) → -(c * e)

The law that each rule stands on is beside it.
"""

from __future__ import annotations

from innerloop.artifact.span import Span

from .nodes import Binary, Call, Expr, Name, Negate, Number, Operation, Power
from .shapes import Dimension
from .unparse import unparse


def number(value: float, span: Span) -> Expr:
    """A literal; below zero, the negation of one."""
    if value < 0:
        return Negate(span, number(-value, span))
    text = str(int(value)) if value == int(value) and value < 1e15 else repr(value)
    return Number(span, value, text)


def constant(expr: Expr) -> float | None:
    """The value of a literal or negated literal."""
    match expr:
        case Number(value=value):
            return value
        case Negate(operand=Number(value=value)):
            return -value
    return None


def is_zero(expr: Expr) -> bool:
    return constant(expr) == 0


def negate(expr: Expr) -> Expr:
    match expr:
        case Negate(operand=operand):  # −(−x) = x
            return operand
        case Number(value=0):
            return expr
        case Binary(operator="-", left=left, right=right):  # −(a − b) = b − a
            return Binary(expr.span, "-", right, left)
    return Negate(expr.span, expr)


def plus(a: Expr, b: Expr, span: Span) -> Expr:
    if is_zero(a):  # 0 + x = x
        return b
    if is_zero(b):
        return a
    x, y = constant(a), constant(b)
    if x is not None and y is not None:
        return number(x + y, span)
    (m, left), (n, right) = _coefficient(a), _coefficient(b)
    if unparse(left) == unparse(right):  # m·e + n·e = (m + n)·e
        return times(number(m + n, span), left, span)
    if isinstance(b, Negate):  # a + (−b) = a − b
        return Binary(span, "-", a, b.operand)
    if isinstance(a, Negate):
        return Binary(span, "-", b, a.operand)
    return Binary(span, "+", a, b)


def _coefficient(expr: Expr) -> tuple[float, Expr]:
    """The number in front of `expr`, and the rest."""
    match expr:
        case Negate(operand=operand):
            n, rest = _coefficient(operand)
            return -n, rest
        case Binary(operator="*", left=Number(value=value), right=right):
            return value, right
    return 1.0, expr


def times(a: Expr, b: Expr, span: Span) -> Expr:
    """a · b, where one of them is a scalar or both have one shape."""
    x, y = constant(a), constant(b)
    if x is not None and y is not None:
        return number(x * y, span)
    if x is None and y is not None:  # numbers stand in front
        return times(b, a, span)
    if x == 1:  # 1·e = e
        return b
    if x == 0:  # 0·e: what it is stretched to is the caller's to say
        return a
    if x == -1:
        return negate(b)
    if x is not None:
        match b:
            case Binary(operator="/", left=left, right=Number(value=n)) if n:  # x·(e/n) = (x/n)·e
                return times(number(x / n, span), left, span)
            case Binary(operator="*", left=left, right=right) if constant(left) is not None:  # x·(y·e) = (xy)·e
                return times(times(a, left, span), right, span)
    if isinstance(a, Negate) and x is None:  # (−a)·b = −(a·b)
        return negate(times(a.operand, b, span))
    if isinstance(b, Negate):
        return negate(times(a, b.operand, span))
    if x is None:
        match b:
            case Binary(operator="*", left=left, right=right) if constant(left) is not None:  # a·(y·e) = y·(a·e)
                return times(left, times(a, right, span), span)
        match a:
            case Binary(operator="*", left=left, right=right) if constant(left) is not None:  # (y·a)·b = y·(a·b)
                return times(left, times(right, b, span), span)
    return Binary(span, "*", a, b)


def over(a: Expr, b: Expr, span: Span) -> Expr:
    """a / b."""
    x, y = constant(a), constant(b)
    if y == 1 or is_zero(a):  # a/1 = a, 0/b = 0
        return a
    if x is not None and y:
        return number(x / y, span)
    if y is not None:
        match a:
            case Binary(operator="*", left=left, right=right) if constant(left) is not None:  # (x·e)/y = (x/y)·e
                return times(over(left, b, span), right, span)
    if isinstance(a, Negate) and x is None:
        return negate(over(a.operand, b, span))
    return Binary(span, "/", a, b)


def power(base: Expr, exponent: int, span: Span) -> Expr:
    if exponent == 1:
        return base
    return Power(span, base, Number(span, float(exponent), str(exponent)))


def dot(a: Expr, b: Expr, span: Span) -> Expr:
    return _linear("dot", a, b, span)


def size(dimension: Dimension, span: Span) -> Expr:
    """A size as it is written."""
    if isinstance(dimension, int):
        return number(dimension, span)
    result: Expr = number(0, span)
    for names, coefficient in dimension.terms:
        term = number(coefficient, span)
        for name in names:
            term = times(term, Name(span, name), span)
        result = plus(result, term, span)
    return result


def call(function: str, argument: Expr) -> Expr:
    return Call(argument.span, function, (argument,))


def outer(a: Expr, b: Expr, span: Span) -> Expr:
    return _linear("outer", a, b, span)


def _linear(keyword: str, a: Expr, b: Expr, span: Span) -> Expr:
    """A bilinear operation, signs and numbers drawn out in front."""
    for first, second, swapped in ((a, b, False), (b, a, True)):
        match first:
            case Negate(operand=operand):
                pair = (second, operand) if swapped else (operand, second)
                return negate(_linear(keyword, *pair, span))
            case Binary(operator="*", left=left, right=right) if constant(left) is not None:
                pair = (second, right) if swapped else (right, second)
                return times(left, _linear(keyword, *pair, span), span)
    return Operation(span, keyword, (a, b))
