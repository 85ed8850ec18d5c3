"""MLP sublayers: an instruction becomes neurons, of a kind that ungated_neurons.py or gated_neurons.py says.

before   instructions, and for each where its result is written
after    up, bias and down of the neurons, and their gates if they have them
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np
import scipy.sparse as sp
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.errors import InternalError
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..numerics.activations import Activation
from ..numerics.approximant import Approximant
from ..numerics.fit_smooth import blunted, fit
from ..numerics.sizes import Sizes
from ..schedule.constructions import CURVE
from ..schedule.instructions import (
    Apply,
    AttendHead,
    Copy,
    DeltaHead,
    Linear,
    LinearForm,
    Mean,
    Multiply,
    Quotient,
    SwitchHead,
)
from ..schedule.sublayers import Placed, Work
from .residual_stream import Stream, pile, stack

LARGEST_READ = 2.0**60
"""What a neuron that is a line or a kink reads at most; what closes it is some times as large. From 2⁶³ on PyTorch's
slope of tanh-GELU is 0 · ∞."""


@dataclass
class Neurons(ABC):
    """Collects the neurons of one sublayer. `bound` [width] is the largest magnitude of each slot; `biased`: whether
    what goes down has a bias."""

    stream: Stream
    bound: Floats
    role_kinds: tuple[str | None, ...]
    dtype: Dtype
    activation: Activation
    biased: bool
    sizes: Sizes
    up: list[Matrix] = field(default_factory=list)
    bias: list[Floats] = field(default_factory=list)
    down: list[Matrix] = field(default_factory=list)
    work: list[tuple[int, Work]] = field(default_factory=list)
    """How many neurons, one after another, are for what."""

    # What the kind of neuron decides ------------------------------------------------------------

    @abstractmethod
    def products(self, op: Multiply, left: LinearForm, right: LinearForm, write: Matrix, kinds: Kinds) -> None:
        """out_o += Σ c · left_i · right_j, equal products once."""

    @abstractmethod
    def function(self, op: Apply, source: LinearForm, write: Matrix, kinds: Kinds) -> None:
        """One curve for all components, on their common range."""

    @abstractmethod
    def passing(self, read: Matrix, write: Matrix, kinds: Kinds) -> None:
        """write of what `read` [width, n] reads."""

    @abstractmethod
    def gates(self) -> Matrix | None:
        """[width, neurons], where neurons have them."""

    @abstractmethod
    def aside(self, kinds: Kinds, divisor: float) -> None:
        """Where a division at `kinds` takes the norm's constants from all tokens: puts this divisor on the scratch of
        the others, the rest token too. A negative one takes it off again."""

    # What all have ------------------------------------------------------------------------------

    def done(self, of: Work) -> None:
        """Says what the neurons are for that came since this was said last."""
        new = sum(bias.size for bias in self.bias) - sum(count for count, _ in self.work)
        if new:
            self.work.append((new, of))

    def instruction(self, placed: Placed, write: Matrix) -> None:
        """The instruction's neurons; `write` [size, width] is where its result goes."""
        instruction = placed.instruction
        match instruction.op:
            case Multiply():
                self.products(instruction.op, instruction.reads[0], instruction.reads[1], write, instruction.kinds)
            case Apply():
                self.function(instruction.op, instruction.reads[0], write, instruction.kinds)
            case Linear():
                self.linear(instruction.reads[0], write, instruction.kinds)
            case Copy() | Mean() | AttendHead() | DeltaHead() | Quotient() | SwitchHead():
                raise InternalError(f"emit: {type(instruction.op).__name__.lower()} is no work of neurons")
            case other:
                assert_never(other)

    def linear(self, source: LinearForm, write: Matrix, kinds: Kinds) -> None:
        self.passing(self.stream.read(source), write, kinds)

    def remove(self, kinds: Kinds) -> Floats:
        """Before a division at `kinds`: what to add to every token [width], to take the norm's constants away there.
        Without biases nothing: neurons take them away."""
        constants = -self.stream.norm_pattern * self.stream.constants.scale
        if self.biased:
            return constants
        self.passing(self._flags(kinds, np.ones(1)), Matrix(sp.csr_array(constants[None, :])), kinds)
        return np.zeros(self.stream.width)

    def finish(self) -> tuple[Matrix, Floats, Matrix]:
        return (
            stack(self.up, self.stream.width),
            np.concatenate(self.bias) if self.bias else np.zeros(0),
            pile(self.down, self.stream.width),
        )

    def _curve(self, op: Apply, read: Matrix) -> Approximant:
        """What stands for the function, its kinks as sharp as what `read` may read at any token leaves room for."""
        low, high = float(op.low.min()), float(op.high.max())
        curve = fit(op.name, op.arguments, low, high, op.tolerance or CURVE[self.dtype], self.activation)
        return blunted(curve, float(self._reach(read).max(initial=1.0)), self._most)

    @property
    def _most(self) -> float:
        """What a neuron that is a line or a kink reads at most, so that what closes it is a number of the precision."""
        return min(LARGEST_READ, self.sizes.most / 8.0)

    def _reach(self, read: Matrix) -> Floats:
        """What each column of `read` may be, and 1 at least: slots may hold more at other tokens."""
        return np.asarray(np.maximum(abs(read.csr).T @ self.bound, 1.0)).ravel()

    def _flags(self, kinds: Kinds, values: Floats) -> Matrix:
        """[width, n]: reads these constants at tokens of `kinds`."""
        return self._by_role(values, [kind in kinds for kind in self.role_kinds])

    def _shut(self, kinds: Kinds, by: Floats) -> Matrix:
        """[width, n]: reads −`by` at tokens of all other kinds, the rest token too."""
        return self._by_role(-by, [kind not in kinds for kind in self.role_kinds])

    def _by_role(self, values: Floats, chosen: list[bool]) -> Matrix:
        flags = self.stream.roles[chosen]
        n, count = values.size, flags.size
        rows, columns = np.repeat(flags, n), np.tile(np.arange(n), count)
        return Matrix.of(rows, columns, np.tile(values, count) / self.stream.flag, (self.stream.width, n))
