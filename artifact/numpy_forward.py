"""The compiler's own measurement: the weights run in plain NumPy on fresh tasks, against the float64 oracle.

It is here, and not in the runtime, so that compiling needs no JAX; the runtime's tests hold the two
forward passes against each other. It multiplies by what is not zero only, so that it takes time as the nonzeros
that run, and not as their square; the stream stands on its side, [width, batch · tokens].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arithmetic import OWN, Arithmetic, Real, normalise
from .arrays import Indices
from .contents import Contents
from .features import FeatureLayout
from .numpy_sublayers import Heads, Mix, Neurons, linear, softmax, transposed
from .parts import Attention, Body, Idle, LinearAttention, Mlp, Repeated, stored, unroll
from .places import turns
from .tokens import TokenData

Observe = Callable[[Real], None]


def forward(
    weights: Contents,
    data: TokenData,
    observe: Observe | None = None,
    arithmetic: Arithmetic = OWN,
    whole: bool = False,
) -> Real:
    """The output at every token of the data [batch, tokens, size], in the precision of the weights. `observe` is called
    with the stream [width, batch, 1 + tokens] after each sublayer. `arithmetic`: how norms and activations round.
    `whole`: every pass of a scan at all tokens, as stock transformers run it, and as it is run for who observes; else
    each at the token whose turn it is, where that is enough, as the runtime does."""
    config = weights.config
    dtype = np.dtype(config.dtype)
    x = embedded(weights, data)
    batch, tokens = x.shape[1:]
    x = x.reshape(-1, batch * tokens)
    places = {} if whole or observe is not None else turns(weights.body, data.sequence.kinds)
    x = _Run(weights, arithmetic, batch, tokens, places, observe).body(weights.body, x, 0)
    x = normalise(x, weights.final_norm, config, arithmetic)
    out = transposed(weights.readout, dtype) @ x + weights.readout_bias.astype(dtype)[:, None]
    return np.ascontiguousarray(out.T).reshape(batch, tokens, -1)[:, 1:]


def embedded(weights: Contents, data: TokenData) -> Real:
    """The stream [width, batch, 1 + tokens] before the first sublayer."""
    dtype = np.dtype(weights.config.dtype)
    given = FeatureLayout.of(weights.signature).tokens(data, slice(None), np.float64)
    batch, tokens = given.shape[:2]
    x = transposed(weights.embedding, np.dtype(np.float64)) @ given.reshape(batch * tokens, -1).T
    x = x.astype(dtype) + np.tile(weights.positions[:tokens].T, batch).astype(dtype)
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
    attention: dict[int, Heads] = field(default_factory=dict)
    mlps: dict[tuple[int, int], Neurons] = field(default_factory=dict)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.weights.config.dtype)

    @property
    def scale(self) -> Real:
        """What scores are divided by."""
        return np.asarray(np.sqrt(self.weights.config.d_head), self.dtype)

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Which tokens see which [tokens, tokens]."""
        every = np.ones((self.tokens, self.tokens), bool)
        return np.tril(every) if self.weights.config.causal else every

    @cached_property
    def mix(self) -> Mix:
        return softmax(self.seen, self.weights.config.d_head, self.dtype)

    @cached_property
    def read(self) -> NDArray[np.bool_]:
        """Of those, which linear attention reads."""
        return self.seen & (np.arange(self.tokens) < self.tokens - self.weights.config.unread)

    def body(self, body: Body, x: Real, number: int) -> Real:
        """The stream behind it; `number` of its sublayers' first."""
        for item in body:
            if not isinstance(item, Repeated):
                x = self._sublayer(item, number, x)
                number += 1
                continue
            if item.turn in self.places:
                x = self._in_turn(item, x, number)
            else:
                for _ in range(item.count):
                    x = self.body(item.body, x, number)
            number += sum(1 for _ in stored(item.body))
        return x

    def _sublayer(self, part: Attention | LinearAttention | Mlp | Idle, number: int, x: Real) -> Real:
        match part:
            case Attention():
                x = x + self._heads(part, number).run(self._normed(part, x), self.batch, self.mix)
            case LinearAttention():
                heads = self._heads(part, number)
                counted = (heads.count @ x).reshape(-1, self.batch, self.tokens)
                x = x + heads.run(x, self.batch, linear(self.read, counted))
            case Mlp():
                x = x + self._neurons(part, number, x.shape[1]).run(self._normed(part, x))
            case Idle():
                pass
        if self.observe is not None:
            self.observe(x.reshape(-1, self.batch, self.tokens))
        return x

    # Scans whose passes need their own token alone: as runtime/turns.py has it ---------------------

    def _in_turn(self, scan: Repeated, x: Real, number: int) -> Real:
        """The stream behind a scan of which each token runs its own pass."""
        steps, _ = unroll(scan.body, number)
        first = np.arange(self.batch) * self.tokens
        rest, resting = self._rested(steps, x[:, :1])
        before, there = np.repeat(rest, self.batch, axis=1), 0
        for place in self.places[str(scan.turn)].tolist():
            before, there = self._turn(steps, iter(resting), (before, there), x[:, first + place], place), place
            x[:, first + place] = before
        x[:, first] = rest
        return x

    def _rested(self, steps: list[tuple[int, Any]], rest: Real) -> tuple[Real, list[Real]]:
        """The rest token behind a pass, which reads itself alone, and what each attention sublayer reads of it."""
        resting = []
        for number, part in steps:
            if isinstance(part, Attention):
                heads = self._heads(part, number)
                resting.append(heads.read(self._normed(part, rest), 1))
                rest = rest + heads.among(resting[-1], [], self.scale)
            elif isinstance(part, Mlp):
                rest = rest + self._neurons(part, number, 1).run(self._normed(part, rest))
        return rest, resting

    def _turn(
        self, steps: list[tuple[int, Any]], resting: Iterator[Real], before: tuple[Real, int], x: Real, place: int
    ) -> Real:
        """The stream [width, batch] of the tokens at this place behind their pass; `before`: that of the tokens of the
        scan before them, and their place (0: the rest token's, and there are none)."""
        head = True
        for number, part in steps:
            if isinstance(part, Attention):
                heads, others = self._heads(part, number), [next(resting)]
                if head and before[1]:
                    others.append(heads.read(self._normed(part, before[0]), self.batch, before[1]))
                head = False
                x = x + heads.among(heads.read(self._normed(part, x), self.batch, place), others, self.scale)
            elif isinstance(part, Mlp):
                x = x + self._neurons(part, number, x.shape[1]).run(self._normed(part, x))
        return x

    # Sublayers -------------------------------------------------------------------------------------

    def _normed(self, part: Attention | Mlp, x: Real) -> Real:
        return normalise(x, part.norm, self.weights.config, self.arithmetic)

    def _heads(self, part: Attention | LinearAttention, number: int) -> Heads:
        if number not in self.attention:
            self.attention[number] = Heads.of(part, self.weights.config, self.tokens, self.dtype)
        return self.attention[number]

    def _neurons(self, part: Mlp, number: int, columns: int) -> Neurons:
        if (number, columns) not in self.mlps:
            activation = self.arithmetic.activations[self.weights.config.activation]
            self.mlps[number, columns] = Neurons.of(part, activation, columns, self.dtype)
        return self.mlps[number, columns]
