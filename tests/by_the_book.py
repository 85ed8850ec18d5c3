"""GPT-2's block and linear attention written out in NumPy float64, and random data for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from innerloop.compiler.sparse import Floats
from innerloop.compiler.tokens import output_rows, read_data
from innerloop.compiler.weights import Attention, LinearAttention, Mlp, Norm, Weights


def normed(x: Floats, norm: Norm | None, epsilon: float) -> Floats:
    if norm is None:
        return x
    centred = x - x.mean(-1, keepdims=True)
    y: Floats = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * norm.gain + norm.bias
    return y


def attention(x: Floats, item: Attention, weights: Weights) -> Floats:
    heads, size = weights.config.n_head, weights.config.d_head
    query = x @ item.query.csr.toarray() + item.query_bias
    key = x @ item.key.csr.toarray() + item.key_bias
    value = x @ item.value.csr.toarray() + item.value_bias
    mixed = np.zeros_like(value)
    for head in range(heads):
        part = np.s_[..., head * size : (head + 1) * size]
        logits = query[part] @ np.swapaxes(key[part], -1, -2) / np.sqrt(size)
        if weights.config.causal:
            logits = np.where(np.tri(x.shape[1], dtype=bool), logits, -np.inf)
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        mixed[part] = shares / shares.sum(-1, keepdims=True) @ value[part]
    y: Floats = mixed @ item.output.csr.toarray() + item.output_bias
    return y


def linear_attention(x: Floats, item: LinearAttention, weights: Weights) -> Floats:
    """Token by token, head by head, one token read after the other."""
    heads, size = weights.config.n_head, weights.config.d_head
    query, key, value, count = (m.csr.toarray() for m in (item.query, item.key, item.value, item.count))
    batch, tokens, _ = x.shape
    mixed = np.zeros((batch, tokens, heads * size))
    for task, i, head in np.ndindex(batch, tokens, heads):
        part = slice(head * size, (head + 1) * size)
        total, rho = np.zeros(size), 0.0
        for j in range(tokens - weights.config.unread):
            if j <= i or not weights.config.causal:
                total += (x[task, i] @ query[:, part]) @ (x[task, j] @ key[:, part]) * (x[task, j] @ value[:, part])
                rho += x[task, j] @ count[:, head]
        mixed[task, i, part] = total / (rho if rho != 0 else 1)
    y: Floats = mixed @ item.output.csr.toarray()
    return y


def mlp(x: Floats, item: Mlp) -> Floats:
    h = x @ item.up.csr.toarray() + item.up_bias
    gelu = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    y: Floats = gelu @ item.down.csr.toarray() + item.down_bias
    return y


def by_the_book(weights: Weights, **fields: Any) -> tuple[Floats, list[Floats]]:
    """The output, and the stream without the rest token after each sublayer."""
    data = read_data(weights.signature, fields)
    epsilon = weights.config.norm_epsilon
    roles = np.eye(len(weights.roles))[[0, *data.sequence.roles]]
    held = np.concatenate([data.fields[field.name] for field in weights.signature.fields], -1)
    held = np.concatenate([np.zeros_like(held[:, :1]), held], 1)
    features = np.concatenate([np.broadcast_to(roles, (len(held), *roles.shape)), held], -1)
    stream = features @ weights.embedding.csr.toarray() + weights.positions[: features.shape[1]]
    streams = []
    for _, item in weights.unrolled():
        if isinstance(item, Attention):
            stream = stream + attention(normed(stream, item.norm, epsilon), item, weights)
        elif isinstance(item, LinearAttention):
            stream = stream + linear_attention(stream, item, weights)
        elif isinstance(item, Mlp):
            stream = stream + mlp(normed(stream, item.norm, epsilon), item)
        streams.append(stream[:, 1:])
    rows = output_rows(data.sequence, weights.output.kinds) + 1
    output = normed(stream, weights.final_norm, epsilon) @ weights.readout.csr.toarray() + weights.readout_bias
    return output[:, rows, 0], streams


def tasks(batch: int, examples: int = 5, seed: int = 0) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    return {"x": rng.standard_normal((batch, examples + 1, 3)), "y": rng.standard_normal((batch, examples))}
