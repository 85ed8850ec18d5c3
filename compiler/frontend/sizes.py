"""`size(v)` as the number that it is: what shapes say, in the program's parameters.

    w : vector[d + 1] = 0          identity(size(w))   →   identity(d + 1)

A shape may stand on a size, so this is done until no more of them become known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ..syntax import smart_constructors as s
from ..syntax.nodes import Assign, At, Call, Expr, Program, Repeat, Scan, Statement
from ..syntax.traversal import children, expressions, map_expressions, rebuild, statements, walk
from .check_shapes import Shapes


def with_sizes(program: Program, shapes_of: Callable[[Program], Shapes]) -> Program:
    """`program`, whose `def`s are inlined, with numbers for the sizes of what has a shape."""
    while _calls(program):
        shapes = shapes_of(program)
        changed = replace(program, body=_body(program.body, partial(_number, shapes=shapes)))
        if _calls(changed) == _calls(program):
            break
        program = changed
    return program


def _calls(program: Program) -> int:
    """How often a size is asked for."""
    exprs = [e for statement in statements(program.body) for e in expressions(statement)]
    return sum(isinstance(node, Call) and node.function == "size" for e in exprs for node in walk(e))


def _body(body: tuple[Statement, ...], change: Callable[[Expr], Expr]) -> tuple[Statement, ...]:
    """The statements over changed expressions, those of types too."""
    result: list[Statement] = []
    for statement in map_expressions(body, change):
        match statement:
            case Assign(type=type) if type is not None:
                sizes = tuple(map(change, type.dimensions))
                statement = replace(statement, type=replace(type, dimensions=sizes))
            case At() | Repeat() | Scan():
                statement = replace(statement, body=_body(statement.body, change))
        result.append(statement)
    return tuple(result)


def _number(expr: Expr, shapes: Shapes) -> Expr:
    parts = tuple(_number(child, shapes) for child in children(expr))
    expr = rebuild(expr, parts) if parts else expr
    if isinstance(expr, Call) and expr.function == "size" and len(expr.arguments) == 1:
        shape = shapes.of(expr.arguments[0])
        if shape:
            return s.size(shape[0], expr.span)
    return expr
