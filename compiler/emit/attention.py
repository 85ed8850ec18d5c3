"""Attention sublayers: the heads of one, from the instructions that it does.

before   a sublayer plan, the stream that it reads
after    Heads or LinearHeads, to be laid out for a size of head
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Indices
from innerloop.artifact.limits import ROOM
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..architectures.relation import Relation
from ..numerics import exponential_sums
from ..numerics.attention_gates import APART, shift, slope
from ..numerics.linear_by_softmax import SCALES, SINK
from ..schedule.instructions import (
    Apply,
    AttendHead,
    Copy,
    DeltaHead,
    Linear,
    Mean,
    Multiply,
    Quotient,
    SwitchHead,
)
from ..schedule.printer import carried
from ..schedule.sublayers import Placed, SublayerPlan
from .backend import Backend
from .delta_heads import DeltaHeads, Head
from .heads import AttentionPattern, Heads, Score, Switch
from .linear_heads import LinearHeads
from .residual_stream import Stream

REST_BELOW = 64.0
"""So far the rest token's logit is below what no member's should be below, and twice as far as ranges say."""
OTHERS_BELOW = 1024.0
"""So far other tokens' logits are below the rest token's: their share is exactly 0."""


@dataclass(frozen=True)
class AttentionFiller:
    """Fills attention sublayers that read one stream."""

    backend: Backend
    stream: Stream

    @cached_property
    def unswept(self) -> frozenset[int]:
        """Attention sublayers that find what is left of a divisor, whether they have other work or not."""
        return self.backend.schedule.after_divisions()

    def linear_heads(self, sublayer: SublayerPlan) -> LinearHeads:
        """The heads of a sublayer that scores, on linear attention."""
        heads = LinearHeads(self.stream, self.backend.role_kinds)
        for placed in sublayer.placed:
            op = placed.instruction.op
            assert isinstance(op, AttendHead)
            query, key, value = (self.stream.read(form) for form in placed.instruction.reads)
            heads.add(query, key, value, self.writes(placed), op.over if op.how == "mean" else None, placed)
        return heads

    def delta_heads(self, sublayer: SublayerPlan) -> DeltaHeads:
        """The heads of a sublayer that runs scans, by the delta rule."""
        heads = DeltaHeads(self.stream.width)
        for placed in sublayer.placed:
            assert isinstance(placed.instruction.op, DeltaHead)
            reads = tuple(self.stream.read(form) for form in placed.instruction.reads)
            heads.heads.append(Head(placed.instruction.op, reads, self.writes(placed), placed))
        return heads

    def heads(self, sublayer: SublayerPlan, number: int) -> Heads:
        """The heads of sublayer `number`, and those that clear slots there."""
        stream = self.stream
        dividing = (
            frozenset[str]().union(*(p.instruction.kinds for p in sublayer.placed))
            if sublayer.division is not None
            else None
        )
        heads = self.backend.heads(stream, dividing)
        own = Relation("own")
        for placed in sublayer.placed:
            instruction, scale = placed.instruction, 1.0
            match instruction.op:
                case AttendHead():
                    self._score(heads, placed, instruction.op)
                    continue
                case SwitchHead():
                    self._switch(heads, placed, instruction.op)
                    continue
                case Copy(relation):
                    pattern = self.backend.pattern(relation, instruction.kinds, self._sources(relation))
                case Mean(over, sums):
                    pattern = AttentionPattern(None, frozenset({over}), instruction.kinds, sums=sums)
                case Quotient(low):
                    pattern = AttentionPattern(None, self.backend.everyone, instruction.kinds)
                    scale = float(np.sign(low))
                case Multiply() | Apply() | Linear() | DeltaHead():
                    pattern = self.backend.pattern(own, instruction.kinds, self.backend.everyone)
                case other:
                    assert_never(other)
            heads.add(pattern, instruction.reads[0].size, partial(self._result, placed, scale), placed)
        if sublayer.division is not None or self.backend.target.linear:
            return heads
        mine = self.backend.pattern(own, self.backend.everyone, self.backend.everyone)
        if sublayer.carry is not None:
            slots = np.concatenate([stream.slots(a) for a in sublayer.carry.atoms])
            kind = frozenset({sublayer.carry.relation.kind or ""})
            there = self.backend.pattern(sublayer.carry.relation, sublayer.carry.kinds, kind)
            moved = carried(sublayer.carry, self.backend.schedule.instructions)
            heads.add(there, slots.size, partial(self._moved, slots, 1.0), f"carries {moved}")
            here = replace(mine, kinds=sublayer.carry.kinds)
            heads.add(here, slots.size, partial(self._moved, slots, -1.0), f"takes away what {moved} replaces")
        for atom in self.backend.allocation.clears.get(number, ()):
            slots = stream.slots(atom)
            label = self.backend.schedule.instructions.atoms[atom].label
            heads.add(mine, slots.size, partial(self._moved, slots, -1.0), f"clears the slots of {label}")
        if self.backend.divisor is not None and (heads.groups or number in self.unswept):
            swept = "sweeps what rounding left of a divisor"
            heads.add(mine, stream.scratch.size, self._swept, swept)
        return heads

    def _score(self, heads: Heads, placed: Placed, op: AttendHead) -> None:
        """A softmax as it is: no member's logit is below −B, and the rest token's share at most
        e^(−B − `REST_BELOW`) of theirs, or what its logit says. Or one whose divisor is the rest token's
        (exponential_sums.py), or pairs of softmax heads whose differences are one head of linear attention
        (linear_by_softmax.py)."""
        instruction = placed.instruction
        query, key = (self.stream.read(form) for form in instruction.reads[:2])
        sources = frozenset({op.over})
        if op.how == "softmax":
            most = ROOM**2 * op.reach  # of queries and keys that are out of their ranges by as much as others may be
            sink, off = -2.0 * most - REST_BELOW if op.rest is None else op.rest, 4.0 * most + OTHERS_BELOW
            score = Score(query, key, sink, -1, sources, instruction.kinds, off)
            heads.add(score, instruction.reads[2].size, partial(self._result, placed, 1.0), placed)
            return
        if op.how == "exp":
            sink = exponential_sums.sink(op.reach, self.backend.n_positions, self.backend.dtype)
            score = Score(query, key, sink, -1, sources, instruction.kinds)
            heads.add(score, instruction.reads[2].size, partial(self._result, placed, float(np.exp(sink))), placed)
            return
        reach, sink, log_count = op.reach or 1.0, SINK[self.backend.dtype], -1
        if op.how == "mean":
            (log_count,) = self.stream.slots(self.backend.schedule.instructions.log_counts[op.over]).tolist()
        else:
            sink += float(np.log(self.backend.n_positions))
        gain = reach * float(np.exp(sink))
        for scale in SCALES[self.backend.dtype]:
            for sign in (1.0, -1.0):
                logits = query * (sign * scale.epsilon / reach)
                score = Score(logits, key, sink, log_count, sources, instruction.kinds)
                made = partial(self._result, placed, sign * scale.weight * gain)
                heads.add(score, instruction.reads[2].size, made, placed)

    def _switch(self, heads: Heads, placed: Placed, op: SwitchHead) -> None:
        """A head for each component that decides."""
        stream, (_, decides), kinds = self.stream, placed.instruction.reads, placed.instruction.kinds
        flags = [int(slot) for slot, kind in zip(stream.roles, self.backend.role_kinds, strict=True) if kind in kinds]
        read, which, apart = stream.read(decides), np.array(op.which), APART[self.backend.dtype]
        steep = slope(np.array(op.reach), self.backend.dtype)
        bound = self.backend.bound(stream)
        level = shift(op.tied, self.backend.target.gated, self.backend.dtype) * (-1.0 if op.strict else 1.0)
        for component in np.unique(which).tolist():
            kept = np.flatnonzero(which == component)
            query = Matrix(read.csr[:, [component]] * steep[component])
            farthest = float((abs(query.csr).T @ bound)[0])
            query = query + Matrix.of(flags, [0] * len(flags), level / stream.flag, (stream.width, 1))
            made = partial(self._kept, placed, kept)
            heads.add(Switch(query, apart, 4.0 * (apart + farthest), kinds), kept.size, made, placed)

    def _kept(self, placed: Placed, kept: Indices) -> tuple[Matrix, Matrix]:
        read, write = self._result(placed, 1.0)
        return Matrix(read.csr[:, kept]), Matrix(write.csr[kept])

    def _result(self, placed: Placed, scale: float) -> tuple[Matrix, Matrix]:
        """What a head's instruction reads, and where it writes that."""
        instruction = placed.instruction
        read = instruction.reads[2 if isinstance(instruction.op, AttendHead) else 0]
        return self.stream.read(read), self.writes(placed) * scale

    def _moved(self, slots: Indices, scale: float) -> tuple[Matrix, Matrix]:
        """Slots as they are, and the same slots to add them to."""
        return self.stream.pick(slots), self.stream.put(slots, scale)

    def _swept(self) -> tuple[Matrix, Matrix]:
        """What is left on the scratch, to be taken off it. A whole divisor, which is large, stays out of the balance:
        pairs ±N need none, and sums of them would round at their size."""
        scratch = self.stream.scratch
        if not self.backend.target.parallel:
            return self._moved(scratch, -1.0)
        off = Matrix.of(np.arange(scratch.size), scratch, -1.0, (scratch.size, self.stream.width))
        return self.stream.pick(scratch), off

    def _sources(self, relation: Relation) -> Kinds:
        """The kinds of token that the relation may find."""
        kind = relation.kind
        return self.backend.everyone if kind is None or relation.name.startswith("own") else frozenset({kind})

    def writes(self, placed: Placed) -> Matrix:
        """[size, width]: the instruction's own slots, if it has any, and what else it writes to."""
        size = self.backend.schedule.instructions.atoms[placed.instruction.out].size
        total = Matrix.zero(size, self.stream.width)
        direct = any(w.atom == placed.instruction.out for w in placed.writes)
        if placed.instruction.out in self.backend.allocation.slots and not direct:
            total = total + self.stream.write(placed.instruction.out)
        for write in placed.writes:
            total = total + self.stream.write(write.atom, write.matrix)
        return total


def scores(sublayer: SublayerPlan) -> bool:
    """Whether it does instructions that score tokens."""
    return any(isinstance(p.instruction.op, AttendHead) for p in sublayer.placed)
