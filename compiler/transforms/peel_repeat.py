"""Peeling: a repeat's first pass stands before it, where the constants that it starts from make an operation fold.

before                                   after
w = 0; repeat n { w = w − S w + b }      w = b; repeat n − 1 { w = w − S w + b }
"""

from __future__ import annotations

from ..ir.graph import Affine, Block, Constant, Field, Final, Graph, Loop, Merge, Phi, Value
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, copy_block, loop_from, prune


def peel(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """The graph with the first pass of such repeats in front of them."""
    r = Rewriter(laws)
    names: dict[Value, Value] = {}
    for item in graph.block:
        if (
            isinstance(item, Loop)
            and item.kind is None
            and item.count > 0
            and not any(isinstance(i, Loop) for i in item.body)
        ):
            first = {c.phi: names[c.initial] for c in item.carried}
            trial = dict(names) | first
            mark = r.mark()
            copy_block(r, graph, item.body, trial)
            if _hard(r, r.since(mark)) < _hard(graph, item.body):
                again = dict(names)
                loop_from(r, graph, item, {c: trial[c.result] for c in item.carried}, item.count - 1, again)
                names.update({c.final: again[c.final] for c in item.carried})
                names.update({v: again.get(v, trial[v]) for v in _placed(item.body)})
                continue
            r.undo(mark)
        copy_block(r, graph, (item,), names)
    return prune(r.finish(tuple(names[v] for v in graph.results), graph.signature))


def _placed(block: Block) -> list[Value]:
    return [v for v in block if not isinstance(v, Loop)]


def _hard(graph: Graph | Rewriter, block: Block) -> int:
    """How many of its operations are no mere sums."""
    return sum(not isinstance(graph[v].op, Affine | Constant | Merge | Field | Phi | Final) for v in _placed(block))
