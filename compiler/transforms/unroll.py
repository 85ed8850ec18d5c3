"""Unrolling, for a target whose layers only add to what a token holds: loops that do more are written out.

    before                                   after
    repeat 2                                 g₁ = mean …,  g₂ = mean …
        v = 0.9 v − mean …                   v₁ = −g₁,     v₂ = −0.9 g₁ − g₂
        w = w + v                            w₂ = v₁ + v₂

A loop stays a loop where every name that it carries ends a pass as it began, plus what heads of that pass add, and
nothing else reads what they add. Written out, what a pass leaves is a sum over the heads of all passes before.
"""

from __future__ import annotations

from collections import Counter

from innerloop.artifact.sparse import Matrix

from ..ir.graph import Affine, Attend, Gather, Graph, Loop, Value
from .canonicalize import ALL_LAWS, Laws
from .rewriter import CopyLoop, Rewriter, copy_block, copy_loop, prune


def unroll(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """The graph without the repeats that must be written out."""
    r = Rewriter(laws)
    names: dict[Value, Value] = {}
    copy_block(r, graph, graph.block, names, None, _loop)
    return prune(r.finish(tuple(names[v] for v in graph.results), graph.signature))


def _loop(r: Rewriter, graph: Graph, loop: Loop, names: dict[Value, Value]) -> None:
    if loop.kind is not None or _adds(graph, loop):
        copy_loop(r, graph, loop, names)
    else:
        write_out(r, graph, loop, names, _loop)


def write_out(r: Rewriter, graph: Graph, loop: Loop, names: dict[Value, Value], inner: CopyLoop) -> None:
    """All passes of a repeat one after the other; `inner` copies the loops in them."""
    ends = {c: names[c.initial] for c in loop.carried}
    for _ in range(loop.count):
        names.update({c.phi: ends[c] for c in loop.carried})
        copy_block(r, graph, loop.body, names, None, inner)
        ends = {c: names[c.result] for c in loop.carried}
    for c in loop.carried:
        node = graph[c.final]
        same = [(Matrix.identity(node.size), ends[c])]
        names[c.final] = r.affine(same, node.shape, node.kinds, 0.0, node.name, node.span)


def _adds(graph: Graph, loop: Loop) -> bool:
    """Whether each pass only adds what heads make."""
    if any(isinstance(item, Loop) for item in loop.body):
        return False
    made = {v for v in loop.body if not isinstance(v, Loop) and isinstance(graph[v].op, Attend | Gather)}
    results = {c.result for c in loop.carried}
    finals = {c.final for c in loop.carried}
    uses = Counter(o for v in graph.values() if v not in results | finals for o in set(graph[v].operands))
    for c in loop.carried:
        node = graph[c.result]
        if not isinstance(node.op, Affine) or node.op.offset.array.any() or c.phi not in node.operands:
            return False
        for operand, matrix in zip(node.operands, node.op.matrices, strict=True):
            if operand == c.phi:
                if matrix != Matrix.identity(node.size):
                    return False
            elif operand not in made or uses[operand]:
                return False
    return not any(uses[v] for v in results)
