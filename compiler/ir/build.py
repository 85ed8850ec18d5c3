"""Syntax tree to graph: assignments become single, loops get phis, `at` blocks get merges.

    at y                                          x = field x                          at x
        u = move x from previous                  y = field y                          at y
    w : vector[d] = 0                             u = move x                           at y
    repeat steps                                  w = constant 0
        w = w - rate * mean[j in y](…)     →      repeat steps
    at x                                              w′ = phi w, w″
        output dot(w, x)                              g = read mean y …
                                                      w″ = w′ − rate · g
                                                  w‴ = final w, w″
                                                  output dot w‴ x                      at x

`build` takes a program that check.py has found sound, with `def` and `grad` expanded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from innerloop.artifact.errors import CompileError, Diagnostic
from innerloop.artifact.signature import FieldSpec, Kinds, ScanLimit, Signature
from innerloop.artifact.span import Span
from innerloop.artifact.sparse import Values

from ..frontend.bind import bind
from ..frontend.check import check
from ..frontend.constants import NoSize, evaluate, size_of
from ..frontend.desugar import expand, scored
from ..syntax.nodes import (
    Assign,
    At,
    Expr,
    MoveExpression,
    Name,
    Output,
    Program,
    ReadExpression,
    Repeat,
    Scan,
    Statement,
    TheirsExpression,
    Type,
)
from ..syntax.parse import parse
from ..syntax.traversal import last_uses, statements, walk
from .build_expressions import AffineTerms, Expressions
from .build_reads import ReadBuilder
from .builder import GraphBuilder
from .graph import Carried, Constant, Field, Final, Graph, Merge, Move, Node, Phi, Value
from .turns import Turn, table, value_in
from .verify import verify


def graph_of(program: str | Program, parameters: Mapping[str, object], source: str = "program") -> Graph:
    """Program text, or what `parse` made of it, to a graph, with values for its parameters.

    Raises CompileError with everything that is wrong with the program or the parameters.
    """
    tree = parse(program, source) if isinstance(program, str) else program
    _refuse(check(tree), tree)
    bindings = bind(tree, parameters)
    if bindings:
        _refuse(check(tree, bindings), tree)
    try:
        return verify(build(expand(tree), bindings))
    except NoSize as fault:
        raise CompileError([fault.diagnostic], tree.text, tree.source) from None


def _refuse(diagnostics: list[Diagnostic], program: Program) -> None:
    if diagnostics:
        raise CompileError(diagnostics, program.text, program.source)


def build(program: Program, bindings: Mapping[str, object], text: str | None = None) -> Graph:
    """The graph of a sound and expanded program; `bindings` as bind.py gives them, `text` if not the program's own."""
    return _Program(program if text is None else replace(program, text=text), bindings).run()


class _Builder(GraphBuilder):
    def name(self, value: Value, name: str, span: Span) -> None:
        """Gives a node that was just made its name in the program."""
        self.data[value] = replace(self[value], name=name, span=span)


