"""The run of the packed steps: sublayer by sublayer on the residual stream, loops as one `lax.scan` over their count.

before   the stream [batch, tokens, width] as embedded
after    the stream after the last step; on the way what the guard finds, what is collected, what is remembered
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from ..arrays import Array, einsum, matmul
from ..guard.checks import GuardCheck, excess
from ..packing.packed import (
    AttentionStep,
    BiasStep,
    DeltaStep,
    IdleStep,
    LinearAttentionStep,
    LoopStep,
    MlpStep,
    Step,
)
from .functions import activation, added, held, normed, stored

Memory = tuple[Any, ...]
"""What attention remembers, step by step."""

Mix = Callable[[Any, Array, Any, Array | None], tuple[Array, Any]]
"""(attention step, its queries, keys and values, its memory, who reads (None: all)) → mixed values [batch, readers,
heads · v], memory."""


class OneToken(NamedTuple):
    """Of which kind a token is: the number in `kinds`, from 1, and 0 the rest token's."""

    kinds: tuple[str, ...]
    number: Int[Array, ""]

    def of(self, rest: int, each: list[int]) -> Int[Array, ""]:
        """What there is for the rest token, and for a token of each kind: for this one."""
        return jnp.asarray(np.array([rest, *each], np.int32))[self.number]

    def runs(self, live: tuple[str, ...] | None) -> Bool[Array, ""] | None:
        """Whether a step runs there that is live at these kinds (None: at all). None: whatever the kind is."""
        if live is None or set(self.kinds) <= set(live):
            return None
        return self.of(1, [kind in live for kind in self.kinds]) > 0


class Pass(NamedTuple):
    """How `run` runs: what the guard looks at and when (2 n before stored sublayer n, 2 n + 1 after it), what is kept
    of the stream, and how tokens are mixed."""

    checks: dict[int, GuardCheck]
    collect: Callable[[Array, int], Array | None]
    mix: Mix
    counts: Array | None = None
    """Whether what is looked at counts (None: it does)."""
    live: dict[tuple[str, ...], Array] | None = None
    """The tokens at which steps are to run that are live at these kinds, and others at all of them. None: all do."""
    only: OneToken | None = None
    """The one token that there is: steps that are not live there change nothing, and remember it all the same. None:
    there are more."""
    own: Array | None = None
    """[tokens, 1]: whether a token is the data's, and does not fill the sequence (calls/lengths.py). None: all are."""
    in_turn: Callable[[LoopStep, Any, Any, Pass], tuple[Any, Any, Array | None]] | None = None
    """(scan whose passes may be run each at its own token, carry, memory, this) → carry, memory, what is collected.
    None: they are run at all tokens, as stock transformers do."""


def run(steps: tuple[Step, ...], carry: Any, memory: Memory | None, of: Pass) -> tuple[Any, Array | None, Memory]:
    """Runs `steps` on carry = (stream, worst); what `of.collect(stream, number)` gives is stacked in order of running.

    `memory` has what attention remembers for each step, a loop's with the pass as first axis; it comes back renewed."""
    collected: list[Array] = []
    remembered: list[Any] = []
    layer: Array | None = None  # the stream as the sublayer before found it
    for step, own in zip(steps, (None,) * len(steps) if memory is None else memory, strict=True):
        found: Array | None = None
        if isinstance(step, LoopStep) and step.turn is not None and of.in_turn is not None:
            carry, own, found = of.in_turn(step, carry, own, of)
        elif isinstance(step, LoopStep):

            def once(carry: Any, own: Any, loop: LoopStep = step) -> tuple[Any, Any]:
                memory, number = own
                # Tokens whose turn in a scan has not come may hold anything: only the last pass counts.
                here = of._replace(counts=number == loop.count - 1) if loop.scan else of
                carry, found, memory = run(loop.steps, carry, memory, here)
                return carry, (found, memory)

            carry, (found, own) = lax.scan(once, carry, (own, np.arange(step.count, dtype=np.int32)), length=step.count)
            found = None if found is None else found.reshape(found.shape[0] * found.shape[1], *found.shape[2:])
        else:
            stream, worst = carry
            reads = layer if isinstance(step, MlpStep) and step.parallel else stream
            layer = stream
            worst = looked(worst, 2 * step.number, reads, of.checks, of.counts)
            if not isinstance(step, IdleStep):
                stream, own = _behind(step, stream, reads, own, of)
            worst = looked(worst, 2 * step.number + 1, stream, of.checks, of.counts)
            carry = stream, worst
            found = of.collect(stream, step.number)
            found = None if found is None else found[None]
        remembered.append(own)
        if found is not None:
            collected.append(found)
    return carry, jnp.concatenate(collected) if collected else None, tuple(remembered)


