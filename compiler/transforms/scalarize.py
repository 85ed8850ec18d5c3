"""Operations on several components of one token, in terms of those that neurons and norms do.

    a / b, b a vector      r = 1/b, component by component       a fitted function (fit_geometric.py)
                           a ∘ r
    softmax(v)             m = the largest of v                  max(a, b) = b + relu(a − b), in ⌈log₂ n⌉ rounds
                           e = exp(v − m)                        in (0, 1], and exactly 0 far below
                           e / sum(e)                            by the norm: the divisor is in [1, n]
    … of two, x = v₀ − v₁  ½ + sigmoid(−relu(−x)) − sigmoid(−relu(x)), and its complement

Components of b that are one form are one 1/b; where all of them are, the norm divides. An error of m is a shift
of all scores, and cancels.
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.arrays import Indices
from innerloop.artifact.sparse import Matrix

from ..ir.bilinear import Bilinear
from ..ir.graph import (
    Affine,
    Divide,
    Function,
    Graph,
    Node,
    Softmax,
    Value,
)
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, rebuild


def components(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """The graph without softmax over components, and without divisors of several components."""

    def visit(r: Rewriter, _: Value, node: Node) -> Value:
        if isinstance(node.op, Softmax):
            return _softmax(r, node)
        if isinstance(node.op, Divide) and r[node.operands[1]].size > 1:
            return _divided(r, node)
        return r.node(node)

    return rebuild(graph, visit, laws)


# Divisors ----------------------------------------------------------------------------------------


def _divided(r: Rewriter, node: Node) -> Value:
    top, bottom = node.operands
    size = r[bottom].size
    which, first = _distinct(r[bottom])
    shape = () if first.size == 1 else (first.size,)
    divisor = r.affine([(Matrix.of(range(first.size), first, 1.0, (first.size, size)), bottom)], shape, node.kinds)
    if first.size == 1:
        return r.node(Node(Divide(), (top, divisor), node.shape, node.kinds, node.name, node.span))
    one_over = r.node(Node(Function("reciprocal"), (divisor,), shape, node.kinds, None, node.span))
    form = Bilinear(range(size), range(size), which, 1.0, size, (size, first.size))
    product = r.product(form, top, one_over, node.kinds, "bilinear", node.span)
    return r.affine([(Matrix.identity(size), product)], node.shape, node.kinds, 0.0, node.name, node.span)


def _distinct(node: Node) -> tuple[Indices, Indices]:
    """Which of the components that differ each component is, and where each of those comes first."""
    if not isinstance(node.op, Affine):
        return np.arange(node.size), np.arange(node.size)
    found: dict[bytes, int] = {}
    which = np.empty(node.size, dtype=np.int64)
    for i in range(node.size):
        rows = [m.csr[[i]].toarray() for m in node.op.matrices]
        key = b"".join([np.float64(node.op.offset.array.ravel()[i]).tobytes(), *(row.tobytes() for row in rows)])
        which[i] = found.setdefault(key, len(found))
    return which, np.unique(which, return_index=True)[1].astype(np.int64)


# Softmax -----------------------------------------------------------------------------------------


def _softmax(r: Rewriter, node: Node) -> Value:
    (scores,) = node.operands
    if node.size == 1:
        return r.affine([], node.shape, node.kinds, 1.0, node.name, node.span)
    if node.size == 2:
        return _of_two(r, node, scores)
    most, one = _largest(r, node, scores), Matrix.identity(node.size)
    below = r.affine([(one, scores), (_stretch(node.size) * -1.0, most)], node.shape, node.kinds, 0.0, None, node.span)
    weights = r.node(Node(Function("exp"), (below,), node.shape, node.kinds, None, node.span))
    total = r.affine([(Matrix(_stretch(node.size).csr.T), weights)], (), node.kinds, 0.0, None, node.span)
    return r.node(Node(Divide(), (weights, total), node.shape, node.kinds, node.name, node.span))


def _of_two(r: Rewriter, node: Node, scores: Value) -> Value:
    difference = Matrix.of([0, 0], [0, 1], [1.0, -1.0], (1, 2))
    apart = r.affine([(difference, scores)], (), node.kinds, 0.0, None, node.span)
    both = Matrix.of([0, 1], [0, 0], [1.0, -1.0], (2, 1))
    signed = r.affine([(both, apart)], (2,), node.kinds, 0.0, None, node.span)
    over = r.node(Node(Function("relu"), (signed,), (2,), node.kinds, None, node.span))
    under = r.affine([(Matrix.identity(2, -1.0), over)], (2,), node.kinds, 0.0, None, node.span)
    each = r.node(Node(Function("sigmoid"), (under,), (2,), node.kinds, None, node.span))
    halves = Matrix.of([0, 0, 1, 1], [0, 1, 0, 1], [-1.0, 1.0, 1.0, -1.0], (2, 2))
    return r.affine([(halves, each)], node.shape, node.kinds, 0.5, node.name, node.span)


def _largest(r: Rewriter, node: Node, scores: Value) -> Value:
    """The largest component, by rounds of pairs."""
    left = scores
    while (size := r[left].size) > 1:
        half, odd = size // 2, size % 2
        first, second = np.arange(half), half + np.arange(half)
        apart = Matrix.of([*first, *first], [*first, *second], np.repeat([1.0, -1.0], half), (half, size))
        ahead = r.node(
            Node(
                Function("relu"),
                (r.affine([(apart, left)], (half,), node.kinds, 0.0, None, node.span),),
                (half,), node.kinds, None, node.span,
            )
        )  # fmt: skip
        kept = Matrix.of(np.arange(half + odd), half + np.arange(half + odd), 1.0, (half + odd, size))
        won = Matrix.of(first, first, 1.0, (half + odd, half))
        left = r.affine([(kept, left), (won, ahead)], (half + odd,), node.kinds, 0.0, None, node.span)
    return left


def _stretch(size: int) -> Matrix:
    """[size, 1]: one number at every component."""
    return Matrix.of(range(size), [0] * size, 1.0, (size, 1))
