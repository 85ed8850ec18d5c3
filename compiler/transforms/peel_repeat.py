"""Peeling: a repeat's first pass stands before it, where the constants that it starts from make an operation fold.

before                                   after
w = 0; repeat n { w = w − S w + b }      w = b; repeat n − 1 { w = w − S w + b }
"""

from __future__ import annotations

from innerloop.compiler.ir.graph import Affine, Block, Constant, Field, Final, Graph, Loop, Merge, Node, Phi, Value

from .rewriter import Rewriter, copy_block, loop_from, prune


def peel(graph: Graph) -> Graph:
    """The graph with the first pass of such repeats in front of them."""
    r = Rewriter()
    names: dict[Value, Value] = {}
    for item in graph.block:
        if (
            isinstance(item, Loop)
            and item.kind is None
            and item.count > 0
            and not any(isinstance(i, Loop) for i in item.body)
        ):
            first = {c.phi: names[c.initial] for c in item.carried}
            before = _hard(r)
            trial = dict(names) | first
            saved = len(r._blocks[0])
            copy_block(r, graph, item.body, trial)
            if _hard(r) - before < sum(_is_hard(graph[v]) for v in item.body if not isinstance(v, Loop)):
                again = dict(names)
                loop_from(r, graph, item, {c: trial[c.result] for c in item.carried}, item.count - 1, again)
                names.update({c.final: again[c.final] for c in item.carried})
                names.update({v: again.get(v, trial[v]) for v in _placed(item.body)})
                continue
            del r._blocks[0][saved:]
            r._known[0] = {k: v for k, v in r._known[0].items() if v in set(r._blocks[0])}
        copy_block(r, graph, (item,), names)
    return prune(r.finish(tuple(names[v] for v in graph.results), graph.signature))


def _placed(block: Block) -> list[Value]:
    return [v for v in block if not isinstance(v, Loop)]


def _is_hard(node: Node) -> bool:
    return not isinstance(node.op, (Affine, Constant, Merge, Field, Phi, Final))


def _hard(r: Rewriter) -> int:
    return sum(_is_hard(r[v]) for v in r._blocks[0] if not isinstance(v, Loop))
