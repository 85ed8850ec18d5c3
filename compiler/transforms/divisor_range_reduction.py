"""Narrowing: divisions by numbers of very many sizes, as divisions by numbers about 1 and of half as many sizes.

    before          after
    q = a / s       σ a power of two, σ s about 1, from c/w to c w
                    t = (σ s + c) / √(c w)
                    b, r = (a, σ s) / t
                    q = σ (b / r)

t and r each reach over w, the root of what s reaches over, about 1: t follows s where that is large, and r where it is
small. Both have the digits that s has, with no function of it, and r is nowhere much smaller than t: its division may
follow at once (regions.py). One division more; a divisor of few sizes is scaled only. The norm's constants are those
of all divisions of a program together.
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.sparse import Matrix

from ..interpreter.calibrate import Ranges
from ..ir.graph import Divide, Graph, Node, Value
from .rewriter import Rewriter, rebuild

WIDE = {"float32": 2.0**21, "float64": 2.0**40, "bfloat16": 2.0**21, "float16": 2.0**21}
"""Largest over smallest divisor, beyond which heads that compare digits do not find their own token in a stream so
divided: of their logits, which are as (largest / smallest)², rounding leaves as much as others are below."""
MANY = 2.0**10
"""Where the norm's constants do not reach, no divisor of fewer sizes than this is taken in two steps."""


def widest(graph: Graph, ranges: Ranges) -> float | None:
    """The largest divisor of a division over its smallest, of the division where that is most; None where nothing is
    divided by numbers of one sign."""
    return max((high / low for low, high in _divisors(graph, ranges).values()), default=None)


def narrow(graph: Graph, ranges: Ranges) -> Graph:
    """The graph with all divisors about 1, and those in two steps that reach over more than the steps of the widest
    do."""
    found = _divisors(graph, ranges)
    wide = max(MANY, float(np.sqrt(widest(graph, ranges) or 1.0)))

    def visit(r: Rewriter, old: Value, node: Node) -> Value:
        if old not in found:
            return r.node(node)
        (top, bottom), (low, high) = node.operands, found[old]
        shape, kinds, span = node.shape, node.kinds, node.span
        sign = float(np.sign(ranges.low[graph[old].operands[1]][0]))
        scale = sign * 2.0 ** -np.round(0.5 * np.log2(low * high))
        divisor = r.affine([(Matrix.identity(1, scale), bottom)], (), kinds)
        if high / low > wide:
            middle, root = abs(scale) * np.sqrt(low * high), np.sqrt(high / low)
            half = 1.0 / np.sqrt(middle * root)
            first = r.affine([(Matrix.identity(1, half), divisor)], (), kinds, middle * half)
            size = r[top].size
            upper = Matrix.of(range(size), range(size), 1.0, (size + 1, size))
            lower = Matrix.of([size], [0], 1.0, (size + 1, 1))
            both = r.affine([(upper, top), (lower, divisor)], (size + 1,), kinds)
            halved = r.node(Node(Divide(), (both, first), (size + 1,), kinds, None, span))
            top = r.affine([(Matrix(upper.csr.T), halved)], r[top].shape, kinds)
            divisor = r.affine([(Matrix(lower.csr.T), halved)], (), kinds)
        quotient = r.node(Node(Divide(again=high / low > wide), (top, divisor), shape, kinds, None, span))
        return r.affine([(Matrix.identity(node.size, scale), quotient)], shape, kinds, 0.0, node.name, span)

    return rebuild(graph, visit)


def _divisors(graph: Graph, ranges: Ranges) -> dict[Value, tuple[float, float]]:
    """The smallest and the largest magnitude of each divisor of one sign."""
    found = {}
    for value in graph.values():
        if isinstance(graph[value].op, Divide):
            low, high = (float(end[0]) for end in ranges.tight(graph[value].operands[1]))
            if low * high > 0.0:
                found[value] = min(abs(low), abs(high)), max(abs(low), abs(high))
    return found
