"""GPT-2's and Llama's blocks and linear attention written out in NumPy float64, and random data for them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.parts import Attention, Config, LinearAttention, Mlp, Norm
from innerloop.artifact.tokens import output_rows, read_data
from innerloop.artifact.weights import Weights


def normed(x: Floats, norm: Norm | None, config: Config) -> Floats:
    epsilon = config.norm_epsilon
    if norm is None:
        return x
    if config.norm == "rmsnorm":
        rms: Floats = x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * norm.gain
        return rms
    centred = x - x.mean(-1, keepdims=True)
    y: Floats = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * norm.gain + norm.bias
    return y


def attention(x: Floats, item: Attention, weights: Weights) -> Floats:
    heads, size = weights.config.n_head, weights.config.d_head
    query = x @ item.query.csr.toarray() + item.query_bias
    key = x @ item.key.csr.toarray() + item.key_bias
    value = x @ item.value.csr.toarray() + item.value_bias
    mixed = np.zeros_like(query)
    for head in range(heads):
        part = np.s_[..., head * size : (head + 1) * size]
        group = head // (heads // (weights.config.n_kv_head or heads))
        read = np.s_[..., group * size : (group + 1) * size]
        asked, met = query[part], key[read]
        if weights.config.positions == "rotary":
            asked, met = rotated(asked, weights.config.rope_theta), rotated(met, weights.config.rope_theta)
        logits = asked @ np.swapaxes(met, -1, -2) / np.sqrt(size)
        if weights.config.causal:
            logits = np.where(np.tri(x.shape[1], dtype=bool), logits, -np.inf)
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        mixed[part] = shares / shares.sum(-1, keepdims=True) @ value[read]
    y: Floats = mixed @ item.output.csr.toarray() + item.output_bias
    return y


def rotated(x: Floats, theta: float) -> Floats:
    """Pair after pair, token by token; the angles, cosines and sines are float32, as Llama's are."""
    tokens, size = x.shape[-2:]
    y = np.empty_like(x)
    for p, i in np.ndindex(tokens, size // 2):
        angle = np.float32(p) * (np.float32(1) / np.float32(theta ** np.float32(2 * i / size).item()))
        cos, sin = float(np.float32(math.cos(angle))), float(np.float32(math.sin(angle)))
        a, b = x[..., p, i], x[..., p, i + size // 2]
        y[..., p, i], y[..., p, i + size // 2] = a * cos - b * sin, b * cos + a * sin
    return y


def linear_attention(x: Floats, item: LinearAttention, weights: Weights) -> Floats:
    """Token by token, head by head, one token read after the other."""
    heads, size = weights.config.n_head, weights.config.d_head
    query, key, value, count = (m.csr.toarray() for m in (item.query, item.key, item.value, item.count))
    batch, tokens, _ = x.shape
    mixed = np.zeros((batch, tokens, heads * size))
    for task, i, head in np.ndindex(batch, tokens, heads):
        part = slice(head * size, (head + 1) * size)
        group = head // (heads // (weights.config.n_kv_head or heads))
        read = slice(group * size, (group + 1) * size)
        total, rho = np.zeros(size), 0.0
        for j in range(tokens - weights.config.unread):
            if j <= i or not weights.config.causal:
                total += (x[task, i] @ query[:, part]) @ (x[task, j] @ key[:, read]) * (x[task, j] @ value[:, read])
                rho += x[task, j] @ count[:, head]
        mixed[task, i, part] = total / (rho if rho != 0 else 1)
    y: Floats = mixed @ item.output.csr.toarray()
    return y


def mlp(x: Floats, item: Mlp, activation: str) -> Floats:
    h = x @ item.up.csr.toarray() + item.up_bias
    bent = h if item.gate is None else x @ item.gate.csr.toarray()
    if activation == "silu":
        bent = bent / (1 + np.exp(-bent))
    else:
        bent = 0.5 * bent * (1 + np.tanh(np.sqrt(2 / np.pi) * (bent + 0.044715 * bent**3)))
    y: Floats = (bent if item.gate is None else bent * h) @ item.down.csr.toarray() + item.down_bias
    return y


def by_the_book(weights: Weights, **fields: Any) -> tuple[Floats, list[Floats]]:
    """The output, and the stream without the rest token after each sublayer."""
    data = read_data(weights.signature, fields)
    config = weights.config
    roles = np.eye(len(weights.roles))[[0, *data.sequence.roles]]
    held = np.concatenate([data.fields[field.name] for field in weights.signature.fields], -1)
    held = np.concatenate([np.zeros_like(held[:, :1]), held], 1)
    features = np.concatenate([np.broadcast_to(roles, (len(held), *roles.shape)), held], -1)
    stream = features @ weights.embedding.csr.toarray() + weights.positions[: features.shape[1]]
    streams = []
    for _, item in weights.unrolled():
        if isinstance(item, Attention):
            stream = stream + attention(normed(stream, item.norm, config), item, weights)
        elif isinstance(item, LinearAttention):
            stream = stream + linear_attention(stream, item, weights)
        elif isinstance(item, Mlp):
            stream = stream + mlp(normed(stream, item.norm, config), item, config.activation)
        streams.append(stream[:, 1:])
    rows = output_rows(data.sequence, weights.output.kinds) + 1
    output = normed(stream, weights.final_norm, config) @ weights.readout.csr.toarray() + weights.readout_bias
    return output[:, rows, 0], streams


def tasks(batch: int, examples: int = 5, seed: int = 0) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    return {"x": rng.standard_normal((batch, examples + 1, 3)), "y": rng.standard_normal((batch, examples))}
