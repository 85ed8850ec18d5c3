"""The compiler's own measurement: the weights run in plain NumPy on fresh tasks, against the float64 oracle.

It is here, and not in the runtime, so that compiling needs no JAX; the runtime's tests hold the two
forward passes against each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tokens import TokenData
from .weights import Attention, LinearAttention, Mlp, Norm, Weights

Real = NDArray[Any]


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
    x = (features(weights, data) @ weights.embedding.csr.toarray()).astype(dtype)
    x = x + weights.positions[: x.shape[1]].astype(dtype)
    tokens = x.shape[1]
    seen = np.tri(tokens, dtype=bool) if config.causal else np.ones((tokens, tokens), bool)
    read = seen & (np.arange(tokens) < tokens - config.unread)
    softmax = _softmax(seen, config.d_head, dtype)
    dense: dict[int, list[Real]] = {}
    for number, sublayer in weights.unrolled():
        if isinstance(sublayer, Attention):
            arrays = dense.setdefault(number, _arrays(sublayer, dtype))
            x = x + _attention(normalise(x, sublayer.norm, config.norm_epsilon), arrays, config.n_head, softmax)
        elif isinstance(sublayer, LinearAttention):
            *arrays, count = dense.setdefault(number, _arrays(sublayer, dtype))
            x = x + _attention(x, arrays, config.n_head, _linear(read, x @ count))
        elif isinstance(sublayer, Mlp):
            up, up_bias, down, down_bias = dense.setdefault(number, _arrays(sublayer, dtype))
            x = x + (_gelu(normalise(x, sublayer.norm, config.norm_epsilon) @ up + up_bias) @ down + down_bias)
    x = normalise(x, weights.final_norm, config.norm_epsilon)
    return np.asarray((x @ weights.readout.csr.toarray().astype(dtype) + weights.readout_bias.astype(dtype))[:, 1:])


def normalise(x: Real, norm: Norm | None, epsilon: float) -> Real:
    """LayerNorm; adjacent slots are added first, and the total rounded at the size of the largest (see stream.py)."""
    if norm is None:
        return x
    width = x.shape[-1]
    largest = np.abs(x).max(axis=-1, keepdims=True)
    total = (x[..., 0::2] + x[..., 1::2]).sum(axis=-1, keepdims=True)
    centred = x - (total + largest - largest) / x.dtype.type(width)
    variance = np.square(centred).sum(axis=-1, keepdims=True) / x.dtype.type(width)
    return np.asarray(
        centred / np.sqrt(variance + x.dtype.type(epsilon)) * norm.gain.astype(x.dtype) + norm.bias.astype(x.dtype)
    )


def _arrays(sublayer: Attention | LinearAttention | Mlp, dtype: np.dtype[Any]) -> list[Real]:
    """Dense, in the order of the class; linear attention with biases of zero, as softmax attention has them."""
    matrices: tuple[Real, ...]
    if isinstance(sublayer, Mlp):
        matrices = (sublayer.up.csr.toarray(), sublayer.up_bias, sublayer.down.csr.toarray(), sublayer.down_bias)
    elif isinstance(sublayer, LinearAttention):
        sides = [m.csr.toarray() for m in (sublayer.query, sublayer.key, sublayer.value, sublayer.output)]
        matrices = (*(part for m in sides for part in (m, np.zeros(m.shape[1]))), sublayer.count.csr.toarray())
    else:
        matrices = (
            sublayer.query.csr.toarray(), sublayer.query_bias, sublayer.key.csr.toarray(), sublayer.key_bias,
            sublayer.value.csr.toarray(), sublayer.value_bias, sublayer.output.csr.toarray(), sublayer.output_bias,
        )  # fmt: skip
    return [m.astype(dtype) for m in matrices]


def _attention(x: Real, arrays: list[Real], heads: int, mix: Callable[[int, Real, Real], Real]) -> Real:
    """What attention adds to x [batch, tokens, width]; `mix(head, q kᵀ, v)` is a head's mixed value."""
    query, query_bias, key, key_bias, value, value_bias, output, output_bias = arrays
    batch, tokens, _ = x.shape
    width = query.shape[1] // heads
    total = np.broadcast_to(output_bias, (batch, tokens, output.shape[1])).astype(x.dtype)
    for head in range(heads):
        at = slice(head * width, (head + 1) * width)
        if not output[at].any():
            continue
        q, k, v = x @ query[:, at] + query_bias[at], x @ key[:, at] + key_bias[at], x @ value[:, at] + value_bias[at]
        total = total + mix(head, q @ k.transpose(0, 2, 1), v) @ output[at]
    return total


def _softmax(seen: NDArray[np.bool_], width: int, dtype: np.dtype[Any]) -> Callable[[int, Real, Real], Real]:
    """softmax(q kᵀ / √width) v over the tokens seen [tokens, tokens]."""
    mask = np.where(seen, 0.0, -np.inf).astype(dtype)

    def mix(_: int, scores: Real, v: Real) -> Real:
        scores = scores / dtype.type(np.sqrt(width)) + mask
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return np.asarray((scores / scores.sum(axis=-1, keepdims=True)) @ v)

    return mix


def _linear(read: NDArray[np.bool_], counted: Real) -> Callable[[int, Real, Real], Real]:
    """q kᵀ v / ρ over the tokens read [tokens, tokens]; ρ from what they count [batch, tokens, heads]."""
    rho = read.astype(counted.dtype) @ counted
    rho[rho == 0.0] = 1.0

    def mix(head: int, scores: Real, v: Real) -> Real:
        return np.asarray(np.where(read, scores, scores.dtype.type(0.0)) @ v / rho[..., head : head + 1])

    return mix


def _gelu(x: Real) -> Real:
    """0.5 x (1 + tanh z) = x / (1 + exp(−2z)), which rounds less: the sum over ± pairs then keeps its small terms."""
    f = x.dtype.type
    with np.errstate(over="ignore"):
        return np.asarray(x / (f(1.0) + np.exp(f(-2.0 * np.sqrt(2.0 / np.pi)) * (x + f(0.044715) * x * x * x))))
