"""The frame: how wide the stream is, what its norm's constants are, and how every relation is found, before any weight.

before   a schedule and its slots
after    the streams of each width that hold them, and a linear rule of position for each copy
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from innerloop.artifact.errors import CompileError
from innerloop.artifact.signature import Kinds, Signature
from innerloop.artifact.span import Span
from innerloop.artifact.sparse import Floats
from innerloop.artifact.tokens import role_kinds
from innerloop.compiler.architectures.learned_positions import CopyRule, copy_rule, digits
from innerloop.compiler.architectures.relation import Relation
from innerloop.compiler.architectures.targets import Target
from innerloop.compiler.schedule.allocate import Allocation
from innerloop.compiler.schedule.instructions import Copy, Linear, Quotient
from innerloop.compiler.schedule.sublayers import Schedule

from .heads import AttentionPattern, Heads
from .neurons import Neurons
from .residual_stream import Constants, Stream, four_squares

NORM_BITS = {"float32": 12.5, "float64": 27.0}
DIVIDE_BITS = {"float32": 11.0, "float64": 22.0}
CONSTANT_BITS = {"float32": 12.0, "float64": 26.5}
"""So far the constants are above the largest divisor on its slots, which stands beside them in the MLP sublayer after
a division: the norm is then off by half the square of their ratio, which must be no more than half an ulp."""
FLAG_BITS = 4.0
"""So far the flags are below the largest value, beside which they do not count in the norm."""
LARGEST = {"float32": 2.0**56, "float64": 2.0**480}
"""Of the norm's constants, whose squares are summed."""


