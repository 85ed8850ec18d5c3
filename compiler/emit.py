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
from functools import partial

import numpy as np

from .embed import embed
from .frame import Frame
from .graph import Kinds
from .heads import Heads, Pattern
from .neurons import Neurons
from .schedule import LoopStage, Placed, Stage
from .sparse import Floats, Indices, Matrix
from .stream import Stream
from .tasks import ROLES, Copy, Linear, Mean, Quotient, Relation
from .weights import Attention, Body, Config, Idle, Mlp, Norm, Repeated


@dataclass(frozen=True)
class Emitted:
    """The weights' arrays, without what describes them."""

    config: Config
    embedding: Matrix
    positions: Floats
    body: Body
    final_norm: Norm
    readout: Matrix
    stream: Stream
    neurons: int
    heads: int


@dataclass
class Emitter:
    frame: Frame

    # Emission -----------------------------------------------------------------------------------

    def emit(self) -> Emitted:
        stream, d_head = self._choose()
        n_head = stream.width // d_head
        self.stream, self.d_head, self.n_head = stream, d_head, n_head
        self.bound = self.frame.bound(stream)
        gain = np.full(stream.width, stream.constants.scale)
        self.norm = Norm(gain, np.zeros(stream.width))
        self.neurons, self.heads, self.widest, self.number = 0, 0, 1, 0
        body = self._body(self.frame.schedule.stages)
        config = Config(
            target=self.frame.name,
            n_layer=self.frame.schedule.length // 2,
            d_model=stream.width,
            n_head=n_head,
            d_head=d_head,
            d_mlp=self.widest,
            n_positions=self.frame.n_positions,
            causal=not self.frame.signature.pattern.visible_context,
            dtype=self.frame.dtype,
        )
        embedding, positions = embed(self.frame, stream)
        readout = stream.read(self.frame.schedule.tasks.output)
        return Emitted(config, embedding, positions, body, self.norm, readout, stream, self.neurons, self.heads)

    def _choose(self) -> tuple[Stream, int]:
        """The narrowest width that holds the slots and the heads; of d_head 64 and 16 the wider head, unless it costs
        a quarter."""
        best: tuple[Stream, int] | None = None
        for d_head in (16, 64):
            n_head = 1
            while (stream := self.frame.stream(d_head, n_head)) is None or not self._heads_fit(stream, d_head, n_head):
                n_head += 1
            if best is None or stream.width <= 1.25 * best[0].width:
                best = stream, d_head
        assert best is not None
        return best

    def _heads_fit(self, stream: Stream, d_head: int, n_head: int) -> bool:
        self.stream = stream
        if stream.digits + 2 > d_head:
            return False
        return all(
            self._heads(stage, g).count(d_head) <= n_head
            for g, stage in enumerate(self.frame.schedule.walk())
            if stage.side == "attention"
        )

    def _body(self, stages: list[Stage | LoopStage]) -> Body:
        body: list[Attention | Mlp | Idle | Repeated] = []
        for stage in stages:
            if isinstance(stage, LoopStage):
                body.append(Repeated(stage.count, self._body(stage.body), stage.scan))
                continue
            body.append(self._attention(stage) if stage.side == "attention" else self._mlp(stage))
            self.number += 1
        return tuple(body)

    def _attention(self, stage: Stage) -> Attention | Idle:
        heads = self._heads(stage, self.number)
        if not heads.groups and stage.division is None:
            return Idle("attention")
        query, query_bias, key, key_bias, value, output = heads.finish(self.n_head, self.d_head)
        self.heads += heads.count(self.d_head)
        stream = self.stream
        norm, bias = self.norm, np.zeros(stream.width)
        if stage.division is not None:
            norm = Norm(np.full(stream.width, stream.constants.divide), np.zeros(stream.width))
            bias = stream.norm_pattern * stream.constants.scale
        return Attention(
            norm, query, query_bias, key, key_bias, value, np.zeros(self.n_head * self.d_head), output, bias
        )

    def _heads(self, stage: Stage, number: int) -> Heads:
        stream = self.stream
        divisor = self.frame.divisor if stage.division is not None else None
        heads = Heads(stream, self.frame.role_kinds, self.frame.n_positions, divisor, self.frame.hidden)
        own = Relation("own")
        for placed in stage.placed:
            task, scale = placed.task, 1.0
            match task.op:
                case Copy(relation):
                    pattern = self.frame.pattern(relation, task.kinds, self._sources(relation))
                case Mean(over):
                    pattern = Pattern(None, frozenset({over}), task.kinds)
                case Quotient(low, _):
                    pattern = Pattern(None, self.frame.everyone, task.kinds)
                    scale = float(np.sign(low))
                case _:
                    pattern = self.frame.pattern(own, task.kinds, self.frame.everyone)
            heads.add(pattern, task.reads[0].size, partial(self._result, placed, scale))
        if stage.division is not None:
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
        if self.frame.divisor is not None and heads.groups:
            heads.add(mine, stream.scratch.size, partial(self._moved, stream.scratch, -1.0))
        return heads

    def _result(self, placed: Placed, scale: float) -> tuple[Matrix, Matrix]:
        """What a head's task reads, and where it writes that."""
        return self.stream.read(placed.task.reads[0]), self._writes(placed) * scale

    def _moved(self, slots: Indices, scale: float) -> tuple[Matrix, Matrix]:
        """Slots as they are, and the same slots to add them to."""
        return self.stream.pick(slots), self.stream.put(slots, scale)

    def _sources(self, relation: Relation) -> Kinds:
        """The kinds of token that the relation may find."""
        kind = relation.kind
        return self.frame.everyone if kind is None or relation.name.startswith("own") else frozenset({kind})

    def _writes(self, placed: Placed) -> Matrix:
        """[size, width]: the task's own slots, if it has any, and what else it writes to."""
        size = self.frame.schedule.tasks.atoms[placed.task.out].size
        total = Matrix.zero(size, self.stream.width)
        direct = any(w.atom == placed.task.out for w in placed.writes)
        if placed.task.out in self.frame.allocation.slots and not direct:
            total = total + self.stream.write(placed.task.out)
        for write in placed.writes:
            total = total + self.stream.write(write.atom, write.matrix)
        return total

    def _mlp(self, stage: Stage) -> Mlp | Idle:
        stream = self.stream
        neurons = Neurons(stream, self.bound, self.frame.role_kinds, self.frame.dtype)
        bias = np.zeros(stream.width)
        scratch: dict[int, Matrix] = {}
        if stage.prepares is not None:
            divisor = stage.prepares.task.reads[1]
            here = {p.task.out: p for p in stage.placed if not isinstance(p.task.op, Linear)}
            late = {a: m for a, m in divisor.parts if a in here}
            scratch = {a: Matrix(m.csr.T) @ stream.to_scratch(1.0) for a, m in late.items()}
            early = divisor.without(*late)
            if early.parts:
                neurons.linear(early, stream.to_scratch(1.0), stage.prepares.task.kinds)
            bias = -stream.norm_pattern * stream.constants.scale
        for placed in stage.placed:
            write = self._writes(placed)
            extra = scratch.get(placed.task.out)
            neurons.task(placed, write if extra is None else write + extra)
        for atom in self.frame.allocation.clears.get(self.number, ()):
            slots = stream.slots(atom)
            neurons.passing(stream.pick(slots), stream.put(slots, -1.0), self._holders(atom))
        if stage.clears is not None:
            neurons.linear(stage.clears.task.reads[1], stream.to_scratch(-1.0), stage.clears.task.kinds)
        up, up_bias, down = neurons.finish()
        if not up_bias.size and not bias.any():
            return Idle("mlp")
        self.neurons += up_bias.size
        self.widest = max(self.widest, up_bias.size)
        return Mlp(self.norm, up, up_bias, down, bias)

    def _holders(self, atom: int) -> Kinds:
        return self.frame.schedule.tasks.atoms[atom].kinds if atom != ROLES else self.frame.everyone
