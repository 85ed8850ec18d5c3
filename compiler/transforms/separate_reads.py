"""Separation: every read becomes a gather of something computed where it is read, or heads of linear
attention; and every product that a loop could do in one layer is done in one.

    before                                                  after (S and b stand in front of the loop)
    repeat 10                                               v = u ⊗ u, y · u                at y
        g = mean[y]((dot(w, u[j]) − y[j]) · u[j])           S, b = gather mean y of v
        w = w − rate · g                                    repeat 10
                                                                g = S @ w − b
                                                                w = w − rate · g

Reads: expand the body to Σₖ mineₖ · theirsₖ, monomials in the components of what is held here and
there; the theirsₖ are computed at the token that is read, gathered by one uniform head, and met by
the mineₖ here. No gathered monomial mixes; so the gather does not change in a loop, and moves out. Or the
body is factored into heads, Σ (query · key[j]) value[j], which take no layer but their own (factor_heads.py). A softmax
gathers what is theirs of its value by a head of its own score (softmax_reads.py).

Loops: a value that is linear in what changes, Σₖ changingₖ · fixedₖ, takes one layer of products a
pass once the fixedₖ are computed in front: uᵀ(P u) = ⟨P, u uᵀ⟩, (w·u − y) u = (u uᵀ) w − y u.

Divisions: (a ∘ b) / s = a ∘ (b / s) where the product would have to wait for its operands anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from innerloop.artifact.sparse import Matrix

from ..ir.bilinear import Bilinear
from ..ir.critical_path import following, levels
from ..ir.graph import (
    SCORED,
    Affine,
    Attend,
    Block,
    Divide,
    Gather,
    Graph,
    Loop,
    Mine,
    Node,
    Op,
    Phi,
    Product,
    Read,
    Theirs,
    Value,
)
from .algebra.polynomial import MOST, Monomial, Polynomial, add, build, expand, leaves, multiplied, split, sums
from .canonicalize import ALL_LAWS, Laws
from .factor_heads import Head, factor
from .rewriter import Rewriter, rebuild
from .softmax_reads import dimensions


def separate_reads(graph: Graph, attends: Callable[[Read], bool] = lambda _: False, laws: Laws = ALL_LAWS) -> Graph:
    """Every mean and sum whose body mixes mine and theirs, as gathers of theirs met by mine; those that `attends` is
    true of, as heads of linear attention; and every read that weighs by exp(score) as a head of its score.

    Raises CompileError where a body is no polynomial, with the place.
    """

    def visit(r: Rewriter, _: Value, node: Node) -> Value:
        if not isinstance(node.op, Read):
            return r.node(node)
        heads = node.op.how not in SCORED and attends(node.op)
        return _attend(r, node, graph) if heads else _separate(r, node, graph)

    return rebuild(graph, visit, laws)


def _expanded(node: Node, graph: Graph, ordered: bool) -> list[list[Polynomial]]:
    """The components of the body's results as polynomials; its leaves are told apart by sign: mine are −1, −2, …,
    theirs 0, 1, …."""
    read = node.op
    assert isinstance(read, Read)
    known: dict[Value, list[Polynomial]] = {}
    for value in read.body.block:
        inner = read.body[value]
        if isinstance(inner.op, Mine | Theirs):
            known[value] = leaves(-1 - inner.op.index if isinstance(inner.op, Mine) else inner.op.index, inner.size)
            continue
        polynomial = expand(inner, known.__getitem__, ordered=ordered)
        if polynomial is None:
            message = "no attention head computes this read: mine and theirs are not combined by + − and products alone"
            hint = None
            if isinstance(inner.op, Product):  # of polynomials, then: of too many terms
                terms = multiplied(inner.op.form, *(known[operand] for operand in inner.operands))
                message = f"this read has {terms:,} products of numbers, mine and theirs; {MOST:,} at most are compiled"
                hint = "give its vectors and matrices smaller sizes"
            raise graph.signature.refusal(message, node.span, hint)
        known[value] = polynomial
    return [known[result] for result in read.body.results]


def _named(node: Node, monomials: Iterable[Monomial]) -> list[Monomial]:
    """Monomials in the leaves of a body as monomials in the read's operands."""
    assert isinstance(node.op, Read)
    mine = node.op.mine
    return [tuple((node.operands[-1 - v if v < 0 else mine + v], i) for v, i in m) for m in monomials]


