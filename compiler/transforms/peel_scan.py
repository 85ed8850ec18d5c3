"""Head start: a scan's first pass stands in front of it, where the constants that it starts from make operations fold.

    before                                  after
                                            %1 = y · u                                         at y
    w = 0                                   w = 0
    scan y, 40 passes                       scan y, 39 passes; before the first, w is 2·rate·%1 at every y
        w = w − 2·rate·(w·u − y)·u              w = w − 2·rate·(w·u − y)·u

In a compiled scan every token repeats its own update on what the token before it held (lower.py): after t passes
the first t tokens are right. From a constant start the first pass needs nothing of the token before. So every token
does it for itself, as the first one has to, and with the rest of the prelude's work; after t further passes the first
t + 1 tokens are right. The first token finds its start in the rest token as ever.

The scan itself means what it meant: `Carried.warm` is what the first pass makes, for lowering alone.
"""

from __future__ import annotations

from dataclasses import replace

from ..ir.critical_path import graph_depth
from ..ir.graph import Constant, Graph, Loop, Node, Value
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, copy_block, loop_from, prune


def head_start(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """The graph with the first pass of such scans in front of them, where that makes the whole shorter."""
    for place, item in enumerate(graph.block):
        if isinstance(item, Loop) and _starts_alike(graph, item):
            tried = _warmed(graph, place, laws)
            if graph_depth(tried) < graph_depth(graph):
                graph = tried
    return graph


def _starts_alike(graph: Graph, loop: Loop) -> bool:
    """Whether it is a scan forwards of two passes or more, with no loop in it, of which all that is carried starts from
    constants."""
    flat = not any(isinstance(item, Loop) for item in loop.body)
    constant = all(isinstance(graph[c.initial].op, Constant) and c.warm is None for c in loop.carried)
    return loop.kind is not None and not loop.backwards and loop.count > 1 and flat and constant


def _warmed(graph: Graph, place: int, laws: Laws) -> Graph:
    r = Rewriter(laws)
    names: dict[Value, Value] = {}
    for number, item in enumerate(graph.block):
        if number == place and isinstance(item, Loop):
            first = dict(names)
            for c in item.carried:
                op = graph[c.initial].op
                assert isinstance(op, Constant)
                first[c.phi] = r.constant(op.values.array, graph[c.phi].kinds)
            copy_block(r, graph, item.body, first, _nameless)
            start = {c: names[c.initial] for c in item.carried}
            warm = {c: first[c.result] for c in item.carried}
            loop_from(r, graph, item, start, item.count, names, warm=warm)
        else:
            copy_block(r, graph, (item,), names)
    return prune(r.finish(tuple(names[v] for v in graph.results), graph.signature))


def _nameless(r: Rewriter, _: Value, node: Node) -> Value:
    """In front of the scan a name would be that of the first token at all of them."""
    return r.node(replace(node, name=None))
