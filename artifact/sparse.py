"""Sparse linear maps: immutable, comparable by content, and so usable in graph payloads.

    Matrix      y_o = Σ_i M_oi x_i

Vectors are the row-major flattening of a value's components.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from .arrays import Floats, Indices

BLOCK = 2**17
"""Numbers that a map works on at once, so that they stay in the cache."""


class Frozen:
    """Equality and hash by the bytes of the arrays that `_key` returns."""

    def _key(self) -> tuple[Any, ...]:
        raise NotImplementedError

    @cached_property
    def _bytes(self) -> tuple[Any, ...]:
        return tuple(k.tobytes() if isinstance(k, np.ndarray) else k for k in self._key())

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Frozen) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)


class Values(Frozen):
    """An immutable array of numbers."""

    def __init__(self, array: ArrayLike) -> None:
        self.array: Floats = np.array(array, dtype=np.float64)
        self.array += 0.0  # −0 becomes 0: equal numbers have equal bytes
        self.array.setflags(write=False)

    def _key(self) -> tuple[Any, ...]:
        return (self.array.shape, self.array)


def columns(x: Floats) -> Floats:
    """The same [..., components], every component's numbers side by side, as maps read it and leave it."""
    flat = x.reshape(-1, x.shape[-1])
    if flat.flags.f_contiguous:
        return x
    found = np.empty(flat.shape[::-1])
    for here in blocks(*flat.shape):
        found[:, here] = flat[here].T
    return found.T.reshape(x.shape)


def blocks(rows: int, width: int) -> Iterator[slice]:
    """Rows of `width` numbers each, as many at a time as make a block."""
    step = max(1, BLOCK // max(1, width))
    return (slice(start, start + step) for start in range(0, rows, step))


def compact(csr: Any) -> tuple[Indices, Any]:
    """The columns of a matrix in rows that are not zero, and those alone."""
    used = np.unique(csr.indices)
    place = np.searchsorted(used, csr.indices)
    return used, sp.csr_array((csr.data, place, csr.indptr), shape=(csr.shape[0], used.size))


def sliced(place: Indices) -> slice | Indices:
    """The slice that takes these, if one does, else these."""
    step = int(place[1] - place[0]) if place.size > 1 else 1
    if not place.size or step <= 0 or place[0] < 0 or not (np.diff(place) == step).all():
        return place
    return slice(int(place[0]), int(place[-1]) + 1, step)


@lru_cache(1024)
def _zeros(shape: tuple[int, int]) -> Any:
    return sp.csr_array(shape)


def _csr(values: Floats, columns: Indices, starts: Indices, shape: tuple[int, int]) -> Any:
    """A csr array in canonical form, without SciPy's checks, which take longer than small matrices."""
    if max(*shape, values.size) >= 2**31:
        return sp.csr_array((values, columns, starts), shape=shape)
    csr = copy(_zeros(shape))
    csr.data, csr.indices, csr.indptr = values, columns.astype(np.int32), starts.astype(np.int32)
    return csr


class Matrix(Frozen):
    """A sparse matrix [rows, columns] in canonical form (sorted, no duplicates, no stored zeros)."""

    def __init__(self, matrix: Any) -> None:
        csr = sp.csr_array(matrix, dtype=np.float64)
        if not csr.has_canonical_format or not csr.data.all():
            csr = csr.copy()  # of what was given it has the very arrays
            csr.sum_duplicates()
            csr.eliminate_zeros()
            csr.sort_indices()
        self.csr: Any = csr  # SciPy has no types

    @staticmethod
    def _kept(csr: Any) -> Matrix:
        """Of a csr array that is in canonical form."""
        matrix = object.__new__(Matrix)
        matrix.csr = csr
        return matrix

    @staticmethod
    def of(rows: ArrayLike, columns: ArrayLike, values: ArrayLike, shape: tuple[int, int]) -> Matrix:
        """Σ values at (rows, columns)."""
        rows, columns = np.asarray(rows, dtype=np.int64), np.asarray(columns, dtype=np.int64)
        values = np.broadcast_to(np.asarray(values, dtype=np.float64), rows.shape)
        place = rows * shape[1] + columns
        order = np.argsort(place, kind="stable")
        place = place[order]
        if np.any(place[1:] == place[:-1]):
            return Matrix(sp.coo_array((values, (rows, columns)), shape=shape))
        order = order[values[order] != 0.0]
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows[order], minlength=shape[0]))])
        return Matrix._kept(_csr(values[order], columns[order], starts, shape))

    @staticmethod
    def identity(n: int, scale: float = 1.0) -> Matrix:
        if not scale:
            return Matrix.zero(n, n)
        return Matrix._kept(_csr(np.full(n, float(scale)), np.arange(n), np.arange(n + 1), (n, n)))

    @staticmethod
    def zero(rows: int, columns: int) -> Matrix:
        return Matrix._kept(copy(_zeros((rows, columns))))

    @property
    def shape(self) -> tuple[int, int]:
        return (int(self.csr.shape[0]), int(self.csr.shape[1]))

    @property
    def nnz(self) -> int:
        return int(self.csr.nnz)

    @property
    def entries(self) -> tuple[Indices, Indices, Floats]:
        """Row, column and value of each, row by row."""
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.csr.indptr))
        return rows, self.csr.indices.astype(np.int64), self.csr.data

    def _key(self) -> tuple[Any, ...]:
        return (self.shape, self.csr.indptr.astype(np.int64), self.csr.indices.astype(np.int64), self.csr.data)

    def __matmul__(self, other: Matrix) -> Matrix:
        return Matrix(self.csr @ other.csr)

    def __add__(self, other: Matrix) -> Matrix:
        return Matrix._kept(self.csr + other.csr)

    def __mul__(self, scale: float) -> Matrix:
        return self._with(self.csr.data * scale)

    @cached_property
    def squared(self) -> Matrix:
        """Every entry's square."""
        return self._with(self.csr.data**2)

    def _with(self, data: Floats) -> Matrix:
        """Other values at the same places."""
        csr = copy(self.csr)
        csr.data = data
        return Matrix._kept(csr) if data.all() else Matrix(csr)

    def scalar(self) -> float | None:
        """c if this is c·I, else None."""
        return self._scalar

    @cached_property
    def _scalar(self) -> float | None:
        n, m = self.shape
        diagonal = np.array_equal(self.csr.indices, np.arange(n)) and np.array_equal(self.csr.indptr, np.arange(n + 1))
        if n != m or not diagonal:
            return None
        first = float(self.csr.data[0]) if n else 1.0
        return first if bool(np.all(self.csr.data == first)) else None

    def apply(self, x: Floats) -> Floats:
        """x [..., columns] → [..., rows]."""
        scale = self.scalar()
        if scale is not None:
            return x if scale == 1.0 else scale * x
        flat = x.reshape(-1, x.shape[-1])
        if flat.flags.f_contiguous:  # what another map has made
            result = self.csr @ flat.T
        else:
            used, csr = self._used
            result = np.empty((self.shape[0], flat.shape[0]))
            for here in blocks(flat.shape[0], self.shape[1]):
                columns = flat[here].T if used is None else flat[here].T[used]
                result[:, here] = csr @ np.ascontiguousarray(columns)
        return np.asarray(result.T).reshape(*x.shape[:-1], self.shape[0])

    @cached_property
    def _used(self) -> tuple[Indices | None, Any]:
        """The columns that are not zero, and those alone, where they are few: none of the others need be copied."""
        used, csr = compact(self.csr)
        return (None, self.csr) if 2 * used.size > self.shape[1] else (used, csr)
