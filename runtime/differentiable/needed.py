"""Where each value of a graph is needed: of the tokens that it lives at, the kinds that the result comes of. And which
values differ from task to task at all.

    w : vector[d] at x and y, output dot(w, x) at x     →     w is needed at x
    total = total + t * identity(d)[t]                  →     the same in every task, in every pass

The oracle computes a value wherever it lives; for the output alone it is enough where something asks for it. Inside a
scan values stand at its one token, and are all computed; those that do not change in it (`Graph.invariant`) in front.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import assert_never

from innerloop.artifact.signature import Kinds
from innerloop.compiler.ir.graph import Attend, Field, Gather, Graph, Loop, Merge, Move, Read, Value
from innerloop.compiler.ir.operation_classes import Local, Reads, Source, Structural
from innerloop.compiler.ir.positional import Count


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


def apart(
    graph: Graph,
    asked: Mapping[Value, Kinds],
    free: Collection[str],
    alike: Callable[[Value, str], bool],
    from_one: Callable[[Value], bool],
) -> frozenset[Value]:
    """The values that may differ between the tokens at which they are needed; `alike`: whether all tokens that need
    a value see the same of a kind that it reads; `from_one`: whether they move it from the same token."""
    scanned = {v for loop in graph.loops() if loop.kind is not None for v in graph.values(loop.body)}
    found = {v for v in graph.values() if asked[v] and (v in scanned or _differs(graph, v, free, alike, from_one))}
    before = -1
    while before != len(found):
        before = len(found)
        for value in graph.values():
            own = _own(graph, value)
            if not found.isdisjoint(own) or any(not asked[value] <= asked[o] for o in own):
                found.add(value)
        for loop in graph.loops():
            for c in loop.carried:
                parts = (c.initial, c.result)
                if loop.kind or not found.isdisjoint(parts) or any(not asked[c.phi] <= asked[p] for p in parts):
                    found |= {c.phi, c.final}
    return frozenset(found)


def _differs(
    graph: Graph,
    value: Value,
    free: Collection[str],
    alike: Callable[[Value, str], bool],
    from_one: Callable[[Value], bool],
) -> bool:
    """By what it is, whatever its operands are."""
    match graph[value].op:
        case Field(name):
            return name not in free
        case Gather(over=over) | Attend(over=over) | Read(over=over):
            return not alike(value, over)
        case Move():
            return not from_one(value)
        case Count() | Merge():
            return True
        case Source() | Local() | Reads() | Structural():
            return False
        case other:
            assert_never(other)


def _own(graph: Graph, value: Value) -> tuple[Value, ...]:
    """Of its operands those that it takes at its own token."""
    node = graph[value]
    match node.op:
        case Gather() | Move():
            return ()
        case Attend():
            return tuple(node.operands[:1])
        case Read(mine=mine):
            return tuple(node.operands[:mine])
        case Source() | Local() | Reads() | Structural():
            return tuple(node.operands)
        case other:
            assert_never(other)


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
            case Source() | Local() | Reads() | Structural():
                asked = kinds
            case other:
                assert_never(other)
        _ask(graph, found, operand, asked)
