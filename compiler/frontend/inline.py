"""Calls of functions that are defined in the language replaced by what they say.

    def square(v) = dot(v, v)
    … square(x - u[j]) …          →   … dot(x - u[j], x - u[j]) …

    def twice(v)                      twice_m = e
        m = v                         repeat 2
        repeat 2               e      twice_m = 2 * twice_m
            m = 2 * m          →
        output m
    … twice(e) …                      … twice_m …

A body sees its parameters, the program's parameters, and constants that are assigned once, so nothing can be captured
but a read's index; that is renamed where an argument uses the same one. A parameter read as `v[j]` puts every name of
its argument at token j. What a body assigns has names of its own in each call (instantiate.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from innerloop.artifact.errors import Diagnostic
from innerloop.artifact.span import Span

from ..syntax.nodes import (
    Assign,
    At,
    Call,
    Define,
    Expr,
    Output,
    Program,
    Repeat,
    Scan,
    Statement,
)
from ..syntax.traversal import children, rebuild
from .instantiate import Instances, Refused, limit
from .library import definitions, libraries

Report = Callable[[Diagnostic], None]


def inline(program: Program, report: Report) -> Program:
    """The program without `use` and `def`; what cannot be inlined is reported and its call left standing."""
    inliner = _Inliner(program, report)
    for library in program.uses:
        if library.name in libraries():
            for definition in definitions(library.name):
                inliner.define(definition, shipped=True)
    body = inliner.block(program.body)
    return replace(program, uses=(), body=body)


class _Inliner:
    def __init__(self, program: Program, report: Report) -> None:
        self.report = report
        self.instances = Instances(program)
        self.definitions: dict[str, Define] = {}
        self.shipped: set[str] = set()

    def define(self, definition: Define, shipped: bool = False) -> None:
        before: list[Statement] = []
        body = self.block(definition.body)
        value = self.expand(definition.value, before)
        self.definitions.setdefault(definition.name, replace(definition, body=(*body, *before), value=value))
        if shipped:
            self.shipped.add(definition.name)

    def block(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        result: list[Statement] = []
        for statement in body:
            match statement:
                case Define():
                    self.define(statement)
                    continue
                case Assign() | Output():
                    changed: Statement = replace(statement, value=self.expand(statement.value, result))
                case At():
                    changed = replace(statement, body=self.block(statement.body))
                case Repeat():
                    count = self.expand(statement.count, result)
                    changed = replace(statement, count=count, body=self.block(statement.body))
                case Scan():
                    most = self.expand(statement.limit, result)
                    changed = replace(statement, limit=most, body=self.block(statement.body))
            result.append(changed)
        return tuple(result)

    def expand(self, expr: Expr, before: list[Statement]) -> Expr:
        """`expr` with its calls of definitions inlined, inner ones first; what they run goes to `before`."""
        parts = tuple(self.expand(child, before) for child in children(expr))
        expr = rebuild(expr, parts) if parts else expr
        if not isinstance(expr, Call):
            return expr
        definition = self.definitions.get(expr.function)
        if definition is None or len(definition.parameters) != len(expr.arguments):
            return expr
        try:
            run, result = self.instances.of(definition, expr, expr.function in self.shipped)
            limit(result, expr)
        except Refused as refused:
            self.report(Diagnostic(f"`{expr.function}` {refused.message}", expr.span, refused.hint))
            return expr
        before += run
        return result


def place(definition: Define) -> Span:
    """Where a definition's name stands."""
    return replace(definition.span, end=definition.span.start + len(definition.name))
