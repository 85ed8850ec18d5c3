"""The residual stream: which slot holds what, and how values are read from it and written to it exactly.

    slots   0 … 15             pair i of the norm's constants ±C at i and 8 + i, after them its scratch pairs ±N
            16 …               `zero` (never written), `balance`, p/P, (p/P)², digits of p, tables
            the others         the atoms, as allocate.py placed them, and unused slots up to the width

The norm. With constants aᵢ·C, −aᵢ·C where 2 Σ aᵢ² = width (four squares do, Lagrange), the variance
is C² to float precision as long as the squares of all else sum to less than half an ulp of
width · C²; so LayerNorm divides by C, a power of two, and with gain C it is the identity, exactly.

The mean. +C and −C stand `LANES` apart, because a sum must cancel them before it adds anything small: PyTorch keeps a
running mean in each of 8 SIMD lanes, and in the constants' lanes the first two vectors make it exactly 0. (In adjacent
slots, so in two lanes, C swallows what else is added there, and in float32 the mean is off by ulps of C.) What is
written is balanced: every write puts minus its sum into `balance`, so that the stream sums to rounding error, which
`layer_norm` in runtime/functions.py rounds to exactly 0 beside C. For other runtimes every read puts minus its sum on
`zero`, which holds minus the mean, so that the mean cancels.

The flags. A role's slot holds `flag` at its tokens and 0 elsewhere, a power of two not far below the largest value.
What closes a neuron outweighs all that it may read, and so would the mean that reaches it by the slot of a flag of 1:
beside values of 10⁶ more than float32 can cancel. In units of `flag` it is no larger than what any read sees of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from innerloop.artifact.sparse import Floats, Indices, Matrix
from innerloop.compiler.schedule.allocate import Allocation
from innerloop.compiler.schedule.instructions import ROLES, Atom, LinearForm

LANES = 8
"""Slots from +C to −C, which stand in the first two vectors of so many float32 numbers."""


@dataclass(frozen=True)
class Constants:
    """`scale` = C, 0 where sublayers have no norm. The scratch pairs of a
    division hold ±aᵢ · `divide` · divisor (`divide` = K; 0 if there is none)."""

    weights: tuple[int, ...]
    scale: float
    divide: float


def four_squares(n: int) -> tuple[int, ...]:
    """The fewest positive integers whose squares sum to n; at most four (Lagrange 1770)."""
    root = int(np.sqrt(n))
    for a in range(root, 0, -1):
        if a * a == n:
            return (a,)
    for a in range(root, 0, -1):
        b = int(np.sqrt(n - a * a))
        if a * a + b * b == n:
            return (a, b)
    for a in range(root, 0, -1):
        rest = n - a * a
        for b in range(int(np.sqrt(rest)), 0, -1):
            c = int(np.sqrt(rest - b * b))
            if c and a * a + b * b + c * c == n:
                return (a, b, c)
    return next((a, *three) for a in range(root, 0, -1) if len(three := four_squares(n - a * a)) == 3)


@dataclass(frozen=True)
class Stream:
    """`width` slots, a multiple of 2 · `LANES` if there is a norm. From `first` on all are atoms'."""

    width: int
    constants: Constants
    digits: int
    tables: int
    allocation: Allocation
    sizes: tuple[int, ...]
    """Components of each atom."""
    positioned: bool = True
    """Whether tokens know their position."""
    flag: float = 1.0

    @cached_property
    def unit(self) -> Floats:
        """[width]: what stands in a slot for 1."""
        unit = np.ones(self.width)
        unit[self.roles] = self.flag
        return unit

    @cached_property
    def first(self) -> int:
        return self.digit + self.digits + self.tables

    @property
    def balanced(self) -> bool:
        """Whether there is a norm, and so a mean to cancel."""
        return bool(self.constants.scale or self.constants.divide)

    @cached_property
    def norm_pattern(self) -> Floats:
        """+aᵢ, −aᵢ on the constants' slots [width]."""
        return self._pattern(self._pairs(0)) if self.constants.scale else np.zeros(self.width)

    @cached_property
    def scratch_pattern(self) -> Floats:
        """The same on the scratch slots."""
        return self._pattern(self.scratch)

    @cached_property
    def scratch(self) -> Indices:
        return self._pairs(1 if self.constants.scale else 0)

    def _pairs(self, number: int) -> Indices:
        """The slots of the constants (0) or of what stands after them (1): first the positive ones."""
        count = len(self.constants.weights)
        first = number * count + np.arange(count)
        return np.concatenate([first, LANES + first])

    def _pattern(self, slots: Indices) -> Floats:
        pattern = np.zeros(self.width)
        pattern[slots] = np.multiply.outer([1.0, -1.0], self.constants.weights).ravel()
        return pattern

    @property
    def zero(self) -> int:
        return 2 * LANES * self.balanced

    @property
    def balance(self) -> int:
        return self.zero + 1

    @property
    def position(self) -> int:
        """p/P; the next slot holds its square."""
        return self.zero + 2 * self.balanced

    @property
    def digit(self) -> int:
        return self.position + 2 * self.positioned

    @property
    def table(self) -> int:
        return self.digit + self.digits

    @cached_property
    def _open(self) -> Indices:
        """The slots that atoms take, in order: what the norm leaves of the first ones, and all from `first` on."""
        taken = np.arange(self.width) < self.first
        taken[: self.zero] = False
        if self.constants.scale:
            taken[self._pairs(0)] = True
        if self.constants.divide:
            taken[self.scratch] = True
        return np.flatnonzero(~taken)

    @property
    def fits(self) -> bool:
        """Whether all have a slot."""
        whole = not self.balanced or self.width % (2 * LANES) == 0
        return whole and self.first <= self.width and self.allocation.used <= self._open.size

    def slots(self, atom: Atom) -> Indices:
        return self._open[self.allocation.slots[atom]]

    @cached_property
    def roles(self) -> Indices:
        return self.slots(ROLES)

    # Reading and writing ------------------------------------------------------------------------

    def read(self, form: LinearForm) -> Matrix:
        """[width, form.size]: stream @ this is the form's value."""
        rows, columns, values = [], [], []
        for atom, matrix in form.parts:
            component, part, value = matrix.entries
            rows.append(self.slots(atom)[part])
            columns.append(component)
            values.append(value / self.unit[rows[-1]])
        if not rows:
            return Matrix.zero(self.width, form.size)
        return self.balanced_read(
            Matrix.of(np.concatenate(rows), np.concatenate(columns), np.concatenate(values), (self.width, form.size))
        )

    def pick(self, slots: Indices) -> Matrix:
        """[width, len(slots)]: reads these slots as they are."""
        return self.balanced_read(Matrix.of(slots, np.arange(len(slots)), 1.0, (self.width, len(slots))))

    def balanced_read(self, matrix: Matrix) -> Matrix:
        """Columns made to sum to zero, on the slot that is always zero: the norm's mean then cancels."""
        if not self.balanced:
            return matrix
        _, columns, values = matrix.entries
        sums = np.bincount(columns, values, minlength=matrix.shape[1])
        return matrix + Matrix.of(np.full(sums.size, self.zero), np.arange(sums.size), -sums, matrix.shape)

    def write(self, atom: Atom, matrix: Matrix | None = None) -> Matrix:
        """[matrix columns, width]: adds matrix @ (what is made) to the atom's slots; None for the identity."""
        slots = self.slots(atom)
        if matrix is None:
            return self.put(slots)
        component, part, value = matrix.entries
        return self.balanced_write(Matrix.of(part, slots[component], value, (matrix.shape[1], self.width)))

    def put(self, slots: Indices, scale: float = 1.0) -> Matrix:
        """[len(slots), width]: adds component k to slots[k]."""
        return self.balanced_write(Matrix.of(np.arange(len(slots)), slots, scale, (len(slots), self.width)))

    def balanced_write(self, matrix: Matrix) -> Matrix:
        """Rows made to sum to zero, on `balance`: the stream's mean then stays at rounding level."""
        if not self.balanced:
            return matrix
        sums = np.asarray(matrix.csr.sum(axis=1)).ravel()
        return matrix + Matrix.of(np.arange(sums.size), np.full(sums.size, self.balance), -sums, matrix.shape)

    def to_scratch(self, sign: float) -> Matrix:
        """[1, width]: adds ±K times the divisor to the scratch pairs."""
        return Matrix(sp.csr_array(self.scratch_pattern[None, :] * (sign * self.constants.divide)))


def stack(blocks: list[Matrix], width: int) -> Matrix:
    """Matrices [width, n] side by side."""
    return Matrix(sp.hstack([b.csr for b in blocks], format="csr")) if blocks else Matrix.zero(width, 0)


def pile(blocks: list[Matrix], width: int) -> Matrix:
    """Matrices [n, width] one above another."""
    return Matrix(sp.vstack([b.csr for b in blocks], format="csr")) if blocks else Matrix.zero(0, width)