def _in_operands(node: Node, polynomial: Polynomial) -> Polynomial:
    """The same of a polynomial: operands may have become equal."""
    total: Polynomial = {}
    for monomial, c in zip(_named(node, polynomial), polynomial.values(), strict=True):
        add(total, {monomial: c}, 1.0)
    return total


def _attend(r: Rewriter, node: Node, graph: Graph) -> Value:
    read = node.op
    assert isinstance(read, Read)
    (body,) = _expanded(node, graph, ordered=True)
    found = factor(body)
    over = frozenset({read.over})
    ours = build(r, _named(node, found.mine), node.kinds)
    keys, values = (build(r, _named(node, m), over) for m in (found.keys, found.values))

    def attended(head: Head) -> tuple[Matrix, Value]:
        query = r.affine([(head.query, ours)], (head.query.shape[0],), node.kinds)
        key, value = (r.affine([(m, v)], (m.shape[0],), over) for m, v in ((head.key, keys), (head.value, values)))
        op = Attend(read.how, read.over)
        return head.out, r.node(Node(op, (query, key, value), (head.value.shape[0],), node.kinds, None, node.span))

    return r.affine([attended(h) for h in found.heads], node.shape, node.kinds, 0.0, node.name, node.span)


def _separate(r: Rewriter, node: Node, graph: Graph) -> Value:
    read = node.op
    assert isinstance(read, Read)
    *score, body = _expanded(node, graph, ordered=False)
    mine, theirs, terms = split(body, lambda leaf: leaf[0] < 0)
    over = frozenset({read.over})
    ours = build(r, _named(node, mine), node.kinds, node.span)
    at_theirs = build(r, _named(node, theirs), over, node.span)
    scored = dimensions(score[0][0], read.how == "exp") if score else []
    if scored:
        query, key = (
            sums(r, [_in_operands(node, p) for p in side], kinds, node.span)
            for side, kinds in zip(zip(*scored, strict=True), (node.kinds, over), strict=True)
        )
        op: Op = Attend(read.how, read.over)
        operands: tuple[Value, ...] = (query, key, at_theirs)
    else:
        how = {"softmax": "mean", "exp": "sum"}.get(read.how, read.how)  # of a score that is 0
        op, operands = Gather(how, read.over), (at_theirs,)
    gathered = r.node(Node(op, operands, (len(theirs),), node.kinds, None, node.span))
    return _combine(r, node, ours, gathered, terms, (len(mine), len(theirs)), bare=mine.get(()))


def _combine(
    r: Rewriter,
    node: Node,
    ours: Value,
    others: Value,
    terms: list[tuple[int, int, int, float]],
    sizes: tuple[int, int],
    bare: int | None,
) -> Value:
    """Σ c · ours · others, where ours[bare] is the number 1."""
    size = node.size
    alone = [(out, b, c) for out, a, b, c in terms if a == bare]
    mixed = [(out, a, b, c) for out, a, b, c in terms if a != bare]
    parts: list[tuple[Matrix, Value]] = []
    if alone:
        out, column, value = zip(*alone, strict=True)
        parts.append((Matrix.of(out, column, value, (size, sizes[1])), others))
    if mixed:
        out, left, right, value = zip(*mixed, strict=True)
        product = r.product(Bilinear(out, left, right, value, size, sizes), ours, others, node.kinds, span=node.span)
        parts.append((Matrix.identity(size), product))
    return r.affine(parts, node.shape, node.kinds, 0.0, node.name, node.span)


# Loops -------------------------------------------------------------------------------------------


