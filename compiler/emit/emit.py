"""Emission: the schedule and its slots become weights.

A division (see docs/design-notes.md), with N = K · divisor on the scratch pairs:

    sublayer      norm divides by     it writes
    mlp           C                   scratch += ±N;  constants −= ±C  (its bias)
    attention     N                   every head reads value / divisor;  constants += ±C  (its bias)
    mlp           C                   scratch −= ±N, from the divisor as stored
    attention     C                   scratch −= what rounding left there

K is so large that N outweighs all else in the norm, and C so large that N does not count beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import count
from typing import assert_never

import numpy as np
from innerloop.artifact.margins import ROOM
from innerloop.artifact.parts import Attention, Body, Config, Idle, LinearAttention, Mlp, Norm, Repeated, Sublayer
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Floats, Indices, Matrix
from innerloop.compiler.architectures.relation import Relation
from innerloop.compiler.numerics.attention_gates import APART, shift, slope
from innerloop.compiler.numerics.linear_by_softmax import SCALES, SINK
from innerloop.compiler.schedule.instructions import (
    ROLES,
    Apply,
    AttendHead,
    Copy,
    Linear,
    Mean,
    Multiply,
    Quotient,
    SwitchHead,
)
from innerloop.compiler.schedule.sublayers import LoopPlan, Placed, SublayerPlan

from .backend import Backend
from .embedding import embed
from .heads import AttentionPattern, Heads, Score, Switch
from .linear_heads import LinearHeads
from .residual_stream import Stream

MARGIN = 64.0
"""So far the rest token's logit is below what no member's should be below, and twice as far as ranges say."""
FAR = 1024.0
"""So far other tokens' logits are below the rest token's: their share is exactly 0."""


@dataclass(frozen=True)
class Emitted:
    """The weights' arrays, without what describes them."""

    config: Config
    embedding: Matrix
    positions: Floats
    body: Body
    final_norm: Norm | None
    readout: Matrix
    stream: Stream
    neurons: int
    heads: int


