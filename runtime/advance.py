"""One token more: what a stream does for each token that is pushed.

    before   the token's features [batch, 1, features], and what attention remembers of the tokens before it
    after    its output [batch, size], what the guard finds, and what is remembered then

A softmax head keeps the keys and values of all tokens (turned by their positions, where these are rotary); a head of
linear attention keeps the sums Σ k vᵀ and ρ, one of the delta rule its matrix (delta_rule.py); a loop keeps those of
each pass. A scan whose passes may be run in turn keeps what its first sublayer needs of the last of its tokens, and
runs one pass for each.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .arrays import Array, einsum, matmul
from .executables import compiled
from .forward import embed_at
from .guard.checks import GuardCheck, nothing_yet
from .layers.attention import softmax_mean, split_heads, turned
from .layers.delta_rule import nothing_written, recall
from .layers.functions import normed
from .layers.steps import Memory, Pass, run
from .layers.turns import Before, rested, turn_of
from .packing.packed import AttentionStep, DeltaStep, LinearAttentionStep, LoopStep, Parameters, Step


class ScanMemory(NamedTuple):
    """What the rest token's keys and values are in each step, and the last token of the scan."""

    resting: Memory
    before: Before


@partial(compiled, static_argnames=("kind", "keep"))
def advance(
    parameters: Parameters,
    features: Array,
    position: Array,
    memory: Memory,
    checks: dict[int, GuardCheck],
    *,
    kind: str | None,
    keep: bool,
) -> tuple[Array, dict[int, Array], Array | None, Memory]:
    """One token [batch, 1, features] of this kind (None: the rest token) at `position`: its output [batch, size], by
    how much values were out of range (as `forward` has it), with `keep` the stream [1 + sublayers run, batch, 1,
    width], and what is remembered then."""

    def at(table: Array) -> Array:
        return lax.dynamic_slice_in_dim(table, position, 1)

    def mix(step: Any, projected: Array, memory: Any, _: None) -> tuple[Array, Any]:
        if isinstance(step, LinearAttentionStep):
            return _linear(step, projected, memory)
        if isinstance(step, DeltaStep):
            return recall(projected, step, memory)
        query, key, value = split_heads(projected, step.heads, step.qk, step.qk, step.v)
        if tables is not None:
            here = (at(tables[0]), at(tables[1]))
            query, key = turned(query, step, here), turned(key, step, here)
        keys, values = (
            lax.dynamic_update_slice_in_dim(kept, new, position, 1)
            for kept, new in zip(memory, (key, value), strict=True)
        )
        seen = jnp.arange(keys.shape[1])[None] <= position
        return softmax_mean(query, keys, values, seen, step), (keys, values)

    def in_turn(loop: LoopStep, carry: Any, memory: Any, of: Pass) -> tuple[Any, Any, Array | None]:
        stream, worst = carry
        found = stream[None] if keep else None
        if kind is None:
            rest, resting = rested(loop, stream[:1], tables)
            stream = jnp.broadcast_to(rest, stream.shape)
            memory = ScanMemory(resting, Before(stream, position, jnp.zeros((), bool)))
        elif kind == loop.turn:
            (stream, worst), found = turn_of(loop, memory.resting, memory.before, carry, position, tables, of)
            memory = memory._replace(before=Before(stream, position, jnp.ones((), bool)))
        if found is not None:  # as if every pass had run
            found = jnp.tile(found, (loop.count * loop.sublayers // found.shape[0], 1, 1, 1))
        return (stream, worst), memory, found

    tables = parameters.rotations
    stream = embed_at(parameters, features, at(parameters.positions))
    worst = nothing_yet(checks, stream)
    of = Pass(checks, lambda stream, _: stream if keep else None, mix, kind=kind, in_turn=in_turn)
    first = stream
    (stream, worst), kept, memory = run(parameters.steps, (stream, worst), memory, of)
    last = normed(stream[:, 0], parameters.final_norm, parameters.short)
    output = matmul(last, parameters.readout) + parameters.readout_bias
    return output, worst, None if kept is None else jnp.concatenate([first[None], kept]), memory


def _linear(step: LinearAttentionStep, projected: Array, memory: Any) -> tuple[Array, Any]:
    """q (Σ k vᵀ) / ρ, this token included."""
    query, key, value, count = split_heads(projected, step.heads, step.qk, step.qk, step.v, 1)
    moment = memory[0] + einsum("bthk,bthv->bhkv", key, value)
    rho = memory[1] + count
    mixed = einsum("bthk,bhkv->bthv", query, moment) / jnp.where(rho == 0, 1, rho)
    return mixed.reshape(*projected.shape[:2], -1), (moment, rho)


def empty(steps: tuple[Step, ...], batch: int, room: int, dtype: np.dtype[Any]) -> Memory:
    """What is remembered before the first token: of scans that are run in turn, nothing."""

    def one(step: Step) -> Any:
        match step:
            case AttentionStep():
                return tuple(jnp.zeros((batch, room, step.heads, size), dtype) for size in (step.qk, step.v))
            case LinearAttentionStep():
                return jnp.zeros((batch, step.heads, step.qk, step.v), dtype), jnp.zeros(
                    (batch, 1, step.heads, 1), dtype
                )
            case DeltaStep():
                return nothing_written(step, batch, dtype)
            case LoopStep(turn=str()):
                return None
            case LoopStep():
                inner = empty(step.steps, batch, room, dtype)
                return jax.tree.map(lambda a: jnp.broadcast_to(a, (step.count, *a.shape)), inner)
            case _:
                return None

    return tuple(map(one, steps))


def grown(steps: tuple[Step, ...], memory: Memory, room: int) -> Memory:
    """The same with room for more tokens in each cache of keys and values."""

    def one(step: Step, own: Any) -> Any:
        match step:
            case AttentionStep():
                return tuple(_padded(kept, room) for kept in own)
            case LoopStep(turn=None):
                return grown(step.steps, own, room)
            case _:
                return own

    return tuple(map(one, steps, memory))


def _padded(kept: Array, room: int) -> Array:
    more = [(0, 0)] * kept.ndim
    more[-3] = (0, room - kept.shape[-3])
    return jnp.pad(kept, more)
