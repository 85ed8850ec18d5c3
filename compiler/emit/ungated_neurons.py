"""MLP sublayers without gates, with biases: products, functions and linear maps as neurons g(x @ up + bias) @ down.

    what                    neurons                                                            a component
    a·b                     two squares, of (a/R_a ± b/R_b)/2; of equal factors one;            1 … 16 a square
                            or one and what lone squares it shares with others                  (square_banks.py)
    a·b, b 0 or 1           (g(κa − K(1 − b)) − g(−κa − K(1 − b)))/κ, exact: both are 0 where b is      2
    f(x)                    a fitted sum of GELUs (fit_smooth.py)                                      8 … 256
    linear                  (g(κx) − g(−κx))/κ = x, exact where |κx| > 6: there g(−κx) is 0     2
    constant                g(64 · flag) = 64 · flag                                            1

An instruction's neurons are closed at tokens of other kinds, the rest token too, by a large negative weight
on their role flags: they give exactly 0 there, and cost nothing elsewhere, since 0 times it is 0.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from innerloop.artifact.arrays import Floats
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..interpreter.ball import Ball
from ..numerics.square_banks import Bank, Squares, square_bank
from ..schedule.constructions import default_squares, distinct, keys
from ..schedule.instructions import Apply, LinearForm, Multiply
from .neurons import Neurons
from .residual_stream import pile, stack

CLOSED = 2.0
"""A code of 0 closes what it multiplies up to so many times the size that this was compiled for."""


class UngatedNeurons(Neurons):
    """Collects the neurons of one sublayer."""

    def add(self, up: Matrix, bias: Floats, down: Matrix, kinds: Kinds) -> None:
        """Neurons [width, n], [n], [n, width], closed but at `kinds`; those that write nothing are dropped."""
        used = np.flatnonzero(np.diff(down.csr.indptr))
        if used.size < bias.size:
            up, bias, down = Matrix(up.csr[:, used]), bias[used], Matrix(down.csr[used])
        if not bias.size:
            return
        reach = np.asarray(abs(up.csr).T @ self.bound).ravel() + np.abs(bias)
        shut = self._shut(kinds, 2.0 * reach + 64.0)
        apart = _without_row(up, self.stream.zero) if self.stream.balanced else up
        self.up.append(self.stream.balanced_read(apart + shut))
        self.bias.append(bias)
        self.down.append(down)

    def products(self, op: Multiply, left: LinearForm, right: LinearForm, write: Matrix, kinds: Kinds) -> None:
        """out_o += Σ c · left_i · right_j by squares of sums and differences; equal factors, once.

        Rounding is relative to the factors' distance from their centres a₀, b₀ and not from 0:
        a·b = (a − a₀)(b − b₀) + a₀ b + b₀ a − a₀ b₀, the last three linear.
        """
        if op.code is not None:
            self._coded(op, left, right, write, kinds)
            return
        form = op.form
        a, b = self.stream.read(left), self.stream.read(right)
        straight = self._linear_part(op, a, b, kinds)
        a, b = self._centred(a, op.left, kinds), self._centred(b, op.right, kinds)
        entries, i, j = distinct(form, keys(a), keys(b))  # the same value may have another centre on the other side
        down = entries @ write
        radius_a = np.where(op.left.radius > 0, op.left.radius, 1.0)[i]
        radius_b = np.where(op.right.radius > 0, op.right.radius, 1.0)[j]
        first, second = a.csr[:, i] @ sp.diags_array(1.0 / radius_a), b.csr[:, j] @ sp.diags_array(1.0 / radius_b)
        same = abs(first - second).max(axis=0).toarray().ravel() == 0.0
        alike, unlike = np.flatnonzero(same), np.flatnonzero(~same)
        size = radius_a * radius_b
        squares = op.squares or default_squares(op.left, op.right, i.size, self.dtype)
        bank = square_bank(squares, self.activation)
        if bank.slope or squares.shared:
            self._combined(squares, first, second, size, same, entries, straight, write, kinds)
            return
        if straight is not None:
            self.passing(straight, write, kinds)
        if alike.size:
            self._squares(bank, Matrix(first[:, alike]), _scaled(down, alike, size[alike]), kinds, alike.size)
        if unlike.size:
            half = sp.csr_array(first[:, unlike]) * 0.5, sp.csr_array(second[:, unlike]) * 0.5
            size = size[unlike]
            both = Matrix(sp.hstack([half[0] + half[1], half[0] - half[1]]))
            plus, minus = _scaled(down, unlike, size), _scaled(down, unlike, -size)
            self._squares(bank, both, pile([plus, minus], self.stream.width), kinds, unlike.size)

    def _coded(self, op: Multiply, left: LinearForm, right: LinearForm, write: Matrix, kinds: Kinds) -> None:
        """What is multiplied by 1 passes, since g(κa) − g(−κa) = κa, and what is multiplied by 0 is closed. One of the
        two that are read is 1 less a code."""
        form = op.form if op.code == 1 else op.form.swapped
        value, closed = (left, right) if op.code == 1 else (right, left)
        ball = op.left if op.code == 1 else op.right
        a, c = self.stream.read(value), self.stream.read(closed)
        entries, i, j = distinct(form, [b"a" + key for key in keys(a)], [b"c" + key for key in keys(c)])
        most = CLOSED * ball.most[i]
        a, c = Matrix(a.csr[:, i]), Matrix(c.csr[:, j])
        sharp = np.minimum(self.sizes.straight, 2.0 ** np.floor(np.log2(self._most / self._reach(a))))
        a = Matrix(a.csr @ sp.diags_array(sharp))
        shut = Matrix(c.csr @ sp.diags_array(sharp * most + 64.0))
        down = Matrix(sp.diags_array(1.0 / sharp) @ (entries @ write).csr)
        self.add(
            stack([a + shut * -1.0, a * -1.0 + shut * -1.0], self.stream.width),
            np.zeros(2 * i.size),
            pile([down, down * -1.0], self.stream.width),
            kinds,
        )

    def _centred(self, read: Matrix, ball: Ball, kinds: Kinds) -> Matrix:
        """Reads the components less their centres."""
        return read + self._flags(kinds, -ball.centre) if ball.centre.any() else read

    def _combined(
        self,
        squares: Squares,
        first: sp.csr_array,
        second: sp.csr_array,
        size: Floats,
        same: np.ndarray,
        entries: Matrix,
        straight: Matrix | None,
        write: Matrix,
        kinds: Kinds,
    ) -> None:
        """The products first · second · size as combinations of distinct squares, and one linear correction of all."""
        half = Matrix((first + second) * 0.5), Matrix((first - second) * 0.5)
        lone, weights = (Matrix(first), Matrix(second)), np.where(same, 0.0, size)
        alike = (lone[0], np.where(same, size, 0.0))
        if squares.shared:
            parts = [alike, (half[0], 2.0 * weights), (lone[0], -0.5 * weights), (lone[1], -0.5 * weights)]
        else:
            parts = [alike, (half[0], weights), (half[1], -weights)]
        found: dict[bytes, int] = {}
        rows, columns, values, reads = [], [], [], []
        for read, weight in parts:
            for pair, key in enumerate(keys(read)):
                if weight[pair]:
                    if key not in found:
                        reads.append(read.csr[:, [pair]])
                    rows.append(found.setdefault(key, len(found)))
                    columns.append(pair)
                    values.append(weight[pair])
        made = Matrix.of(rows, columns, values, (len(found), same.size)) @ entries
        read, bank = Matrix(sp.hstack(reads)), square_bank(squares, self.activation)
        if bank.slope:
            correction = read @ made * bank.slope
            straight = correction if straight is None else straight + correction
        if straight is not None:
            self.passing(straight, write, kinds)
        self._squares(bank, read, made @ write, kinds, len(found))

    def _linear_part(self, op: Multiply, a: Matrix, b: Matrix, kinds: Kinds) -> Matrix | None:
        """Reads Σ c (a₀ b + b₀ a − a₀ b₀), if that is not 0."""
        if not (op.left.centre.any() or op.right.centre.any()):
            return None
        form = op.form
        of_a = Matrix.of(form.left, form.out, form.coefficient * op.right.centre[form.right], (a.shape[1], form.size))
        of_b = Matrix.of(form.right, form.out, form.coefficient * op.left.centre[form.left], (b.shape[1], form.size))
        products = form.coefficient * op.left.centre[form.left] * op.right.centre[form.right]
        constant = -np.bincount(form.out, products, minlength=form.size).astype(np.float64)
        return a @ of_a + b @ of_b + self._flags(kinds, constant)

    def _squares(self, bank: Bank, read: Matrix, down: Matrix, kinds: Kinds, period: int) -> None:
        """Σ down · s² for s = stream @ read in [−1, 1]; squares `period` apart belong to one product.

        A product's neurons stand together, in blocks of eight that their mirror images follow: sums over neurons
        then cancel as they go, also in matrix products that keep an accumulator for every fourth or eighth
        term, and round at the size of one product and not of all. A bank of fewer than eight just stands together.
        """
        count = read.shape[1]
        number = np.arange(bank.up.size * count).reshape(bank.up.size, count // period, period)
        mirrored = 2 if bank.up.size >= 8 else 1
        blocks = [
            some.reshape(-1, mirrored, count // period, period).transpose(3, 1, 2, 0).reshape(period, -1)
            for some in np.split(number, range(8, bank.up.size, 8))
        ]
        order = np.hstack(blocks).ravel()
        up = stack([read * float(u) for u in bank.up], self.stream.width)
        down = pile([down * float(d) for d in bank.down], self.stream.width)
        self.add(Matrix(up.csr[:, order]), np.repeat(bank.bias, count)[order], Matrix(down.csr[order]), kinds)

    def function(self, op: Apply, source: LinearForm, write: Matrix, kinds: Kinds) -> None:
        """One curve for all components, on their common range."""
        read, count = self.stream.read(source), source.size
        curve = self._curve(op, read)
        self.add(
            stack([read * float(u) for u in curve.up], self.stream.width),
            np.repeat(curve.bias, count),
            pile([write * float(d) for d in curve.down], self.stream.width),
            kinds,
        )
        if curve.slope:
            self.linear(source, write * curve.slope, kinds)
        if curve.constant:
            up = self._flags(kinds, np.array([64.0]))
            total = Matrix(sp.csr_array(np.asarray(write.csr.sum(axis=0)).reshape(1, -1)))
            self.add(up, np.zeros(1), total * (curve.constant / 64.0), kinds)

    def passing(self, read: Matrix, write: Matrix, kinds: Kinds) -> None:
        """write of what `read` [width, n] reads."""
        sharp = np.minimum(self.sizes.straight, 2.0 ** np.floor(np.log2(self._most / self._reach(read))))
        more, less = sp.diags_array(sharp), sp.diags_array(1.0 / sharp)
        read, write = Matrix(read.csr @ more), Matrix(less @ write.csr)
        self.add(
            stack([read, read * -1.0], self.stream.width),
            np.zeros(2 * read.shape[1]),
            pile([write, write * -1.0], self.stream.width),
            kinds,
        )

    def aside(self, kinds: Kinds, divisor: float) -> None:
        """With nothing but small values beside it the norm would divide by those, and what rounding left in a slot that
        is 0 would grow by a power of ten with each division. One neuron, exactly 0 at tokens of `kinds`."""
        others = self._by_role(np.array([96.0]), [kind not in kinds for kind in self.role_kinds])
        self.up.append(self.stream.balanced_read(others))
        self.bias.append(np.array([-32.0]))
        self.down.append(self.stream.to_scratch(divisor / 64.0))

    def gates(self) -> Matrix | None:
        return None


def _scaled(down: Matrix, rows: Floats | np.ndarray, scale: Floats) -> Matrix:
    return Matrix(sp.diags_array(scale) @ down.csr[rows])


def _without_row(matrix: Matrix, row: int) -> Matrix:
    """The matrix with that row empty."""
    coo = matrix.csr.tocoo()
    keep = coo.row != row
    return Matrix.of(coo.row[keep], coo.col[keep], coo.data[keep], matrix.shape)
