"""Bilinear maps of two operands as tables of terms: the same map written once, turned round, or taken inside another.

    Bilinear        y_o = Σ_t c_t a_{left t} b_{right t},  t over the entries with out t = o

    canonical f     each (out, i, j) once, in order
    flipped f       f(b, a)
    after f, M      f(M a, b)
    composed f, g   f(g(a, c), b), term by term
    factored        outer(a, known(c, b)), where f(g(a, c), b) is that

They are immutable, comparable by content, and so usable in graph payloads. Vectors are the row-major flattening of a
value's components.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.sparse import Frozen, Matrix, blocks
from numpy.typing import ArrayLike

ALONE = 2**10
"""Of more rows each product is made by itself: nothing is copied, and a call of NumPy is nothing beside it."""


def _rows(table: Indices) -> Indices:
    """One of them, where they are all alike."""
    return table[:1] if np.all(table == table[0]) else table


class Bilinear(Frozen):
    """A sparse bilinear map of a (size `sizes[0]`) and b (`sizes[1]`) to `size` components."""

    def __init__(
        self,
        out: ArrayLike,
        left: ArrayLike,
        right: ArrayLike,
        coefficient: ArrayLike,
        size: int,
        sizes: tuple[int, int],
    ) -> None:
        self.out: Indices = np.asarray(out, dtype=np.int64)
        self.left: Indices = np.asarray(left, dtype=np.int64)
        self.right: Indices = np.asarray(right, dtype=np.int64)
        self.coefficient: Floats = np.array(np.broadcast_to(np.asarray(coefficient, np.float64), self.out.shape))
        self.size = size
        self.sizes = sizes

    @property
    def swapped(self) -> Bilinear:
        """form(b, a) as a form of a and b."""
        return Bilinear(self.out, self.right, self.left, self.coefficient, self.size, (self.sizes[1], self.sizes[0]))

    def _key(self) -> tuple[Any, ...]:
        return (self.size, self.sizes, self.out, self.left, self.right, self.coefficient)

    @staticmethod
    def mul(n: int) -> Bilinear:
        """Component by component."""
        i = np.arange(n)
        return Bilinear(i, i, i, 1.0, n, (n, n))

    @staticmethod
    def outer(n: int, m: int) -> Bilinear:
        i, j = (k.ravel() for k in np.indices((n, m)))
        return Bilinear(i * m + j, i, j, 1.0, n * m, (n, m))

    @staticmethod
    def dot(n: int, k: int, m: int) -> Bilinear:
        """[n, k] with [k, m]: the last axis of the first with the first axis of the second."""
        i, l, j = (x.ravel() for x in np.indices((n, k, m)))
        return Bilinear(i * m + j, i * k + l, l * m + j, 1.0, n * m, (n * k, k * m))

    def apply(self, a: Floats, b: Floats) -> Floats:
        """a [..., sizes[0]], b [..., sizes[1]] → [..., size]."""
        leading = a.shape[:-1]
        if leading != b.shape[:-1]:
            leading = np.broadcast_shapes(leading, b.shape[:-1])
            a, b = (np.broadcast_to(x, (*leading, x.shape[-1])) for x in (a, b))
        a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
        result = np.empty((self.size, a.shape[0]))
        if self._alone is not None and a.shape[0] > ALONE:
            for row, i, j in zip(result, *self._alone, strict=True):
                np.multiply(a[:, i], b[:, j], out=row)
                row += 0.0  # as a sum that begins at 0
            return result.T.reshape(*leading, self.size)
        for here in blocks(a.shape[0], self.out.size):
            both = np.ascontiguousarray(a[here].T), np.ascontiguousarray(b[here].T)
            if self._even is None:
                terms = both[0].take(self.left, axis=0)
                terms *= both[1].take(self.right, axis=0)
                result[:, here] = self._gather @ terms
            else:
                factors = (x.take(place, axis=0) for x, place in zip(both, self._even, strict=True))
                np.einsum("otn,otn->on", *factors, out=result[:, here])
        return result.T.reshape(*leading, self.size)

    def taken(self, side: int, x: Floats) -> list[Floats] | None:
        """An operand [..., sizes[side]] that stays while the other changes, as `apply_taken` reads it, block by block:
        [size or 1, products, rows] each. None where that saves nothing, or takes more than twice the operand's room."""
        if self._even is None or self._even[side].size > 2 * self.sizes[side]:
            return None
        flat = x.reshape(-1, x.shape[-1]).T
        return [self._factors(side, flat[:, here]) for here in blocks(flat.shape[1], self._wide)]

    def apply_taken(self, side: int, taken: list[Floats], other: Floats) -> Floats:
        """The same as `apply`, bit by bit, of what `taken` made of one operand, and the other at as many rows."""
        assert self._even is not None
        flat = other.reshape(-1, other.shape[-1]).T
        result = np.empty((self.size, flat.shape[1]))
        for here, one in zip(blocks(flat.shape[1], self._wide), taken, strict=True):
            np.einsum("otn,otn->on", one, self._factors(1 - side, flat[:, here]), out=result[:, here])
        return result.T.reshape(*other.shape[:-1], self.size)

    def _factors(self, side: int, flat: Floats) -> Floats:
        """[size or 1, products, rows] of an operand [sizes[side], rows]: its own rows, where those are what is read."""
        assert self._even is not None
        neighbours = self._neighbours[side]
        return flat.take(self._even[side], axis=0) if neighbours is None else flat[None, neighbours]

    @cached_property
    def _neighbours(self) -> tuple[slice | None, slice | None]:
        """The components of each side, where every component is a sum of products with the same ones in a row."""
        assert self._even is not None
        first = [int(at[0, 0]) for at in self._even]
        rows = [slice(start, start + at.shape[1]) for start, at in zip(first, self._even, strict=True)]
        left, right = (
            row if np.array_equal(at, [np.arange(row.start, row.stop)]) else None
            for row, at in zip(rows, self._even, strict=True)
        )
        return left, right

    @cached_property
    def _wide(self) -> int:
        """Numbers a row of what `apply_taken` reads again and again; the operand that stays is read once."""
        return 4 * max(self.size, self.out.size // max(1, self.size))

    @cached_property
    def _even(self) -> tuple[Indices, Indices] | None:
        """Where every component is the sum of as many products, none scaled: the factors' places [size or 1, products],
        1 where all have the same. They are summed in the order of the entries, as `_gather` does."""
        products, rest = divmod(self.out.size, max(1, self.size))
        counts = np.bincount(self.out, minlength=self.size)
        if rest or not products or not np.all(counts == products) or not np.all(self.coefficient == 1.0):
            return None
        order = np.argsort(self.out, kind="stable")
        left, right = (place[order].reshape(self.size, products) for place in (self.left, self.right))
        return _rows(left), _rows(right)

    @cached_property
    def _alone(self) -> tuple[list[int], list[int]] | None:
        """The factors' places, where every component is one product."""
        if self._even is None or self.out.size != self.size:
            return None
        left, right = (np.broadcast_to(at, (self.size, 1))[:, 0].tolist() for at in self._even)
        return left, right

    @cached_property
    def _gather(self) -> Any:
        """[size, terms]"""
        return sp.csr_array((self.coefficient, (self.out, np.arange(self.out.size))), shape=(self.size, self.out.size))


# Maps of maps -------------------------------------------------------------------------------------


def canonical(form: Bilinear) -> Bilinear:
    """Its entries in order, each once."""
    keys, place = np.unique(np.stack([form.out, form.left, form.right]), axis=1, return_inverse=True)
    coefficient = np.bincount(place.ravel(), form.coefficient, minlength=keys.shape[1])
    kept = coefficient != 0
    out, left, right = keys[:, kept]
    return Bilinear(out, left, right, coefficient[kept], form.size, form.sizes)


def flipped(form: Bilinear) -> Bilinear:
    """form(b, a) as a form of a and b."""
    return canonical(form.swapped)


def after(form: Bilinear, matrix: Matrix) -> Bilinear:
    """form(matrix a, b) as a form of a and b."""
    rows = matrix.csr[form.left].tocoo()
    coefficient = form.coefficient[rows.row] * rows.data
    sizes = (matrix.shape[1], form.sizes[1])
    return canonical(Bilinear(form.out[rows.row], rows.col, form.right[rows.row], coefficient, form.size, sizes))


def composed(form: Bilinear, inner: Bilinear) -> list[tuple[int, int, int, int, float]]:
    """form(inner(a, c), b) as entries (out, place in a, in c, in b, coefficient), each place once."""
    by_out: dict[int, list[int]] = {}
    for entry, out in enumerate(inner.out.tolist()):
        by_out.setdefault(out, []).append(entry)
    total: dict[tuple[int, int, int, int], float] = {}
    lefts, rights, numbers = inner.left.tolist(), inner.right.tolist(), inner.coefficient.tolist()
    for out, m, k, x in zip(
        form.out.tolist(), form.left.tolist(), form.right.tolist(), form.coefficient.tolist(), strict=True
    ):
        for entry in by_out.get(m, ()):
            key = (out, lefts[entry], rights[entry], k)
            total[key] = total.get(key, 0.0) + x * numbers[entry]
    return [(*key, x) for key, x in total.items() if x]


def factored(form: Bilinear, inner: Bilinear, known: Bilinear) -> Bilinear | None:
    """The `outer` with form(inner(a, c), b) = outer(a, known(c, b)), if there is one: (A C) B = A (C B).

    Found where no product of two components occurs in two components of `known`, as in products of matrices.
    """
    home = {
        (j, k): (q, x)
        for q, j, k, x in zip(
            known.out.tolist(), known.left.tolist(), known.right.tolist(), known.coefficient.tolist(), strict=True
        )
    }
    if len(home) != known.out.size:
        return None
    terms = np.bincount(known.out, minlength=known.size)
    found: dict[tuple[int, int, int], list[float]] = {}
    for out, i, j, k, x in composed(form, inner):
        if (j, k) not in home:
            return None
        q, unit = home[j, k]
        found.setdefault((out, i, q), []).append(x / unit)
    if any(len(xs) != terms[q] or np.ptp(xs) > 1e-12 * abs(xs[0]) for (_, _, q), xs in found.items()):
        return None
    if not found:
        return None
    outs, lefts, rights = zip(*found, strict=True)
    units = [xs[0] for xs in found.values()]
    return canonical(Bilinear(outs, lefts, rights, units, form.size, (inner.sizes[0], known.size)))
