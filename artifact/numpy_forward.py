"""The compiler's own measurement: the weights run in plain NumPy on fresh tasks, against the float64 oracle.

It is here, and not in the runtime, so that compiling needs no JAX; the runtime's tests hold the two
forward passes against each other. It multiplies by what is not zero only, so that it takes time as the nonzeros
that run, and not as their square; the stream stands on its side, [width, batch · tokens].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .arithmetic import OWN, Arithmetic, Real, normalise
from .arrays import Indices
from .features import FeatureLayout
from .parts import Attention, Config, LinearAttention, Mlp
from .rotations import rotations
from .sparse import Matrix
from .tokens import TokenData
from .weights import Weights

Mix = Callable[[int, Real, Real], Real]
"""A head's values, mixed: its number, q kᵀ [batch, tokens, tokens] and v [batch, tokens, size] → as v."""

BLOCK = 2**18
"""Numbers of hidden activations that are worked on at once, so that they stay in the cache."""
TOGETHER = 16
"""Neurons whose terms cancel stand in blocks of eight, and eight mirror images (see ungated_neurons.py)."""


def forward(
    weights: Weights, data: TokenData, observe: Callable[[Real], None] | None = None, arithmetic: Arithmetic = OWN
) -> Real:
    """The output at every token of the data [batch, tokens, size], in the precision of the weights. `observe` is called
    with the stream [width, batch, 1 + tokens] after each sublayer. `arithmetic`: how norms and activations round."""
    config = weights.config
    dtype = np.dtype(config.dtype)
    given = FeatureLayout.of(weights.signature).tokens(data, slice(None), np.float64)
    batch, tokens = given.shape[:2]
    x = _turned(weights.embedding, np.dtype(np.float64)) @ given.reshape(batch * tokens, -1).T
    x = x.astype(dtype) + np.tile(weights.positions[:tokens].T, batch).astype(dtype)
    seen = np.tri(tokens, dtype=bool) if config.causal else np.ones((tokens, tokens), bool)
    read = seen & (np.arange(tokens) < tokens - config.unread)
    softmax = _softmax(seen, config.d_head, dtype)
    attention: dict[int, _Heads] = {}
    mlps: dict[int, _Neurons] = {}
    for number, part in weights.unrolled():
        if isinstance(part, Attention | LinearAttention):
            if number not in attention:
                attention[number] = _Heads.of(part, config, tokens, dtype)
            heads = attention[number]
            if isinstance(part, Attention):
                x = x + heads.run(normalise(x, part.norm, config, arithmetic), batch, softmax)
            else:
                x = x + heads.run(x, batch, _linear(read, (heads.count @ x).reshape(-1, batch, tokens)))
        elif isinstance(part, Mlp):
            if number not in mlps:
                mlps[number] = _Neurons.of(part, arithmetic.activations[config.activation], batch * tokens, dtype)
            x = x + mlps[number].run(normalise(x, part.norm, config, arithmetic))
        if observe is not None:
            observe(x.reshape(-1, batch, tokens))
    x = normalise(x, weights.final_norm, config, arithmetic)
    out = _turned(weights.readout, dtype) @ x + weights.readout_bias.astype(dtype)[:, None]
    return np.ascontiguousarray(out.T).reshape(batch, tokens, -1)[:, 1:]


def _turned(matrix: Matrix, dtype: np.dtype[Any]) -> Any:
    """[out, in] in that precision: what acts on the stream from the left."""
    return sp.csr_array(matrix.csr.T).astype(dtype)


# Attention ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Head:
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

    def turn(self, rows: Real) -> None:
        a, b = rows[self.low], rows[self.high]
        rows[self.low], rows[self.high] = a * self.cos - b * self.sin, b * self.cos + a * self.sin


