"""Sublayers in plain NumPy, without their empty dimensions: they multiply by what is not zero only.

before   the stream under a sublayer's norm [width, batch · tokens]
after    what the sublayer adds to the stream [width, batch · tokens]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..arrays import Dtype, Indices
from ..parts import Attention, Config, LinearAttention, Mlp
from ..precisions import Round, carrier, rounding
from ..rotations import rotations
from ..sparse import Matrix, compact, sliced
from .arithmetic import Real

Mix = Callable[[int, Real, Real], Real]
"""A head's values, mixed: its number, q kᵀ [batch, tokens, tokens] and v [batch, tokens, size] → as v."""

BLOCK = 2**18
"""Numbers of hidden activations that are worked on at once, so that they stay in the cache."""
TOGETHER = 16
"""Neurons whose terms cancel stand in blocks of eight, and eight mirror images (see ungated_neurons.py)."""


def transposed(matrix: Matrix, dtype: np.dtype[Any]) -> Any:
    """[out, in] in that precision: what acts on the stream from the left."""
    return sp.csr_array(matrix.csr.T).astype(dtype)


# Attention ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """Where a head's queries, keys and values stand in what `project` reads, and its mixed values in what `output`
    reads; heads that share keys and values name the same ones."""

    number: int
    query: slice
    key: Indices
    value: Indices
    out: slice


@dataclass(frozen=True)
class _Rotary:
    """Dimensions `low` and `high` of what `project` reads are pairs that turn with the position: their cosines and
    sines [pairs, 1, tokens]."""

    low: Indices
    high: Indices
    cos: Real
    sin: Real
    held: Round

    def turn(self, rows: Real, places: slice) -> None:
        """Turns rows [.., batch, tokens] of the tokens at these places."""
        a, b, cos, sin, held = rows[self.low], rows[self.high], self.cos[..., places], self.sin[..., places], self.held
        rows[self.low] = held(held(a * cos) - held(b * sin))
        rows[self.high] = held(held(b * cos) + held(a * sin))


@dataclass(frozen=True)
class Heads:
    """An attention sublayer without its empty dimensions. `project` reads queries, keys and values of all heads at
    once; `count` [heads, width] is linear attention's; `held` rounds what comes out of each operation."""

    project: Any
    bias: Real
    rotary: _Rotary | None
    heads: tuple[Head, ...]
    output: Any
    output_bias: Real
    count: Any
    held: Round

    @staticmethod
    def of(part: Attention | LinearAttention, config: Config, tokens: int) -> Heads:
        """Of a sublayer that runs on sequences of so many tokens."""
        dtype = carrier(config.dtype)
        sides = [part.query, part.key, part.value]
        biases = [np.zeros(side.shape[1]) for side in sides]
        output_bias = np.zeros(part.output.shape[1])
        turns = isinstance(part, Attention) and config.positions == "rotary"
        if isinstance(part, Attention):
            biases, output_bias = [part.query_bias, part.key_bias, part.value_bias], part.output_bias
        width, group = config.d_head, config.n_head // (config.n_kv_head or config.n_head)
        used = [
            ((np.bincount(m.csr.indices, minlength=b.size) > 0) | (b != 0)).reshape(-1, width)
            for m, b in zip(sides, biases, strict=True)
        ]
        if turns:  # a dimension meets both of its pair
            used[:2] = [u | np.roll(u, width // 2, axis=1) for u in used[:2]]
        query, key, value = used[0], *(np.repeat(u, group, axis=0) for u in used[1:])
        scored = np.flatnonzero(query & key)
        mixed = np.flatnonzero(value.ravel() & (np.diff(part.output.csr.indptr) > 0))
        shared = np.repeat(np.arange(used[1].size).reshape(-1, width), group, axis=0).ravel()
        keys, key_at = np.unique(shared[scored], return_inverse=True)
        values, value_at = np.unique(shared[mixed], return_inverse=True)
        key_at, value_at = key_at + scored.size, value_at + scored.size + keys.size
        heads = []
        for head in range(config.n_head):
            s, m = (slice(*np.searchsorted(k, [head * width, (head + 1) * width]).tolist()) for k in (scored, mixed))
            if m.start < m.stop:
                heads.append(Head(head, s, key_at[s], value_at[m], m))
        kept = [scored, keys, values]
        project = sp.hstack([m.csr[:, k] for m, k in zip(sides, kept, strict=True)])
        bias = np.concatenate([b[k] for b, k in zip(biases, kept, strict=True)])
        return Heads(
            transposed(Matrix(project), dtype),
            bias.astype(dtype)[:, None],
            _rotary(np.concatenate([scored, keys]) % width, config, tokens) if turns else None,
            tuple(heads),
            transposed(Matrix(part.output.csr[mixed]), dtype),
            output_bias.astype(dtype)[:, None],
            None if isinstance(part, Attention) else transposed(part.count, dtype),
            rounding(config.dtype),
        )

    def run(self, x: Real, batch: int, mix: Mix) -> Real:
        """What it adds to the stream, for x [width, batch · tokens] as it reads it."""
        rows = self.read(x, batch)
        mixed = np.empty((self.output.shape[1], *rows.shape[1:]), x.dtype)
        for head in self.heads:
            scores = self.held(rows[head.query].transpose(1, 2, 0) @ rows[head.key].transpose(1, 0, 2))
            mixed[head.out] = mix(head.number, scores, rows[head.value].transpose(1, 2, 0)).transpose(2, 0, 1)
        return self._written(mixed)

    def read(self, x: Real, batch: int, first: int = 0) -> Real:
        """Queries, keys and values [.., batch, tokens] of tokens that stand at `first` and behind."""
        tokens = x.shape[1] // batch
        rows = self.held(self.project @ x + self.bias).reshape(self.bias.size, batch, tokens)
        if self.rotary is not None:
            self.rotary.turn(rows, slice(first, first + tokens))
        return np.asarray(rows)

    def among(self, rows: Real, others: Sequence[Real], scale: Real) -> Real:
        """What softmax attention adds to the stream at one token of each task, which sees itself and one of each of the
        others: `rows` and `others` as `read` gives them [.., batch (or one for all), 1]."""
        mixed = np.empty((self.output.shape[1], *rows.shape[1:]), rows.dtype)
        seen = [*others, rows]
        for head in self.heads:
            shares = np.stack([np.broadcast_to((rows[head.query] * o[head.key]).sum(0), rows.shape[1:]) for o in seen])
            shares = self.held(self.held(shares) / scale)
            shares -= shares.max(axis=0)
            np.exp(shares, out=shares)
            shares = self.held(shares / shares.sum(axis=0))
            terms = (share * o[head.value] for share, o in zip(shares, seen, strict=True))
            mixed[head.out] = self.held(np.asarray(sum(terms)))
        return self._written(mixed)

    def _written(self, mixed: Real) -> Real:
        return self.held(self.output @ mixed.reshape(len(mixed), prod(mixed.shape[1:])) + self.output_bias)


def _rotary(dimensions: Indices, config: Config, tokens: int) -> _Rotary:
    """Of rows that are those dimensions of their heads: the pairs whole, each head's lower halves before its upper."""
    half = config.d_head // 2
    low, high = np.flatnonzero(dimensions < half), np.flatnonzero(dimensions >= half)
    cos, sin = rotations(config.d_head, config.rope_theta, tokens, config.rotary_fraction)
    held, dtype = rounding(config.dtype), carrier(config.dtype)
    cos, sin = (held(table.T[dimensions[low], None].astype(dtype)) for table in (cos, sin))
    return _Rotary(low, high, cos, sin, held)


def softmax(seen: NDArray[np.bool_], width: int, dtype: Dtype) -> Mix:
    """softmax(q kᵀ / √width) v over the tokens seen [tokens, tokens]."""
    held, real = rounding(dtype), carrier(dtype)
    mask = np.where(seen, 0.0, -np.inf).astype(real)
    root = real.type(np.sqrt(width))

    def mix(_: int, scores: Real, v: Real) -> Real:
        scores = held(scores / root)
        scores += mask
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        return held(held(scores) @ v)

    return mix


def linear(read: NDArray[np.bool_], counted: Real) -> Mix:
    """q kᵀ v / ρ over the tokens read [tokens, tokens]; ρ from what they count [heads, batch, tokens]."""
    rho = counted @ read.astype(counted.dtype).T
    rho[rho == 0.0] = 1.0

    def mix(head: int, scores: Real, v: Real) -> Real:
        return np.asarray(np.where(read, scores, scores.dtype.type(0.0)) @ v / rho[head][..., None])

    return mix


# MLP ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Block:
    """Neurons that are worked on at once: up [neurons, width], its bias [neurons, 1], the gate as up, if there is one,
    and down [written, neurons] to the slots that they write."""

    up: Any
    bias: Real
    gate: Any
    down: Any
    written: Indices | slice


@dataclass(frozen=True)
class Neurons:
    """An MLP sublayer in blocks of neurons."""

    blocks: tuple[_Block, ...]
    down_bias: Real
    activation: Callable[[Real, Round], Real]
    held: Round

    @staticmethod
    def of(part: Mlp, activation: Callable[[Real, Round], Real], tokens: int, precision: Dtype) -> Neurons:
        dtype = carrier(precision)
        up, down = transposed(part.up, dtype), part.down.csr.astype(dtype)
        gate = None if part.gate is None else transposed(part.gate, dtype)
        bias = part.up_bias.astype(dtype)[:, None]
        size = TOGETHER * max(1, BLOCK // (TOGETHER * tokens))
        blocks = []
        for start in range(0, bias.size, size):
            at = slice(start, start + size)
            written, small = compact(down[at])
            blocks.append(_Block(up[at], bias[at], None if gate is None else gate[at], small.T, sliced(written)))
        return Neurons(tuple(blocks), part.down_bias.astype(dtype)[:, None], activation, rounding(precision))

    def run(self, x: Real) -> Real:
        """What it adds to the stream, for x [width, tokens] as it reads it."""
        total, held = np.zeros(x.shape, x.dtype), self.held
        for block in self.blocks:
            hidden = block.up @ x
            hidden += block.bias
            hidden = held(hidden)
            if block.gate is None:
                hidden = self.activation(hidden, held)
            else:
                hidden = held(self.activation(held(block.gate @ x), held) * hidden)
            total[block.written] += block.down @ hidden
        return held(total + self.down_bias)
