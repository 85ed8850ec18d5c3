"""The compiler's own measurement: the weights run in plain NumPy on fresh tasks, against the float64 oracle.

It is here, and not in the runtime, so that compiling needs no JAX; the runtime's tests hold the two
forward passes against each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tokens import TokenData
from .weights import Attention, Mlp, Norm, Weights

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
    mask = np.where(
        np.tri(tokens, dtype=bool) if config.causal else np.ones((tokens, tokens), bool), 0.0, -np.inf
    ).astype(dtype)
    dense: dict[int, list[Real]] = {}
    for number, sublayer in weights.unrolled():
        if isinstance(sublayer, Attention):
            arrays = dense.setdefault(number, _arrays(sublayer, dtype))
            x = x + _attention(normalise(x, sublayer.norm, config.norm_epsilon), arrays, config.n_head, mask)
        elif isinstance(sublayer, Mlp):
            up, up_bias, down, down_bias = dense.setdefault(number, _arrays(sublayer, dtype))
            x = x + (_gelu(normalise(x, sublayer.norm, config.norm_epsilon) @ up + up_bias) @ down + down_bias)
    x = normalise(x, weights.final_norm, config.norm_epsilon)
    return np.asarray((x @ weights.readout.csr.toarray().astype(dtype) + weights.readout_bias.astype(dtype))[:, 1:])


def normalise(x: Real, norm: Norm, epsilon: float) -> Real:
    """LayerNorm; adjacent slots are added first, and the total rounded at the size of the largest (see stream.py)."""
    width = x.shape[-1]
    largest = np.abs(x).max(axis=-1, keepdims=True)
    total = (x[..., 0::2] + x[..., 1::2]).sum(axis=-1, keepdims=True)
    centred = x - (total + largest - largest) / x.dtype.type(width)
    variance = np.square(centred).sum(axis=-1, keepdims=True) / x.dtype.type(width)
    return np.asarray(
        centred / np.sqrt(variance + x.dtype.type(epsilon)) * norm.gain.astype(x.dtype) + norm.bias.astype(x.dtype)
    )


def _arrays(sublayer: Attention | Mlp, dtype: np.dtype[Any]) -> list[Real]:
    matrices: tuple[Real, ...]
    if isinstance(sublayer, Mlp):
        matrices = (sublayer.up.csr.toarray(), sublayer.up_bias, sublayer.down.csr.toarray(), sublayer.down_bias)
    else:
        matrices = (
            sublayer.query.csr.toarray(), sublayer.query_bias, sublayer.key.csr.toarray(), sublayer.key_bias,
            sublayer.value.csr.toarray(), sublayer.value_bias, sublayer.output.csr.toarray(), sublayer.output_bias,
        )  # fmt: skip
    return [m.astype(dtype) for m in matrices]


def _attention(x: Real, arrays: list[Real], heads: int, mask: Real) -> Real:
    query, query_bias, key, key_bias, value, value_bias, output, output_bias = arrays
    batch, tokens, _ = x.shape
    width = query.shape[1] // heads
    total = np.broadcast_to(output_bias, (batch, tokens, output.shape[1])).astype(x.dtype)
    for head in range(heads):
        at = slice(head * width, (head + 1) * width)
        if not output[at].any():
            continue
        q, k, v = x @ query[:, at] + query_bias[at], x @ key[:, at] + key_bias[at], x @ value[:, at] + value_bias[at]
        scores = q @ k.transpose(0, 2, 1) / x.dtype.type(np.sqrt(width)) + mask
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        total = total + (scores / scores.sum(axis=-1, keepdims=True)) @ v @ output[at]
    return total


def _gelu(x: Real) -> Real:
    """0.5 x (1 + tanh z) = x / (1 + exp(−2z)), which rounds less: the sum over ± pairs then keeps its small terms."""
    f = x.dtype.type
    with np.errstate(over="ignore"):
        return np.asarray(x / (f(1.0) + np.exp(f(-2.0 * np.sqrt(2.0 / np.pi)) * (x + f(0.044715) * x * x * x))))
