"""Emission: the schedule and its slots become weights.

A division (see docs/design-notes.md), with N = K · divisor on the scratch pairs:

    sublayer      norm divides by     it writes
    mlp           C                   scratch += ±N;  constants −= ±C  (its bias)
    attention     N                   every head reads value / divisor;  constants += ±C  (its bias)
    mlp           C                   scratch −= ±N, from the divisor as stored
    attention     C                   scratch −= what rounding left there

Where attention and MLP of a layer read the same, the MLP of the layer that divides is idle, and the attention
sublayers of the next two layers take off the scratch all that they find there.

K is so large that N outweighs all else in the norm, and C so large that N does not count beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.parts import (
    Attention,
    Body,
    Config,
    DeltaAttention,
    Idle,
    LinearAttention,
    Mlp,
    Norm,
    Repeated,
    Sublayer,
)
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..architectures.targets import Rotary
from ..schedule.instructions import ROLES
from ..schedule.sublayers import LoopPlan, SublayerPlan, Work, walk
from .attention import AttentionFiller, scores
from .backend import Backend
from .embedding import embed
from .residual_stream import Stream
from .width import narrowest, smallest

ROOM = 2.0**20
"""Where a slot ever holds more, kinks have no room for what is held later, and it does not count. Elsewhere it does:
with smaller closers conjugate_gradient came out 8 off in a stock GPT-NeoX, for 1e-2."""


@dataclass(frozen=True)
class SublayerWork:
    """What a sublayer's parts are for: each head, and so many neurons one after another."""

    heads: tuple[tuple[Work, ...], ...] = ()
    neurons: tuple[tuple[int, Work], ...] = ()


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
    work: tuple[SublayerWork, ...]
    """Of each stored sublayer."""


def emit(backend: Backend) -> Emitted:
    """The weights of all sublayers, and what goes in and out of the stream. Raises CompileError where values do not fit
    the precision."""
    return _Emitter(backend, *(smallest(backend) if backend.target.linear else narrowest(backend))).emit()


