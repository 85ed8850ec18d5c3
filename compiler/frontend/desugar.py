"""A program without `def`, `grad`, `and`, `or` and `not`: calls inlined, derivatives written out, logic as arithmetic.

    w - rate * grad[w](mean[j in y]((dot(w, u[j]) - y[j]) ^ 2 / 2))
    →   w - rate * mean[j in y]((dot(w, u[j]) - y[j]) * u[j])

What is left is what the graph is built from.
"""

from __future__ import annotations

from dataclasses import replace

from innerloop.artifact.errors import CompileError, Diagnostic

from ..syntax.nodes import Call, Expr, Grad, Program, ReadExpression, Statement
from ..syntax.traversal import expressions, map_expressions, statements, walk
from .autodiff import NotDifferentiable, write_out
from .check import examine
from .check_shapes import Shapes
from .inline import inline
from .plain import plain


def expand(program: Program) -> Program:
    """`program` with its `def`s inlined and its `grad`s written out; it must have passed `check`.

    Raises CompileError for a `def` or `grad` that check.py refuses.
    """
    faults: list[Diagnostic] = []
    inlined = inline(program, faults.append)
    if any(_needs_shapes(statement) for statement in statements(inlined.body)):
        facts = examine(inlined)
        inlined = facts.program
        faults.extend(facts.diagnostics)
        shapes = Shapes(facts.shapes, facts.sizes, lambda diagnostic: None, facts.turns)

        def change(expr: Expr) -> Expr:
            try:
                return write_out(expr, shapes)
            except NotDifferentiable as refused:
                faults.append(refused.diagnostic)
                return expr

        if not faults:
            inlined = replace(inlined, body=map_expressions(inlined.body, change))
    if faults:
        raise CompileError(faults, program.text, program.source)
    return replace(inlined, body=map_expressions(inlined.body, plain))


def scored(program: Program) -> tuple[Program, frozenset[int]]:
    """The expanded program, and the calls of `exp` in it, by their ids, that weigh what a read sums by scores of mine
    and theirs."""
    nodes = [node for s in statements(program.body) for expr in expressions(s) for node in walk(expr)]
    inside = (node for read in nodes if isinstance(read, ReadExpression) for node in walk(read))
    if not any(isinstance(node, Call) and node.function == "exp" for node in inside):
        return program, frozenset()
    facts = examine(program)
    return facts.program, facts.scored


def _needs_shapes(statement: Statement) -> bool:
    """Whether it has a derivative, or asks for a size."""
    return any(
        isinstance(node, Grad) or (isinstance(node, Call) and node.function == "size")
        for expr in expressions(statement)
        for node in walk(expr)
    )
