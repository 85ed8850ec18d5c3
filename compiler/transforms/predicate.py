"""Comparisons, and products with them, become what a comparison keeps.

    before                                  after
    %1 = positive(x)                        keep(1, where x > 0)
    %2 = mul(ones @ %1, v)                  keep(v, where x > 0)
    %3 = dot(y ∘ %1, v)                     sum(keep(y ∘ v, where x > 0))
    sign(x)                                 keep(1, where x > 0) − keep(1, where −x > 0)
    relu(x)                                 keep(x, where x > 0), where that saves layers: `keep_positive`

A head does it exactly (attention_gates.py), where a product of neurons would round. It takes an attention sublayer of
what is kept, too, so that a value that comes late may be better multiplied; pipeline.py tries both.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from innerloop.artifact.sparse import Matrix

from ..ir.bilinear import Bilinear
from ..ir.graph import Affine, Function, Graph, Keep, Node, Product, Value
from ..numerics.functions import POINTWISE
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, rebuild

RELU = Function("relu")


def compares(graph: Graph) -> bool:
    """Whether it holds a comparison."""
    ops = (graph[v].op for v in graph.values())
    return any(isinstance(op, Function) and POINTWISE[op.name].compares for op in ops)


def bends(graph: Graph) -> bool:
    """Whether it holds a relu."""
    return any(graph[v].op == RELU for v in graph.values())


def keep_positive(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """The graph without relu: a comparison keeps what is positive."""

    def visit(r: Rewriter, _: Value, node: Node) -> Value:
        if node.op != RELU:
            return r.node(node)
        return r.node(replace(node, op=Keep(True, tuple(range(node.size))), operands=node.operands * 2))

    return rebuild(graph, visit, laws)


def keep_compared(graph: Graph, products: bool = True, laws: Laws = ALL_LAWS) -> Graph:
    """The graph without comparisons; with `products`, what is multiplied by one is kept by it instead."""
    if not compares(graph):
        return graph

    def visit(r: Rewriter, _: Value, node: Node) -> Value:
        if isinstance(node.op, Function) and POINTWISE[node.op.name].compares:
            return _compared(r, node, node.op.name)
        found = _multiplied(r, node) if products and isinstance(node.op, Product) else None
        return r.node(node) if found is None else found

    return rebuild(graph, visit, laws)


def _compared(r: Rewriter, node: Node, name: str) -> Value:
    (x,), n, kinds = node.operands, node.size, node.kinds
    one = r.constant(np.ones(node.shape), kinds)
    op = Keep(name != "nonnegative", tuple(range(n)))
    if name != "sign":
        return r.node(replace(node, op=op, operands=(x, one)))
    minus = r.affine([(Matrix.identity(n, -1.0), x)], node.shape, kinds, span=node.span)
    above, below = (r.node(replace(node, op=op, operands=(side, one), name=None)) for side in (x, minus))
    terms = [(Matrix.identity(n), above), (Matrix.identity(n, -1.0), below)]
    return r.affine(terms, node.shape, kinds, 0.0, node.name, node.span)


def _multiplied(r: Rewriter, node: Node) -> Value | None:
    """The product, where one factor is a sum of what comparisons keep and a constant: Σ keep(a) · b = Σ keep(a · b).
    None where no factor is, or where one would keep more than is multiplied."""
    assert isinstance(node.op, Product)
    form = node.op.form
    for bilinear, (mine, other) in ((form, node.operands), (form.swapped, node.operands[::-1])):
        terms = _kept(r, mine)
        if terms is None:
            continue
        parts = [_part(bilinear, matrix) for matrix, _ in terms]
        products = len(set(zip(form.left.tolist(), form.right.tolist(), strict=True)))
        if any(len(pairs) > products for pairs, _ in parts):
            continue
        total = []
        for (_, kept), (pairs, gather) in zip(terms, parts, strict=True):
            if not pairs:
                continue
            component, right = (np.array(k, dtype=np.int64) for k in zip(*pairs, strict=True))
            x, value = r[kept].operands
            op, size = r[kept].op, len(pairs)
            assert isinstance(op, Keep)
            each = Bilinear(np.arange(size), component, right, 1.0, size, (r[kept].size, bilinear.sizes[1]))
            inner = Node(Product("bilinear", each), (value, other), (size,), node.kinds, None, node.span)
            inside = _multiplied(r, inner)
            inside = r.node(inner) if inside is None else inside
            which = tuple(op.which[c] for c in component.tolist())
            total.append(
                (gather, r.node(Node(Keep(op.strict, which), (x, inside), (size,), node.kinds, None, node.span)))
            )
        constant = r[mine].op
        if isinstance(constant, Affine) and np.any(constant.offset.array):
            numbers = bilinear.coefficient * constant.offset.array[bilinear.left]
            total.append((Matrix.of(bilinear.out, bilinear.right, numbers, (bilinear.size, bilinear.sizes[1])), other))
        return r.affine(total, node.shape, node.kinds, 0.0, node.name, node.span)
    return None


def _kept(r: Rewriter, value: Value) -> list[tuple[Matrix, Value]] | None:
    """The terms of a sum of what comparisons keep, and a constant; None of another sum."""
    node = r[value]
    if isinstance(node.op, Keep):
        return [(Matrix.identity(node.size), value)]
    if not isinstance(node.op, Affine) or not all(isinstance(r[o].op, Keep) for o in node.operands):
        return None
    return list(zip(node.op.matrices, node.operands, strict=True))


def _part(form: Bilinear, matrix: Matrix) -> tuple[list[tuple[int, int]], Matrix]:
    """form(matrix a, b) as a map of distinct products a_i b_j: their (i, j), and the map."""
    rows = matrix.csr[form.left].tocoo()
    number: dict[tuple[int, int], int] = {}
    pairs = zip(rows.col.tolist(), form.right[rows.row].tolist(), strict=True)
    index = [number.setdefault(pair, len(number)) for pair in pairs]
    coefficient = form.coefficient[rows.row] * rows.data
    return list(number), Matrix.of(form.out[rows.row], index, coefficient, (form.size, len(number)))
