"""The delta rule in NumPy: a matrix that tokens write one after another, and a query reads.

    before   queries, keys, values, rates and what is forgotten, token by token
    after    what each token reads of the matrix right after its own update

Each update takes from S what it answers to the key, and puts the value in its place:

    S ← (1 − f) S,    e = v − S k,    S ← S + β e kᵀ,    o = S q

With β = 1 and |k| = 1 the value is stored exactly; β kᵀk below 2 forgets what was there, above it the error grows.
Source: Widrow & Hoff 1960; Schlag et al. 2021 (arXiv 2102.11174), equation 19; the gate is Yang et al. 2024's
(2412.06464).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..parts import TAPS, Config, DeltaAttention
from ..precisions import carrier
from .arithmetic import Real
from .sublayers import transposed

Lose = Callable[[Real, Real], Real]
"""(what a step makes, the size of its terms) → what it makes after rounding."""


def delta_rule(
    query: Real,
    key: Real,
    value: Real,
    rate: Real,
    forgotten: Real,
    start: Real,
    lose: Lose | None = None,
) -> Real:
    """query and key [.., tokens, n], value [.., tokens, m], rate and forgotten [.., tokens], start [.., m, n] → what is
    read [.., tokens, m]. `lose`: rounds what steps make more than NumPy does (None: not)."""
    state = np.broadcast_to(start, (*key.shape[:-2], value.shape[-1], key.shape[-1])).copy()
    found = np.empty(value.shape, value.dtype)
    for t in range(key.shape[-2]):
        k, q = key[..., t, :], query[..., t, :]
        if rate[..., t].any() or forgotten[..., t].any():
            state *= (1 - forgotten[..., t])[..., None, None]
            answer = _applied(state, k)
            error = value[..., t, :] - answer
            if lose is not None:
                error = lose(error, np.hypot(value[..., t, :], _sized(state, k)))
            change = (rate[..., t, None] * error)[..., :, None] * k[..., None, :]
            state += change
            if lose is not None:
                state = lose(state, np.hypot(state, change))
        found[..., t, :] = _applied(state, q)
        if lose is not None:
            found[..., t, :] = lose(found[..., t, :], _sized(state, q))
    return found


def divided(rate: Real, key: Real, least: Any, share: Any) -> Real:
    """rate [.., tokens] over least + share |k|², key [.., tokens, n]; 0/0 is 0."""
    below = np.broadcast_to(least + share * np.square(key).sum(-1), rate.shape)
    return np.asarray(np.divide(rate, below, out=np.zeros_like(rate), where=(below != 0) | (rate != 0)))


def _applied(state: Real, vector: Real) -> Real:
    return np.asarray((state @ vector[..., None])[..., 0])


def _sized(state: Real, vector: Real) -> Real:
    """The size of the terms of a product, as their roundings add up."""
    return np.asarray(np.sqrt(_applied(np.square(state), np.square(vector))))


@dataclass(frozen=True)
class DeltaHeads:
    """A sublayer of such heads, to be run on sequences of one length."""

    part: DeltaAttention
    config: Config

    def run(self, x: Real, batch: int) -> Real:
        """What it adds to the stream, for x [width, batch · tokens]."""
        part, heads, dtype = self.part, self.config.n_head, carrier(self.config.dtype)
        query, key, value = (self._side(side, x, batch) for side in (part.query, part.key, part.value))
        key, value = (self._short(a, b) for a, b in ((key, part.key_taps), (value, part.value_taps)))
        rate, forgotten = (self._gate(gate, x, batch) for gate in (part.rate, part.forget))
        least, share = part.divisor.astype(dtype).T[:, :, None]
        start = part.start.csr.toarray().astype(dtype).reshape(heads, self.config.d_head, -1).swapaxes(1, 2)
        found = delta_rule(query, key, value, divided(rate, key, least, share), forgotten, start)
        rows = found.transpose(1, 3, 0, 2).reshape(part.output.shape[0], -1)
        return np.asarray(transposed(part.output, dtype) @ rows)

    def _side(self, side: Any, x: Real, batch: int) -> Real:
        """[batch, heads, tokens, d_head]."""
        rows = transposed(side, x.dtype) @ x
        return np.asarray(rows.reshape(self.config.n_head, self.config.d_head, batch, -1).transpose(2, 0, 3, 1))

    def _gate(self, gate: Any, x: Real, batch: int) -> Real:
        """[batch, heads, tokens]."""
        return np.asarray((transposed(gate, x.dtype) @ x).reshape(self.config.n_head, batch, -1).swapaxes(0, 1))

    def _short(self, side: Real, taps: NDArray[Any]) -> Real:
        """The short convolution, channel by channel."""
        by_head = taps.astype(side.dtype).reshape(TAPS, self.config.n_head, 1, self.config.d_head)
        total = by_head[0] * side
        for back in range(1, min(TAPS, side.shape[-2])):
            total[..., back:, :] += by_head[back] * side[..., : side.shape[-2] - back, :]
        return np.asarray(total)
