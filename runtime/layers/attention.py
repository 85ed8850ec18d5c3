"""Attention on packed heads: softmax attention, and linear attention; their arithmetic, without what surrounds it.

before   queries, keys and values of all heads [batch, tokens, heads · …]
after    values, mixed over the tokens that each sees [batch, tokens, heads · v]
"""

from __future__ import annotations

from functools import partial
from itertools import accumulate

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from ..arrays import Array, einsum
from ..packing.packed import AttentionStep, LinearAttentionStep
from .functions import held
from .reductions import greatest, summed

RotaryTables = tuple[Array, Array]
"""Cosines and sines [tokens, d_head / 2] of rotary positions."""


def attend(
    qkv: Float[Array, "batch tokens packed"],
    step: AttentionStep,
    tables: RotaryTables | None = None,
    readers: Int[Array, " readers"] | None = None,
) -> Float[Array, "batch queries mixed"]:
    """Softmax attention on packed heads: [batch, tokens, heads · (2 qk + v)] → [batch, readers, heads · v]; `readers`:
    the tokens that are to read (None: all)."""
    query, key, value = split_heads(qkv, step.heads, step.qk, step.qk, step.v)
    # Each row keeps its own token, so that no row is all −∞.
    seen = causal(qkv.shape[1]) if step.causal else None
    if tables is not None:
        key = turned(key, step, tables)
    if readers is not None:
        query, seen = query[:, readers], None if seen is None else seen[readers]
        tables = None if tables is None else (tables[0][readers], tables[1][readers])
    if tables is not None:
        query = turned(query, step, tables)
    return softmax_mean(query, key, value, seen, step)


def causal(tokens: int) -> Bool[Array, "tokens tokens"]:
    """Whom each token sees: those before it, and itself. Made by NumPy, as are all constants of a pass: JAX compiles an
    executable of its own for each that it makes while it traces."""
    return jnp.asarray(np.tri(tokens, dtype=bool))


def softmax_mean(
    query: Float[Array, "batch queries heads qk"],
    key: Float[Array, "batch keys heads qk"],
    value: Float[Array, "batch keys heads v"],
    seen: Bool[Array, "queries keys"] | None,
    step: AttentionStep,
) -> Float[Array, "batch queries heads*v"]:
    """Σ softmax(q · k / √d_head) v over the tokens seen [queries, keys] (None: all): query [batch, queries, heads, qk],
    key and value [batch, keys, heads, …] → [batch, queries, heads · v]."""
    logits = held(einsum("bthk,bshk->bhts", query, key), step.short)
    logits = held(logits / np.sqrt(step.d_head).astype(query.dtype), step.short)
    if seen is not None:
        logits = jnp.where(seen, logits, -jnp.inf)
    # Shares do not depend on what is taken away from all logits, and neither do gradients.
    shares = jnp.exp(logits - greatest(lax.stop_gradient(logits)))
    if step.short is not None:
        total = shares.sum(-1, keepdims=True)
        mixed = held(einsum("bhts,bshv->bthv", held(shares / total, step.short), value), step.short)
        return mixed.reshape(*query.shape[:2], -1)
    # Divided after the sum over tokens, a lone winner's value and a count are exact.
    mixed = einsum("bhts,bshv->bthv", shares, value) / jnp.swapaxes(summed(shares), 1, 2)
    return mixed.reshape(*query.shape[:2], -1)


def turned(
    x: Float[Array, "batch tokens heads qk"], step: AttentionStep, tables: RotaryTables
) -> Float[Array, "batch tokens heads qk"]:
    """Queries or keys [batch, tokens, heads, qk] turned by their positions (innerloop.artifact.rotations)."""
    cos, sin = (table[:, step.pairs] for table in tables)
    a, b = jnp.split(x, 2, -1)
    rounded = partial(held, short=step.short)
    parts = [rounded(a * cos) - rounded(b * sin), rounded(b * cos) + rounded(a * sin)]
    return rounded(jnp.concatenate(parts, -1))


def attend_linearly(
    qkvc: Float[Array, "batch tokens packed"], step: LinearAttentionStep
) -> Float[Array, "batch tokens mixed"]:
    """Σⱼ (q · kⱼ) vⱼ / ρ on packed heads: [batch, tokens, heads · (2 qk + v + 1)] → [batch, tokens, heads · v]."""
    tokens = qkvc.shape[1]
    query, key, value, count = split_heads(qkvc, step.heads, step.qk, step.qk, step.v, 1)
    read = np.tri(tokens, dtype=bool) if step.causal else np.ones((tokens, tokens), bool)
    read &= np.arange(tokens) < tokens - step.unread
    scores = jnp.where(read, einsum("bthk,bshk->bhts", query, key), 0)
    rho = einsum("ts,bshc->bthc", read.astype(qkvc.dtype), count)
    mixed = einsum("bhts,bshv->bthv", scores, value) / jnp.where(rho == 0, 1, rho)
    return mixed.reshape(*qkvc.shape[:2], -1)


def split_heads(
    x: Float[Array, "batch tokens packed"], heads: int, *sizes: int
) -> list[Float[Array, "batch tokens {heads} _"]]:
    """[batch, tokens, heads · Σ sizes] → for each size [batch, tokens, heads, size]."""
    ends = [heads * end for end in accumulate(sizes)]
    return [part.reshape(*x.shape[:2], heads, -1) for part in jnp.split(x, ends[:-1], -1)]