class _Program:
    """Goes through the statements; `values` is what each name holds at this point."""

    def __init__(self, program: Program, bindings: Mapping[str, object]) -> None:
        self.program, self.scored = scored(program)
        program = self.program
        self.bindings = bindings
        self.builder = _Builder()
        self.everywhere: Kinds = frozenset(program.tokens.pattern.kinds)
        self.kinds = self.everywhere
        self.values: dict[str, Value] = {}
        self.results: list[Value] = []
        self.last_use = last_uses(program)
        self.number = {id(s): number for number, s in enumerate(statements(program.body))}
        self.turns: tuple[Turn, ...] = ()
        """The repeats around whose passes are counted."""
        self.scans: set[ScanLimit] = set()

    def run(self) -> Graph:
        signature = self._signature()
        for field, spec in zip(self.program.fields, signature.fields, strict=True):
            node = Node(Field(spec.name), (), spec.shape, frozenset(spec.kinds), spec.name, field.span)
            self.values[spec.name] = self.builder.node(node)
        self._body(self.program.body)
        if len(signature.pattern.groups) > 1:
            signature = replace(signature, scans=tuple(sorted(self.scans)))
        return self.builder.finish(tuple(self.results), signature)

    def _signature(self) -> Signature:
        program = self.program
        fields = []
        for field in program.fields:
            ends = (field.low, field.high)
            low, high = (None if end is None else float(evaluate(end, self.bindings)) for end in ends)
            shape = self._shape(field.type)
            fields.append(FieldSpec(field.name, shape, field.kinds, low, high, field.type.base == "onehot"))
        answers = [s.answer for s in statements(program.body) if isinstance(s, Output)]
        return Signature(
            program.name, program.tokens.pattern, tuple(fields), dict(self.bindings), program.text, program.source,
            tuple(answer.name for answer in answers if answer is not None),
        )  # fmt: skip

    def _shape(self, type: Type) -> tuple[int, ...]:
        return tuple(size_of(size, self._constants()) for size in type.dimensions)

    # Statements ----------------------------------------------------------------------------------

    def _body(self, body: tuple[Statement, ...]) -> None:
        for statement in body:
            match statement:
                case Assign():
                    self._assign(statement)
                case Output(value=value):
                    form = self._expression(value)
                    self.results.append(self._named(form, None, value.span, len(self.builder.data)))
                case At(kind=kind, body=inner):
                    outer, self.kinds = self.kinds, frozenset({kind})
                    self._body(inner)
                    self.kinds = outer
                case Repeat(count=count):
                    passes = int(evaluate(count, self._constants()))
                    if passes:
                        self._loop(statement, None, passes)
                case Scan(kind=kind, limit=limit):
                    outer, self.kinds = self.kinds, frozenset({kind})
                    self._loop(statement, kind, int(evaluate(limit, self._constants())))
                    self.kinds = outer

    def _assign(self, statement: Assign) -> None:
        start = len(self.builder.data)
        form = self._expression(statement.value)
        if statement.type is not None:
            form = form.stretched(self._shape(statement.type))
        name, before = statement.name, self.values.get(statement.name)
        if before is None or not self._elsewhere(before):
            self.values[name] = self._named(form, name, statement.span, start)
            return
        value = self._here().value(form, statement.span)
        self.values[name] = self._merged(name, before, value, statement.span)

    def _merged(self, name: str, before: Value, value: Value, span: Span) -> Value:
        """A name's new value here, and what it held at other tokens."""
        parts = (*self._elsewhere(before), (self.kinds, value))
        if len(parts) == 1:
            return value
        kinds = frozenset[str]().union(*(k for k, _ in parts))
        merge = Merge(tuple(k for k, _ in parts))
        shape = self.builder[value].shape
        return self.builder.node(Node(merge, tuple(v for _, v in parts), shape, kinds, name, span))

    def _elsewhere(self, before: Value) -> tuple[tuple[Kinds, Value], ...]:
        """What a name keeps at the tokens where it is not assigned now."""
        node = self.builder[before]
        kept = zip(node.op.kinds, node.operands, strict=True) if isinstance(node.op, Merge) else [(node.kinds, before)]
        return tuple((kinds - self.kinds, value) for kinds, value in kept if kinds - self.kinds)

    def _named(self, form: AffineTerms, name: str | None, span: Span, start: Value) -> Value:
        """The node of a form, here and under its name: one that was made since `start`, or a copy of an older one."""
        here = self._here()
        value = here.value(form, span)
        if value < start and (name is not None or self.builder[value].kinds != self.kinds):
            value = here.copy(value, span)
        if name is not None:
            self.builder.name(value, name, span)
        return value

    # Loops ---------------------------------------------------------------------------------------

    def _loop(self, loop: Repeat | Scan, kind: str | None, count: int) -> None:
        builder, before = self.builder, dict(self.values)
        backwards = isinstance(loop, Scan) and loop.backwards
        assigned = list(dict.fromkeys(s.name for s in statements(loop.body) if isinstance(s, Assign)))
        builder.open()
        phis: dict[str, Value] = {}
        for name in assigned:
            if name in before:
                kinds = self.builder[before[name]].kinds if kind is None else self.kinds
                phis[name] = self.values[name] = self._phi(before[name], kinds, name, loop)
        turns, records = self.turns, list[Carried]()
        if isinstance(loop, Repeat) and loop.index is not None:
            self.turns = (*turns, Turn(loop.index.name, count, builder.depth, records))
        self._body(loop.body)
        self.turns = turns
        for name in assigned:
            result = self.values.get(name)
            if result is None:
                continue  # only a block that runs 0 times assigns it
            node = builder[result]
            if name not in before:
                if not self._used_after(name, loop):
                    continue
                before[name] = builder.within(
                    Node(Constant(Values(np.zeros(node.shape))), (), node.shape, node.kinds), builder.depth - 1
                )
                phis[name] = self._phi(before[name], node.kinds, name, loop)
            kinds = node.kinds if kind is None or backwards else builder[before[name]].kinds
            final = builder.node(Node(Final(), (before[name], result), node.shape, kinds, name, loop.span), place=False)
            records.append(Carried(before[name], phis[name], result, final))
            self.values[name] = final
        if kind is not None:
            self.scans.add(ScanLimit(kind, count))
        builder.close(kind, count, tuple(records), loop.span, backwards)
        for name in phis if backwards else ():
            self.values[name] = self._merged(name, before[name], self.values[name], loop.span)

    def _phi(self, initial: Value, kinds: Kinds, name: str, loop: Repeat | Scan) -> Value:
        node = Node(Phi(), (initial,), self.builder[initial].shape, kinds, name, loop.span)
        return self.builder.node(node, place=False)

    def _used_after(self, name: str, loop: Repeat | Scan) -> bool:
        """Whether a name that a block assigns first matters after it, and so has to be carried out."""
        return self.last_use.get(name, -1) > max(self.number[id(s)] for s in statements(loop.body))

    # Expressions ---------------------------------------------------------------------------------

    def _expression(self, expr: Expr) -> AffineTerms:
        return self._here().form(expr)

    def _here(self) -> Expressions:
        return Expressions(self.builder, self.kinds, self._leaf)

    def _leaf(self, at: Expressions, expr: Expr) -> AffineTerms | None:
        if self._constant(expr):
            return AffineTerms.constant(evaluate(expr, self._constants()))
        if self.turns and (found := self._in_turn(expr)) is not None:
            return found
        match expr:
            case Name(name=name) | TheirsExpression(name=name):
                return self._held(name)
            case MoveExpression(name=name, source=source, kind=kind, back=back, span=span):
                shape, far = self.builder[self.values[name]].shape, 1 if back is None else int(back.value)
                return at.apply(Move(source, kind, far), (self.values[name],), shape, span)
            case ReadExpression(over=over):
                there = Expressions(self.builder, frozenset({over}), self._leaf)
                return ReadBuilder(expr, at, there, self._constant, self.scored).form()
        return None

    def _in_turn(self, expr: Expr) -> AffineTerms | None:
        """What is constant in each pass of the repeats around."""
        known, numbers = self._constants(), {turn.name for turn in self.turns}
        leaves = [n for n in walk(expr) if isinstance(n, Name | TheirsExpression | ReadExpression | MoveExpression)]
        if not all(isinstance(n, Name | TheirsExpression) and (n.name in known or n.name in numbers) for n in leaves):
            return None
        named = {n.name for n in leaves if isinstance(n, Name)}
        read = [turn for turn in self.turns if turn.name in named]
        return value_in(self.builder, read, table(expr, known, read), self.everywhere)

    def _held(self, name: str) -> AffineTerms:
        value = self.values[name]
        return AffineTerms.of(value, self.builder[value].shape)

    def _constants(self) -> dict[str, object]:
        known = dict(self.bindings)
        for name, value in self.values.items():
            op = self.builder[value].op
            if isinstance(op, Constant):
                known[name] = op.values.array
        return known

    def _constant(self, expr: Expr) -> bool:
        known = self._constants()
        leaves = [
            node for node in walk(expr) if isinstance(node, Name | TheirsExpression | ReadExpression | MoveExpression)
        ]
        return all(isinstance(leaf, Name | TheirsExpression) and leaf.name in known for leaf in leaves)
