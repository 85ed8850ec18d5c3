"""Divisions by a curve: for precisions whose numbers do not reach from a norm that divides to what it divides.

    before          after
    q = a / s       r = 1/s         a fitted function (fit_geometric.py): s has one sign
                    q = a r

A division by the norm costs no neurons and half a layer less, and makes constants of the square of all that divisors
reach over (norms.py); a curve is as large as what it computes.
"""

from __future__ import annotations

from innerloop.artifact.sparse import Matrix

from ..ir.bilinear import Bilinear
from ..ir.graph import Divide, Function, Graph, Node, Value
from .rewriter import Rewriter, rebuild


def divide_by_curves(graph: Graph) -> Graph:
    """The graph without divisions, but for those in reads."""

    def visit(r: Rewriter, _: Value, node: Node) -> Value:
        if not isinstance(node.op, Divide):
            return r.node(node)
        top, bottom = node.operands
        size, divisors = node.size, r[bottom].size
        one_over = r.node(Node(Function("reciprocal"), (bottom,), r[bottom].shape, node.kinds, None, node.span))
        by = range(size) if divisors > 1 else [0] * size
        product = r.product(Bilinear(range(size), range(size), by, 1.0, size, (size, divisors)), top, one_over,
                            node.kinds, "bilinear", node.span)  # fmt: skip
        return r.affine([(Matrix.identity(size), product)], node.shape, node.kinds, 0.0, node.name, node.span)

    return rebuild(graph, visit)