@dataclass
class Backend:
    rope_theta: ClassVar[float] = 10_000.0
    schedule: Schedule
    allocation: Allocation
    signature: Signature
    n_positions: int
    dtype: str

    @property
    def target(self) -> Target:
        return self.schedule.instructions.target

    @cached_property
    def role_kinds(self) -> tuple[str | None, ...]:
        return role_kinds(self.signature.pattern)

    @cached_property
    def everyone(self) -> Kinds:
        return frozenset(self.signature.pattern.kinds)

    @property
    def causal(self) -> bool:
        return not self.signature.pattern.visible_context

    @cached_property
    def hidden(self) -> tuple[int, ...]:
        """Under `visible context` attention goes both ways, and what comes after the context is hidden role by role."""
        pattern = self.signature.pattern
        count = len(self.role_kinds)
        return tuple(range(count - len(pattern.suffix), count)) if pattern.visible_context else ()

    # Relations ----------------------------------------------------------------------------------

    @cached_property
    def targets(self) -> dict[tuple[Relation, Kinds], CopyRule]:
        found = {}
        for relation, kinds, span in self._relations():
            rule = self.rule(relation, kinds)
            if rule is None:
                wanted, at = f"{relation.name} {relation.kind or ''}".strip(), ", ".join(sorted(kinds))
                raise self._refuse(
                    f"finds no token by `{wanted}` at {at}: neither position nor kind says where it is", span
                )
            found[relation, kinds] = rule
        return found

    def _refuse(self, message: str, span: Span | None, hint: str | None = None) -> CompileError:
        return self.signature.refusal(f"target {self.target.name} {message}", span, hint)

    def _relations(self) -> Iterator[tuple[Relation, Kinds, Span | None]]:
        if not self.target.linear:
            yield Relation("own"), self.everyone, None
        for stage in self.schedule.walk():
            if stage.carry:
                yield stage.carry.relation, stage.carry.kinds, None
            for placed in stage.placed:
                if isinstance(placed.instruction.op, Copy):
                    yield placed.instruction.op.relation, placed.instruction.kinds, placed.instruction.span
                elif isinstance(placed.instruction.op, Linear):
                    yield Relation("own"), placed.instruction.kinds, placed.instruction.span

    @cached_property
    def tables(self) -> list[tuple[Relation, Kinds]]:
        return [key for key, rule in self.targets.items() if rule.table is not None]

    def rule(self, relation: Relation, kinds: Kinds) -> CopyRule | None:
        """How readers of `kinds` find their token; None if no head does."""
        return copy_rule(self.signature.pattern, relation, kinds, self.n_positions)

    def pattern(self, relation: Relation, kinds: Kinds, sources: Kinds) -> AttentionPattern:
        key = (relation, kinds)
        return AttentionPattern(self.targets[key], sources, kinds, self.tables.index(key) if key in self.tables else -1)

    # What the emitter fills ---------------------------------------------------------------------

    def heads(self, stream: Stream, dividing: Kinds | None = None) -> Heads:
        """For one attention sublayer, whose norm divides at tokens of these kinds."""
        divisor = self.divisor if dividing is not None else None
        return Heads(stream, self.role_kinds, self.n_positions, divisor, self.hidden, self.causal)

    def neurons(self, stream: Stream, bound: Floats) -> Neurons:
        """For one MLP sublayer."""
        return Neurons(stream, bound, self.role_kinds, self.dtype)

    def head_sizes(self, query: int) -> tuple[int, ...]:
        """16 and 64, or the next that hold queries of so many dimensions."""
        small = 16
        while small < query:
            small *= 2
        return small, max(64, 2 * small if small > 16 else 64)

    # The stream ---------------------------------------------------------------------------------

    @cached_property
    def divisor(self) -> tuple[float, float] | None:
        """The smallest and the largest magnitude of all divisors."""
        ops = [
            p.instruction.op for s in self.schedule.walk() for p in s.placed if isinstance(p.instruction.op, Quotient)
        ]
        if not ops:
            return None
        ends = [sorted((abs(op.low), abs(op.high))) for op in ops]
        return min(e[0] for e in ends), max(e[1] for e in ends)

    def stream(self, d_head: int, n_head: int) -> Stream | None:
        """The stream of that width, or None if the values do not fit."""
        width = d_head * n_head
        bits = digits(self.n_positions).shape[1] if self.divisor else 0
        norm = self.target.norm == "layernorm"
        constants = Constants(
            four_squares(width // 2) if width > 1 else (), float(norm), float(self.divisor is not None)
        )
        sizes = tuple(a.size for a in self.schedule.instructions.atoms)
        positioned = not self.target.linear or bool(self.targets)
        stream = Stream(width, constants, bits, len(self.tables), self.allocation, sizes, positioned)
        if not stream.fits:
            return None
        if not stream.balanced:
            return stream
        stream = replace(stream, flag=max(1.0, power(float(self.bound(stream).max()), -FLAG_BITS)))
        return replace(stream, constants=self._constants(stream))

    @property
    def least(self) -> int:
        """Slots of the narrowest stream without a norm."""
        positions = 2 * (not self.target.linear or bool(self.targets))
        return positions + len(self.tables) + self.allocation.used

    def _constants(self, stream: Stream) -> Constants:
        """C from what else the stream can hold; with divisions K from that, and C from K."""
        bound = self.bound(stream)
        rest = float(np.sqrt(np.sum(bound**2) / stream.width))
        scale, divide = power(rest, NORM_BITS[self.dtype]), 0.0
        if self.divisor is not None:
            least, most = self.divisor
            divide = power(rest / least, DIVIDE_BITS[self.dtype])
            scale = max(scale, power(divide * most, CONSTANT_BITS[self.dtype]))
        if max(scale, divide) > LARGEST[self.dtype]:
            raise self._too_wide(float(bound.max()))
        return Constants(stream.constants.weights, scale if stream.constants.scale else 0.0, divide)

    def _too_wide(self, largest: float) -> CompileError:
        if self.divisor is None:
            message, span = f"cannot hold values of up to {largest:.3g} in {self.dtype}", None
        else:
            least, most = self.divisor
            message = f"cannot divide in {self.dtype} by numbers from {least:.3g} to {most:.3g} in magnitude"
            placed = (p.instruction for s in self.schedule.walk() for p in s.placed)
            span = next(instruction.span for instruction in placed if isinstance(instruction.op, Quotient))
        hint = "add a larger floor to what is divided by, scale the data, or compile in float64"
        return self._refuse(message, span, hint)

    def bound(self, stream: Stream) -> Floats:
        """The largest magnitude that each slot holds, the norm's own slots aside [width]."""
        bound = np.zeros(stream.width)
        for atom in self.allocation.slots:
            slots = stream.slots(atom)
            bound[slots] = np.maximum(
                bound[slots], self.schedule.instructions.atoms[atom].magnitude * stream.unit[slots]
            )
        bound[stream.position : stream.first] = 1.0
        if stream.balanced:
            bound[stream.balance] = np.sqrt(np.sum(bound**2))
        return bound


def power(size: float, bits: float) -> float:
    """The power of two next above size · 2^bits."""
    return float(2.0 ** np.ceil(np.log2(max(size, 2.0**-20)) + bits))