@dataclass(frozen=True)
class _Heads:
    """An attention sublayer without its empty dimensions. `project` reads queries, keys and values of all heads at
    once; `count` [heads, width] is linear attention's."""

    project: Any
    bias: Real
    rotary: _Rotary | None
    heads: tuple[_Head, ...]
    output: Any
    output_bias: Real
    count: Any

    @staticmethod
    def of(part: Attention | LinearAttention, config: Config, tokens: int, dtype: np.dtype[Any]) -> _Heads:
        """Of a sublayer that runs on sequences of so many tokens."""
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
                heads.append(_Head(head, s, key_at[s], value_at[m], m))
        kept = [scored, keys, values]
        project = sp.hstack([m.csr[:, k] for m, k in zip(sides, kept, strict=True)])
        bias = np.concatenate([b[k] for b, k in zip(biases, kept, strict=True)])
        return _Heads(
            _turned(Matrix(project), dtype),
            bias.astype(dtype)[:, None],
            _rotary(np.concatenate([scored, keys]) % width, config, tokens, dtype) if turns else None,
            tuple(heads),
            _turned(Matrix(part.output.csr[mixed]), dtype),
            output_bias.astype(dtype)[:, None],
            None if isinstance(part, Attention) else _turned(part.count, dtype),
        )

    def run(self, x: Real, batch: int, mix: Mix) -> Real:
        """What it adds to the stream, for x [width, batch · tokens] as it reads it."""
        rows = (self.project @ x + self.bias).reshape(self.bias.size, batch, x.shape[1] // batch)
        if self.rotary is not None:
            self.rotary.turn(rows)
        mixed = np.empty((self.output.shape[1], *rows.shape[1:]), x.dtype)
        for head in self.heads:
            scores = rows[head.query].transpose(1, 2, 0) @ rows[head.key].transpose(1, 0, 2)
            mixed[head.out] = mix(head.number, scores, rows[head.value].transpose(1, 2, 0)).transpose(2, 0, 1)
        return np.asarray(self.output @ mixed.reshape(mixed.shape[0], x.shape[1]) + self.output_bias)


def _rotary(dimensions: Indices, config: Config, tokens: int, dtype: np.dtype[Any]) -> _Rotary:
    """Of rows that are those dimensions of their heads: the pairs whole, each head's lower halves before its upper."""
    half = config.d_head // 2
    low, high = np.flatnonzero(dimensions < half), np.flatnonzero(dimensions >= half)
    cos, sin = rotations(config.d_head, config.rope_theta, tokens)
    cos, sin = (table.T[dimensions[low], None].astype(dtype) for table in (cos, sin))
    return _Rotary(low, high, cos, sin)


def _softmax(seen: NDArray[np.bool_], width: int, dtype: np.dtype[Any]) -> Mix:
    """softmax(q kᵀ / √width) v over the tokens seen [tokens, tokens]."""
    mask = np.where(seen, 0.0, -np.inf).astype(dtype)
    root = dtype.type(np.sqrt(width))

    def mix(_: int, scores: Real, v: Real) -> Real:
        scores /= root
        scores += mask
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        return np.asarray(scores @ v)

    return mix


def _linear(read: NDArray[np.bool_], counted: Real) -> Mix:
    """q kᵀ v / ρ over the tokens read [tokens, tokens]; ρ from what they count [heads, batch, tokens]."""
    rho = counted @ read.astype(counted.dtype).T
    rho[rho == 0.0] = 1.0

    def mix(head: int, scores: Real, v: Real) -> Real:
        return np.asarray(np.where(read, scores, scores.dtype.type(0.0)) @ v / rho[head][..., None])

    return mix


# MLP ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Neurons:
    """An MLP sublayer in blocks of neurons: up [neurons, width], its bias [neurons, 1], the gate as up, if there is
    one, and down [width, neurons]."""

    blocks: tuple[tuple[Any, Real, Any, Any], ...]
    down_bias: Real
    activation: Callable[[Real], Real]

    @staticmethod
    def of(part: Mlp, activation: Callable[[Real], Real], tokens: int, dtype: np.dtype[Any]) -> _Neurons:
        up, down = _turned(part.up, dtype), part.down.csr.astype(dtype)
        gate = None if part.gate is None else _turned(part.gate, dtype)
        bias = part.up_bias.astype(dtype)[:, None]
        size = TOGETHER * max(1, BLOCK // (TOGETHER * tokens))
        blocks = []
        for start in range(0, bias.size, size):
            at = slice(start, start + size)
            blocks.append((up[at], bias[at], None if gate is None else gate[at], down[at].T))
        return _Neurons(tuple(blocks), part.down_bias.astype(dtype)[:, None], activation)

    def run(self, x: Real) -> Real:
        """What it adds to the stream, for x [width, tokens] as it reads it."""
        total = np.zeros(x.shape, x.dtype)
        for up, bias, gate, down in self.blocks:
            hidden = up @ x + bias
            hidden = self.activation(hidden) if gate is None else self.activation(gate @ x) * hidden
            total += down @ hidden
        return np.asarray(total + self.down_bias)
