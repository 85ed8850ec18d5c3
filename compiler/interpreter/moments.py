"""Which pass of a repeat a value of the rewritten graph is: repeats are written out, peeled and shortened on the way.

before   the graph as built and as chosen, and a few tasks
after    for values of the chosen graph, when they are what of the built one's: (`When`, how many passes come later)

Names stay with values, and the pass does not. So both graphs are run, and values of one name are told by what they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.words import When

from ..ir.graph import Affine, Final, Graph, Loop, Phi, Value
from ..ir.operation_classes import Local, Reads, Source, Structural
from .chunks import some_of
from .oracle import evaluate

TASKS, CLOSE = 3, 1e-9

Moments = dict[Value, tuple[When, int]]


def moments(built: Graph, chosen: Graph, data: TokenData) -> Moments:
    """Of the chosen graph's values that have a name which a repeat of the built one assigns. In a repeat, of its last
    pass. None where two passes leave the same on these tasks."""
    repeats = [loop for loop in _repeats(built) if any(True for _ in _assigned(built, loop))]
    if not repeats:
        return {}
    few = some_of(data, slice(0, TASKS))
    told, found = _run(built, few), Moments()
    own = _run(chosen, few)
    for loop in repeats:
        for value, name, when in _assigned(built, loop):
            at = -1
            for other in (v for v in own if chosen[v].name == name and chosen[v].size == built[value].size):
                same = [
                    k for k, array in enumerate(told.get(value, []))
                    if _same(built, value, array, chosen, other, own[other][-1], few)
                ]  # fmt: skip
                match when_of(chosen, other):
                    case "begins" if len(same) == 1 and same[0] + 1 < loop.count:
                        found[other] = "begins", loop.count - 2 - same[0]
                    case "after" if at in same:
                        found[other] = ("ended", loop.count - 1 - at) if at + 1 < loop.count else ("after", -1)
                    case "value" if (later := [k for k in same if k > at]) and (len(same) == 1 or at >= 0):
                        at = later[0]
                        found[other] = when, loop.count - 1 - at
    return found


def when_of(graph: Graph, value: Value) -> When:
    """A symmetric value that a loop carries packed is unpacked from what it carries."""
    node = graph[value]
    if isinstance(node.op, Affine) and len(node.operands) == 1 and not node.op.offset.array.any():
        node = graph[node.operands[0]]
    match node.op:
        case Phi():
            return "begins"
        case Final():
            return "after"
        case Source() | Local() | Reads() | Structural():
            return "value"
        case other:
            assert_never(other)


def _repeats(graph: Graph) -> Iterator[Loop]:
    """Those that hold no other loop."""
    for item in graph.block:
        if isinstance(item, Loop) and item.kind is None and not any(isinstance(i, Loop) for i in item.body):
            yield item


def _assigned(graph: Graph, loop: Loop) -> Iterator[tuple[Value, str, When]]:
    """The names that a repeat assigns: those that it carries as what a pass ends with."""
    carried = {c.result: graph[c.phi].name or graph[c.result].name for c in loop.carried}
    for result, name in carried.items():
        if name is not None:
            yield result, name, "ended"
    for item in loop.body:
        if not isinstance(item, Loop) and (name := graph[item].name) is not None and name not in carried.values():
            yield item, name, "value"


def _run(graph: Graph, data: TokenData) -> dict[Value, list[Floats]]:
    """Named values, and what loops carry, in every pass: [tasks, live tokens, size] each."""
    found: dict[Value, list[Floats]] = defaultdict(list)
    kept = {v for v in graph.values() if graph[v].name is not None}
    kept |= {c.result for loop in graph.loops() for c in loop.carried}

    def observe(value: Value, array: Floats) -> None:
        if value in kept:
            found[value].append(np.array(array))

    evaluate(graph, data, observe, chunk=max(1, data.batch))
    return found


def _same(
    built: Graph, value: Value, array: Floats, chosen: Graph, other: Value, last: Floats, data: TokenData
) -> bool:
    """Whether they are alike at the tokens that hold both."""
    kinds = data.sequence.kinds
    both_kinds = (built[value].kinds, chosen[other].kinds)
    live = [[t for t, kind in enumerate(kinds) if kind in some] for some in both_kinds]
    both = sorted(set(live[0]) & set(live[1]))
    if not both or array.shape[1] != len(live[0]) or last.shape[1] != len(live[1]):
        return False
    one, two = array[:, [live[0].index(t) for t in both]], last[:, [live[1].index(t) for t in both]]
    scale = max(1e-3, float(np.abs(one).max(initial=0.0)))
    return bool(np.all(np.abs(one - two) <= CLOSE * scale))
