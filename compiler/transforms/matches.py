"""Ratios of counts of matching tokens: one softmax head, and neither products nor a division.

    before   Σⱼ m_ij vⱼ / Σⱼ m_ij      m_ij = Πᵣ dot(aᵣ, bᵣ[j]) of k one-hot codes: 1 where all of them agree, else 0
    after    softmax[j](β Σᵣ dot(aᵣ, bᵣ[j]), vⱼ), the rest token beside them with the logit βk + log c

Of k codes that agree the score is βk, and of fewer at most β (k − 1). So those that match share alike, each other token
has e^(−β) of a match, and where none matches all goes to the rest token, which holds 0. c is the rest token's weight
beside matches of weight 1. With priors,

    (Σⱼ m_ij vⱼ + p) / (Σⱼ m_ij + c)  =  r + (p / c) (1 − s)     r, s = Σⱼ m_ij (vⱼ, 1) / (Σⱼ m_ij + c)

Without, 0/0 is 0, and c may be whatever one match hides: ε, a quarter of a rounding. So it is for a smaller prior, too,
which is a rounding beside a match; but where p is larger such a prior stays a division, for 1 − s would have no digits.
Where none matches n others have n e^(−β) / c of the rest token's weight, and β is so large that this is at most ε, for
as many tokens as there can be: what the head makes of them is less than its rounding. A k-gram model so takes the layer
that looks k tokens back and the head that compares: arXiv 2508.07208.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.limits import MOST_TOKENS
from innerloop.artifact.precisions import UNIT
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..ir.graph import Affine, Attend, Divide, Field, Graph, Mine, Move, Node, Product, Read, Theirs, Value
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, rebuild

BETA = 40.0
"""A match more or less is a factor of e^40 at least: what does not match has less than 1e-17 of what does."""

Pairs = frozenset[tuple[Value, Value]]
"""Codes that have to agree: mine, and theirs."""


@dataclass(frozen=True)
class _Matched:
    """A read Σⱼ m_ij vⱼ: over which kind, which codes agree, and v; None for 1."""

    over: str
    pairs: Pairs
    value: Value | None


def matches(graph: Graph, laws: Laws = ALL_LAWS, dtype: Dtype = "float32") -> Graph:
    """The graph with such ratios as heads, of weights of this precision."""
    small = UNIT[dtype] / 4.0
    found = {value: ratio for value in graph.values() if (ratio := _ratio(graph, value, small)) is not None}
    names: dict[Value, Value] = {}

    def visit(r: Rewriter, old: Value, node: Node) -> Value:
        return r.node(node) if old not in found else _head(r, graph, found[old], names, node, small)

    return rebuild(graph, visit, laws, names) if found else graph


@dataclass(frozen=True)
class _Ratio:
    """(Σ matrices[v] · Σⱼ m_ij vⱼ + offset) / (scale Σⱼ m_ij + prior)."""

    over: str
    pairs: Pairs
    matrices: Mapping[Value | None, Matrix]
    offset: Floats
    scale: float
    prior: float


def _ratio(graph: Graph, value: Value, small: float) -> _Ratio | None:
    node = graph[value]
    if not isinstance(node.op, Divide):
        return None
    top, below = (_linear(graph, operand) for operand in node.operands)
    if top is None or below is None or graph[node.operands[1]].size != 1:
        return None
    keys = {(matched.over, matched.pairs) for matched in (*top[0], *below[0])}
    if len(keys) != 1:
        return None
    ((over, pairs),) = keys
    scale, prior = 0.0, float(below[1][0])
    for matched, matrix in below[0].items():
        weights = _dense(matrix)[0]
        if not (weights == weights[0]).all() or (matched.value is not None and not _onehot(graph, matched.value)):
            return None  # of each that matches the divisor must count the same
        scale += float(weights[0])
    if scale <= 0.0 or prior < 0.0 or (prior < small * scale and np.abs(top[1]).max() > prior):
        return None
    return _Ratio(over, pairs, {m.value: matrix for m, matrix in top[0].items()}, top[1], scale, prior)


def _linear(graph: Graph, value: Value) -> tuple[dict[_Matched, Matrix], Floats] | None:
    """A value as a linear function of such reads, and an offset."""
    node = graph[value]
    if (matched := _matched(graph, node)) is not None:
        return {matched: Matrix.identity(node.size)}, np.zeros(node.size)
    if not isinstance(node.op, Affine):
        return None
    total: dict[_Matched, Matrix] = {}
    offset = node.op.offset.array.astype(np.float64).ravel().copy()
    for matrix, operand in zip(node.op.matrices, node.operands, strict=True):
        inner = _linear(graph, operand)
        if inner is None:
            return None
        for matched, of in inner[0].items():
            made = matrix @ of
            total[matched] = total[matched] + made if matched in total else made
        offset += matrix.apply(inner[1])
    return total, offset


def _matched(graph: Graph, node: Node) -> _Matched | None:
    """A sum whose body is a product of dots of codes, and of one leaf of theirs at most."""
    if not isinstance(node.op, Read) or node.op.how != "sum":
        return None
    read, pairs, values = node.op, set[tuple[Value, Value]](), list[Value]()
    mine, theirs = node.operands[: read.mine], node.operands[read.mine :]
    stack = [read.body.results[0]]
    while stack:
        inner = read.body[stack.pop()]
        if isinstance(inner.op, Theirs):
            values.append(theirs[inner.op.index])
        elif isinstance(inner.op, Affine) and _stretches(inner.op):
            stack.append(inner.operands[0])
        elif isinstance(inner.op, Product) and inner.op.keyword == "mul":
            stack += inner.operands
        elif isinstance(inner.op, Product) and inner.op.keyword == "dot":
            a, b = sorted((read.body[o].op for o in inner.operands), key=lambda op: isinstance(op, Theirs))
            if not (isinstance(a, Mine) and isinstance(b, Theirs)):
                return None
            pairs.add((mine[a.index], theirs[b.index]))
        else:
            return None
    codes = {value for pair in pairs for value in pair}
    sized = not values or graph[values[0]].size == node.size
    if not pairs or len(values) > 1 or not sized or not all(_code(graph, value) for value in codes):
        return None
    return _Matched(read.over, frozenset(pairs), values[0] if values else None)


def _stretches(op: Affine) -> bool:
    """Whether it is a scalar at every component."""
    (first, *others) = op.matrices
    return not others and first.shape[1] == 1 and bool((_dense(first) == 1.0).all()) and not op.offset.array.any()


def _onehot(graph: Graph, value: Value) -> bool:
    """Whether exactly one component is 1 wherever the value lives, the others 0."""
    op = graph[value].op
    return isinstance(op, Field) and any(f.name == op.name and f.onehot for f in graph.signature.fields)


def _code(graph: Graph, value: Value) -> bool:
    """One-hot or all 0: a one-hot field, or such a code moved."""
    node = graph[value]
    return _onehot(graph, value) or (isinstance(node.op, Move) and _code(graph, node.operands[0]))


def _head(r: Rewriter, graph: Graph, ratio: _Ratio, names: dict[Value, Value], node: Node, small: float) -> Value:
    over, pairs = frozenset({ratio.over}), sorted(ratio.pairs)
    weight = max(ratio.prior / ratio.scale, small)
    beta = max(BETA, float(np.ceil(np.log(MOST_TOKENS / (weight * small)))))  # whole: logits of codes are then exact
    query = _joined(r, [names[a] for a, _ in pairs], node.kinds, beta)
    key = _joined(r, [names[b] for _, b in pairs], over)
    values = [v for v in ratio.matrices if v is not None]
    counted = bool(ratio.offset.any()) or set(ratio.matrices) <= {None}
    theirs = _joined(r, [names[v] for v in values], over, ones=int(counted))
    op = Attend("softmax", ratio.over, beta * len(pairs) + float(np.log(weight)))
    shares = r.node(Node(op, (query, key, theirs), r[theirs].shape, node.kinds, None, node.span))
    parts = [_dense(ratio.matrices[v]) / ratio.scale for v in values]
    offset = ratio.offset / ratio.prior if ratio.offset.any() else np.zeros(node.size)
    if counted:
        alone = _dense(ratio.matrices[None]) / ratio.scale if None in ratio.matrices else 0.0
        parts.append(alone - offset[:, None])
    matrix = Matrix(np.concatenate(parts, axis=1))
    return r.affine([(matrix, shares)], node.shape, node.kinds, offset, node.name, node.span)


def _joined(r: Rewriter, values: list[Value], kinds: Kinds, scale: float = 1.0, ones: int = 0) -> Value:
    """One after the other, times `scale`, and so many ones behind."""
    total = sum(r[value].size for value in values) + ones
    terms, place = [], 0
    for value in values:
        size = r[value].size
        at = np.arange(size)
        terms.append((Matrix.of(place + at, at, scale, (total, size)), value))
        place += size
    return r.affine(terms, (total,), kinds, np.append(np.zeros(place), np.ones(ones)))


def _dense(matrix: Matrix) -> Floats:
    return np.asarray(matrix.csr.toarray(), dtype=np.float64)
