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

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from innerloop.artifact.places import Places
from jaxtyping import Float, Int

from .arrays import Array, matmul
from .executables import compiled
from .guard.checks import GuardCheck, nothing_yet
from .layers.attention import attend, attend_linearly
from .layers.delta_rule import nothing_written, recall
from .layers.functions import added, held, normed
from .layers.steps import Mix, Pass, run
from .layers.turns import in_turn
from .packing.packed import AttentionStep, DeltaStep, LinearAttentionStep, LoopStep, Parameters


@compiled
def forward(
    parameters: Parameters,
    features: Float[Array, "batch tokens features"],
    rows: Int[Array, " rows"],
    checks: dict[int, GuardCheck],
    places: Places | None = None,
    length: Int[Array, ""] | None = None,
) -> tuple[Float[Array, "batch rows size"], dict[int, Float[Array, "batch values"]]]:
    """features [batch, tokens, features], rows [outputs' tokens] → outputs [batch, rows, size], and for
    each check by how much a value was out of its range at worst: [batch, values], NaN where it was no number.
    `places`: the tokens that have to run for these outputs (None: all run with every sublayer). `length`: how many are
    the data's, the rest token's included, the others fill (None: all are)."""
    stream = embed(parameters, features)
    worst = nothing_yet(checks, stream)
    whole = Pass(checks, lambda *_: None, over_all(parameters, features.shape[1]))
    if length is not None:
        whole = whole._replace(own=(np.arange(features.shape[1]) < length)[:, None])
    if places is not None:
        whole = whole._replace(live=places.live)
    if places is not None and places.turns:

        def turns(loop: LoopStep, carry: Any, memory: Any, of: Pass) -> tuple[Any, Any, None]:
            return in_turn(loop, carry, places.turns[str(loop.turn)], parameters.rotations, of), memory, None

        whole = whole._replace(in_turn=turns)
    (stream, worst), _, _ = run(parameters.steps, (stream, worst), None, whole)
    last = normed(stream[:, rows], parameters.final_norm, parameters.short)
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
    return embed_at(parameters, features, parameters.positions[: features.shape[1]])


def embed_at(
    parameters: Parameters, features: Float[Array, "batch tokens features"], positions: Float[Array, "tokens width"]
) -> Float[Array, "batch tokens width"]:
    """The same, of tokens that stand at these positions."""
    short = parameters.short
    tokens = held(matmul(features, parameters.embedding), short)
    flat = added(tokens.reshape(len(tokens), -1), positions.reshape(-1))
    return held(flat.reshape(tokens.shape), short)


def over_all(parameters: Parameters, tokens: int) -> Mix:
    """Attention over a whole sequence of so many tokens, which remembers nothing."""
    tables = parameters.rotations
    turns = None if tables is None else (tables[0][:tokens], tables[1][:tokens])

    def mix(
        step: AttentionStep | LinearAttentionStep | DeltaStep, projected: Array, memory: None, readers: Array | None
    ) -> tuple[Array, None]:
        if isinstance(step, DeltaStep):
            return recall(projected, step, nothing_written(step, len(projected), projected.dtype))[0], memory
        if isinstance(step, LinearAttentionStep):
            return attend_linearly(projected, step), memory
        return attend(projected, step, turns, readers), memory

    return mix
