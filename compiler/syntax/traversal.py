"""Going through syntax trees: the children of an expression, and the same expression over other children."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import assert_never

from .nodes import (
    Array,
    Assign,
    At,
    Binary,
    ByStep,
    Call,
    Compare,
    Define,
    Expr,
    Grad,
    MoveExpression,
    Name,
    Negate,
    Number,
    Operation,
    Output,
    Power,
    ReadExpression,
    Repeat,
    Scan,
    Statement,
    TheirsExpression,
)


def children(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside `expr`, in text order; a power's exponent is not one."""
    match expr:
        case Number() | Name() | TheirsExpression() | ByStep() | MoveExpression():
            return ()
        case Array(items=items):
            return items
        case Negate(operand=operand) | Grad(operand=operand):
            return (operand,)
        case Binary(left=left, right=right) | Compare(left=left, right=right):
            return (left, right)
        case Power(base=base):
            return (base,)
        case Call(arguments=arguments) | Operation(arguments=arguments) | ReadExpression(arguments=arguments):
            return arguments


def rebuild(expr: Expr, parts: tuple[Expr, ...]) -> Expr:
    """`expr` over `parts` in place of its children."""
    match expr:
        case Array():
            return replace(expr, items=parts)
        case Negate() | Grad():
            return replace(expr, operand=parts[0])
        case Binary() | Compare():
            return replace(expr, left=parts[0], right=parts[1])
        case Power():
            return replace(expr, base=parts[0])
        case Call() | Operation() | ReadExpression():
            return replace(expr, arguments=parts)
    return expr


def walk(expr: Expr) -> Iterator[Expr]:
    """`expr` and everything inside it, outermost first."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def statements(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """All statements in text order, a block's head before its body."""
    for statement in body:
        yield statement
        if isinstance(statement, At | Repeat | Scan):
            yield from statements(statement.body)


def map_expressions(body: tuple[Statement, ...], change: Callable[[Expr], Expr]) -> tuple[Statement, ...]:
    """The same statements over changed expressions; `def`s stay as they are."""
    result: list[Statement] = []
    for statement in body:
        match statement:
            case Assign() | Output():
                result.append(replace(statement, value=change(statement.value)))
            case At():
                result.append(replace(statement, body=map_expressions(statement.body, change)))
            case Repeat():
                inner = map_expressions(statement.body, change)
                result.append(replace(statement, count=change(statement.count), body=inner))
            case Scan():
                inner = map_expressions(statement.body, change)
                result.append(replace(statement, limit=change(statement.limit), body=inner))
            case Define():
                result.append(statement)
            case other:
                assert_never(other)
    return tuple(result)
