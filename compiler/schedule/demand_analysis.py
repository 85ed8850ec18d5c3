"""Demand: at which kinds of token each value of a graph is needed, and so made.

    before                                   after
    u : vector[8] at x, y = move x           u at y: nobody reads it at x

A named value that is needed anywhere is needed wherever it lives, so that a trace can show it; but in a
scan's body only the scan's tokens compute.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from innerloop.artifact.signature import Kinds

from ..ir.graph import (
    Affine,
    Attend,
    Block,
    Constant,
    Delta,
    Field,
    Final,
    Gather,
    Graph,
    Loop,
    Merge,
    Mine,
    Move,
    Phi,
    Read,
    Theirs,
    Value,
)
from ..ir.operation_classes import Local, Reads, Source, Structural


def demanded(graph: Graph) -> dict[Value, Kinds]:
    """The kinds of token at which each value is needed; none for a value that nothing but a trace reads."""
    lives = {v: graph[v].kinds for v in graph.values()} | dict(_scanned(graph, graph.block, None))
    need: dict[Value, Kinds] = {v: frozenset() for v in lives}
    need.update({v: graph[v].kinds for v in graph.results})
    carried = [(loop, c) for loop in graph.loops() for c in loop.carried]
    changed = True
    while changed:
        before = dict(need)
        for loop, c in carried:
            if loop.kind is not None:
                need[c.result] |= {loop.kind}
                need[c.initial] |= need[c.final] | {loop.kind}
                if c.warm is not None:
                    need[c.warm] |= {loop.kind}
            else:
                need[c.result] |= need[c.phi] | need[c.final]
                need[c.initial] |= need[c.phi] | need[c.final]
                need[c.phi] |= need[c.final]
        for value in reversed(list(graph.values())):
            node = graph[value]
            if not need[value]:
                continue
            need[value] = kinds = lives[value] if node.name is not None else need[value] & lives[value]
            for index, operand in enumerate(node.operands):
                match node.op:
                    case Merge(parts):
                        need[operand] |= kinds & parts[index]
                    case Gather(_, over):
                        need[operand] |= {over}
                    case Attend(_, over) if index > 0:
                        need[operand] |= {over}
                    case Delta(over, _, _, back) if index > 0:
                        moved = index < 3 and back[index - 1] > 0
                        need[operand] |= graph[operand].kinds if moved else over
                    case Move():
                        need[operand] |= graph[operand].kinds
                    case Phi() | Final():
                        pass
                    case Source() | Local() | Attend() | Delta() | Read() | Mine() | Theirs():
                        need[operand] |= kinds
                    case other:
                        assert_never(other)
        changed = before != need
    return need


def held(graph: Graph, need: dict[Value, Kinds]) -> dict[Value, Kinds]:
    """The kinds at which each value can be told from what is made: sums of what is there need no demand of their
    own."""
    found: dict[Value, Kinds] = {}
    for value in graph.values():
        node = graph[value]
        match node.op:
            case Constant() | Field():
                found[value] = node.kinds
            case Affine() if not need[value]:
                found[value] = node.kinds.intersection(*(found[o] for o in node.operands))
            case Source() | Local() | Reads() | Structural():
                found[value] = need[value]
            case other:
                assert_never(other)
    return found


def _scanned(graph: Graph, block: Block, kind: str | None) -> Iterator[tuple[Value, Kinds]]:
    """Every value in the body of a scan, and the scan's kind."""
    for item in block:
        if isinstance(item, Loop):
            inside = kind if item.kind is None else item.kind
            if inside is not None:
                yield from ((c.phi, graph[c.phi].kinds & {inside}) for c in item.carried)
            yield from _scanned(graph, item.body, inside)
            if kind is not None:
                yield from ((c.final, graph[c.final].kinds & {kind}) for c in item.carried)
        elif kind is not None:
            yield item, graph[item].kinds & {kind}
