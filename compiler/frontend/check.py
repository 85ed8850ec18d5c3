"""Everything that can be wrong with a program that parses, all at once.

    check(program)                    sizes are symbols: vector[d] and vector[m] differ
    check(program, {"d": 8, …})       sizes are numbers

The head (parameters, tokens, fields, `def`s) is checked in check_structure.py, the statements in
check_flow.py, and each expression for its names, shapes, reads and promises in the file of that name.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from copy import copy
from dataclasses import dataclass, replace

from innerloop.artifact.errors import Diagnostic
from innerloop.artifact.span import Span

from ..syntax.nodes import Call, Define, Program, Statement
from ..syntax.shapes import Dimension, Shape, symbol
from ..syntax.traversal import expressions, statements, walk
from .check_flow import Flow
from .check_names import Held
from .check_shapes import Shapes
from .check_structure import Structure
from .inline import inline
from .sizes import with_sizes


@dataclass(frozen=True)
class Facts:
    """What checking found out about a program.

    `program` has its `def`s inlined; `shapes` are those of all names and parameters (None: unknown); `turns` are the
    names that count passes, and how many;
    `constants[id(statement)]` are the names that are constants where a statement of `program` begins; `held` is what
    is known of fields and of names that are assigned where it ends; `scored` the calls of `exp` in it, by their ids,
    that take mine and theirs: their arguments are scores of heads.
    """

    program: Program
    diagnostics: tuple[Diagnostic, ...]
    shapes: Mapping[str, Shape | None]
    sizes: Mapping[str, Dimension]
    turns: Mapping[str, Dimension | None]
    constants: Mapping[int, Container[str]]
    held: Mapping[str, Held]
    scored: frozenset[int]


def check(program: Program, parameters: Mapping[str, object] | None = None) -> list[Diagnostic]:
    """All faults of `program` in text order; none if it is sound.

    With the values of its parameters, as bind.py gives them, sizes and counts are checked as numbers.
    """
    return list(examine(program, parameters).diagnostics)


def examine(program: Program, parameters: Mapping[str, object] | None = None) -> Facts:
    """The faults of `program`, and what else is known of it."""
    found: list[Diagnostic] = []
    sizes = _sizes(program, parameters or {})
    structure = Structure(program, sizes, found.append)
    structure.check()
    sound = tuple(s for s in program.body if not isinstance(s, Define) or s.name in structure.sound)
    inlined = inline(replace(program, body=sound), found.append)
    inlined = with_sizes(inlined, lambda some: _shapes(some, structure, sizes))
    unshared: set[tuple[int, str]] = set()
    sources: dict[tuple[int, str], int] = {}
    while True:
        said: list[Diagnostic] = []
        flow = Flow(inlined, structure, sizes, said.append, unshared, sources)
        flow.run()
        if flow.settled:
            break
    ordered = sorted(dict.fromkeys(found + said), key=lambda d: (d.span.start, d.span.end) if d.span else (0, 0))
    ordered = _once_a_call(ordered, sound, structure.shipped)
    scored = frozenset(flow.scored)
    return Facts(inlined, tuple(ordered), flow.shapes, flow.sizes, flow.turns, flow.constants_at, flow.names, scored)


def _once_a_call(found: list[Diagnostic], body: tuple[Statement, ...], shipped: Container[str]) -> list[Diagnostic]:
    """Of all that is wrong inside a call of a library's definition, which stands at one place, what is said first."""
    exprs = (node for s in statements(body) for e in expressions(s) for node in walk(e))
    calls = {node.span: node.function for node in exprs if isinstance(node, Call) and node.function in shipped}
    kept: list[Diagnostic] = []
    told: set[Span] = set()
    for diagnostic in found:
        span, message = diagnostic.span, diagnostic.message
        if span is not None and span in calls:
            if span in told:
                continue
            told.add(span)
            name = f"`{calls[span]}`"
            message = message if message.startswith(name) else f"{message}, inside {name}"
            diagnostic = replace(diagnostic, message=message)
        kept.append(diagnostic)
    return kept


def _shapes(program: Program, structure: Structure, sizes: Mapping[str, Dimension]) -> Shapes:
    """Of all names, as far as they are known."""
    silent = copy(structure)
    silent.report = lambda diagnostic: None
    flow = Flow(program, silent, sizes, silent.report, set(), {})
    flow.run()
    return Shapes(flow.shapes, flow.sizes, lambda diagnostic: None, flow.turns)


def _sizes(program: Program, values: Mapping[str, object]) -> dict[str, Dimension]:
    """What the scalar parameters are as sizes: whole numbers, or symbols where they have no value."""
    sizes: dict[str, Dimension] = {}
    for parameter in program.parameters:
        value = values.get(parameter.name)
        if parameter.type is not None and parameter.type.base != "scalar":
            continue
        if value is None:
            sizes[parameter.name] = symbol(parameter.name)
        elif isinstance(value, int | float) and value == int(value):
            sizes[parameter.name] = int(value)
    return sizes