@dataclass
class Emitter:
    frame: Backend

    @cached_property
    def unswept(self) -> frozenset[int]:
        """Attention sublayers that find what rounding left of a divisor, whether they have other work or not."""
        return self.frame.schedule.after_divisions()

    # Emission -----------------------------------------------------------------------------------

    def emit(self) -> Emitted:
        target = self.frame.target
        stream, d_head, n_head = self._smallest() if target.linear else self._choose()
        self.stream, self.d_head, self.n_head = stream, d_head, n_head
        self.bound = self.frame.bound(stream)
        gain = np.full(stream.width, stream.constants.scale)
        self.norm = Norm(gain, np.zeros(stream.width)) if stream.constants.scale else None
        self.neurons, self.heads, self.widest, self.number = 0, 0, 1, 0
        body = self._body(self.frame.schedule.stages)
        config = Config(
            target=target.name,
            n_layer=self.frame.schedule.length // 2,
            d_model=stream.width,
            n_head=n_head,
            d_head=d_head,
            d_mlp=self.widest,
            n_positions=self.frame.n_positions,
            causal=not self.frame.signature.pattern.visible_context,
            activation="none" if target.mlp is None else target.activation.name,
            norm=target.norm,
            positions=target.positions.name,
            rope_theta=self.frame.positions.theta,
            attention=target.attention,
            unread=self.frame.schedule.instructions.unread,
            dtype=self.frame.dtype,
        )
        embedding, positions = embed(self.frame, stream)
        readout = stream.read(self.frame.schedule.instructions.output)
        return Emitted(config, embedding, positions, body, self.norm, readout, stream, self.neurons, self.heads)

    def _smallest(self) -> tuple[Stream, int, int]:
        """A stream of just the slots that there are, and heads as large and as many as the sublayers want."""
        stream = self.frame.stream(self.frame.least, 1)
        assert stream is not None
        self.stream = stream
        stages = [s for s in self.frame.schedule.walk() if s.side == "attention"]
        scored = [self._linear_heads(s) for s in stages if _scores(s)]
        d_head = max([3, *(heads.size for heads in scored)])
        copies = [self._heads(s, g) for g, s in enumerate(stages) if not _scores(s)]
        if any(heads.groups for heads in copies):  # a copy's logits are exact if 1/√d_head is a power of two
            d_head = next(4**k for k in count(1) if 4**k >= d_head)
        copying = [heads.count(d_head) for heads in copies]
        return stream, d_head, max([1, *(len(heads.groups) for heads in scored), *copying])

    def _choose(self) -> tuple[Stream, int, int]:
        """The narrowest width that holds the slots and the heads; of d_head 64 and 16 the wider head, unless it costs
        a quarter."""
        best: tuple[Stream, int] | None = None
        for d_head in self.frame.positions.head_sizes(self._largest_query()):
            n_head = 1
            while (stream := self.frame.stream(d_head, n_head)) is None or not self._heads_fit(stream, d_head, n_head):
                n_head += 1
            if best is None or stream.width <= 1.25 * best[0].width:
                best = stream, d_head
        assert best is not None
        return *best, best[0].width // best[1]

    def _largest_query(self) -> int:
        """Dimensions of the largest query of a head that scores."""
        instructions = [p.instruction for s in self.frame.schedule.walk() for p in s.placed]
        scored = [t.reads[0].size for t in instructions if isinstance(t.op, AttendHead)]
        return max(scored) + 3 + len(self.frame.positions.hidden) if scored else 0

    def _heads_fit(self, stream: Stream, d_head: int, n_head: int) -> bool:
        self.stream = stream
        if stream.digits + 2 > d_head:
            return False
        return all(
            self._heads(stage, g).count(d_head) <= n_head
            for g, stage in enumerate(self.frame.schedule.walk())
            if stage.side == "attention"
        )

    def _body(self, stages: list[SublayerPlan | LoopPlan]) -> Body:
        body: list[Sublayer | Repeated] = []
        for stage in stages:
            if isinstance(stage, LoopPlan):
                body.append(Repeated(stage.count, self._body(stage.body), stage.scan))
                continue
            body.append(self._attention(stage) if stage.side == "attention" else self._mlp(stage))
            self.number += 1
        return tuple(body)

    def _attention(self, stage: SublayerPlan) -> Attention | LinearAttention | Idle:
        if self.frame.target.linear and _scores(stage):
            linear = self._linear_heads(stage)
            self.heads += len(linear.groups)
            return linear.finish(self.n_head, self.d_head)
        heads = self._heads(stage, self.number)
        if not heads.groups and stage.division is None:
            return Idle("attention")
        stream = self.stream
        norm, bias = self.norm, np.zeros(stream.width)
        if stage.division is not None:
            norm = Norm(np.full(stream.width, stream.constants.divide), np.zeros(stream.width))
            bias = heads.restore()
        query, query_bias, key, key_bias, value, output = heads.finish(self.n_head, self.d_head)
        self.heads += heads.count(self.d_head)
        return Attention(
            norm, query, query_bias, key, key_bias, value, np.zeros(self.n_head * self.d_head), output, bias
        )

    def _linear_heads(self, stage: SublayerPlan) -> LinearHeads:
        heads = LinearHeads(self.stream, self.frame.role_kinds)
        for placed in stage.placed:
            op = placed.instruction.op
            assert isinstance(op, AttendHead)
            query, key, value = (self.stream.read(form) for form in placed.instruction.reads)
            heads.add(query, key, value, self._writes(placed), op.over if op.how == "mean" else None)
        return heads

    def _heads(self, stage: SublayerPlan, number: int) -> Heads:
        stream = self.stream
        dividing = (
            frozenset[str]().union(*(p.instruction.kinds for p in stage.placed)) if stage.division is not None else None
        )
        heads = self.frame.heads(stream, dividing)
        own = Relation("own")
        for placed in stage.placed:
            instruction, scale = placed.instruction, 1.0
            match instruction.op:
                case AttendHead():
                    self._score(heads, placed, instruction.op)
                    continue
                case SwitchHead():
                    self._switch(heads, placed, instruction.op)
                    continue
                case Copy(relation):
                    pattern = self.frame.pattern(relation, instruction.kinds, self._sources(relation))
                case Mean(over, sums):
                    pattern = AttentionPattern(None, frozenset({over}), instruction.kinds, sums=sums)
                case Quotient(low):
                    pattern = AttentionPattern(None, self.frame.everyone, instruction.kinds)
                    scale = float(np.sign(low))
                case Multiply() | Apply() | Linear():
                    pattern = self.frame.pattern(own, instruction.kinds, self.frame.everyone)
                case other:
                    assert_never(other)
            heads.add(pattern, instruction.reads[0].size, partial(self._result, placed, scale))
        if stage.division is not None or self.frame.target.linear:
            return heads
        mine = self.frame.pattern(own, self.frame.everyone, self.frame.everyone)
        if stage.carry is not None:
            slots = np.concatenate([stream.slots(a) for a in stage.carry.atoms])
            kind = frozenset({stage.carry.relation.kind or ""})
            there = self.frame.pattern(stage.carry.relation, stage.carry.kinds, kind)
            heads.add(there, slots.size, partial(self._moved, slots, 1.0))
            heads.add(replace(mine, kinds=stage.carry.kinds), slots.size, partial(self._moved, slots, -1.0))
        for atom in self.frame.allocation.clears.get(number, ()):
            slots = stream.slots(atom)
            heads.add(mine, slots.size, partial(self._moved, slots, -1.0))
        if self.frame.divisor is not None and (heads.groups or number in self.unswept):
            heads.add(mine, stream.scratch.size, partial(self._moved, stream.scratch, -1.0))
        return heads

    def _score(self, heads: Heads, placed: Placed, op: AttendHead) -> None:
        """A softmax as it is: no member's logit is below −B, and the rest token's share at most e^(−B − `MARGIN`) of
        theirs. Or pairs of softmax heads whose differences are one head of linear attention (linear_by_softmax.py)."""
        instruction = placed.instruction
        query, key = (self.stream.read(form) for form in instruction.reads[:2])
        sources = frozenset({op.over})
        if op.how == "softmax":
            most = ROOM**2 * op.reach  # of queries and keys that are out of their ranges by as much as others may be
            sink, off = -2.0 * most - MARGIN, 4.0 * most + FAR
            score = Score(query, key, sink, -1, sources, instruction.kinds, off)
            heads.add(score, instruction.reads[2].size, partial(self._result, placed, 1.0))
            return
        reach, sink, log_count = op.reach or 1.0, SINK[self.frame.dtype], -1
        if op.how == "mean":
            (log_count,) = self.stream.slots(self.frame.schedule.instructions.log_counts[op.over]).tolist()
        else:
            sink += float(np.log(self.frame.n_positions))
        gain = reach * float(np.exp(sink))
        for scale in SCALES[self.frame.dtype]:
            for sign in (1.0, -1.0):
                logits = query * (sign * scale.epsilon / reach)
                score = Score(logits, key, sink, log_count, sources, instruction.kinds)
                made = partial(self._result, placed, sign * scale.weight * gain)
                heads.add(score, instruction.reads[2].size, made)

    def _switch(self, heads: Heads, placed: Placed, op: SwitchHead) -> None:
        """A head for each component that decides."""
        stream, (_, decides), kinds = self.stream, placed.instruction.reads, placed.instruction.kinds
        flags = [int(slot) for slot, kind in zip(stream.roles, self.frame.role_kinds, strict=True) if kind in kinds]
        read, which, apart = stream.read(decides), np.array(op.which), APART[self.frame.dtype]
        steep = slope(np.array(op.reach), self.frame.dtype)
        bound = self.frame.bound(stream)
        level = shift(op.tied, self.frame.target.gated, self.frame.dtype) * (-1.0 if op.strict else 1.0)
        for component in np.unique(which).tolist():
            kept = np.flatnonzero(which == component)
            query = Matrix(read.csr[:, [component]] * steep[component])
            farthest = float((abs(query.csr).T @ bound)[0])
            query = query + Matrix.of(flags, [0] * len(flags), level / stream.flag, (stream.width, 1))
            made = partial(self._kept, placed, kept)
            heads.add(Switch(query, apart, 4.0 * (apart + farthest), kinds), kept.size, made)

    def _kept(self, placed: Placed, kept: Indices) -> tuple[Matrix, Matrix]:
        read, write = self._result(placed, 1.0)
        return Matrix(read.csr[:, kept]), Matrix(write.csr[kept])

    def _result(self, placed: Placed, scale: float) -> tuple[Matrix, Matrix]:
        """What a head's instruction reads, and where it writes that."""
        instruction = placed.instruction
        read = instruction.reads[2 if isinstance(instruction.op, AttendHead) else 0]
        return self.stream.read(read), self._writes(placed) * scale

    def _moved(self, slots: Indices, scale: float) -> tuple[Matrix, Matrix]:
        """Slots as they are, and the same slots to add them to."""
        return self.stream.pick(slots), self.stream.put(slots, scale)

    def _sources(self, relation: Relation) -> Kinds:
        """The kinds of token that the relation may find."""
        kind = relation.kind
        return self.frame.everyone if kind is None or relation.name.startswith("own") else frozenset({kind})

    def _writes(self, placed: Placed) -> Matrix:
        """[size, width]: the instruction's own slots, if it has any, and what else it writes to."""
        size = self.frame.schedule.instructions.atoms[placed.instruction.out].size
        total = Matrix.zero(size, self.stream.width)
        direct = any(w.atom == placed.instruction.out for w in placed.writes)
        if placed.instruction.out in self.frame.allocation.slots and not direct:
            total = total + self.stream.write(placed.instruction.out)
        for write in placed.writes:
            total = total + self.stream.write(write.atom, write.matrix)
        return total

    def _mlp(self, stage: SublayerPlan) -> Mlp | Idle:
        if self.frame.target.mlp is None:
            return Idle("mlp")
        stream = self.stream
        neurons = self.frame.neurons(stream, self.bound)
        bias = np.zeros(stream.width)
        scratch: dict[int, Matrix] = {}
        if stage.prepares is not None:
            divisor = stage.prepares.instruction.reads[1]
            here = {p.instruction.out for p in stage.placed if p.makes}
            late = {a: m for a, m in divisor.parts if a in here}
            scratch = {a: Matrix(m.csr.T) @ stream.to_scratch(1.0) for a, m in late.items()}
            early = divisor.without(*late)
            if early.parts:
                neurons.linear(early, stream.to_scratch(1.0), stage.prepares.instruction.kinds)
            bias = neurons.remove(stage.prepares.instruction.kinds)
        for placed in stage.placed:
            write = self._writes(placed)
            extra = scratch.get(placed.instruction.out)
            neurons.instruction(placed, write if extra is None else write + extra)
        for atom in self.frame.allocation.clears.get(self.number, ()):
            slots = stream.slots(atom)
            neurons.passing(stream.pick(slots), stream.put(slots, -1.0), self._holders(atom))
        if stage.clears is not None:
            neurons.linear(stage.clears.instruction.reads[1], stream.to_scratch(-1.0), stage.clears.instruction.kinds)
        up, up_bias, down = neurons.finish()
        if not up_bias.size and not bias.any():
            return Idle("mlp")
        self.neurons += up_bias.size
        self.widest = max(self.widest, up_bias.size)
        return Mlp(self.norm, up, up_bias, down, bias, neurons.gates())

    def _holders(self, atom: int) -> Kinds:
        return self.frame.schedule.instructions.atoms[atom].kinds if atom != ROLES else self.frame.everyone


def _scores(stage: SublayerPlan) -> bool:
    return any(isinstance(p.instruction.op, AttendHead) for p in stage.placed)