def _behind(
    step: AttentionStep | LinearAttentionStep | DeltaStep | MlpStep | BiasStep,
    stream: Float[Array, "batch tokens width"],
    reads: Float[Array, "batch tokens width"],
    memory: Any,
    of: Pass,
) -> tuple[Float[Array, "batch tokens width"], Any]:
    """The stream behind a sublayer that reads `reads`, and what attention then remembers."""
    live, short = (None, None) if isinstance(step, LinearAttentionStep | DeltaStep) else (step.live, step.short)
    readers = None if of.live is None or live is None else of.live.get(live)

    def ran() -> tuple[Array, Any]:
        change, remembered = _sublayer(step, reads, memory, of.mix, readers)
        if of.own is not None:
            change = jnp.where(of.own if readers is None else of.own[readers], change, 0)
        return held(written(stream, change, step, readers), short), remembered

    here = None if of.only is None else of.only.runs(live)
    if here is None:
        return ran()
    if isinstance(step, MlpStep | BiasStep):
        return lax.cond(here, lambda: ran()[0], lambda: stream), memory
    changed, memory = ran()
    return jnp.where(here, changed, stream), memory


def looked(
    worst: dict[int, Array], time: int, stream: Array, checks: dict[int, GuardCheck], counts: Array | None
) -> dict[int, Array]:
    """What the guard found so far with what it finds at this time, if it `counts`."""
    if time not in checks:
        return worst

    def found() -> Array:
        return jnp.maximum(worst[time], excess(stream, checks[time]))

    return {**worst, time: found() if counts is None else lax.cond(counts, found, lambda: worst[time])}


def _sublayer(
    step: AttentionStep | LinearAttentionStep | DeltaStep | MlpStep | BiasStep,
    stream: Float[Array, "batch tokens width"],
    memory: Any,
    mix: Mix,
    readers: Array | None,
) -> tuple[Float[Array, "*batch written"], Any]:
    """What the sublayer adds to the slots that it writes at the tokens `readers` (None: all), and what attention then
    remembers."""
    if isinstance(step, BiasStep):
        return step.bias, memory
    if isinstance(step, MlpStep):
        stream = stream if readers is None else stream[:, readers]
        y = neurons(_read(step, stream), step)
    else:
        mixed, memory = mix(step, projected(step, stream), memory, readers)
        y = matmul(mixed, step.output)
    short = None if isinstance(step, LinearAttentionStep | DeltaStep) else step.short
    return held(added(y, step.spread.bias), short), memory


def written(
    stream: Float[Array, "batch tokens width"],
    change: Float[Array, "*batch written"],
    step: AttentionStep | LinearAttentionStep | DeltaStep | MlpStep | BiasStep,
    readers: Array | None,
) -> Float[Array, "batch tokens width"]:
    """The stream with what the step changes in it, at the tokens `readers` (None: all)."""
    columns = None if isinstance(step, BiasStep) else step.spread.columns
    if columns is not None:
        # Unsigned: of what may be negative JAX compiles a function that makes it not so.
        tokens = np.arange(stream.shape[1], dtype=np.uint32) if readers is None else readers
        return stream.at[:, tokens[:, None], columns].add(
            change, indices_are_sorted=True, unique_indices=True, mode="drop"
        )  # fmt: skip
    return stored(stream + change) if readers is None else stream.at[:, readers].add(change)


def projected(
    step: AttentionStep | LinearAttentionStep | DeltaStep, stream: Float[Array, "batch tokens width"]
) -> Float[Array, "batch tokens packed"]:
    """What attention makes of the stream: queries, keys and values of all heads."""
    if isinstance(step, DeltaStep):
        return matmul(_read(step, stream), step.packed)
    if isinstance(step, LinearAttentionStep):
        return matmul(_read(step, stream), step.qkvc)
    return held(added(matmul(_read(step, stream), step.qkv), step.qkv_bias), step.short)


def _read(
    step: AttentionStep | LinearAttentionStep | DeltaStep | MlpStep, stream: Float[Array, "batch tokens width"]
) -> Float[Array, "batch tokens read"]:
    """The slots that are read, of the stream under the sublayer's norm."""
    if isinstance(step, LinearAttentionStep | DeltaStep):
        return stream if step.rows is None else stream[..., step.rows]
    return normed(stream, step.norm, step.short, step.rows)


def hidden(x: Float[Array, "*axes preactivations"], step: MlpStep) -> Float[Array, "*axes neurons"]:
    """What the neurons give, from their preactivations [*axes, neurons, or gates before ups]."""
    x = held(x, step.short)
    if not step.gated:
        return activation(x, step.activation, step.short)
    gate, up = jnp.split(x, 2, -1)
    return held(activation(gate, step.activation, step.short) * up, step.short)


def neurons(x: Float[Array, "batch tokens read"], step: MlpStep) -> Float[Array, "batch tokens written"]:
    """What the neurons write, from the slots that they read."""
    y = matmul(hidden(added(matmul(x, step.up), step.up_bias), step), step.down)
    for block in step.blocks:
        # The barrier keeps XLA from gathering anew for each neuron.
        read = lax.optimization_barrier(x[..., block.rows])  # type: ignore[no-untyped-call]
        sums = sum(read[..., k, None] * up for k, up in enumerate(block.up))
        found = einsum("btgn,gn->btg", hidden(sums + block.bias, step), block.weight)
        y = y + matmul(found, block.write)
    return y
