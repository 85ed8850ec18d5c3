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

from .sparse import Matrix
from .tokens import TokenData
from .weights import Attention, LinearAttention, Mlp, Norm, Weights

Real = NDArray[Any]
Mix = Callable[[int, Real, Real], Real]
"""A head's values, mixed: its number, q kᵀ [batch, tokens, tokens] and v [batch, tokens, size] → as v."""

BLOCK = 2**18
"""Numbers of hidden activations that are worked on at once, so that they stay in the cache."""
TOGETHER = 16
"""Neurons whose terms cancel stand in blocks of eight, and eight mirror images (see neurons.py)."""


def features(weights: Weights, data: TokenData) -> Real:
    """[batch, 1 + tokens, features]: the rest token first, then each token's role and fields."""
    tokens = len(data.sequence)
    result = np.zeros((data.batch, tokens + 1, weights.embedding.shape[0]))
    result[:, 0, 0] = 1.0
    result[:, np.arange(1, tokens + 1), np.asarray(data.sequence.roles)] = 1.0
    offset = len(weights.roles)
    for spec in weights.signature.fields:
        held = data.fields[spec.name]
        result[:, 1:, offset : offset + held.shape[2]] = held
        offset += held.shape[2]
    return result


def forward(weights: Weights, data: TokenData) -> Real:
    """The output at every token of the data [batch, tokens, size], in the precision of the weights."""
    config = weights.config
    dtype = np.dtype(config.dtype)
    given = features(weights, data)
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
                attention[number] = _Heads.of(part, config.n_head, dtype)
            mix = softmax
            if isinstance(part, LinearAttention):
                mix = _linear(read, (_turned(part.count, dtype) @ x).reshape(-1, batch, tokens))
            inside = normalise(x, part.norm, config.norm_epsilon) if isinstance(part, Attention) else x
            x = x + attention[number].run(inside, batch, mix)
        elif isinstance(part, Mlp):
            if number not in mlps:
                mlps[number] = _Neurons.of(part, x.shape[1], dtype)
            x = x + mlps[number].run(normalise(x, part.norm, config.norm_epsilon))
    x = normalise(x, weights.final_norm, config.norm_epsilon)
    out = _turned(weights.readout, dtype) @ x + weights.readout_bias.astype(dtype)[:, None]
    return np.ascontiguousarray(out.T).reshape(batch, tokens, -1)[:, 1:]


def normalise(x: Real, norm: Norm | None, epsilon: float) -> Real:
    """LayerNorm of x [width, …]; slots eight apart are added first, and the total rounded at the size of the largest
    (see stream.py)."""
    if norm is None:
        return x
    width = x.dtype.type(x.shape[0])
    largest = np.abs(x).max(axis=0)
    blocks = x.shape[0] // 16
    pairs = x[: 16 * blocks].reshape(blocks, 2, 8, *x.shape[1:])
    total = (pairs[:, 0] + pairs[:, 1]).sum(axis=(0, 1)) + x[16 * blocks :].sum(axis=0)
    centred = x - (total + largest - largest) / width
    variance = np.square(centred).sum(axis=0) / width
    centred /= np.sqrt(variance + x.dtype.type(epsilon))
    centred *= norm.gain.astype(x.dtype)[:, None]
    centred += norm.bias.astype(x.dtype)[:, None]
    return np.asarray(centred)


def _turned(matrix: Matrix, dtype: np.dtype[Any]) -> Any:
    """[out, in] in that precision: what acts on the stream from the left."""
    return sp.csr_array(matrix.csr.T).astype(dtype)


