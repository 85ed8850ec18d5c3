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
    Call,
    Compare,
    Define,
    Expr,
    Grad,
    MoveExpression,
    Name,
    Negate,
    Not,
    Number,
    Operation,
    Output,
    Part,
    Power,
    Program,
    ReadExpression,
    Repeat,
    Scan,
    Statement,
    TheirsExpression,
)


def children(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside `expr`, in text order; a power's exponent is not one."""
    match expr:
        case Number() | Name() | TheirsExpression() | MoveExpression():
            return ()
        case Array(items=items):
            return items
        case Negate(operand=operand) | Not(operand=operand) | Grad(operand=operand):
            return (operand,)
        case Binary(left=left, right=right) | Compare(left=left, right=right):
            return (left, right)
        case Power(base=base):
            return (base,)
        case Part(operand=operand, places=places):
            return (operand, *(end for place in places for end in (place.low, place.high) if end is not None))
        case Call(arguments=arguments) | Operation(arguments=arguments) | ReadExpression(arguments=arguments):
            return arguments


def rebuild(expr: Expr, parts: tuple[Expr, ...]) -> Expr:
    """`expr` over `parts` in place of its children."""
    match expr:
        case Array():
            return replace(expr, items=parts)
        case Negate() | Not() | Grad():
            return replace(expr, operand=parts[0])
        case Binary() | Compare():
            return replace(expr, left=parts[0], right=parts[1])
        case Power():
            return replace(expr, base=parts[0])
        case Part(places=places):
            ends = iter(parts[1:])
            within = (replace(p, low=next(ends), high=None if p.high is None else next(ends)) for p in places)
            return replace(expr, operand=parts[0], places=tuple(within))
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


def counted(body: tuple[Statement, ...]) -> frozenset[str]:
    """The names that count the passes of its repeats."""
    loops = (s for s in statements(body) if isinstance(s, Repeat))
    return frozenset(loop.index.name for loop in loops if loop.index is not None)


def expressions(statement: Statement) -> tuple[Expr, ...]:
    """Those of the statement itself, and of its type."""
    match statement:
        case Assign(type=type, value=value):
            return (value, *(type.dimensions if type is not None else ()))
        case Output(value=value) | Repeat(count=value) | Scan(limit=value):
            return (value,)
    return ()


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


def last_uses(program: Program) -> dict[str, int]:
    """The number of the statement that uses each name last. To assign it inside a block is a use, of what it keeps
    elsewhere."""
    last: dict[str, int] = {}
    outside = {id(statement) for statement in program.body}
    for number, statement in enumerate(statements(program.body)):
        if isinstance(statement, Assign | Output):
            used = [
                node.name
                for node in walk(statement.value)
                if isinstance(node, Name | TheirsExpression | MoveExpression)
            ]
            if isinstance(statement, Assign) and id(statement) not in outside:
                used.append(statement.name)
            last.update(dict.fromkeys(used, number))
    return last
