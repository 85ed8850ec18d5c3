"""Heads of the delta rule, in JAX: a matrix for each head, written token by token and read (artifact/parts.py).

before   queries, keys, values, rates and gates of all heads [batch, tokens, heads · (2 qk + v + 2)]
after    what each token reads [batch, tokens, heads · v]; of one token more, with what is remembered renewed
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from innerloop.artifact.parts import TAPS
from jax import lax
from jaxtyping import Float

from ..arrays import Array, einsum
from ..packing.packed import DeltaStep
from .attention import split_heads


class DeltaMemory(NamedTuple):
    """Each head's matrix [batch, heads, v, qk], and keys and values, before the short convolution, of the tokens that
    it reaches back to [batch, TAPS − 1, heads, …], the latest last."""

    state: Array
    keys: Array
    values: Array


def nothing_written(step: DeltaStep, batch: int, dtype: np.dtype[Any]) -> DeltaMemory:
    """What there is before the first token."""
    state = jnp.broadcast_to(jnp.asarray(step.start, dtype), (batch, *step.start.shape))
    keys, values = (np.zeros((batch, TAPS - 1, step.heads, size), dtype) for size in (step.qk, step.v))
    return DeltaMemory(state, keys, values)


def recall(
    packed: Float[Array, "batch tokens packed"], step: DeltaStep, memory: DeltaMemory
) -> tuple[Float[Array, "batch tokens mixed"], DeltaMemory]:
    """What these tokens, which come next, read of the matrices."""
    query, key, value, rate, forget = split_heads(packed, step.heads, step.qk, step.qk, step.v, 1, 1)
    key, keys = _short(key, memory.keys, step.key_taps)
    value, values = _short(value, memory.values, step.value_taps)
    least, share = step.divisor[:, :1], step.divisor[:, 1:]
    below = least + share * jnp.square(key).sum(-1, keepdims=True)
    rate = jnp.where(below == 0, 0, rate / jnp.where(below == 0, 1, below))

    def once(state: Array, token: tuple[Array, ...]) -> tuple[Array, Array]:
        q, k, v, b, f = token
        state = state * (1 - f)[..., None]
        error = v - einsum("bhvk,bhk->bhv", state, k)
        state = state + (b * error)[..., None] * k[..., None, :]
        return state, einsum("bhvk,bhk->bhv", state, q)

    tokens = tuple(jnp.moveaxis(side, 1, 0) for side in (query, key, value, rate, forget))
    state, read = lax.scan(once, memory.state, tokens)
    mixed = jnp.moveaxis(read, 0, 1).reshape(*packed.shape[:2], -1)
    return mixed, DeltaMemory(state, keys, values)


def _short(
    side: Float[Array, "batch tokens heads size"], before: Float[Array, "batch back heads size"], taps: Array
) -> tuple[Array, Array]:
    """The short convolution over tokens of which some stand before, and those that will stand before the next."""
    whole = jnp.concatenate([before, side], 1)
    tokens = side.shape[1]
    total = sum(taps[b] * whole[:, TAPS - 1 - b : TAPS - 1 - b + tokens] for b in range(TAPS))
    return jnp.asarray(total), whole[:, tokens:]