@dataclass
class _Emitter:
    """`number`: of the sublayer that is being written; `last`: of the outermost loop around it, or its own; `neurons`,
    `heads`, `widest` are counted on the way."""

    backend: Backend
    stream: Stream
    d_head: int
    n_head: int
    neurons: int = 0
    heads: int = 0
    widest: int = 1
    number: int = 0
    last: int = -1
    work: list[SublayerWork] = field(default_factory=list)
    bound: Floats = field(init=False)
    norm: Norm | None = field(init=False)
    filler: AttentionFiller = field(init=False)

    def __post_init__(self) -> None:
        scale, width = self.stream.constants.scale, self.stream.width
        self.bound = self.backend.bound(self.stream)
        self.norm = Norm(np.full(width, scale), np.zeros(width)) if scale else None
        self.filler = AttentionFiller(self.backend, self.stream)

    def emit(self) -> Emitted:
        target, stream = self.backend.target, self.stream
        body = self._body(self.backend.schedule.body)
        config = Config(
            target=target.name,
            n_layer=self.backend.schedule.length // 2,
            d_model=stream.width,
            n_head=self.n_head,
            d_head=self.d_head,
            d_mlp=self.widest,
            n_positions=self.backend.n_positions,
            causal=not self.backend.signature.pattern.visible_context,
            activation="none" if target.mlp is None else target.activation.name,
            norm=target.norm,
            positions=target.positions.name,
            rotary_fraction=target.positions.fraction if isinstance(target.positions, Rotary) else 1.0,
            block=target.block,
            rope_theta=target.positions.theta if isinstance(target.positions, Rotary) else Config.rope_theta,
            attention=target.attention,
            unread=self.backend.schedule.instructions.unread,
            dtype=self.backend.dtype,
        )
        embedding, positions = embed(self.backend, stream)
        readout = stream.read(self.backend.schedule.instructions.output)
        counted = self.neurons, self.heads
        return Emitted(config, embedding, positions, body, self.norm, readout, stream, *counted, tuple(self.work))

    def _body(self, items: list[SublayerPlan | LoopPlan]) -> Body:
        body: list[Sublayer | Repeated] = []
        for item in items:
            self.last = max(self.last, self.number + sum(1 for _ in walk([item])) - 1)
            if isinstance(item, LoopPlan):
                body.append(Repeated(item.count, self._body(item.body), item.scan, self._turn(item)))
                continue
            body.append(self._attention(item) if item.side == "attention" else self._mlp(item))
            self.number += 1
        return tuple(body)

    def _turn(self, loop: LoopPlan) -> str | None:
        """The kind of token that a scan's pass may be run at alone (`Repeated.turn`)."""
        return loop.turn if not self.backend.signature.pattern.visible_context else None

    def _attention(self, sublayer: SublayerPlan) -> Attention | LinearAttention | DeltaAttention | Idle:
        if self.backend.target.delta and sublayer.placed:
            delta = self.filler.delta_heads(sublayer)
            self.heads += len(delta.heads)
            self.work.append(SublayerWork(heads=tuple((head.work,) for head in delta.heads)))
            return delta.finish(self.n_head, self.d_head)
        if self.backend.target.linear and scores(sublayer):
            linear = self.filler.linear_heads(sublayer)
            self.heads += len(linear.groups)
            self.work.append(SublayerWork(heads=tuple(linear.work)))
            return linear.finish(self.n_head, self.d_head)
        heads = self.filler.heads(sublayer, self.number)
        if not heads.groups and sublayer.division is None:
            self.work.append(SublayerWork())
            return Idle("attention")
        stream = self.stream
        norm, bias = self.norm, np.zeros(stream.width)
        if sublayer.division is not None:
            norm = Norm(np.full(stream.width, stream.constants.divide), np.zeros(stream.width))
            bias = heads.restore()
        query, query_bias, key, key_bias, value, output = heads.finish(self.n_head, self.d_head)
        self.heads += heads.count(self.d_head)
        self.work.append(SublayerWork(heads=tuple(heads.work)))
        return Attention(
            norm, query, query_bias, key, key_bias, value, np.zeros(self.n_head * self.d_head), output, bias
        )

    def _mlp(self, sublayer: SublayerPlan) -> Mlp | Idle:
        if self.backend.target.mlp is None:
            self.work.append(SublayerWork())
            return Idle("mlp")
        stream = self.stream
        crowded = self.bound.max() > ROOM
        neurons = self.backend.neurons(stream, self.backend.bound(stream, self.last) if crowded else self.bound)
        bias = np.zeros(stream.width)
        scratch: dict[int, Matrix] = {}
        if sublayer.prepares is not None:
            divisor = sublayer.prepares.instruction.reads[1]
            here = {p.instruction.out for p in sublayer.placed if p.makes}
            late = {a: m for a, m in divisor.parts if a in here}
            scratch = {a: Matrix(m.csr.T) @ stream.to_scratch(1.0) for a, m in late.items()}
            early = divisor.without(*late)
            if early.parts:
                neurons.linear(early, stream.to_scratch(1.0), sublayer.prepares.instruction.kinds)
            bias = neurons.remove(sublayer.prepares.instruction.kinds)
            if not self.backend.target.parallel:  # there heads sweep the scratch, at tokens of the division alone
                neurons.aside(sublayer.prepares.instruction.kinds, self._largest)
            neurons.done("puts the divisor in the place of the norm's constants")
        for placed in sublayer.placed:
            write = self.filler.writes(placed)
            extra = scratch.get(placed.instruction.out)
            neurons.instruction(placed, write if extra is None else write + extra)
            neurons.done(placed)
        for atom in self.backend.allocation.clears.get(self.number, ()):
            slots = stream.slots(atom)
            neurons.passing(stream.pick(slots), stream.put(slots, -1.0), self._holders(atom))
            neurons.done(f"clears the slots of {self.backend.schedule.instructions.atoms[atom].label}")
        if sublayer.clears is not None and not self.backend.target.parallel:
            neurons.linear(
                sublayer.clears.instruction.reads[1], stream.to_scratch(-1.0), sublayer.clears.instruction.kinds
            )
            neurons.aside(sublayer.clears.instruction.kinds, -self._largest)
            neurons.done("takes the divisor out again")
        up, up_bias, down = neurons.finish()
        self.work.append(SublayerWork(neurons=tuple(neurons.work)))
        if not up_bias.size and not bias.any():
            return Idle("mlp")
        self.neurons += up_bias.size
        self.widest = max(self.widest, up_bias.size)
        return Mlp(self.norm, up, up_bias, down, bias, neurons.gates())

    @property
    def _largest(self) -> float:
        """Of all divisors."""
        assert self.backend.divisor is not None
        return self.backend.divisor[1]

    def _holders(self, atom: int) -> Kinds:
        return self.backend.schedule.instructions.atoms[atom].kinds if atom != ROLES else self.backend.everyone
