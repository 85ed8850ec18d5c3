"""The forward pass: exactly the stock GPT-2 block, in JAX; and linear attention, and blocks without a norm.

    before   Parameters (pack.py) and features [batch, tokens, features]
    after    outputs [batch, rows, size], and how far values left their ranges

A loop is one `lax.scan` over its count, with the weights of its body held once. The compiled
constructions rest on four properties of the arithmetic, which tests/test_runtime.py holds:

    mean       slots eight apart are added first, so that constants +C, −C cancel before anything is added; and what is
               left is rounded at the size of the largest slot: of a balanced stream to exactly 0
    variance   a true division by the width, and x / √(var + ε): exact when these are powers of two
    softmax    a winner whose rivals are 104 or more below it (746 in float64) has weight exactly 1
    products   full precision on every device, never TF32 or bf16
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .pack import (
    AttentionStep,
    BiasStep,
    IdleStep,
    LinearAttentionStep,
    LoopStep,
    MlpStep,
    NormStep,
    Parameters,
    Spread,
    Step,
)  # fmt: skip

Array = Any  # a NumPy array outside the pass, a JAX array in it

_matmul = partial(jnp.matmul, precision=lax.Precision.HIGHEST)
_einsum = partial(jnp.einsum, precision=lax.Precision.HIGHEST)


class Check(NamedTuple):
    """What the guard looks at after one sublayer: values = stream[slots] (@ matrix, if any), with
    low, high [tokens, values] (infinite where a token's kind does not hold the value)."""

    slots: Array
    matrix: Array | None
    low: Array
    high: Array


@jax.jit
def forward(
    parameters: Parameters, features: Array, rows: Array, checks: dict[int, Check]
) -> tuple[Array, dict[int, Array]]:
    """features [batch, tokens, features], rows [outputs' tokens] → outputs [batch, rows, size], and for
    each check by how much a value was out of its range at worst: [batch, values], NaN where it was no number."""
    stream = _embed(parameters, features)
    worst = {n: jnp.full((features.shape[0], c.low.shape[1]), -jnp.inf, stream.dtype) for n, c in checks.items()}
    (stream, worst), _ = _run(parameters.steps, (stream, worst), checks, lambda *_: None)
    last = _normed(stream[:, rows], parameters.final_norm)
    return _matmul(last, parameters.readout) + parameters.readout_bias, worst


@partial(jax.jit, static_argnames="every")
def streams(parameters: Parameters, features: Array, slots: Array, every: int) -> Array:
    """The stream [runs, batch, tokens, slots] after each sublayer of the unrolled run (`every` 1) or layer (2)."""

    def collect(stream: Array, number: int) -> Array | None:
        # A loop's body has an even number of sublayers: stored and unrolled numbers have the same parity.
        return stream[..., slots] if number % every == every - 1 else None

    _, collected = _run(parameters.steps, (_embed(parameters, features), {}), {}, collect)
    if collected is None:
        return jnp.zeros((0, *features.shape[:2], slots.shape[0]), parameters.embedding.dtype)
    return collected


def _embed(parameters: Parameters, features: Array) -> Array:
    return _matmul(features, parameters.embedding) + parameters.positions[: features.shape[1]]


def _run(steps: tuple[Step, ...], carry: Any, checks: dict[int, Check], collect: Any) -> tuple[Any, Array | None]:
    """Runs `steps` on carry = (stream, worst); what `collect(stream, number)` gives is stacked in order of running."""
    collected: list[Array] = []
    for step in steps:
        if isinstance(step, LoopStep):

            def once(carry: Any, _: None, loop: LoopStep = step) -> tuple[Any, Array | None]:
                stream, worst = carry
                if loop.scan:  # Tokens whose turn has not come may hold anything: only the last pass counts.
                    worst = {**worst, **{n: jnp.full_like(worst[n], -jnp.inf) for n in _numbers(loop) if n in worst}}
                return _run(loop.steps, (stream, worst), checks, collect)

            carry, found = lax.scan(once, carry, None, length=step.count)
            found = None if found is None else found.reshape(found.shape[0] * found.shape[1], *found.shape[2:])
        else:
            stream, worst = carry
            if not isinstance(step, IdleStep):
                stream = stream + _sublayer(step, stream)
            if step.number in checks:
                excess = jnp.maximum(worst[step.number], _excess(stream, checks[step.number]))
                worst = {**worst, step.number: excess}
            carry = stream, worst
            found = collect(stream, step.number)
            found = None if found is None else found[None]
        if found is not None:
            collected.append(found)
    return carry, jnp.concatenate(collected) if collected else None


def _numbers(loop: LoopStep) -> Iterator[int]:
    """The numbers of the sublayers in a loop."""
    for step in loop.steps:
        if isinstance(step, LoopStep):
            yield from _numbers(step)
        else:
            yield step.number


def _sublayer(step: AttentionStep | LinearAttentionStep | MlpStep | BiasStep, stream: Array) -> Array:
    """What the sublayer adds to the stream [batch, tokens, width]."""
    if isinstance(step, BiasStep):
        return step.bias
    x = stream if isinstance(step, LinearAttentionStep) else _normed(stream, step.norm)
    if step.rows is not None:
        x = x[..., step.rows]
    if isinstance(step, AttentionStep):
        y = _matmul(attend(_matmul(x, step.qkv) + step.qkv_bias, step), step.output)
    elif isinstance(step, LinearAttentionStep):
        y = _matmul(attend_linearly(_matmul(x, step.qkvc), step), step.output)
    else:
        y = _matmul(gelu(_matmul(x, step.up) + step.up_bias), step.down)
    return spread(y, step.spread)


def gelu(x: Array) -> Array:
    """GPT-2's GELU, 0.5 x (1 + tanh z) = x / (1 + exp(−2z)) with z = √(2/π) (x + 0.044715 x³).

    The second form, since XLA's tanh is off by several ulp: sums of g(s) + g(−s), which products are made of,
    come out 20 times as exact at small s.
    """
    return x / (1.0 + jnp.exp(-2.0 * np.sqrt(2.0 / np.pi).astype(x.dtype) * (x + 0.044715 * x * x * x)))


def _normed(x: Array, norm: NormStep | None) -> Array:
    return x if norm is None else layer_norm(x, norm)


def layer_norm(x: Array, norm: NormStep) -> Array:
    """(x − mean) / √(variance + ε) · gain + bias over the last axis, the variance biased, as in GPT-2."""
    blocks = x.shape[-1] // 16
    pairs = x[..., : 16 * blocks].reshape(*x.shape[:-1], blocks, 2, 8)
    total = ((pairs[..., 0, :] + pairs[..., 1, :]).sum((-1, -2)) + x[..., 16 * blocks :].sum(-1))[..., None]
    largest = jnp.abs(x).max(-1, keepdims=True)
    # The barrier keeps the rounding of the total at the size of the largest slot.
    mean = (lax.optimization_barrier(total + largest) - largest) / norm.width  # type: ignore[no-untyped-call]
    centred = x - mean
    variance = jnp.square(centred).sum(-1, keepdims=True) / norm.width
    # The barrier keeps XLA from turning the division into a product with an approximate 1/√.
    deviation = lax.optimization_barrier(jnp.sqrt(variance + norm.epsilon))  # type: ignore[no-untyped-call]
    return centred / deviation * norm.gain + norm.bias


def attend(qkv: Array, step: AttentionStep) -> Array:
    """Softmax attention on packed heads: [batch, tokens, heads · (2 qk + v)] → [batch, tokens, heads · v]."""
    query, key, value = _heads(qkv, step.heads, step.qk, step.qk, step.v)
    logits = _einsum("bthk,bshk->bhts", query, key) / np.sqrt(step.d_head).astype(qkv.dtype)
    if step.causal:
        # Each row keeps its own token, so that no row is all −∞.
        logits = jnp.where(jnp.tri(qkv.shape[1], dtype=bool), logits, -jnp.inf)
    shares = jnp.exp(logits - logits.max(-1, keepdims=True))
    # Divided after the sum over tokens, a lone winner's value and a count are exact.
    total = shares.sum(-1)
    mixed = _einsum("bhts,bshv->bthv", shares, value) / jnp.swapaxes(total, 1, 2)[..., None]
    return mixed.reshape(*qkv.shape[:2], -1)


def attend_linearly(qkvc: Array, step: LinearAttentionStep) -> Array:
    """Σⱼ (q · kⱼ) vⱼ / ρ on packed heads: [batch, tokens, heads · (2 qk + v + 1)] → [batch, tokens, heads · v]."""
    tokens = qkvc.shape[1]
    query, key, value, count = _heads(qkvc, step.heads, step.qk, step.qk, step.v, 1)
    read = jnp.tri(tokens, dtype=bool) if step.causal else jnp.ones((tokens, tokens), bool)
    read &= jnp.arange(tokens) < tokens - step.unread
    scores = jnp.where(read, _einsum("bthk,bshk->bhts", query, key), 0)
    rho = _einsum("ts,bshc->bthc", read.astype(qkvc.dtype), count)
    mixed = _einsum("bhts,bshv->bthv", scores, value) / jnp.where(rho == 0, 1, rho)
    return mixed.reshape(*qkvc.shape[:2], -1)


def _heads(x: Array, heads: int, *sizes: int) -> list[Array]:
    """[batch, tokens, heads · Σ sizes] → for each size [batch, tokens, heads, size]."""
    ends = [heads * end for end in accumulate(sizes)]
    return [part.reshape(*x.shape[:2], heads, -1) for part in jnp.split(x, ends[:-1], -1)]


def spread(y: Array, to: Spread) -> Array:
    """[…, written] → […, width], with the sublayer's bias."""
    if to.columns is not None:
        y = jnp.concatenate([y, jnp.zeros_like(y[..., :1])], -1)[..., to.columns]
    return y + to.bias


def _excess(stream: Array, check: Check) -> Array:
    """By how much each value leaves its range, at worst over the tokens: [batch, values]."""
    values = stream[..., check.slots]
    if check.matrix is not None:
        values = _matmul(values, check.matrix)
    return jnp.maximum(values - check.high, check.low - values).max(1)
