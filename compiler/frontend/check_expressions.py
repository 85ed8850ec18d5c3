"""What is checked of one expression: names, shapes, reads, promises, and what must be constant.

rates[t] * w      rates: a constant, and t the number of the pass
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace

from innerloop.artifact.errors import Diagnostic
from innerloop.artifact.span import Span

from ..syntax.nodes import (
    Assign,
    Binary,
    Call,
    Expr,
    Grad,
    MoveExpression,
    Name,
    Operation,
    Output,
    Part,
    Program,
    ReadExpression,
    TheirsExpression,
)
from ..syntax.shapes import Dimension, Shape
from ..syntax.smart_constructors import constant as literal
from ..syntax.traversal import children, statements, walk
from ..syntax.unparse import unparse
from .autodiff import NotDifferentiable, write_out
from .check_annotations import check_promises
from .check_loops import Carrying
from .check_names import Held, Kinds, Scope, check_names
from .check_reads import Sharing, check_reads
from .check_shapes import Shapes
from .check_structure import Structure, blocks_of_unknown_kind
from .inline import Report


class Expressions(Carrying):
    """What is known at one point of a program whose `def`s are inlined, and the checks of an expression there."""

    def __init__(
        self,
        program: Program,
        structure: Structure,
        sizes: Mapping[str, Dimension],
        report: Report,
        unshared: set[tuple[int, str]],
        carried_sources: dict[tuple[int, str], int],
    ) -> None:
        super().__init__(sizes, unshared, carried_sources, frozenset(structure.parameter_shapes))
        self.program, self.structure, self.sink = program, structure, report
        self.shapes: dict[str, Shape | None] = {**structure.parameter_shapes, **structure.field_shapes}
        self.parameters = frozenset(structure.parameter_shapes)
        self.everywhere: Kinds = frozenset(program.tokens.pattern.kinds)
        self.here = self.everywhere
        self.flowing: frozenset[str] = frozenset()
        self.line = program.span
        self.outputs: list[tuple[Output, Kinds]] = []
        self.scored: set[int] = set()
        """The calls of `exp` whose arguments are scores of heads (check_reads.py), by their ids."""
        self.turns: dict[str, Dimension | None] = {}
        """What counts the passes of repeats, and how many there are; inside of them it is a name, too."""
        for field in program.fields:
            self.names[field.name] = Held(frozenset(field.kinds), versions=self.version())
        self.assigned = frozenset(s.name for s in statements(program.body) if isinstance(s, Assign))
        self.faulty = blocks_of_unknown_kind(program.body, program.tokens.pattern.kinds)
        self.constants_at: dict[int, Container[str]] = {}

    def report(self, diagnostic: Diagnostic) -> None:
        """What stands inside a `def` is told with the line that calls it."""
        span, line = diagnostic.span, self.line
        if span is not None and not line.start <= span.start < line.end:
            diagnostic = replace(diagnostic, message=f"{diagnostic.message}, called at line {line.line}")
        self.sink(diagnostic)

    def error(self, span: Span, message: str, hint: str | None = None) -> None:
        self.report(Diagnostic(message, span, hint))

    def constant(self, expr: Expr, by_step: bool = False) -> bool:
        """Made of numbers and parameters alone, and of names that are; `by_step`: or one constant in each pass of the
        repeats around it."""
        match expr:
            case Name(name=name):
                held = self.names.get(name)
                return (
                    name in self.parameters or (by_step and name in self.turns) or (held is not None and held.constant)
                )
            case TheirsExpression() | ReadExpression() | MoveExpression() | Grad() | Operation(keyword="rtw"):
                return False
        return all(self.constant(child, by_step) for child in children(expr))

    def known(self, expr: Expr) -> bool:
        """Constant in each pass."""
        return self.constant(expr, by_step=True)

    def around(self) -> list[str]:
        """What counts the passes of the repeats around."""
        return [turn for turn in self.turns if turn in self.names]

    def inferred(self) -> Shapes:
        return Shapes(self.shapes, self.sizes, self.report, self.turns)

    def expression(self, expr: Expr) -> Shape | None:
        """Everything that is checked of an expression; its shape."""
        scope = Scope(
            self.program, self.parameters, self.names, self.here, self.flowing, self.assigned, self.faulty,
            self.structure.definitions, self.around(),
        )  # fmt: skip
        check_names(expr, scope, self.report)
        shape = self.inferred().of(expr)
        scored = check_reads(expr, Sharing(self.program.tokens, self.names), self.report)
        self.scored |= scored
        check_promises(expr, self.known, self.report)
        for node in walk(expr):
            match node:
                case Part():
                    self.by_step(node)
                case Call(function="exp", arguments=(score,)) if id(node) in scored and self.inferred().of(score):
                    hint = "a head has one score for each pair of tokens: an `exp` for each component, `exp(s[1])`"
                    self.error(score.span, "what `exp` takes of mine and theirs is a number", hint)
                case Binary(operator="^", right=power) if not self.known(node):
                    hint = "powers are whole numbers, written out: `e ^ 2`; constants have any constant power"
                    self.error(power.span, "this power is no number", hint)
                case Call(function="clip", arguments=(_, low, high)):
                    self.bounds(low, high)
        self.grads(expr)
        return shape

    def by_step(self, expr: Part) -> None:
        """Components that differ from pass to pass are those of constants."""
        places = children(expr)[1:]
        named = (n.name for place in places for n in walk(place) if isinstance(n, Name))
        counting = [name for name in named if name in self.around()]
        if counting and not self.known(expr.operand) and self.held(expr.operand):
            message = f"`{counting[0]}` counts passes, and `{unparse(expr.operand)}` is not a constant"
            self.error(expr.span, message, "a parameter, or an array with a name outside the repeat")

    def held(self, expr: Expr) -> bool:
        """Whether every name in it is known here."""
        names = (node.name for node in walk(expr) if isinstance(node, Name | TheirsExpression))
        return all(name in self.names or name in self.parameters for name in names)

    def bounds(self, low: Expr, high: Expr) -> None:
        for bound in (low, high):
            if not self.constant(bound):
                self.error(bound.span, "a bound of `clip` is a constant", "for run-time bounds use `max` and `min`")
        least, most = literal(low), literal(high)
        if least is not None and most is not None and least >= most:
            self.error(low.span, f"`clip` between {least:g} and {most:g}", "the lower bound comes first")

    def grads(self, expr: Expr) -> None:
        """Refuses what has no derivative; operands that are no scalars were reported."""
        silent = replace(self.inferred(), report=lambda diagnostic: None)
        inner = (node for node in walk(expr) if isinstance(node, Grad))
        if any(silent.of(node.operand) != () for node in inner):
            return
        try:
            write_out(expr, silent)
        except NotDifferentiable as refused:
            self.report(refused.diagnostic)

    def sources(self, expr: Expr) -> int:
        found = 0
        for node in walk(expr):
            if isinstance(node, Name | TheirsExpression | MoveExpression | Grad) and node.name in self.names:
                held = self.names[node.name]
                found |= held.versions | held.sources
        return found
