"""What a program gives where one of its variables has another value: the word on activation patches.

before   a graph as built, data, a name and a moment: which value of it, in which pass, at which token
after    the value there [tasks, size]; the outputs [batch, rows, *shape] with another in its place
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import TokenData, output_rows
from innerloop.artifact.words import When

from ..ir.graph import Final, Graph, Loop, Phi, Value
from .oracle import evaluate

Change = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Moment:
    """`when` of `name`; in a repeat that pass after which `back` others come, None outside of loops; `token` counts
    from 0, without the rest token."""

    name: str
    when: When
    back: int | None
    token: int


def changed(graph: Graph, data: TokenData, moment: Moment, change: Change) -> Floats | None:
    """The outputs where the value is `change(value)`, [tasks, size] both. None where the program has no such value, or
    several, or computes it at another moment: what does not change in a repeat is computed once."""
    found = _value(graph, moment)
    if found is None:
        return None
    value, loop = found
    kinds, calls, made = data.sequence.kinds, 0, False
    live = [token for token, kind in enumerate(kinds) if kind in graph[value].kinds]
    if moment.token not in live:
        return None
    turn = 0
    if loop is not None and loop.kind is not None:
        scanned = output_rows(data.sequence, {loop.kind}).tolist()[:: -1 if loop.backwards else 1]
        turn = scanned.index(moment.token)
    elif loop is not None:
        turn = loop.count - 1 - (moment.back or 0)

    def observe(computed: Value, array: Floats) -> Floats | None:
        nonlocal calls, made
        if computed != value:
            return None
        calls += 1
        everywhere = array.shape[1] == len(live)  # what does not change in a scan is computed once
        if calls - 1 != turn and not (everywhere and loop is not None and loop.kind is not None):
            return None
        at = live.index(moment.token) if everywhere else 0
        array = np.array(array)
        array[:, at] = change(array[:, at])
        made = True
        return array

    with np.errstate(all="ignore"):
        outputs = evaluate(graph, data, observe, chunk=max(1, data.batch))
    return outputs if made else None


def _value(graph: Graph, moment: Moment) -> tuple[Value, Loop | None] | None:
    """The value of the graph, and the loop in which it is computed again and again."""
    loops = [item for item in graph.block if isinstance(item, Loop)]
    inside = {v: loop for loop in loops for v in graph.values(loop.body)}
    carried = [
        (c, loop) for loop in loops for c in loop.carried if moment.name in (graph[c.phi].name, graph[c.result].name)
    ]
    found: list[tuple[Value, Loop | None]]
    match moment.when if carried else "value":
        case "begins":
            found = [(c.phi, loop) for c, loop in carried]
        case "ended":
            found = [(c.result, loop) for c, loop in carried]
        case "after":
            found = [(c.final, None) for c, _ in carried]
        case "value":
            found = [
                (v, inside.get(v))
                for v in graph.values()
                if graph[v].name == moment.name and not isinstance(graph[v].op, Phi | Final)
                if (v in inside) == (moment.back is not None)
            ]
    return found[0] if len(found) == 1 else None
