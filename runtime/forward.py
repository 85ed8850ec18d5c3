"""The forward pass: exactly the stock GPT-2 and Llama blocks, in JAX; linear attention, and blocks without a norm.

    before   Parameters (pack.py) and features [batch, tokens, features]
    after    outputs [batch, rows, size], and how far values left their ranges (checks.py)

A loop is one `lax.scan` over its count, with the weights of its body held once. The compiled
constructions rest on properties of the arithmetic, which tests/runtime/test_runtime.py holds: those of norms and
activations (functions.py), and two more:

    softmax    a winner whose rivals are 104 or more below it (746 in float64) has weight exactly 1
    products   full precision on every device, never TF32 or bf16

It is differentiable, for the laboratory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from .arrays import Array, einsum, matmul
from .executables import compiled
from .functions import ACTIVATIONS, normed
from .guard.checks import GuardCheck, looked, nothing_yet
from .pack import AttentionStep, BiasStep, IdleStep, LinearAttentionStep, LoopStep, MlpStep, Parameters, Spread, Step

Turns = tuple[Array, Array]
"""Cosines and sines [tokens, d_head / 2] of rotary positions."""

Mix = Callable[[Any, Array, Any], tuple[Array, Any]]
"""(attention step, its queries, keys and values, its memory) → mixed values [batch, tokens, heads · v], memory."""


class Pass(NamedTuple):
    """How `run` runs: what the guard looks at and when (2 n before stored sublayer n, 2 n + 1 after it), what is kept
    of the stream, and how tokens are mixed."""

    checks: dict[int, GuardCheck]
    collect: Callable[[Array, int], Array | None]
    mix: Mix
    counts: Array | None = None
    """Whether what is looked at counts (None: it does)."""


@compiled
def forward(
    parameters: Parameters,
    features: Float[Array, "batch tokens features"],
    rows: Int[Array, " rows"],
    checks: dict[int, GuardCheck],
) -> tuple[Float[Array, "batch rows size"], dict[int, Float[Array, "batch values"]]]:
    """features [batch, tokens, features], rows [outputs' tokens] → outputs [batch, rows, size], and for
    each check by how much a value was out of its range at worst: [batch, values], NaN where it was no number."""
    stream = embed(parameters, features)
    worst = nothing_yet(checks, stream)
    whole = Pass(checks, lambda *_: None, over_all(parameters, features.shape[1]))
    (stream, worst), _, _ = run(parameters.steps, (stream, worst), None, whole)
    last = normed(stream[:, rows], parameters.final_norm)
    return matmul(last, parameters.readout) + parameters.readout_bias, worst


@partial(compiled, static_argnames="every")
def streams(
    parameters: Parameters, features: Float[Array, "batch tokens features"], slots: Int[Array, " slots"], every: int
) -> Float[Array, "runs batch tokens slots"]:
    """The stream [runs, batch, tokens, slots] after each sublayer of the unrolled run (`every` 1) or layer (2)."""

    def collect(stream: Array, number: int) -> Array | None:
        # A loop's body has an even number of sublayers: stored and unrolled numbers have the same parity.
        return stream[..., slots] if number % every == every - 1 else None

    whole = Pass({}, collect, over_all(parameters, features.shape[1]))
    _, collected, _ = run(parameters.steps, (embed(parameters, features), {}), None, whole)
    if collected is None:
        return jnp.zeros((0, *features.shape[:2], slots.shape[0]), parameters.embedding.dtype)
    return collected


@compiled
def embedded(
    parameters: Parameters, features: Float[Array, "batch tokens features"]
) -> Float[Array, "batch tokens width"]:
    """The stream [batch, tokens, width] before the first sublayer."""
    return embed(parameters, features)


def embed(
    parameters: Parameters, features: Float[Array, "batch tokens features"]
) -> Float[Array, "batch tokens width"]:
    return matmul(features, parameters.embedding) + parameters.positions[: features.shape[1]]


def over_all(parameters: Parameters, tokens: int) -> Mix:
    """Attention over a whole sequence of so many tokens, which remembers nothing."""
    tables = parameters.rotations
    turns = None if tables is None else (tables[0][:tokens], tables[1][:tokens])

    def mix(step: AttentionStep | LinearAttentionStep, projected: Array, memory: None) -> tuple[Array, None]:
        if isinstance(step, LinearAttentionStep):
            return attend_linearly(projected, step), memory
        return attend(projected, step, turns), memory

    return mix


def run(
    steps: tuple[Step, ...], carry: Any, memory: tuple[Any, ...] | None, of: Pass
) -> tuple[Any, Array | None, tuple[Any, ...]]:
    """Runs `steps` on carry = (stream, worst); what `of.collect(stream, number)` gives is stacked in order of running.

    `memory` has what attention remembers for each step, a loop's with the pass as first axis; it comes back renewed."""
    collected: list[Array] = []
    remembered: list[Any] = []
    for step, own in zip(steps, (None,) * len(steps) if memory is None else memory, strict=True):
        if isinstance(step, LoopStep):

            def once(carry: Any, own: Any, loop: LoopStep = step) -> tuple[Any, Any]:
                memory, number = own
                # Tokens whose turn in a scan has not come may hold anything: only the last pass counts.
                here = of._replace(counts=number == loop.count - 1) if loop.scan else of
                carry, found, memory = run(loop.steps, carry, memory, here)
                return carry, (found, memory)

            carry, (found, own) = lax.scan(once, carry, (own, jnp.arange(step.count)), length=step.count)
            found = None if found is None else found.reshape(found.shape[0] * found.shape[1], *found.shape[2:])
        else:
            stream, worst = carry
            worst = looked(worst, 2 * step.number, stream, of.checks, of.counts)
            if not isinstance(step, IdleStep):
                change, own = _sublayer(step, stream, own, of.mix)
                stream = stream + change
            worst = looked(worst, 2 * step.number + 1, stream, of.checks, of.counts)
            carry = stream, worst
            found = of.collect(stream, step.number)
            found = None if found is None else found[None]
        remembered.append(own)
        if found is not None:
            collected.append(found)
    return carry, jnp.concatenate(collected) if collected else None, tuple(remembered)


def _sublayer(
    step: AttentionStep | LinearAttentionStep | MlpStep | BiasStep,
    stream: Float[Array, "batch tokens width"],
    memory: Any,
    mix: Mix,
) -> tuple[Float[Array, "*batch width"], Any]:
    """What the sublayer adds to the stream [batch, tokens, width], and what attention then remembers."""
    if isinstance(step, BiasStep):
        return step.bias, memory
    x = stream if isinstance(step, LinearAttentionStep) else normed(stream, step.norm)
    if step.rows is not None:
        x = x[..., step.rows]
    if isinstance(step, MlpStep):
        y = matmul(hidden(matmul(x, step.up) + step.up_bias, step), step.down)
    else:
        if isinstance(step, LinearAttentionStep):
            projected = matmul(x, step.qkvc)
        else:
            projected = matmul(x, step.qkv) + step.qkv_bias
        mixed, memory = mix(step, projected, memory)
        y = matmul(mixed, step.output)
    return spread(y, step.spread), memory


def hidden(x: Float[Array, "batch tokens preactivations"], step: MlpStep) -> Float[Array, "batch tokens neurons"]:
    """What the neurons give, from their preactivations [batch, tokens, neurons, or gates before ups]."""
    activation = ACTIVATIONS[step.activation]
    if not step.gated:
        return activation(x)
    gate, up = jnp.split(x, 2, -1)
    return activation(gate) * up


def attend(
    qkv: Float[Array, "batch tokens packed"], step: AttentionStep, turns: Turns | None = None
) -> Float[Array, "batch tokens mixed"]:
    """Softmax attention on packed heads: [batch, tokens, heads · (2 qk + v)] → [batch, tokens, heads · v]."""
    query, key, value = split_heads(qkv, step.heads, step.qk, step.qk, step.v)
    if turns is not None:
        query, key = turned(query, step, turns), turned(key, step, turns)
    # Each row keeps its own token, so that no row is all −∞.
    return softmax_mean(query, key, value, jnp.tri(qkv.shape[1], dtype=bool) if step.causal else None, step)


def softmax_mean(
    query: Float[Array, "batch queries heads qk"],
    key: Float[Array, "batch keys heads qk"],
    value: Float[Array, "batch keys heads v"],
    seen: Bool[Array, "queries keys"] | None,
    step: AttentionStep,
) -> Float[Array, "batch queries heads*v"]:
    """Σ softmax(q · k / √d_head) v over the tokens seen [queries, keys] (None: all): query [batch, queries, heads, qk],
    key and value [batch, keys, heads, …] → [batch, queries, heads · v]."""
    logits = einsum("bthk,bshk->bhts", query, key) / np.sqrt(step.d_head).astype(query.dtype)
    if seen is not None:
        logits = jnp.where(seen, logits, -jnp.inf)
    # Shares do not depend on what is taken away from all logits, and neither do gradients.
    shares = jnp.exp(logits - lax.stop_gradient(logits.max(-1, keepdims=True)))
    # Divided after the sum over tokens, a lone winner's value and a count are exact.
    total = shares.sum(-1)
    mixed = einsum("bhts,bshv->bthv", shares, value) / jnp.swapaxes(total, 1, 2)[..., None]
    return mixed.reshape(*query.shape[:2], -1)


def turned(
    x: Float[Array, "batch tokens heads qk"], step: AttentionStep, turns: Turns
) -> Float[Array, "batch tokens heads qk"]:
    """Queries or keys [batch, tokens, heads, qk] turned by their positions (innerloop.artifact.rotations)."""
    cos, sin = (table[:, step.pairs] for table in turns)
    a, b = jnp.split(x, 2, -1)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def attend_linearly(
    qkvc: Float[Array, "batch tokens packed"], step: LinearAttentionStep
) -> Float[Array, "batch tokens mixed"]:
    """Σⱼ (q · kⱼ) vⱼ / ρ on packed heads: [batch, tokens, heads · (2 qk + v + 1)] → [batch, tokens, heads · v]."""
    tokens = qkvc.shape[1]
    query, key, value, count = split_heads(qkvc, step.heads, step.qk, step.qk, step.v, 1)
    read = jnp.tri(tokens, dtype=bool) if step.causal else jnp.ones((tokens, tokens), bool)
    read &= jnp.arange(tokens) < tokens - step.unread
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


def spread(y: Float[Array, "*batch written"], to: Spread) -> Float[Array, "*batch width"]:
    """[…, written] → […, width], with the sublayer's bias."""
    if to.columns is not None:
        y = jnp.concatenate([y, jnp.zeros_like(y[..., :1])], -1)[..., to.columns]
    return y + to.bias
