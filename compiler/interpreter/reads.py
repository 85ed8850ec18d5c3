"""The oracle's reads: a body over pairs of tokens, summed over the token read.

    Σⱼ p_ij ((w_i · u_j) − y_j) u_j   →   s = w uᵀ − yᵀ  [readers, read],   (p ∘ s) u

A body value is [batch, readers, read, size], with 1 readers if it is theirs alone and 1 read if mine
alone. Sums over the token read go inside affine maps and products wherever one factor is one-sided.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.errors import InternalError
from innerloop.artifact.sparse import Matrix, Values
from numpy.typing import NDArray

from ..ir.bilinear import Bilinear
from ..ir.graph import (
    SCORED,
    Affine,
    Attend,
    BodyGraph,
    Constant,
    Gather,
    Mine,
    Move,
    Node,
    Product,
    Read,
    Theirs,
    Value,
)
from ..ir.operation_classes import Local, Reads, Source, Structural
from .local_operations import local

NEAR_BYTES, BLOCK_BYTES = 2**20, 2**25
"""About the largest array over pairs of tokens: with a number a pair, which is to stay near the processor; with all
numbers that a body has."""
ALONE = 2**18
"""Multiplications of a product of matrices that OpenBLAS leaves to one thread. Where two cores are busy, the threads of
a larger one wait for each other for longer than they work; and its last bits depend on how many there are."""
FORMS = 256
"""What is made of a form is kept for so many: every pass of a loop asks for it."""


def sources(move: Move, seen: NDArray[np.bool_], kinds: Sequence[str]) -> Indices:
    """The token that each token of these kinds moves from, or −1; `seen` [tokens, tokens], of NumPy or JAX."""
    tokens = np.arange(len(kinds))
    if move.kind is None:
        return np.maximum(tokens - move.back, -1)
    wanted = seen & np.array([kind == move.kind for kind in kinds])
    if move.source == "previous":
        wanted &= tokens < tokens[:, None]
    first, last = wanted.argmax(1), len(tokens) - 1 - wanted[:, ::-1].argmax(1)
    source = first if move.source == "first" else last
    found: Indices = seen.__array_namespace__().where(wanted.any(1), source, -1)
    return found


def gather(op: Gather, theirs: Floats, seen: NDArray[np.bool_]) -> Floats:
    """theirs [batch, read, size], seen [readers, read] → [batch, readers, size]."""
    return _weighted(_weights(op.how, seen), theirs)


def _weighted(weights: Floats, theirs: Floats) -> Floats:
    """weights [batch or none, readers, read], theirs [batch, read, size] → [batch, readers, size]."""
    step = ALONE // max(1, weights.shape[-2] * weights.shape[-1]) // 8 * 8
    size = theirs.shape[-1]
    if not 0 < step < size:
        return np.asarray(np.matmul(weights, theirs))
    found = np.empty((len(theirs), weights.shape[-2], size))
    for start in range(0, size, step):
        some = slice(start, start + step)
        np.matmul(weights, theirs[..., some], out=found[..., some])
    return found


def scores(query: Floats, key: Floats, seen: NDArray[np.bool_]) -> Floats:
    """query [batch, readers, k], key [batch, read, k] → their products [batch, readers, read], 0 where unseen."""
    pairs = np.asarray(np.matmul(query, key.swapaxes(1, 2)))
    pairs *= seen
    return pairs


def attend(op: Attend, pairs: Floats, theirs: Floats, seen: NDArray[np.bool_]) -> Floats:
    """pairs [batch, readers, read], theirs [batch, read, size] → [batch, readers, size]."""
    weights = weighed(op.how, pairs, seen, op.rest) if op.how in SCORED else pairs * _weights(op.how, seen)
    return _weighted(weights, theirs)


def weighed(how: str, scores: Floats, seen: NDArray[np.bool_], rest: float | None = None) -> Floats:
    """By a softmax, or by exp, of scores [batch, readers, read]; 0 where unseen."""
    return shares(scores, seen, rest) if how == "softmax" else np.exp(np.where(seen, scores, -np.inf))


def shares(scores: Floats, seen: NDArray[np.bool_], rest: float | None = None) -> Floats:
    """The softmax of scores [batch, readers, read] over what is seen [readers, read], and over the logit `rest`; 0 for
    who sees nothing."""
    beside = -np.inf if rest is None else rest
    weights = np.where(seen, scores, -np.inf)  # one array over pairs of tokens, worked on where it stands
    top = weights.max(-1, keepdims=True, initial=beside)
    top = np.where(np.isfinite(top), top, 0.0)
    weights -= top
    np.exp(weights, out=weights)
    whole = weights.sum(-1, keepdims=True) + np.exp(beside - top)
    weights /= np.where(whole == 0, 1.0, whole)
    return weights


def read(op: Read, mine: list[Floats], theirs: list[Floats], seen: NDArray[np.bool_], batch: int) -> Floats:
    """mine [batch, readers, size …], theirs [batch, read, size …], seen [readers, read] → [batch, readers, size]."""
    readers, others = seen.shape
    size = op.body[op.body.results[-1]].size
    widest = max(op.body[v].size for v in op.body.block)
    few = max(1, min(batch, NEAR_BYTES // max(1, 8 * readers * others)))  # tasks
    step = max(1, BLOCK_BYTES // max(1, 8 * few * others * widest))
    whole = np.empty((batch, readers, size))
    for task in range(0, batch, few):
        tasks = slice(task, task + few)
        own, them = ([a[tasks] if len(a) == batch else a for a in arrays] for arrays in (mine, theirs))
        for start in range(0, readers, step):
            some = slice(start, start + step)
            whole[tasks, some] = _Pairs(op.body, [m[:, some] for m in own], them, seen[some]).read(op.how)
    return whole


def _weights(how: str, seen: NDArray[np.bool_]) -> Floats:
    count = seen.sum(1, keepdims=True) if how == "mean" else np.ones((1, 1))
    return np.asarray(seen / np.maximum(count, 1))


class _Pairs:
    """One body, for some of the readers."""

    def __init__(self, body: BodyGraph, mine: list[Floats], theirs: list[Floats], seen: NDArray[np.bool_]) -> None:
        self.body, self.mine, self.theirs, self.seen = body, mine, theirs, seen
        self.known: dict[Value, Floats] = {}
        self.sides: dict[Value, frozenset[str]] = {}
        for value in body.block:
            op = body[value].op
            own = ["mine"] if isinstance(op, Mine) else ["theirs"] if isinstance(op, Theirs) else []
            self.sides[value] = frozenset(own).union(*(self.sides[o] for o in body[value].operands))

    def read(self, how: str) -> Floats:
        if how not in SCORED:
            return self.total(self.body.results[0], _weights(how, self.seen)[None])
        score, value = self.body.results
        return self.total(value, weighed(how, self.of(score)[..., 0], self.seen))

    def of(self, value: Value) -> Floats:
        """[batch, readers or 1, read or 1, size]."""
        if value not in self.known:
            self.known[value] = self._compute(self.body[value])
        return self.known[value]

    def _compute(self, node: Node) -> Floats:
        operands = [self.of(o) for o in node.operands]
        match node.op:
            case Mine(index):
                return self.mine[index][:, :, None]
            case Theirs(index):
                return self.theirs[index][:, None]
            case Constant(values):
                return values.array.reshape(1, 1, 1, -1)
            case Affine(matrices, offset):
                total: Floats = offset.array.reshape(1, 1, 1, -1)
                for matrix, operand in zip(matrices, operands, strict=True):
                    total = total + matrix.apply(operand)
                return total
            case Product(_, form):
                a, b = operands
                if form.size == 1 and a.shape[2] == 1 and b.shape[1] == 1:  # mine · theirs: a matrix product
                    bent = _bend(form, a[:, :, 0])
                    return np.asarray(np.matmul(bent, b[:, 0].swapaxes(1, 2)))[..., None]
                if form.size == 1 and b.shape[2] == 1 and a.shape[1] == 1:
                    bent = _bend(form.swapped, b[:, :, 0])
                    return np.asarray(np.matmul(bent, a[:, 0].swapaxes(1, 2)))[..., None]
                return form.apply(a, b)
            case Local():
                return local(node.op, operands)
            case Source() | Reads() | Structural():
                raise InternalError(f"oracle: {type(node.op).__name__.lower()} inside a read", node.span)
            case other:
                assert_never(other)

    def total(self, value: Value, weights: Floats) -> Floats:
        """Σⱼ weights_ij value_ij: [batch, readers, size], for weights [batch or 1, readers, read]."""
        node = self.body[value]
        match node.op:
            case Affine(matrices, offset):
                total: Floats = weights.sum(-1)[..., None] * offset.array
                for matrix, operand in zip(matrices, node.operands, strict=True):
                    total = total + matrix.apply(self.total(operand, weights))
                return total
            case Product(_, form):
                left, right = node.operands
                return self.total_product(form, left, right, weights)
            case Source() | Local() | Reads() | Structural():
                return _sum(self.of(value), weights)
            case other:
                assert_never(other)

    def total_product(self, form: Bilinear, left: Value, right: Value, weights: Floats) -> Floats:
        """Σⱼ weights_ij form(left_ij, right_ij)."""
        if "theirs" not in self.sides[left]:  # mine comes out of the sum
            return form.apply(self.of(left)[:, :, 0], self.total(right, weights))
        if "theirs" not in self.sides[right] or ("mine" not in self.sides[left] and "mine" in self.sides[right]):
            return self.total_product(form.swapped, right, left, weights)
        node = self.body[left]
        if "mine" in self.sides[left] and "mine" not in self.sides[right]:
            if isinstance(node.op, Affine):  # (Σₖ Mₖ vₖ + c) · theirs, term by term
                total = _at(form, node.op.offset).apply(self.total(right, weights))
                for matrix, operand in zip(node.op.matrices, node.operands, strict=True):
                    total = total + self.total_product(_after(form, matrix), operand, right, weights)
                return total
            if node.size == 1:  # a number a pair weighs theirs
                theirs = np.asarray(np.matmul(weights * self.of(left)[..., 0], self.of(right)[:, 0]))
                return form.apply(np.ones((1, 1, 1)), theirs)
        return _sum(form.apply(self.of(left), self.of(right)), weights)


def _sum(array: Floats, weights: Floats) -> Floats:
    if array.shape[2] == 1:
        return np.asarray(weights.sum(-1)[..., None] * array[:, :, 0])
    if array.shape[1] == 1:
        return np.asarray(np.matmul(weights, array[:, 0]))
    return np.asarray(np.einsum("...ij,...ijs->...is", weights, array))


@lru_cache(FORMS)
def _at(form: Bilinear, left: Values) -> Matrix:
    """The linear function of b that form(left, b) is."""
    return Matrix.of(form.out, form.right, form.coefficient * left.array[form.left], (form.size, form.sizes[1]))


@lru_cache(FORMS)
def _after(form: Bilinear, matrix: Matrix) -> Bilinear:
    """form(matrix a, b) as a form of a and b."""
    entries = matrix.csr[form.left].tocoo()
    term = entries.row
    coefficient = form.coefficient[term] * entries.data
    return Bilinear(
        form.out[term], entries.col, form.right[term], coefficient, form.size, (matrix.shape[1], form.sizes[1])
    )


def _bend(form: Bilinear, a: Floats) -> Floats:
    """The linear function of b that a bilinear form to one component is for this a [batch, readers, size of a]."""
    return _to_right(form).apply(a[..., form.left])


@lru_cache(FORMS)
def _to_right(form: Bilinear) -> Matrix:
    return Matrix.of(form.right, np.arange(form.right.size), form.coefficient, (form.sizes[1], form.right.size))
