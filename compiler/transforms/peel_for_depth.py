"""Tightening: a repeat's first or last pass stands by itself where the schedule then meets the critical path.

    before                                       after
    A b   M –                                    A b
    repeat 9  A –  M w += …, p += …              repeat 8  M w += …, p += …  A –
    output p                                     M p
                                                 output p

Sublayers alternate, so that a loop's body takes as many attention as MLP sublayers, and its first and last pass
wait for sublayers that do nothing there. Outside of the loop the same work fits around them.
"""

from __future__ import annotations

from collections.abc import Callable

from ..ir.graph import Graph, Loop, Value
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, copy_block, loop_from, prune

MOST = 2
"""Passes that may be taken out."""


def tighten(graph: Graph, layers: Callable[[Graph], int], least: int, laws: Laws = ALL_LAWS) -> Graph:
    """The graph with such passes taken out, as long as each saves a layer; `layers` schedules a graph, and `least` is
    what no schedule goes below."""
    now = layers(graph)
    for _ in range(MOST):
        if now <= least:
            break
        tried = [_without(graph, place, last, laws) for place in _repeats(graph) for last in (False, True)]
        best = min(tried, key=layers, default=graph)
        if (length := layers(best)) >= now:
            break
        graph, now = best, length
    return graph


def _repeats(graph: Graph) -> list[int]:
    return [k for k, i in enumerate(graph.block) if isinstance(i, Loop) and i.kind is None and i.count]


def _without(graph: Graph, place: int, last: bool, laws: Laws) -> Graph:
    """The graph with the last pass of loop `place` behind it, or its first in front."""
    r = Rewriter(laws)
    names: dict[Value, Value] = {}
    for number, item in enumerate(graph.block):
        if number != place or not isinstance(item, Loop):
            copy_block(r, graph, (item,), names)
            continue
        start = {c: names[c.initial] for c in item.carried}
        if last:
            loop_from(r, graph, item, start, item.count - 1, names)
            names.update({c.phi: names[c.final] for c in item.carried})
            copy_block(r, graph, item.body, names)
            names.update({c.final: names[c.result] for c in item.carried})
        else:
            names.update({c.phi: value for c, value in start.items()})
            copy_block(r, graph, item.body, names)
            loop_from(r, graph, item, {c: names[c.result] for c in item.carried}, item.count - 1, names)
    return prune(r.finish(tuple(names[v] for v in graph.results), graph.signature))
