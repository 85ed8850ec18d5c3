"""A program whose real parameters are free: its graph takes them as it takes fields.

    program gradient_descent(d, steps = 1, rate = 0.1), free rate, d = 3
    →   the graph for d = 3, in which `rate` is a field that every token holds

A parameter that is bound is folded into matrices when the graph is built. One that is free is declared a field of the
checked program instead, so that the builder leaves it a value like any other; whoever evaluates gives it. The counts of
repeats may be free too, as whole numbers: the loop then has as many passes as it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import CompileError, Diagnostic
from innerloop.artifact.signature import Kinds, Signature
from innerloop.artifact.span import Span
from innerloop.compiler.frontend.bind import bind, whole_parameters
from innerloop.compiler.frontend.check import check
from innerloop.compiler.frontend.desugar import expand
from innerloop.compiler.ir.build import build
from innerloop.compiler.ir.graph import Graph, Value
from innerloop.compiler.ir.verify import verify
from innerloop.compiler.syntax.nodes import (
    Assign,
    Binary,
    Call,
    Define,
    Expr,
    FieldDeclaration,
    Name,
    Output,
    Part,
    Program,
    Repeat,
    Type,
)
from innerloop.compiler.syntax.parse import parse
from innerloop.compiler.syntax.traversal import children, expressions, map_expressions, rebuild, statements, walk

from .needed import needed, varying


@dataclass(frozen=True)
class Opened:
    """`graph` has a field for each free parameter; `signature` is the program's own, with all parameters bound.

    free      name → where it begins: what was given, or its default
    counted   the place of a repeat → the parameter that counts its passes, for those that are free
    needed    each value of the graph → the kinds of token at which it is computed
    varying   the values that differ from task to task
    """

    graph: Graph
    signature: Signature
    free: Mapping[str, Floats]
    counted: Mapping[Span, str]
    needed: Mapping[Value, Kinds]
    varying: frozenset[Value]

    @staticmethod
    def of(graph: Graph) -> Opened:
        """With nothing left open."""
        return Opened(graph, graph.signature, {}, {}, needed(graph), varying(graph, ()))


def real_parameters(program: Program) -> tuple[str, ...]:
    """The parameters that are real numbers, or arrays of them: those that size and count nothing, and of which no pass
    of a repeat takes a part of its own, which has to be known when the graph is built."""
    sizes, counts = whole_parameters(program)
    return tuple(p.name for p in program.parameters if p.name not in sizes | counts | _by_step(program))


def _by_step(program: Program) -> set[str]:
    """Names in parts and powers that the number of a pass is in, too."""
    body = tuple(statements(expand(program).body))
    numbers = {s.index.name for s in body if isinstance(s, Repeat) and s.index is not None}
    nodes = (node for s in body if isinstance(s, Assign | Output) for node in walk(s.value))
    parts = (e for e in nodes if isinstance(e, Part) or (isinstance(e, Binary) and e.operator == "^"))
    taken = [{n.name for n in walk(e) if isinstance(n, Name)} for e in parts]
    return {name for names in taken if names & numbers for name in names}


def counting_parameters(program: Program) -> tuple[str, ...]:
    """The parameters that count the passes of repeats, by their name alone, and do nothing else."""
    _, counts = whole_parameters(program)
    alone = {s.count.name for s in statements(program.body) if isinstance(s, Repeat) and isinstance(s.count, Name)}
    elsewhere = {
        node.name
        for s in statements(program.body)
        for expr in ((s.value,) if isinstance(s, Define) else expressions(s))
        if not (isinstance(s, Repeat) and isinstance(expr, Name))
        for node in walk(expr)
        if isinstance(node, Name)
    }
    return tuple(p.name for p in program.parameters if p.name in (counts & alone) - elsewhere)


def opened(
    program: str | Program, free: Collection[str] = (), counts: Collection[str] = (), given: Mapping[str, object] = {}
) -> Opened:
    """`program` with the real parameters `free` and the counts `counts` left open, the others as given or by default.

    Raises CompileError for a program or parameters that are not sound, and for a name that cannot be free."""
    tree = parse(program) if isinstance(program, str) else program
    _refuse(check(tree), tree)
    for names, known, kind in (
        (free, real_parameters(tree), "real"),
        (counts, counting_parameters(tree), "counting"),
    ):
        for name in names:
            if name not in known:
                listed = ", ".join(known) or "none"
                message = f"`{name}` is no {kind} parameter of {tree.name}, and cannot be free"
                raise CompileError([Diagnostic(message, None, f"those are {listed}")], tree.text, tree.source)
    # A loop of no passes is left out of the graph: what counts freely is built with one.
    bound = bind(tree, {**given, **dict.fromkeys(counts, 1)})
    _refuse(check(tree, bound), tree)
    plain = expand(tree)
    declared = {p.name: p for p in tree.parameters}
    everywhere = tuple(tree.tokens.pattern.kinds)
    fields = tuple(
        FieldDeclaration(
            declared[name].span, name, declared[name].type or Type(declared[name].span, "scalar", ()), everywhere,
            None, None,
        )
        for name in free
    )  # fmt: skip
    open_program = replace(
        plain,
        parameters=tuple(p for p in plain.parameters if p.name not in free),
        fields=(*plain.fields, *fields),
        body=map_expressions(plain.body, _open_clips),
    )
    graph = verify(build(open_program, {name: value for name, value in bound.items() if name not in free}))
    signature = replace(
        graph.signature,
        fields=tuple(f for f in graph.signature.fields if f.name not in free),
        parameters=dict(bound),
    )
    counted = {
        s.span: s.count.name
        for s in statements(tree.body)
        if isinstance(s, Repeat) and isinstance(s.count, Name) and s.count.name in counts
    }
    start = {name: np.asarray(bound[name], np.float64) for name in free}
    return Opened(graph, signature, start, counted, needed(graph), varying(graph, free))


def _open_clips(expr: Expr) -> Expr:
    """`clip` by names as the larger and the smaller of two: its own bounds are constants of the graph."""
    inside = tuple(map(_open_clips, children(expr)))
    found = rebuild(expr, inside) if inside else expr
    match found:
        case Call(function="clip", arguments=(value, low, high)) if _named(low) or _named(high):
            return Call(found.span, "min", (Call(found.span, "max", (value, low)), high))
    return found


def _named(expr: Expr) -> bool:
    return any(isinstance(node, Name) for node in walk(expr))


def _refuse(diagnostics: list[Diagnostic], program: Program) -> None:
    if diagnostics:
        raise CompileError(diagnostics, program.text, program.source)