# Attention ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Heads:
    """An attention sublayer without its empty dimensions. `project` reads queries, keys and values of all heads at
    once, and each head has its rows of that, and of what `output` reads."""

    project: Any
    bias: Real
    heads: tuple[tuple[int, slice, slice, slice, slice], ...]
    output: Any
    output_bias: Real

    @staticmethod
    def of(part: Attention | LinearAttention, count: int, dtype: np.dtype[Any]) -> _Heads:
        sides = [part.query, part.key, part.value]
        total = part.query.shape[1]
        biases = [np.zeros(total)] * 3
        output_bias = np.zeros(part.output.shape[1])
        if isinstance(part, Attention):
            biases, output_bias = [part.query_bias, part.key_bias, part.value_bias], part.output_bias
        query, key, value = (
            (np.bincount(m.csr.indices, minlength=total) > 0) | (b != 0) for m, b in zip(sides, biases, strict=True)
        )
        scored = np.flatnonzero(query & key)
        mixed = np.flatnonzero(value & (np.diff(part.output.csr.indptr) > 0))
        width = total // count
        heads = []
        for head in range(count):
            s, m = (np.searchsorted(k, [head * width, (head + 1) * width]).tolist() for k in (scored, mixed))
            if m[0] < m[1]:
                keys, values = scored.size, 2 * scored.size
                rows = slice(*s), slice(keys + s[0], keys + s[1]), slice(values + m[0], values + m[1])
                heads.append((head, *rows, slice(*m)))
        kept = [scored, scored, mixed]
        project = sp.hstack([m.csr[:, k] for m, k in zip(sides, kept, strict=True)])
        bias = np.concatenate([b[k] for b, k in zip(biases, kept, strict=True)])
        return _Heads(
            _turned(Matrix(project), dtype),
            bias.astype(dtype)[:, None],
            tuple(heads),
            _turned(Matrix(part.output.csr[mixed]), dtype),
            output_bias.astype(dtype)[:, None],
        )

    def run(self, x: Real, batch: int, mix: Mix) -> Real:
        """What it adds to the stream, for x [width, batch · tokens] as it reads it."""
        rows = (self.project @ x + self.bias).reshape(self.bias.size, batch, -1)
        mixed = np.empty((self.output.shape[1], *rows.shape[1:]), x.dtype)
        for head, query, key, value, out in self.heads:
            scores = rows[query].transpose(1, 2, 0) @ rows[key].transpose(1, 0, 2)
            mixed[out] = mix(head, scores, rows[value].transpose(1, 2, 0)).transpose(2, 0, 1)
        return np.asarray(self.output @ mixed.reshape(-1, x.shape[1]) + self.output_bias)


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
    """An MLP sublayer in blocks of neurons: up [neurons, width], its bias [neurons, 1] and down [width, neurons]."""

    blocks: tuple[tuple[Any, Real, Any], ...]
    down_bias: Real

    @staticmethod
    def of(part: Mlp, tokens: int, dtype: np.dtype[Any]) -> _Neurons:
        up, down = _turned(part.up, dtype), part.down.csr.astype(dtype)
        bias = part.up_bias.astype(dtype)[:, None]
        size = TOGETHER * max(1, BLOCK // (TOGETHER * tokens))
        blocks = [
            (up[start : start + size], bias[start : start + size], down[start : start + size].T)
            for start in range(0, bias.size, size)
        ]
        return _Neurons(tuple(blocks), part.down_bias.astype(dtype)[:, None])

    def run(self, x: Real) -> Real:
        """What it adds to the stream, for x [width, tokens] as it reads it."""
        total = np.zeros(x.shape, x.dtype)
        for up, bias, down in self.blocks:
            total += down @ _gelu(up @ x + bias)
        return np.asarray(total + self.down_bias)


def _gelu(x: Real) -> Real:
    """0.5 x (1 + tanh z) = x / (1 + exp(−2z)), which rounds less: the sum over ± pairs then keeps its small terms."""
    f = x.dtype.type
    z = f(0.044715) * x
    z *= x
    z *= x
    z += x
    z *= f(-2.0 * np.sqrt(2.0 / np.pi))
    with np.errstate(over="ignore"):
        np.exp(z, out=z)
    z += f(1.0)
    return np.asarray(np.divide(x, z, out=z))
