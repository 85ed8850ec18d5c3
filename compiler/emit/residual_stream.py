"""The residual stream: which slot holds what, and how values are read from it and written to it exactly.

    slots   the first          the norm's constants and its scratch, and what else its kind of norm keeps there
            then               p/P, (p/P)², digits of p, tables, where positions are learned
            the others         the atoms, as allocate.py placed them, and unused slots up to the width

Which slots are the norm's is what the two kinds of stream say: layer_norm_stream.py and rms_stream.py.

The flags. A role's slot holds `flag` at its tokens and 0 elsewhere, a power of two not far below the largest value.
What closes a neuron outweighs all that it may read, and so would the mean that reaches it by the slot of a flag of 1:
beside values of 10⁶ more than float32 can cancel. In units of `flag` it is no larger than what any read sees of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.sparse import Matrix

from ..schedule.allocate import Allocation
from ..schedule.instructions import ROLES, Atom, LinearForm


@dataclass(frozen=True)
class Constants:
    """`scale` = C, 0 where sublayers have no norm. The scratch pairs of a
    division hold ±aᵢ · `divide` · divisor (`divide` = K; 0 if there is none)."""

    weights: tuple[int, ...]
    scale: float
    divide: float

    @property
    def any(self) -> bool:
        """Whether any sublayer has a norm."""
        return bool(self.scale or self.divide)


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
class Stream(ABC):
    """`width` slots. From `first` on all are atoms'."""

    width: int
    constants: Constants
    digits: int
    tables: int
    allocation: Allocation
    sizes: tuple[int, ...]
    """Components of each atom."""
    positioned: bool = True
    """Whether it holds each token's position."""
    flag: float = 1.0
    balances: int = 1
    """Slots that share the balance, a power of two: behind the first, those that no atom takes."""

    # What the kind of norm decides --------------------------------------------------------------

    @property
    @abstractmethod
    def balanced(self) -> bool:
        """Whether there is a mean to cancel: then `zero` is never written, and those of `balance` hold minus all
        sums."""

    @property
    @abstractmethod
    def unit_width(self) -> int:
        """What the width must be a multiple of."""

    @property
    @abstractmethod
    def zero(self) -> int:
        """The first slot after the norm's own; where the stream is balanced it is kept at 0."""

    @property
    @abstractmethod
    def balancer(self) -> int:
        """The slot of the balance."""

    @abstractmethod
    def _pairs(self, number: int) -> Indices:
        """The slots of the constants (0) or of what stands after them (1)."""

    @abstractmethod
    def _pattern(self, slots: Indices) -> Floats:
        """The constants' weights on these slots [width]."""

    @abstractmethod
    def _free(self) -> Indices:
        """The slots that atoms take, in order."""

    # Slots --------------------------------------------------------------------------------------

    @cached_property
    def unit(self) -> Floats:
        """[width]: what stands in a slot for 1."""
        unit = np.ones(self.width)
        unit[self.roles] = self.flag
        return unit

    @cached_property
    def first(self) -> int:
        return self.digit + self.digits + self.tables

    @cached_property
    def norm_pattern(self) -> Floats:
        """The constants' weights aᵢ, on the constants' slots [width]."""
        return self._pattern(self._pairs(0)) if self.constants.scale else np.zeros(self.width)

    @cached_property
    def scratch_pattern(self) -> Floats:
        """The same on the scratch slots."""
        return self._pattern(self.scratch)

    @cached_property
    def scratch(self) -> Indices:
        return self._pairs(1 if self.constants.scale else 0)

    @cached_property
    def balance(self) -> Indices:
        """Each holds as much of it."""
        return np.concatenate([[self.balancer], self._open[self.allocation.used :][: self.balances - 1]])

    @property
    def position(self) -> int:
        """p/P; the next slot holds its square."""
        return self.zero + self.balanced * (1 + (self.balancer > self.zero))

    @property
    def digit(self) -> int:
        return self.position + 2 * self.positioned

    @property
    def table(self) -> int:
        return self.digit + self.digits

    @cached_property
    def _open(self) -> Indices:
        return self._free()

    @property
    def fits(self) -> bool:
        """Whether all have a slot."""
        whole = self.width % self.unit_width == 0
        return whole and self.first <= self.width and self.allocation.used <= self._open.size

    @property
    def unused(self) -> int:
        """Slots that no atom takes."""
        return self._open.size - self.allocation.used

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
        shares = np.asarray(matrix.csr.sum(axis=1)).ravel() / self.balances
        rows, slots = np.arange(shares.size).repeat(self.balances), np.tile(self.balance, shares.size)
        return matrix + Matrix.of(rows, slots, -shares.repeat(self.balances), matrix.shape)

    def to_scratch(self, sign: float) -> Matrix:
        """[1, width]: adds ±K times the divisor to the scratch pairs."""
        return Matrix(sp.csr_array(self.scratch_pattern[None, :] * (sign * self.constants.divide)))


def stack(blocks: list[Matrix], width: int) -> Matrix:
    """Matrices [width, n] side by side."""
    return Matrix(sp.hstack([b.csr for b in blocks], format="csr")) if blocks else Matrix.zero(width, 0)


def pile(blocks: list[Matrix], width: int) -> Matrix:
    """Matrices [n, width] one above another."""
    return Matrix(sp.vstack([b.csr for b in blocks], format="csr")) if blocks else Matrix.zero(0, width)
