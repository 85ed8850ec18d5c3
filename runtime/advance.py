"""One token more: what a stream does for each token that is pushed.

    before   the token's features [batch, 1, features], and what attention remembers of the tokens before it
    after    its output [batch, size], what the guard finds, and what is remembered then

It is compiled once for tokens of all kinds, and for the rest token, with which a stream begins: which kind it is of is
an array, and a step that is not live there is passed over.

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
from .layers.steps import Memory, OneToken, Pass, run
from .layers.turns import Before, rested, turn_of
from .packing.packed import AttentionStep, DeltaStep, LinearAttentionStep, LoopStep, Parameters, Step


class ScanMemory(NamedTuple):
    """What the rest token's keys and values are in each step, and the last token of the scan."""

    resting: Memory
    before: Before


@partial(compiled, static_argnames=("kinds", "keep"))
def advance(
    parameters: Parameters,
    features: Array,
    position: Array,
    memory: Memory,
    checks: dict[int, GuardCheck],
    kind: Array,
    *,
    kinds: tuple[str, ...],
    keep: bool,
) -> tuple[Array, dict[int, Array], Array | None, Memory]:
    """One token [batch, 1, features] of the `kind`-th of these kinds, from 1, or the rest token, 0, at `position`: its
    output [batch, size], by how much values were out of range (as `forward` has it; bounds [1 + kinds, …] in `checks`),
    with `keep` the stream [1 + sublayers run, batch, 1, width], and what is remembered then."""

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
        seen = np.arange(keys.shape[1])[None] <= position
        return softmax_mean(query, keys, values, seen, step), (keys, values)

    def in_turn(loop: LoopStep, carry: Any, memory: ScanMemory, of: Pass) -> tuple[Any, Any, Array | None]:
        def left(carry: Any, memory: ScanMemory, found: Array) -> tuple[Any, ScanMemory, Array | None]:
            if not keep:
                return carry, memory, None
            # As if every pass had run.
            return carry, memory, jnp.tile(found, (loop.count * loop.sublayers // found.shape[0], 1, 1, 1))

        def rests() -> Any:
            stream, worst = carry
            rest, resting = rested(loop, stream[:1], tables)
            stream = jnp.broadcast_to(rest, stream.shape)
            nobody = Before(stream, position, np.zeros((), bool))
            return left((stream, worst), ScanMemory(resting, nobody), stream[None])

        def has_its_turn() -> Any:
            after, found = turn_of(loop, memory.resting, memory.before, carry, position, tables, of)
            before = Before(after[0], position, np.ones((), bool))
            return left(after, memory._replace(before=before), found)

        def passes_by() -> Any:
            return left(carry, memory, carry[0][None])

        way = only.of(0, [1 if kind == loop.turn else 2 for kind in kinds])
        return lax.switch(way, [rests, has_its_turn, passes_by])  # type: ignore[no-any-return]

    tables, only = parameters.rotations, OneToken(kinds, kind)
    checks = {time: check._replace(**check.at(kind[None])) for time, check in checks.items()}
    stream = embed_at(parameters, features, at(parameters.positions))
    worst = nothing_yet(checks, stream)
    of = Pass(checks, lambda stream, _: stream if keep else None, mix, only=only, in_turn=in_turn)
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


def empty(steps: tuple[Step, ...], batch: int, room: int, width: int, dtype: np.dtype[Any]) -> Memory:
    """What is remembered before the first token; zeros are NumPy's, for JAX compiles a function for each shape."""

    def one(step: Step) -> Any:
        match step:
            case AttentionStep():
                return tuple(np.zeros((batch, room, step.heads, size), dtype) for size in (step.qk, step.v))
            case LinearAttentionStep():
                return np.zeros((batch, step.heads, step.qk, step.v), dtype), np.zeros((batch, 1, step.heads, 1), dtype)
            case DeltaStep():
                return nothing_written(step, batch, dtype)
            case LoopStep(turn=str()):
                before = Before(np.zeros((batch, 1, width), dtype), np.zeros((), np.int32), np.zeros((), bool))
                return ScanMemory(empty(step.steps, 1, 1, width, dtype), before)
            case LoopStep():
                inner = empty(step.steps, batch, room, width, dtype)
                return jax.tree.map(lambda a: np.broadcast_to(a, (step.count, *a.shape)), inner)
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
