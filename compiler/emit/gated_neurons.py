"""MLP sublayers with gates and without biases (SwiGLU): neurons silu(x @ gate) · (x @ up) @ down.

    what         gate              up              down        a component
    linear       64 · flags        v               1/64        1; exact, since silu(64) = 64
    a·b          ±G a              ±b              1/G         2; one of them is a·b, rounded once, the other 0
    relu(x − t)  G (x − t)         flags           1/G         1
    f(x)         w (x − t)         flags           c           a fitted sum of SiLUs (fit_smooth.py), 8 … 256

`flags`, the sum of the flags of the roles at which the instruction lives, is the constant 1 there and 0 elsewhere, and
so closes neurons. Products are closed by −∞, so to speak, on the flags of other roles: silu is exactly 0 from −104 down
(−746 in float64). silu(a)·b − silu(−a)·b = a·b for every a, so that G, a power of two, only lets one of the two be all
of it: a·b then has one rounding, 6e-8 of itself (G = 1: 1.9e-7).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..schedule.constructions import distinct, keys
from ..schedule.instructions import Apply, LinearForm, Multiply
from .neurons import Neurons
from .residual_stream import pile, stack


@dataclass
class GatedNeurons(Neurons):
    """Collects the neurons of one sublayer."""

    gate: list[Matrix] = field(default_factory=list)

    def gated(self, gate: Matrix, up: Matrix, down: Matrix) -> None:
        """Neurons [width, n], [width, n], [n, width]; those that write nothing are dropped."""
        used = np.flatnonzero(np.diff(down.csr.indptr))
        if not used.size:
            return
        self.gate.append(self.stream.balanced_read(Matrix(gate.csr[:, used])))
        self.up.append(self.stream.balanced_read(Matrix(up.csr[:, used])))
        self.down.append(Matrix(down.csr[used]))
        self.bias.append(np.zeros(used.size))

    def gates(self) -> Matrix | None:
        return stack(self.gate, self.stream.width)

    def passing(self, read: Matrix, write: Matrix, kinds: Kinds) -> None:
        size = self.sizes.open
        self.gated(self._flags(kinds, np.full(read.shape[1], size)), read, write * (1.0 / size))

    def aside(self, kinds: Kinds, divisor: float) -> None:
        """The others keep the norm's constants."""

    def products(self, op: Multiply, left: LinearForm, right: LinearForm, write: Matrix, kinds: Kinds) -> None:
        a, b = self.stream.read(left), self.stream.read(right)
        entries, i, j = distinct(op.form, keys(a), keys(b))
        down = entries @ write
        radius_a, radius_b = (
            2.0 ** np.ceil(np.log2(np.where(b.radius > 0, b.radius, 1.0))) for b in (op.left, op.right)
        )
        sharp = np.minimum(self.sizes.gate, self.sizes.most / radius_b[j]) / radius_a[i]
        first, second = Matrix(a.csr[:, i] @ sp.diags_array(sharp)), Matrix(b.csr[:, j])
        down = Matrix(sp.diags_array(1.0 / sharp) @ down.csr)
        reach = np.asarray(abs(first.csr).T @ self.bound).ravel()
        shut = self._shut(kinds, self.sizes.reaches * reach + self.sizes.shut)
        self.gated(
            stack([first + shut, first * -1.0 + shut], self.stream.width),
            stack([second, second * -1.0], self.stream.width),
            pile([down, down], self.stream.width),
        )

    def function(self, op: Apply, source: LinearForm, write: Matrix, kinds: Kinds) -> None:
        read, count = self.stream.read(source), source.size
        curve = self._curve(op, read)
        flags = self._flags(kinds, np.ones(count))
        parts = list(zip(curve.up.tolist(), curve.bias.tolist(), curve.down.tolist(), strict=True))
        self.gated(
            stack([read * up + flags * bias for up, bias, _ in parts], self.stream.width),
            stack([flags] * len(parts), self.stream.width),
            pile([write * down for *_, down in parts], self.stream.width),
        )
        line = read * curve.slope + flags * curve.constant
        self.passing(line, write, kinds)
