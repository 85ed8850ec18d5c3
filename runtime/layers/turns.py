"""A scan's passes, each at the token whose turn it is.

    before   the stream [batch, tokens, width] in front of the scan, and where the scan's tokens stand
    after    the stream behind it, as if every pass had run at every token

A pass at a token reads that token, the rest token and, in its first sublayer, the token of the scan before it
(`Repeated.turn`). The rest token reads itself alone: it runs through the body once, and its keys and values serve all
others. Then the scan's tokens run one after another, each with the stream that the one before it was left with; the
first finds the rest token there. A scan of n tokens so costs n passes at one token, and not at all of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from ..arrays import Array
from ..packing.packed import AttentionStep, LoopStep
from .attention import RotaryTables, softmax_mean, split_heads, turned
from .steps import Memory, Pass, projected, run

Excesses = dict[int, Array]


class Before(NamedTuple):
    """The token of the scan before: its stream, its place, and whether there is one (else it is the rest token)."""

    stream: Float[Array, "batch one width"]
    place: Int[Array, ""]
    there: Bool[Array, ""]


def in_turn(
    loop: LoopStep,
    carry: tuple[Float[Array, "batch tokens width"], Excesses],
    places: Int[Array, " turns"],
    tables: RotaryTables | None,
    of: Pass,
) -> tuple[Float[Array, "batch tokens width"], Excesses]:
    """carry = (stream, what the guard found) behind a scan of the tokens at these places, the rest token's being 0."""
    stream, worst = carry
    rest, resting = rested(loop, stream[:1, :1], tables)
    own = {time: check for time, check in of.checks.items() if time in loop.times}
    rows = {time: check.at(places[:, None]) for time, check in own.items()}

    def once(carry: tuple[Before, Excesses], turn: Any) -> tuple[tuple[Before, Excesses], Array]:
        before, worst = carry
        here, place, rows, real = turn
        checks = {time: own[time]._replace(**bounds) for time, bounds in rows.items()}
        at = of._replace(checks=checks, own=real)
        (here, worst), _ = turn_of(loop, resting, before, (here, worst), place, tables, at)
        return (Before(here, place, np.ones((), bool)), worst), here

    nobody = Before(jnp.broadcast_to(rest, stream[:, :1].shape), np.zeros((), places.dtype), np.zeros((), bool))
    real = None if of.own is None else of.own[places][:, None]
    turns = jnp.moveaxis(stream[:, places], 1, 0)[:, :, None], places, rows, real
    (_, worst), left = lax.scan(once, (nobody, worst), turns)
    stream = stream.at[:, places].set(jnp.moveaxis(left[:, :, 0], 0, 1)).at[:, :1].set(rest)
    return stream, worst


def rested(
    loop: LoopStep, rest: Float[Array, "one one width"], tables: RotaryTables | None
) -> tuple[Float[Array, "one one width"], Memory]:
    """The rest token behind a pass, and its keys and values in each step."""

    def mix(step: AttentionStep, projected: Array, *_: None) -> tuple[Array, tuple[Array, Array]]:
        query, key, value = split_heads(projected, step.heads, step.qk, step.qk, step.v)
        key = _turned(key, step, tables, np.zeros((), np.int32))
        return softmax_mean(query, key, value, None, step), (key, value)

    alone = Pass({}, lambda *_: None, mix)
    (rest, _), _, memory = run(loop.steps, (rest, {}), None, alone)
    return rest, memory


def turn_of(
    loop: LoopStep,
    resting: Memory,
    before: Before,
    carry: tuple[Float[Array, "batch one width"], Excesses],
    place: Int[Array, ""],
    tables: RotaryTables | None,
    of: Pass,
) -> tuple[tuple[Float[Array, "batch one width"], Excesses], Array | None]:
    """carry = (the stream of the token at this place, what the guard found) behind its pass; and what is collected."""
    head = loop.steps[0]
    assert isinstance(head, AttentionStep)  # what every scan with a turn begins with
    _, key, value = split_heads(projected(head, before.stream), head.heads, head.qk, head.qk, head.v)
    key = _turned(key, head, tables, before.place)
    seen = jnp.stack([np.ones((), bool), before.there, np.ones((), bool)])[None]

    def mix(
        step: AttentionStep, projected: Array, memory: tuple[Array, Array], _: None
    ) -> tuple[Array, tuple[Array, Array]]:
        query, *new = split_heads(projected, step.heads, step.qk, step.qk, step.v)
        query, new[0] = (_turned(side, step, tables, place) for side in (query, new[0]))
        keys, values = (_behind(kept, own) for kept, own in zip(memory, new, strict=True))
        return softmax_mean(query, keys, values, seen if keys.shape[1] == seen.shape[1] else None, step), memory

    first = tuple(_behind(kept, new) for kept, new in zip(resting[0], (key, value), strict=True))
    carry, found, _ = run(
        loop.steps, carry, (first, *resting[1:]), of._replace(mix=mix, live=None, only=None, in_turn=None)
    )
    return carry, found


def _behind(kept: Float[Array, "_ kept heads size"], new: Float[Array, "batch one heads size"]) -> Array:
    """Both, the tokens of `kept` first, which may be those of any task."""
    return jnp.concatenate([jnp.broadcast_to(kept, (new.shape[0], *kept.shape[1:])), new], 1)


def _turned(x: Array, step: AttentionStep, tables: RotaryTables | None, place: Array) -> Array:
    """Queries or keys of the token at one place."""
    if tables is None:
        return x
    cos, sin = (lax.dynamic_slice_in_dim(table, place, 1) for table in tables)
    return turned(x, step, (cos, sin))
