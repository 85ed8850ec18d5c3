"""Where each value of a graph is needed: of the tokens that it lives at, the kinds that the result comes of. And which
values differ from task to task at all.

    w : vector[d] at x and y, output dot(w, x) at x     →     w is needed at x
    total = total + t * identity(d)[t]                  →     the same in every task, in every pass

The oracle computes a value wherever it lives; for the output alone it is enough where something asks for it. Inside a
scan values stand at its one token, and are all computed; those that do not change in it (`Graph.invariant`) in front.
"""

from __future__ import annotations

from collections.abc import Collection

from innerloop.artifact.signature import Kinds
from innerloop.compiler.ir.graph import Attend, Field, Gather, Graph, Loop, Merge, Move, Read, Value


def needed(graph: Graph) -> dict[Value, Kinds]:
    """Value → kinds, empty for what nothing asks for."""
    found: dict[Value, Kinds] = dict.fromkeys(graph.values(), frozenset())
    for result in graph.results:
        found[result] = graph[result].kinds
    before = None
    while before != found:
        before = dict(found)
        for loop in graph.loops():
            _loop(graph, loop, found)
        for value in reversed(list(graph.values())):
            _operands(graph, value, found)
    return found


def varying(graph: Graph, free: Collection[str]) -> frozenset[Value]:
    """The values that come of the data: of fields that are no `free` parameters."""
    found = {v for v in graph.values() if isinstance(op := graph[v].op, Field) and op.name not in free}
    before = -1
    while before != len(found):
        before = len(found)
        found |= {v for v in graph.values() if not found.isdisjoint(graph[v].operands)}
        for loop in graph.loops():
            for c in loop.carried:
                if not found.isdisjoint((c.initial, c.result)):
                    found |= {c.phi, c.final}
    return frozenset(found)


def _ask(graph: Graph, found: dict[Value, Kinds], value: Value, kinds: Kinds) -> None:
    found[value] |= kinds & graph[value].kinds


def _loop(graph: Graph, loop: Loop, found: dict[Value, Kinds]) -> None:
    if loop.kind is not None:
        here = frozenset({loop.kind})
        for value in graph.values(loop.body):
            _ask(graph, found, value, here)
        for c in loop.carried:
            _ask(graph, found, c.initial, found[c.final] | here)
            _ask(graph, found, c.result, here)
            _ask(graph, found, c.phi, here)
        return
    for c in loop.carried:
        kinds = found[c.final] | found[c.phi]
        for value in (c.phi, c.result, c.initial):
            _ask(graph, found, value, kinds)


def _operands(graph: Graph, value: Value, found: dict[Value, Kinds]) -> None:
    node, kinds = graph[value], found[value]
    if not kinds:
        return
    for index, operand in enumerate(node.operands):
        match node.op:
            case Move():
                asked = graph[operand].kinds
            case Gather(over=over):
                asked = frozenset({over})
            case Attend(over=over):
                asked = kinds if index == 0 else frozenset({over})
            case Read(over=over, mine=mine):
                asked = kinds if index < mine else frozenset({over})
            case Merge(kinds=parts):
                asked = kinds & parts[index]
            case _:
                asked = kinds
        _ask(graph, found, operand, asked)
