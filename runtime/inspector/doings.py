"""What every sublayer does, in words: its lines of the program, its heads, its neurons by the products they make.

before   a plan, and which instruction every head and neuron of its weights serves (emit.py)
after    for each stored sublayer {"lines", "says", "heads", "neurons"}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, assert_never

import numpy as np
from innerloop.artifact.errors import counted
from innerloop.artifact.parts import Mlp
from innerloop.artifact.span import Span
from innerloop.artifact.weights import Weights
from innerloop.compiler.certify.plan import Plan
from innerloop.compiler.emit.emit import Emitted
from innerloop.compiler.emit.layout import Holding
from innerloop.compiler.ir.graph import Field, Final
from innerloop.compiler.schedule.instructions import (
    Apply,
    AttendHead,
    Copy,
    DeltaHead,
    Instructions,
    Linear,
    Mean,
    Multiply,
    Quotient,
    SwitchHead,
)
from innerloop.compiler.schedule.printer import format_form, format_work
from innerloop.compiler.schedule.sublayers import Placed, SublayerPlan, Work

from .encoded import Json
from .slots import Components

MOST = 400
"""Kinds of neuron of one instruction that are told apart."""


def doings(
    weights: Weights, plan: Plan, emitted: Emitted, held: Iterable[Holding], components: Components
) -> list[Json]:
    """Of each stored sublayer, in order."""
    instructions = plan.schedule.instructions
    born = _born(plan, held)
    found = []
    parts = zip(plan.schedule.walk(), weights.sublayers(), emitted.work, strict=True)
    for number, (sublayer, part, work) in enumerate(parts):
        neurons: list[Json] = []
        if isinstance(part, Mlp):
            writes = components.written(number)
            start = 0
            for count, of in work.neurons:
                at = range(start, start + count)
                groups = [] if isinstance(of, str) else _groups(part, at, components.read(number), writes)
                neurons.append({"what": told(of, instructions), "count": count, "groups": groups})
                start += count
        found.append(
            {
                "lines": sorted({*_lines(sublayer, plan), *born.get(number, ())}),
                "says": format_work(sublayer, instructions),
                "heads": ["; ".join(dict.fromkeys(told(of, instructions) for of in head)) for head in work.heads],
                "neurons": neurons,
            }
        )
    return found


def field_lines(plan: Plan) -> list[int]:
    """The lines that declare what the embedding puts into the stream."""
    nodes = (plan.graph[value] for value in plan.graph.values())
    text = plan.graph.signature.text
    return sorted({line for node in nodes if isinstance(node.op, Field) for line in _spanned(node.span, text)})


# Lines -------------------------------------------------------------------------------------------


def _lines(sublayer: SublayerPlan, plan: Plan) -> Iterator[int]:
    text = plan.graph.signature.text
    for placed in (*sublayer.placed, *filter(None, (sublayer.prepares, sublayer.clears))):
        yield from _spanned(placed.instruction.span, text)
    if sublayer.carry is not None:
        kind = sublayer.carry.relation.kind
        for loop in plan.graph.loops():
            if loop.kind == kind and loop.span is not None:
                yield loop.span.line


def _born(plan: Plan, held: Iterable[Holding]) -> dict[int, set[int]]:
    """Of names that stand in the stream from some sublayer on: the lines that assign them."""
    lives, found = plan.allocation.lifetimes, dict[int, set[int]]()
    for one in held:
        node = plan.graph[one.variable.value]
        made = any(lives[atom].birth >= 0 for atom in one.variable.form.atoms if atom in lives)
        if made and not isinstance(node.op, Final):  # what a loop leaves stands on its first line
            span = node.span
            found.setdefault(one.first, set()).update(_spanned(span, plan.graph.signature.text))
    return found


def _spanned(span: Span | None, text: str) -> range:
    """The lines that a span stands on; none of what another file says."""
    if span is None or span.end > len(text) or text.count("\n", 0, span.start) + 1 != span.line:
        return range(0)
    return range(span.line, span.line + text.count("\n", span.start, span.end) + 1)


# Words -------------------------------------------------------------------------------------------


def told(work: Work, instructions: Instructions) -> str:
    """`copies x from previous, into u`."""
    if isinstance(work, str):
        return work
    atoms, instruction = instructions.atoms, work.instruction
    into = dict.fromkeys(atoms[w.atom].label for w in work.writes) or {atoms[instruction.out].label: None}
    return f"{_does(work, [format_form(f, instructions) for f in instruction.reads])}, into {', '.join(into)}"


def _does(placed: Placed, reads: list[str]) -> str:
    match placed.instruction.op:
        case Copy(relation):
            return f"copies {reads[0]} from {relation.name}{f' {relation.kind}' if relation.kind else ''}"
        case Mean(over, sums):
            return f"{'sums' if sums else 'averages'} {reads[0]} over {over}"
        case AttendHead("softmax", over):
            return f"averages {reads[2]} over {over} by the softmax of ({reads[0]}) · ({reads[1]})"
        case AttendHead(how, over):
            verb = "sums" if how == "sum" else "averages"
            return f"{verb} (({reads[0]}) · ({reads[1]})) ({reads[2]}) over {over}"
        case DeltaHead(over):
            return f"reads, by {reads[0]}, what {', '.join(sorted(over))} tokens store at ({reads[1]}): {reads[2]}"
        case SwitchHead(strict):
            return f"keeps {reads[0]} where {reads[1]} {'>' if strict else '≥'} 0"
        case Quotient():
            return f"divides {reads[0]} by {reads[1]}"
        case Multiply(form, code=int(code)):
            return f"makes {counted(form.out.size, 'product')}: ({reads[1 - code]}) where ({reads[code]}) is 0"
        case Multiply(form):
            return f"makes {counted(form.out.size, 'product')} ({reads[0]}) × ({reads[1]})"
        case Apply(name):
            return f"takes {name} of {reads[0]}"
        case Linear():
            return f"passes on {reads[0]}"
        case other:
            assert_never(other)


# Neurons -----------------------------------------------------------------------------------------


def _groups(part: Mlp, neurons: range, reads: dict[int, str], writes: dict[int, str]) -> list[Json]:
    """The neurons that read the same components and write the same, gates apart: {"gate", "reads", "writes", "count"}
    in order of appearance; at most MOST."""
    up, down = _names(part.up.csr.T.tocsr(), reads), _names(part.down.csr, writes)
    gate = None if part.gate is None else _names(part.gate.csr.T.tocsr(), reads)
    counts: dict[tuple[Any, ...], int] = {}
    for neuron in neurons:
        key = (gate(neuron) if gate else (), up(neuron), down(neuron))
        counts[key] = counts.get(key, 0) + 1
    told = [{"gate": g, "reads": r, "writes": w, "count": count} for (g, r, w), count in counts.items()]
    return told[:MOST]


def _names(rows: Any, of: dict[int, str]) -> Any:
    """number of a row → the names of its nonzero columns that have one."""

    def names(row: int) -> tuple[str, ...]:
        slots = np.sort(rows.indices[rows.indptr[row] : rows.indptr[row + 1]]).tolist()
        return tuple(of[slot] for slot in slots if slot in of)

    return names
