"""The compiler's own measurement: the weights run in plain NumPy on fresh tasks, against the float64 oracle.

It is here, and not in the runtime, so that compiling needs no JAX; the runtime's tests hold the two
forward passes against each other. It multiplies by what is not zero only, so that it takes time as the nonzeros
that run, and not as their square; the stream stands on its side, [width, batch · tokens].
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Indices
from ..contents import Contents
from ..features import FeatureLayout
from ..parts import Attention, Body, DeltaAttention, Idle, LinearAttention, Mlp, Repeated, Sublayer, stored, unroll
from ..places import turns
from ..precisions import Round, carrier, rounding
from ..tokens import TokenData
from .arithmetic import Arithmetic, Real, arithmetic_of, normalise
from .delta_rule import DeltaHeads
from .sublayers import Heads, Mix, Neurons, linear, softmax, transposed

Observe = Callable[[Real], None]
Look = Callable[[int, Real, int | None], None]


@dataclass(frozen=True)
class Turn:
    """A sublayer of a scan that is run in turn: the `step`-th of so many `steps` of a pass, of which the first pass
    begins with the `run`-th sublayer that runs, if every pass does; and which of the scan's tokens has its turn."""

    run: int
    step: int
    steps: int
    number: int


@dataclass(frozen=True)
class InTurn:
    """For who observes, but scans in turn. `see` is called after each sublayer with the stream [width, batch, 1] of
    the token whose turn it is, and its place. Before the turn of the tokens of these `numbers` the pass is run at all
    tokens, as stock transformers run it, and seen [width, batch, 1 + tokens] with None; nothing comes of it."""

    numbers: Container[int]
    see: Callable[[Turn, Real, int | None], None]


def forward(
    weights: Contents,
    data: TokenData,
    observe: Observe | None = None,
    arithmetic: Arithmetic | None = None,
    whole: bool = False,
    look: Look | None = None,
    in_turn: InTurn | None = None,
) -> Real:
    """The output at every token of the data [batch, tokens, size], in the precision of the weights; of 16 bits it is
    read from the last stream in float32. `observe` is called with the stream [width, batch, 1 + tokens] after each
    sublayer. `arithmetic`: how norms and activations round (None: as in this package).
    `whole`: every pass of a scan at all tokens, as stock transformers run it, and as it is run for who observes without
    `in_turn`; else each at the token whose turn it is, where that is enough, as the runtime does. `look` is called with
    2 n before stored sublayer n, 2 n + 1 after it, and the stream [width, batch, 1 + tokens], or of a scan that is run
    in turn [width, batch, 1] and the token's place; of other scans, in the last pass."""
    config = weights.config
    dtype = carrier(config.dtype)
    arithmetic = arithmetic or arithmetic_of(config)
    x = embedded(weights, data)
    batch, tokens = x.shape[1:]
    x = x.reshape(-1, batch * tokens)
    every = whole or (observe is not None and in_turn is None)
    places = {} if every else turns(weights.body, data.sequence.kinds)
    x = _Run(weights, arithmetic, batch, tokens, places, observe, look, in_turn).body(weights.body, x, 0)
    x = normalise(x, weights.final_norm, config, arithmetic)
    out = transposed(weights.readout, dtype) @ x + weights.readout_bias.astype(dtype)[:, None]
    return np.ascontiguousarray(out.T).reshape(batch, tokens, -1)[:, 1:]


def embedded(weights: Contents, data: TokenData) -> Real:
    """The stream [width, batch, 1 + tokens] before the first sublayer."""
    dtype, held = carrier(weights.config.dtype), rounding(weights.config.dtype)
    given = FeatureLayout.of(weights.signature).tokens(data, slice(None), np.float64)
    batch, tokens = given.shape[:2]
    x = transposed(weights.embedding, np.dtype(np.float64)) @ given.reshape(batch * tokens, -1).T
    x = held(held(x.astype(dtype)) + np.tile(weights.positions[:tokens].T, batch).astype(dtype))
    return np.asarray(x).reshape(-1, batch, tokens)