@dataclass
class _Loops:
    """What changes in the innermost loop around each value."""

    changing: set[Value] = field(default_factory=set)

    def of(self, graph: Graph, block: Block, inside: bool) -> None:
        for item in block:
            if isinstance(item, Loop):
                self.changing.update(c.phi for c in item.carried)
                self.of(graph, item.body, True)
            elif inside and any(o in self.changing for o in graph[item].operands):
                self.changing.add(item)


def invariant(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """In loops, deep products that are linear in what changes: one layer a pass, the rest in front of the loop."""
    loops = _Loops()
    loops.of(graph, graph.block, False)
    level = levels(graph)
    known: dict[Value, list[Polynomial] | None] = {}

    def polynomial(value: Value) -> list[Polynomial] | None:
        if value not in known:
            node = graph[value]
            inside = value in loops.changing and not isinstance(node.op, Phi)
            result = expand(node, polynomial) if inside and isinstance(node.op, Affine | Product) else None
            if result is not None and not all(_linear(p, loops.changing) for p in result):
                result = None
            known[value] = result if result is not None else leaves(value, node.size)
        return known[value]

    names: dict[Value, Value] = {}

    def visit(r: Rewriter, old: Value, node: Node) -> Value:
        if not isinstance(node.op, Product) or old not in loops.changing:
            return r.node(node)
        terms = polynomial(old)
        assert terms is not None
        used = {leaf for p in terms for m in p for leaf, _ in m}
        ready = max((level[v] for v in used if v in loops.changing), default=-1)
        if used == {old} or following(ready, attention=False) >= level[old]:
            return r.node(node)
        changing, fixed, parts = split(terms, lambda leaf: leaf[0] in loops.changing)
        ours = build(r, [tuple((names[v], i) for v, i in m) for m in changing], node.kinds)
        others = build(r, [tuple((names[v], i) for v, i in m) for m in fixed], node.kinds)
        return _combine(r, node, ours, others, parts, (len(changing), len(fixed)), changing.get(()))

    return rebuild(graph, visit, laws, names)


def _linear(polynomial: Polynomial, changing: set[Value]) -> bool:
    return all(sum(value in changing for value, _ in m) <= 1 for m in polynomial)


# Divisions ---------------------------------------------------------------------------------------


def divide_factor(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """(a ∘ b) / s = a ∘ (b / s), s a scalar, where a ∘ b is ready later than s: the division does not wait for the
    product."""
    level = levels(graph)

    def visit(r: Rewriter, old: Value, node: Node) -> Value:
        if not isinstance(node.op, Divide) or graph[graph[old].operands[1]].size != 1:
            return r.node(node)
        top, bottom = graph[old].operands
        linear, product = _strip(r, node.operands[0])
        if product is None or level[top] <= level[bottom]:
            return r.node(node)
        form = r[product].op
        assert isinstance(form, Product)
        stripped = [_strip_map(r, o) for o in r[product].operands]
        index = 0 if r[stripped[0][1]].size <= r[stripped[1][1]].size else 1
        inner = r[stripped[index][1]]
        divided = r.node(
            Node(Divide(), (stripped[index][1], node.operands[1]), inner.shape, node.kinds, None, node.span)
        )
        factor = r.affine([(stripped[index][0], divided)], (r[r[product].operands[index]].size,), node.kinds)
        pair = [r[product].operands[0], r[product].operands[1]]
        pair[index] = factor
        again = r.product(form.form, pair[0], pair[1], node.kinds, form.keyword, node.span)
        return r.affine([(linear, again)], node.shape, node.kinds, 0.0, node.name, node.span)

    return rebuild(graph, visit, laws)


def _strip(r: Rewriter, value: Value) -> tuple[Matrix, Value | None]:
    """value = matrix @ product, if it is."""
    matrix, inner = _strip_map(r, value)
    return matrix, inner if isinstance(r[inner].op, Product) else None


def _strip_map(r: Rewriter, value: Value) -> tuple[Matrix, Value]:
    """value = matrix @ inner, through one homogeneous affine map of one operand."""
    op = r[value].op
    if isinstance(op, Affine) and len(op.matrices) == 1 and not np.any(op.offset.array):
        return op.matrices[0], r[value].operands[0]
    return Matrix.identity(r[value].size), value
