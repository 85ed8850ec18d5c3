"""The compiler's own measurement: the weights run in plain NumPy on fresh tasks, against the float64 oracle.

It is here, and not in the runtime, so that compiling needs no JAX; the runtime's tests hold the two
forward passes against each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rotary import rotations
from .tokens import TokenData
from .weights import Attention, Config, LinearAttention, Mlp, Norm, Weights

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
    turn = _rotary(config, tokens) if config.positions == "rotary" else _unturned
    dense: dict[int, list[Real]] = {}
    for number, sublayer in weights.unrolled():
        if isinstance(sublayer, Attention):
            arrays = dense.setdefault(number, _arrays(sublayer, dtype))
            x = x + _attention(normalise(x, sublayer.norm, config), arrays, config, softmax, turn)
        elif isinstance(sublayer, LinearAttention):
            *arrays, count = dense.setdefault(number, _arrays(sublayer, dtype))
            x = x + _attention(x, arrays, config, _linear(read, x @ count), _unturned)
        elif isinstance(sublayer, Mlp):
            arrays = dense.setdefault(number, _arrays(sublayer, dtype))
            x = x + _mlp(normalise(x, sublayer.norm, config), arrays, ACTIVATIONS[config.activation])
    x = normalise(x, weights.final_norm, config)
    return np.asarray((x @ weights.readout.csr.toarray().astype(dtype) + weights.readout_bias.astype(dtype))[:, 1:])


def normalise(x: Real, norm: Norm | None, config: Config) -> Real:
    """The configuration's norm.

    LayerNorm: adjacent slots are added first, and the total rounded at the size of the largest (see stream.py).
    RMSNorm: a sum of squares that is exact gives an exact norm, by true division and a square root."""
    if norm is None:
        return x
    width, epsilon = x.dtype.type(x.shape[-1]), x.dtype.type(config.norm_epsilon)
    if config.norm == "rmsnorm":
        mean = np.square(x).sum(axis=-1, keepdims=True) / width
        return np.asarray(x / np.sqrt(mean + epsilon) * norm.gain.astype(x.dtype))
    largest = np.abs(x).max(axis=-1, keepdims=True)
    total = (x[..., 0::2] + x[..., 1::2]).sum(axis=-1, keepdims=True)
    centred = x - (total + largest - largest) / width
    variance = np.square(centred).sum(axis=-1, keepdims=True) / width
    return np.asarray(centred / np.sqrt(variance + epsilon) * norm.gain.astype(x.dtype) + norm.bias.astype(x.dtype))


def _arrays(sublayer: Attention | LinearAttention | Mlp, dtype: np.dtype[Any]) -> list[Real]:
    """Dense, in the order of the class; linear attention with biases of zero, as softmax attention has them."""
    matrices: tuple[Real, ...]
    if isinstance(sublayer, Mlp):
        matrices = (sublayer.up.csr.toarray(), sublayer.up_bias, sublayer.down.csr.toarray(), sublayer.down_bias)
        if sublayer.gate is not None:
            matrices += (sublayer.gate.csr.toarray(),)
    elif isinstance(sublayer, LinearAttention):
        sides = [m.csr.toarray() for m in (sublayer.query, sublayer.key, sublayer.value, sublayer.output)]
        matrices = (*(part for m in sides for part in (m, np.zeros(m.shape[1]))), sublayer.count.csr.toarray())
    else:
        matrices = (
            sublayer.query.csr.toarray(), sublayer.query_bias, sublayer.key.csr.toarray(), sublayer.key_bias,
            sublayer.value.csr.toarray(), sublayer.value_bias, sublayer.output.csr.toarray(), sublayer.output_bias,
        )  # fmt: skip
    return [m.astype(dtype) for m in matrices]


def _mlp(x: Real, arrays: list[Real], activation: Callable[[Real], Real]) -> Real:
    """What an MLP adds to x [batch, tokens, width]."""
    up, up_bias, down, down_bias, *gate = arrays
    hidden = x @ up + up_bias
    hidden = activation(x @ gate[0]) * hidden if gate else activation(hidden)
    return np.asarray(hidden @ down + down_bias)


def _attention(
    x: Real,
    arrays: list[Real],
    config: Config,
    mix: Callable[[int, Real, Real], Real],
    turn: Callable[[Real], Real],
) -> Real:
    """What attention adds to x [batch, tokens, width]; `mix(head, q kᵀ, v)` is a head's mixed value, and `turn` turns
    queries and keys by their positions."""
    query, query_bias, key, key_bias, value, value_bias, output, output_bias = arrays
    batch, tokens, _ = x.shape
    width = config.d_head
    shared = config.n_head // (config.n_kv_head or config.n_head)
    total = np.broadcast_to(output_bias, (batch, tokens, output.shape[1])).astype(x.dtype)
    for head in range(config.n_head):
        at = slice(head * width, (head + 1) * width)
        if not output[at].any():
            continue
        of = slice(head // shared * width, (head // shared + 1) * width)
        q, k = turn(x @ query[:, at] + query_bias[at]), turn(x @ key[:, of] + key_bias[of])
        v = x @ value[:, of] + value_bias[of]
        total = total + mix(head, q @ k.transpose(0, 2, 1), v) @ output[at]
    return total


def _unturned(x: Real) -> Real:
    return x


def _rotary(config: Config, tokens: int) -> Callable[[Real], Real]:
    """Turns queries or keys [batch, tokens, d_head] (rotary.py)."""
    cos, sin = rotations(config.d_head, config.rope_theta, tokens)
    half = config.d_head // 2

    def turn(x: Real) -> Real:
        c, s = cos.astype(x.dtype), sin.astype(x.dtype)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * c - b * s, b * c + a * s], axis=-1)

    return turn


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


def _silu(x: Real) -> Real:
    """x σ(x): x itself from 17 on (37 in float64), and 0 from −89 down (−710), where exp(−x) is infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(x / (x.dtype.type(1.0) + np.exp(-x)))


ACTIVATIONS: dict[str, Callable[[Real], Real]] = {"gelu_tanh": _gelu, "silu": _silu}
