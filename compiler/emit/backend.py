"""The backend: how wide the stream is, what its norm's constants are, and how every relation is found, before any
weight; and the parts that fill sublayers, chosen by what the target is said to be.

before   a schedule and its slots
after    the streams of each width that hold them, and a rule of position for each copy

    the target's          choose                          of
    positions, biases     PositionScheme, its heads       positions.py
    norm                  NormScheme, its stream          norms.py
    mlp, biases           Neurons                         ungated_neurons.py, gated_neurons.py
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.errors import CompileError, InternalError
from innerloop.artifact.precisions import SHORT
from innerloop.artifact.signature import Kinds, Signature
from innerloop.artifact.span import Span

from ..architectures.learned_positions import CopyRule, End
from ..architectures.relation import Relation
from ..architectures.targets import Learned, Rotary, Target
from ..numerics.sizes import Sizes, sizes_of
from ..numerics.square_tables import TABLES
from ..schedule.allocate import Allocation
from ..schedule.instructions import Copy, Linear, Quotient
from ..schedule.sublayers import Schedule
from .gated_neurons import GatedNeurons
from .heads import AttentionPattern, Heads
from .neurons import Neurons
from .norms import NORMS, Divisor, NormScheme, divides_exactly, power
from .positions import DigitalScheme, LearnedScheme, PositionScheme, RotaryScheme
from .residual_stream import Constants, Stream
from .ungated_neurons import UngatedNeurons

FLAG_BITS = 4.0
"""So far the flags are below the largest value, beside which they do not count in the norm."""


_AHEAD = "let the sequence end with a token of another kind, as in `(step)* end`, or compile for llama"
"""Where a scan backwards begins at the last token of all."""
_BEHIND = "let the group of what is found come first in the pattern, or compile for llama"
"""Behind a group that may have any length, or none, no position says where a kind begins."""


@dataclass
class Backend:
    """What the emitter fills, put together from what the target is said to be (`backend_of`)."""

    schedule: Schedule
    allocation: Allocation
    signature: Signature
    positions: PositionScheme
    norm: NormScheme
    neurons_of: type[Neurons] | None
    """None where there are no MLPs."""

    @property
    def target(self) -> Target:
        return self.schedule.instructions.target

    @property
    def dtype(self) -> Dtype:
        return self.positions.dtype

    @property
    def n_positions(self) -> int:
        return self.positions.n_positions

    @property
    def role_kinds(self) -> tuple[str | None, ...]:
        return self.positions.role_kinds

    @cached_property
    def everyone(self) -> Kinds:
        return frozenset(self.signature.pattern.kinds)

    # Relations ----------------------------------------------------------------------------------

    @cached_property
    def targets(self) -> dict[tuple[Relation, Kinds], CopyRule]:
        found = {}
        for relation, kinds, span in self._relations():
            rule = self.positions.rule(relation, kinds)
            if rule is None:
                wanted, at = f"{relation.name} {relation.kind or ''}".strip(), ", ".join(sorted(kinds))
                message = f"finds no token by `{wanted}` at {at}: neither position nor kind says where it is"
                behind = _BEHIND if len(self.signature.pattern.groups) > 1 else None
                raise self._refuse(message, span, _AHEAD if relation.name == "after" else behind)
            if isinstance(rule, End) and self.positions.sizes.coarse:
                wanted = f"{relation.name} {relation.kind or ''}".strip()
                message = f"finds no token by `{wanted}` here: {self.dtype} rounds phases away that turn so slowly"
                raise self._refuse(message, span, "compile for gpt2, or in float32")
            found[relation, kinds] = rule
        return found

    def _refuse(self, message: str, span: Span | None, hint: str | None = None) -> CompileError:
        return self.signature.refusal(f"target {self.target.name} {message}", span, hint)

    def _relations(self) -> Iterator[tuple[Relation, Kinds, Span | None]]:
        if not self.target.linear:
            yield Relation("own"), self.everyone, None
        sublayers = list(self.schedule.walk())
        for number, sublayer in enumerate(sublayers):
            if sublayer.carry:
                inside = (placed.instruction.span for later in sublayers[number:] for placed in later.placed)
                yield sublayer.carry.relation, sublayer.carry.kinds, next(inside, None)
            for placed in sublayer.placed:
                if isinstance(placed.instruction.op, Copy):
                    yield placed.instruction.op.relation, placed.instruction.kinds, placed.instruction.span
                elif isinstance(placed.instruction.op, Linear):
                    yield Relation("own"), placed.instruction.kinds, placed.instruction.span

    @cached_property
    def tables(self) -> list[tuple[Relation, Kinds]]:
        return [key for key, rule in self.targets.items() if rule.table is not None]

    def pattern(self, relation: Relation, kinds: Kinds, sources: Kinds) -> AttentionPattern:
        key = (relation, kinds)
        return AttentionPattern(self.targets[key], sources, kinds, self.tables.index(key) if key in self.tables else -1)

    # What the emitter fills ---------------------------------------------------------------------

    def heads(self, stream: Stream, dividing: Kinds | None = None) -> Heads:
        """For one attention sublayer, whose norm divides at tokens of these kinds."""
        return self.positions.heads(stream, self.divisor if dividing is not None else None, dividing)

    def neurons(self, stream: Stream, bound: Floats) -> Neurons:
        """For one MLP sublayer, where there are MLPs."""
        assert self.neurons_of is not None
        biased = self.target.biases == "everywhere"
        return self.neurons_of(
            stream, bound, self.role_kinds, self.dtype, self.target.activation, biased, self.positions.sizes
        )

    # The stream ---------------------------------------------------------------------------------

    @cached_property
    def divisor(self) -> Divisor | None:
        """The smallest and the largest magnitude of all divisors."""
        ops = [
            p.instruction.op for s in self.schedule.walk() for p in s.placed if isinstance(p.instruction.op, Quotient)
        ]
        if not ops:
            return None
        ends = [sorted((abs(op.low), abs(op.high))) for op in ops]
        return min(e[0] for e in ends), max(e[1] for e in ends)

    def widths(self, d_head: int) -> Iterator[int]:
        """Those that the stream may have, from the narrowest on."""
        return (n * n if self.target.scaled else n * (d_head if self.target.head is None else 1) for n in count(1))

    def stream(self, width: int) -> Stream | None:
        """The stream of that width, or None if the values do not fit, or a norm would not be exact."""
        sizes = self.positions.sizes
        own = self.norm.own(sizes)
        begun = self.norm.begun(width, self.divisor is not None, own.even)
        stream = next(filter(lambda stream: stream.fits, (self._with(constants, width) for constants in begun)), None)
        if stream is None or not stream.constants.any:
            return stream
        if not divides_exactly(width, self.dtype):
            return None
        flag = sizes.flag
        if stream.balanced:
            if own.even:  # it is the largest by far: the diagonals of u uᵀ add up
                stream = replace(stream, balances=2 ** int(np.log2(1 + stream.unused)))
            flag = max(1.0, power(float(self.bound(stream).max()), -FLAG_BITS))
        stream = replace(stream, flag=flag)
        bound = self.bound(stream)
        constants = self.norm.constants(stream, bound, self.divisor, own)
        if constants is None:
            alike = self.divisor and self.norm.constants(stream, bound, (self.divisor[1], self.divisor[1]), own)
            raise self._too_wide(float(bound.max()), bool(alike))
        return replace(stream, constants=constants)

    def _with(self, constants: Constants, width: int) -> Stream:
        return self.norm.stream(
            width,
            constants,
            self.positions.digits(self.divisor is not None),
            self.positions.codes * len(self.tables) if self.positions.tabled else 0,
            self.allocation,
            tuple(a.size for a in self.schedule.instructions.atoms),
            self.positions.squared and self._positioned,
        )

    @property
    def _positioned(self) -> bool:
        """Whether any head copies."""
        return not self.target.linear or bool(self.targets)

    @property
    def least(self) -> int:
        """Slots of the narrowest stream without a norm."""
        return 2 * self._positioned + len(self.tables) + self.allocation.used

    def _too_wide(self, largest: float, divisors: bool) -> CompileError:
        """`divisors`: whether all would fit if the largest were the only one."""
        finer = "float32" if self.dtype in SHORT else "float64"
        placed = [p.instruction for s in self.schedule.walk() for p in s.placed]
        if self.divisor is None or not divisors:
            atoms = self.schedule.instructions.atoms
            largest_atom = max(self.allocation.slots, key=lambda atom: float(atoms[atom].magnitude.max(initial=0.0)))
            beside = "" if self.divisor is None else f" beside a division by numbers of {self.divisor[0]:.3g} and more"
            message = f"cannot hold values of up to {largest:.3g} in {self.dtype}{beside}"
            span = next((instruction.span for instruction in placed if instruction.out == largest_atom), None)
            hint = (
                "let them grow less (a smaller step, fewer passes, shorter sequences by `tokens=`), scale the data, or "
                f"compile in {finer}"
            )
        else:
            least, most = self.divisor
            message = f"cannot divide in {self.dtype} by numbers from {least:.3g} to {most:.3g} in magnitude"
            span = next(instruction.span for instruction in placed if isinstance(instruction.op, Quotient))
            hint = f"add a larger floor to what is divided by, scale the data, or compile in {finer}"
        return self._refuse(message, span, hint)

    def bound(self, stream: Stream, until: int | None = None) -> Floats:
        """The largest magnitude that each slot holds, the norm's own slots aside [width]: ever, or of what is born in
        sublayer `until` or before."""
        bound = np.zeros(stream.width)
        for atom in self.allocation.slots:
            if until is not None and self.allocation.lifetimes[atom].birth > until:
                continue
            slots = stream.slots(atom)
            bound[slots] = np.maximum(
                bound[slots], self.schedule.instructions.atoms[atom].magnitude * stream.unit[slots]
            )
        bound[stream.position : stream.first] = 1.0
        if stream.balanced:
            bound[stream.balance] = np.sqrt(np.sum(bound**2)) / stream.balances
        return bound


def backend_of(
    schedule: Schedule,
    allocation: Allocation,
    signature: Signature,
    n_positions: int,
    dtype: Dtype,
    sizes: Sizes | None = None,
) -> Backend:
    """The backend of the schedule's target; `sizes`: those of the precision, if none are given. Raises InternalError
    for a target that has no parts yet."""
    target = schedule.instructions.target
    if target.parallel and target.biases != "everywhere":
        raise _unbuilt(target, "MLPs that read what attention reads, without biases")
    sizes = sizes or sizes_of(dtype)
    positions = _positions(target, sizes)(signature.pattern, n_positions, dtype, sizes, target)
    return Backend(schedule, allocation, signature, positions, NORMS[target.norm], _neurons(target))


def _positions(target: Target, sizes: Sizes) -> type[PositionScheme]:
    match target.positions:
        case Learned() if target.biases != "none":
            return DigitalScheme if sizes.digital else LearnedScheme
        case Rotary() if target.norm != "dividing":
            return RotaryScheme
        case Rotary():
            raise _unbuilt(target, "divisions by rotary heads where no sublayer has a norm beside")
        case Learned():
            raise _unbuilt(target, "queries without biases that find a learned position")
        case _:
            assert_never(target.positions)


def _neurons(target: Target) -> type[Neurons] | None:
    if target.mlp is None:
        return None
    if target.mlp.gated:
        return GatedNeurons
    if target.biases != "everywhere":
        raise _unbuilt(target, "neurons with neither gates nor biases")
    if target.activation.name not in TABLES:
        raise _unbuilt(target, f"squares of {target.activation.name}")
    return UngatedNeurons


def _unbuilt(target: Target, what: str) -> InternalError:
    return InternalError(f"emit: target {target.name} asks for {what}, which nothing builds")
