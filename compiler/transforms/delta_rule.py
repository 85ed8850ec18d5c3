"""Scans that are the delta rule become heads that write a matrix and read it, where the target's layers do that.

    before                                             after
    w : vector[8] = 0                                  %1 = delta[j in y](dot(x, u[j]) y[j], rate 0.1)
    scan y up to 40
        w.1 = phi(w, w.2)
        w.2 = w.1 - 0.1 * (dot(w.1, u) - y) * u
    w.3 = final(w, w.2)
    %1 = dot(w.3, x)

Which scans are: match_delta_rule.py. What a program makes of what a scan leaves, S, is a head for each O S (Q q) that
it is a sum of: one for `W @ q` and `dot(w, x)`; for S itself one for each column. A move is a head, too, over a key of
1 at a rate of 1, which overwrites; but a key or value that was only moved comes through the head's short convolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, assert_never

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.parts import TAPS
from innerloop.artifact.sparse import Matrix, Values
from numpy.typing import NDArray

from ..ir.bilinear import Bilinear
from ..ir.graph import Affine, Constant, Delta, Graph, Loop, Move, Node, Product, Value
from ..ir.invariant import invariant
from ..ir.operation_classes import Local, Reads, Source, Structural
from .algebra.affine_scans import Points, refused, verify_affine
from .algebra.match_delta_rule import Rule, match
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, copy_block, copy_loop, prune, rebuild

MOST = 256
"""Heads that one product of what a scan leaves may take."""


def delta_rules(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """Raises CompileError, with the place, for a scan that is not the delta rule, or a move that no such head makes."""
    return prune(_moved(prune(_Scans(graph, Rewriter(laws)).run()), laws))


@dataclass(frozen=True)
class _Written:
    """What a head writes: operands of a `Delta` but for its query, and the components of S as they are carried."""

    op: Delta
    operands: tuple[Value, Value, Value, Value]
    columns: int
    order: Indices


@dataclass
class _Sum:
    """Σ matrix @ (what is carried) + `rest`, which is free of it."""

    terms: list[tuple[Matrix, _Written]]
    rest: Value | None = None


class _Scans:
    """`sums`: what values are of what scans have left."""

    def __init__(self, graph: Graph, r: Rewriter) -> None:
        self.graph, self.r = graph, r
        self.names: dict[Value, Value] = {}
        self.sums: dict[Value, _Sum] = {}

    def run(self) -> Graph:
        copy_block(self.r, self.graph, self.graph.block, self.names, self._node, self._loop)
        return self.r.finish(tuple(self.names[v] for v in self.graph.results), self.graph.signature)

    # Scans ----------------------------------------------------------------------------------------

    def _loop(self, r: Rewriter, graph: Graph, loop: Loop, names: dict[Value, Value]) -> None:
        if loop.kind is None:
            copy_loop(r, graph, loop, names, self._node, self._loop)
            return
        if loop.backwards:
            raise refused(graph, loop.span, "one goes backwards", "compile for llama or gpt2")
        verify_affine(graph, loop)
        for value in invariant(graph, loop.body, {c.phi for c in loop.carried}):
            node = graph[value]
            names[value] = self._node(r, value, replace(node, operands=tuple(names[o] for o in node.operands)))
        for c in loop.carried:
            start = r[names[c.initial]]
            if not isinstance(start.op, Constant):
                name = graph[c.phi].name
                why = f"one starts `{name}` from what tokens hold"
                raise refused(graph, loop.span, why, f"start `{name}` from a constant")
            points = Points(graph, loop, c)
            written = self._written(points, match(points), start.op.values.array)
            names[c.final] = self._whole(written, graph[c.final])

    def _written(self, points: Points, rule: Rule, start: Floats) -> _Written:
        at = frozenset({str(points.loop.kind)})

        def linear(numbers: Floats) -> Value:
            """An affine function of the leaves."""
            terms: list[tuple[Matrix, Value]] = []
            first, shape = 0, () if numbers.shape[1] == 1 else (numbers.shape[1],)
            for leaf in points.leaves:
                own = numbers[first : first + self.graph[leaf].size].T
                if own.any():
                    terms.append((Matrix(own), self.names[leaf]))
                first += own.shape[1]
            if not terms:
                return self.r.constant(numbers[-1].reshape(shape), at)
            return self.r.affine(terms, shape, at, numbers[-1])

        key = self.r.constant(np.ones(()), at) if rule.key is None else self.names[rule.key]
        begun = start.ravel()[rule.order].reshape(rule.rows, rule.columns)
        operands = (key, linear(rule.value), linear(rule.rate), linear(rule.forgotten))
        return _Written(Delta(at, Values(begun), rule.divisor), operands, rule.columns, rule.order)

    def _whole(self, written: _Written, node: Node) -> Value:
        """What a scan leaves as a value: a head for each column of S."""
        terms = []
        for column in range(written.columns):
            query = np.zeros(written.columns)
            query[column] = 1.0
            asked = self.r.constant(query if written.columns > 1 else query[0], node.kinds)
            to = written.order.reshape(-1, written.columns)[:, column]
            place = Matrix.of(to, np.arange(to.size), np.ones(to.size), (node.size, to.size))
            terms.append((place, self._head(written, asked, node)))
        value = self.r.affine(terms, node.shape, node.kinds, 0.0, node.name, node.span)
        self.sums[value] = _Sum([(Matrix.identity(node.size), written)])
        return value

    def _head(self, written: _Written, query: Value, node: Node) -> Value:
        size = len(written.op.start.array)
        shape = () if size == 1 else (size,)
        return self.r.node(Node(written.op, (query, *written.operands), shape, node.kinds, None, node.span))

    # What is made of what scans leave ---------------------------------------------------------------

    def _node(self, r: Rewriter, _: Value, node: Node) -> Value:
        held = [r[o].op for o in node.operands]
        if isinstance(node.op, Move) and isinstance(held[0], Constant) and not held[0].values.array.any():
            return r.constant(np.zeros(node.shape), node.kinds)
        carried = [self.sums.get(o) for o in node.operands]
        if isinstance(node.op, Affine) and any(carried):
            value = r.node(node)
            self.sums.setdefault(value, self._sum(node, node.op, carried))
            return value
        if isinstance(node.op, Product) and any(carried):
            if all(carried):
                raise refused(self.graph, node.span, "program multiplies what scans have left by each other")
            return self._product(node, node.op.form, carried)
        return r.node(node)

    def _sum(self, node: Node, op: Affine, carried: list[_Sum | None]) -> _Sum:
        found, rest = _Sum([]), list[tuple[Matrix, Value]]()
        for matrix, operand, sums in zip(op.matrices, node.operands, carried, strict=True):
            if sums is None:
                rest.append((matrix, operand))
                continue
            found.terms += [(matrix @ own, written) for own, written in sums.terms]
            if sums.rest is not None:
                rest.append((matrix, sums.rest))
        if rest or op.offset.array.any():
            found.rest = self.r.affine(rest, node.shape, node.kinds, op.offset.array)
        return found

    def _product(self, node: Node, form: Bilinear, carried: list[_Sum | None]) -> Value:
        """Bilinear in what is carried and in the other factor: a sum of O S (Q q)."""
        side = 0 if carried[0] is not None else 1
        sums, other = carried[side], node.operands[1 - side]
        assert sums is not None
        mine, theirs = (form.left, form.right) if side == 0 else (form.right, form.left)
        terms: list[tuple[Matrix, Value]] = []
        for matrix, written in sums.terms:
            reads = _reads(node, (form.out, mine, theirs, form.coefficient), matrix, written, self.r[other].size)
            if reads is None:
                why = f"program asks for more than {MOST} products of a column of what a scan leaves"
                raise refused(self.graph, node.span, why)
            for out, query in reads:
                shape = () if written.columns == 1 else (written.columns,)
                asked = self.r.affine([(query, other)], shape, node.kinds)
                terms.append((out, self._head(written, asked, node)))
        if sums.rest is not None:
            operands = (sums.rest, other) if side == 0 else (other, sums.rest)
            terms.append((Matrix.identity(node.size), self.r.node(replace(node, operands=operands, name=None))))
        return self.r.affine(terms, node.shape, node.kinds, 0.0, node.name, node.span)


def _reads(
    node: Node, entries: tuple[NDArray[Any], ...], matrix: Matrix, written: _Written, size: int
) -> list[tuple[Matrix, Matrix]] | None:
    """Matrices O [node's size, rows] and Q [columns, size] of the fewest heads: Σ O S Q q is the product, whose entries
    are numbers of the result, of `matrix` @ (what is carried) and of q, and coefficients. None for too many."""
    columns = written.columns
    rows = len(written.order) // columns
    place = np.empty(len(written.order), np.int64)
    place[written.order] = np.arange(place.size)
    of = matrix.csr
    asked: dict[tuple[int, int], dict[tuple[int, int], float]] = {}
    for out, mine, theirs, c in zip(*(e.tolist() for e in entries), strict=True):
        for at in range(of.indptr[mine], of.indptr[mine + 1]):
            row, column = divmod(int(place[of.indices[at]]), columns)
            query = asked.setdefault((out, row), {})
            query[column, theirs] = query.get((column, theirs), 0.0) + c * float(of.data[at])
    known: dict[tuple[tuple[tuple[int, int], float], ...], list[tuple[int, int, float]]] = {}
    for (out, row), query in asked.items():
        items = sorted(query.items())
        first = items[0][1]
        known.setdefault(tuple((k, x / first) for k, x in items), []).append((out, row, first))
    if len(known) > MOST:
        return None
    queries, outs = np.zeros((len(known), columns, size)), np.zeros((len(known), node.size, rows))
    for number, (shares, places) in enumerate(known.items()):
        for (column, theirs), x in shares:
            queries[number, column, theirs] = x
        for out, row, x in places:
            outs[number, out, row] = x
    return [(Matrix(o), Matrix(q)) for o, q in _fewest(outs, queries)]


def _fewest(outs: Floats, queries: Floats) -> Iterator[tuple[Floats, Floats]]:
    """The same sum of as few pairs as there are queries that no others make."""
    flat = queries.reshape(len(queries), -1)
    if len(flat) > 1:
        from scipy.linalg import qr  # which programs without a delta rule need not load

        decomposed: Any = qr(flat.T, mode="economic", pivoting=True)
        _, r, order = decomposed
        size = np.abs(np.diag(r))
        rank = int(np.sum(size > 1e-12 * size[0]))
        if rank < len(flat):
            kept = np.sort(order[:rank])
            shares = np.linalg.lstsq(flat[kept].T, flat.T, rcond=None)[0]
            shares[np.abs(shares) < 1e-12] = 0.0
            outs = np.einsum("kn,nor->kor", shares, outs)
            queries = queries[kept]
    yield from zip(outs, queries, strict=True)


# Moves -------------------------------------------------------------------------------------------


def _moved(graph: Graph, laws: Laws) -> Graph:
    """Moves as heads, and keys and values that were moved as taps."""
    back: dict[Value, tuple[Value, int]] = {}

    def visit(r: Rewriter, _: Value, node: Node) -> Value:
        match node.op:
            case Move():
                value = _copy(r, graph, node, node.op)
                if node.op.source == "previous" and node.op.kind is None:
                    back[value] = (node.operands[0], node.op.back)
                return value
            case Affine((matrix,), offset) if node.operands[0] in back and not offset.array.any():
                value, (base, steps) = r.node(node), back[node.operands[0]]
                if value not in back:
                    back[value] = (r.affine([(matrix, base)], node.shape, r[base].kinds), steps)
                return value
            case Delta(_, _, _, (0, 0)):
                query, key, value, *gates = node.operands
                (key, far), (value, farther) = back.get(key, (key, 0)), back.get(value, (value, 0))
                op = replace(node.op, back=(far, farther))
                return r.node(replace(node, op=op, operands=(query, key, value, *gates)))
            case Source() | Local() | Reads() | Structural():
                return r.node(node)
            case other:
                assert_never(other)

    return rebuild(graph, visit, laws)


def _copy(r: Rewriter, graph: Graph, node: Node, op: Move) -> Value:
    """A head that each token it may be read from overwrites."""
    pattern, over, steps = graph.signature.pattern, node.kinds, 0
    if op.source == "previous" and op.kind is None:
        steps = op.back
        if steps >= TAPS:
            message = f"target deltanet looks {TAPS - 1} tokens back, and this {steps}"
            raise graph.signature.refusal(message, node.span, "move it in steps, through a name of its own")
    else:
        latest = not pattern.visible_context if op.source == "last" else op.source == "previous" and op.kind is not None
        ends = frozenset(pattern.suffix) - {*pattern.prefix, *pattern.group}
        over = frozenset({str(op.kind)})
        if not (latest or (op.source == "last" and node.kinds <= ends)) or (
            op.source == "previous" and node.kinds & over
        ):
            message = f"target deltanet has no head that finds the {op.source} `{op.kind}` here: it sees the latest"
            raise graph.signature.refusal(message, node.span, "compile for gpt2 or llama")
    one, zeros = np.ones(()), Values(np.zeros((node.size, 1)))
    mine, theirs = r.constant(one, node.kinds), r.constant(one, over)
    operands = (mine, theirs, node.operands[0], theirs, r.constant(np.zeros(()), over))
    return r.node(replace(node, op=Delta(over, zeros, back=(0, steps)), operands=operands))
