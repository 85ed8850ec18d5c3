"""Calls of a program's own functions replaced by what they say.

    def square(v) = dot(v, v)
    … square(x - u[j]) …          →   … dot(x - u[j], x - u[j]) …

A body sees its parameters, the program's parameters, and constants that are assigned once, so nothing
can be captured but a read's index; that is renamed where an argument uses the same one. A parameter
read as `v[j]` puts every name of its argument at token j.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from innerloop.artifact.errors import Diagnostic
from innerloop.artifact.span import Span

from ..syntax.nodes import (
    ByStep,
    Call,
    Define,
    Expr,
    Grad,
    MoveExpression,
    Name,
    Program,
    ReadExpression,
    Repeat,
    Statement,
    TheirsExpression,
)
from ..syntax.traversal import children, map_expressions, rebuild, statements, walk

Report = Callable[[Diagnostic], None]

MAXIMUM_SIZE = 10_000
MAXIMUM_DEPTH = 150
"""An expanded expression has at most so many operations, nested so deep."""


def inline(program: Program, report: Report) -> Program:
    """The program without `def`s; what cannot be inlined is reported and its call left standing."""
    inliner = _Inliner(program, report)
    body: list[Statement] = []
    for statement in program.body:
        if isinstance(statement, Define):
            inliner.define(statement)
        else:
            body.extend(map_expressions((statement,), inliner.expand))
    return replace(program, body=tuple(body))


class _Inliner:
    def __init__(self, program: Program, report: Report) -> None:
        self.report = report
        loops = (s for s in statements(program.body) if isinstance(s, Repeat))
        self.constants = {parameter.name for parameter in program.parameters}
        self.constants |= {loop.index.name for loop in loops if loop.index is not None}
        self.definitions: dict[str, Define] = {}

    def define(self, definition: Define) -> None:
        value = self.expand(definition.value)
        self.definitions.setdefault(definition.name, replace(definition, value=value))

    def expand(self, expr: Expr) -> Expr:
        """`expr` with its calls of definitions inlined, inner ones first."""
        parts = tuple(self.expand(child) for child in children(expr))
        expr = rebuild(expr, parts) if parts else expr
        if not isinstance(expr, Call):
            return expr
        definition = self.definitions.get(expr.function)
        if definition is None or len(definition.parameters) != len(expr.arguments):
            return expr
        try:
            result = self.substitute(definition.value, dict(zip(definition.parameters, expr.arguments, strict=True)))
            _limit(result, expr)
        except _Refused as refused:
            self.report(Diagnostic(f"`{expr.function}` {refused.message}", expr.span, refused.hint))
            return expr
        return result

    def substitute(self, expr: Expr, arguments: Mapping[str, Expr]) -> Expr:
        match expr:
            case Name(name=name) if name in arguments:
                return arguments[name]
            case TheirsExpression(name=name, index=index) if name in arguments:
                return self.at_token(arguments[name], name, index)
            case MoveExpression(name=name) if name in arguments:
                return replace(expr, name=_plain_name(arguments[name], name, "moves"))
            case Grad(name=name) if name in arguments:
                expr = replace(expr, name=_plain_name(arguments[name], name, "differentiates by"))
            case ReadExpression(index=index):
                taken = {n.index for a in arguments.values() for n in walk(a) if isinstance(n, TheirsExpression)}
                if index in taken:
                    fresh = next(f"{index}_{k}" for k in range(1, 10_000) if f"{index}_{k}" not in taken)
                    parts = tuple(_rename(argument, index, fresh) for argument in expr.arguments)
                    expr = replace(expr, index=fresh, arguments=parts)
        parts = tuple(self.substitute(child, arguments) for child in children(expr))
        return rebuild(expr, parts) if parts else expr

    def at_token(self, argument: Expr, parameter: str, index: str) -> Expr:
        """`argument` as the token `index` holds it."""
        match argument:
            case Name(name=name) | ByStep(index=name) if name in self.constants:
                return argument
            case Name(name=name, span=span):
                return TheirsExpression(span, name, index)
            case TheirsExpression() | ReadExpression() | MoveExpression() | Grad():
                hint = "give the argument a name on a line of its own first"
                raise _Refused(f"reads `{parameter}[{index}]`, which its argument cannot give", hint)
        parts = tuple(self.at_token(child, parameter, index) for child in children(argument))
        return rebuild(argument, parts) if parts else argument


class _Refused(Exception):
    def __init__(self, message: str, hint: str) -> None:
        self.message, self.hint = message, hint


def _plain_name(argument: Expr, parameter: str, verb: str) -> str:
    if isinstance(argument, Name):
        return argument.name
    raise _Refused(f"{verb} `{parameter}`, so its argument must be a name", "give the argument a name first")


def _rename(expr: Expr, index: str, fresh: str) -> Expr:
    if isinstance(expr, TheirsExpression) and expr.index == index:
        return replace(expr, index=fresh)
    if isinstance(expr, ReadExpression) and expr.index == index:
        return expr
    return rebuild(expr, tuple(_rename(child, index, fresh) for child in children(expr)))


def _limit(expr: Expr, call: Call) -> None:
    level: tuple[Expr, ...] = (expr,)
    size = 0
    for _ in range(MAXIMUM_DEPTH):
        size += len(level)
        level = tuple(child for node in level for child in children(node))
        if not level:
            return
        if size > MAXIMUM_SIZE:
            break
    raise _Refused("expands to too large an expression", "give parts of it names of their own, on lines of their own")


def place(definition: Define) -> Span:
    """Where a definition's name stands."""
    return replace(definition.span, end=definition.span.start + len(definition.name))