@dataclass
class _Run:
    """The weights on so many tasks of so many tokens, the rest token included."""

    weights: Contents
    arithmetic: Arithmetic
    batch: int
    tokens: int
    places: dict[str, Indices]
    observe: Observe | None
    look: Look | None
    in_turn: InTurn | None
    run: int = 0
    """How many sublayers have run, if every pass does."""
    attention: dict[int, Heads] = field(default_factory=dict)
    mlps: dict[tuple[int, int], Neurons] = field(default_factory=dict)

    @cached_property
    def held(self) -> Round:
        """Rounds what comes out of each operation."""
        return rounding(self.weights.config.dtype)

    @property
    def scale(self) -> Real:
        """What scores are divided by."""
        return np.asarray(np.sqrt(self.weights.config.d_head), carrier(self.weights.config.dtype))

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Which tokens see which [tokens, tokens]."""
        every = np.ones((self.tokens, self.tokens), bool)
        return np.tril(every) if self.weights.config.causal else every

    @cached_property
    def mix(self) -> Mix:
        return softmax(self.seen, self.weights.config.d_head, self.weights.config.dtype)

    @cached_property
    def read(self) -> NDArray[np.bool_]:
        """Of those, which linear attention reads."""
        return self.seen & (np.arange(self.tokens) < self.tokens - self.weights.config.unread)

    def body(self, body: Body, x: Real, number: int) -> Real:
        """The stream behind it; `number` of its sublayers' first."""
        layer = x  # as the sublayer before found it
        for item in body:
            if not isinstance(item, Repeated):
                reads, layer = layer if self._reads_layer(item) else x, x
                self._looked(2 * number, reads)
                x = self._sublayer(item, number, x, reads)
                self._looked(2 * number + 1, x)
                number += 1
                continue
            if item.turn in self.places:
                x = self._in_turn(item, x, number)
            else:
                look = self.look
                for turn in range(item.count):
                    self.look = None if item.scan and turn < item.count - 1 else look
                    x = self.body(item.body, x, number)
                self.look = look
            number += sum(1 for _ in stored(item.body))
        return x

    def _looked(self, time: int, x: Real, place: int | None = None) -> None:
        """The rest token, in turn, is looked at by nobody: it is the same in every task."""
        if self.look is not None and place != 0:
            self.look(time, x.reshape(x.shape[0], self.batch, -1), place)

    def _reads_layer(self, part: Sublayer) -> bool:
        """Whether it reads what the attention before it in its layer read."""
        return isinstance(part, Mlp) and self.weights.config.block == "parallel"

    def _sublayer(self, part: Sublayer, number: int, x: Real, reads: Real) -> Real:
        match part:
            case Attention():
                x = self.held(x + self._heads(part, number).run(self._normed(part, x), self.batch, self.mix))
            case LinearAttention():
                heads = self._heads(part, number)
                counted = (heads.count @ x).reshape(-1, self.batch, self.tokens)
                x = self.held(x + heads.run(x, self.batch, linear(self.read, counted)))
            case DeltaAttention():
                x = x + DeltaHeads(part, self.weights.config).run(x, self.batch)
            case Mlp():
                x = self.held(x + self._neurons(part, number, x.shape[1]).run(self._normed(part, reads)))
            case Idle():
                pass
        self.run += 1
        if self.observe is not None:
            self.observe(x.reshape(-1, self.batch, self.tokens))
        return x

    # Scans whose passes need their own token alone: as runtime/layers/turns.py has it ---------------------

    def _in_turn(self, scan: Repeated, x: Real, number: int) -> Real:
        """The stream behind a scan of which each token runs its own pass. The rest token reads itself alone; the others
        read themselves, it and, in their first heads, the token of the scan before them, if there is one."""
        steps, _ = unroll(scan.body, number)
        first = np.arange(self.batch) * self.tokens
        heads = [(part, k) for k, part in steps if isinstance(part, Attention)]
        rest, resting = self._pass(steps, x[:, :1], 0, [[] for _ in heads])
        before, there = rest, 0
        begun = self.run
        for turn, place in enumerate(self.places[str(scan.turn)].tolist()):
            if self.in_turn is not None and turn in self.in_turn.numbers:
                self._everywhere(scan, x, number, Turn(begun, 0, len(steps), turn))
            others = [[read] for read in resting]
            if there:
                part, k = heads[0]
                others[0].append(self._heads(part, k).read(self._normed(part, before), self.batch, there))
            before, _ = self._pass(steps, x[:, first + place], place, others, Turn(begun, 0, len(steps), turn))
            x[:, first + place], there = before, place
        x[:, first] = rest
        self.run = begun + scan.count * len(steps)
        return x

    def _everywhere(self, scan: Repeated, x: Real, number: int, turn: Turn) -> None:
        """A pass at all tokens, for who sees it."""
        step, observe, look = count(), self.observe, self.look

        def see(stream: Real) -> None:
            if self.in_turn is not None:
                self.in_turn.see(replace(turn, step=next(step)), stream, None)

        self.observe, self.look = see, None
        self.body(scan.body, x, number)
        self.observe, self.look = observe, look

    def _pass(
        self,
        steps: list[tuple[int, Any]],
        x: Real,
        place: int,
        others: list[list[Real]],
        turn: Turn | None = None,
    ) -> tuple[Real, list[Real]]:
        """The stream [width, tokens] of tokens that all stand at this place behind a pass, and what each of its heads'
        sublayers reads of them; `others`: what each reads of other tokens."""
        reads: list[Real] = []
        layer = x
        for step, (number, part) in enumerate(steps):
            found, layer = layer if self._reads_layer(part) else x, x
            self._looked(2 * number, found, place)
            if isinstance(part, Attention):
                heads = self._heads(part, number)
                reads.append(heads.read(self._normed(part, x), x.shape[1], place))
                x = self.held(x + heads.among(reads[-1], others[len(reads) - 1], self.scale))
            elif isinstance(part, Mlp):
                x = self.held(x + self._neurons(part, number, x.shape[1]).run(self._normed(part, found)))
            self._looked(2 * number + 1, x, place)
            if self.in_turn is not None and turn is not None:
                self.in_turn.see(replace(turn, step=step), x.reshape(x.shape[0], self.batch, -1), place)
        return x, reads

    # Sublayers -------------------------------------------------------------------------------------

    def _normed(self, part: Attention | Mlp, x: Real) -> Real:
        return normalise(x, part.norm, self.weights.config, self.arithmetic)

    def _heads(self, part: Attention | LinearAttention, number: int) -> Heads:
        if number not in self.attention:
            self.attention[number] = Heads.of(part, self.weights.config, self.tokens)
        return self.attention[number]

    def _neurons(self, part: Mlp, number: int, columns: int) -> Neurons:
        if (number, columns) not in self.mlps:
            activation = self.arithmetic.activations[self.weights.config.activation]
            self.mlps[number, columns] = Neurons.of(part, activation, columns, self.weights.config.dtype)
        return self.mlps[number, columns]
