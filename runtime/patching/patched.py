"""The forward pass with the residual stream changed on its way: activation patching.

before   features [batch, 1 + tokens, features], a token, and what is added to its stream [batch, d_model] and when
after    outputs [batch, rows, size] of such a pass, loops unrolled; token 0 is the rest
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax

from ..arrays import Array, matmul
from ..executables import compiled
from ..forward import embed, over_all
from ..layers.functions import normed
from ..layers.steps import Pass, run
from ..packing.packed import LoopStep, MlpStep, Parameters, Step


@compiled
def patched(parameters: Parameters, features: Array, rows: Array, after: Array, token: Array, change: Array) -> Array:
    """Adds `change` after so many sublayers, 0: to the embedding."""
    return _changed(parameters, features, rows, token, lambda _, done: jnp.where(done == after, change, 0))


@partial(compiled, static_argnames="token")
def written(
    parameters: Parameters, features: Array, rows: Array, times: Array, token: int, read: Array, write: Array,
    value: Array,
) -> Array:  # fmt: skip
    """Makes stream @ read [batch, size] the `value` where `times` [1 + sublayers] says so, the embedding first: the
    stream is changed by what is missing @ write."""

    def edit(stream: Array, done: Array) -> Array:
        return jnp.where(times[done], matmul(value - matmul(stream, read), write), 0)

    return _changed(parameters, features, rows, token, edit)


def _changed(
    parameters: Parameters, features: Array, rows: Array, token: int | Array, edit: Callable[[Array, Array], Array]
) -> Array:
    """`edit(stream of the token, sublayers done)` is added after each sublayer and the embedding."""
    whole = Pass({}, lambda *_: None, over_all(parameters, features.shape[1]))

    def patch(stream: Array, done: Array) -> Array:
        return stream.at[:, token].add(edit(stream[:, token], done))

    def through(steps: tuple[Step, ...], carry: tuple[Array, Array]) -> tuple[Array, Array]:
        """carry: the stream, and how many sublayers have run."""
        for step, *more in together(steps):
            if isinstance(step, LoopStep):

                def once(carry: tuple[Array, Array], _: None, loop: LoopStep = step) -> tuple[Any, None]:
                    return through(loop.steps, carry), None

                carry, _ = lax.scan(once, carry, length=step.count)
            else:
                (stream, _), _, _ = run((step, *more), (carry[0], {}), None, whole)
                done = carry[1] + 1 + len(more)
                carry = patch(stream, done), done
        return carry

    start = jnp.zeros((), jnp.int32)
    stream, _ = through(parameters.steps, (patch(embed(parameters, features), start), start))
    return matmul(normed(stream[:, rows], parameters.final_norm), parameters.readout) + parameters.readout_bias


def together(steps: tuple[Step, ...]) -> list[list[Step]]:
    """One by one, but for an MLP that reads what the attention before it read."""
    found: list[list[Step]] = []
    for step in steps:
        if isinstance(step, MlpStep) and step.parallel:
            found[-1].append(step)
        else:
            found.append([step])
    return found
