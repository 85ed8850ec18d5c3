"""The forward pass with the residual stream changed on its way: activation patching.

before   features [batch, 1 + tokens, features], a change [batch, d_model]
after    outputs [batch, rows, size] of a pass to whose stream the change is added, at one token after one layer
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax

from .arrays import Array, matmul
from .executables import compiled
from .forward import embed, over_all
from .functions import normed
from .packing.packed import LoopStep, MlpStep, Parameters, Step
from .steps import Pass, run


@partial(compiled, static_argnames="token")
def patched(parameters: Parameters, features: Array, rows: Array, layer: Array, token: int, change: Array) -> Array:
    """`layer` counts from 0, the embedding; loops are unrolled. Token 0 is the rest."""
    whole = Pass({}, lambda *_: None, over_all(parameters, features.shape[1]))

    def patch(stream: Array, done: Array) -> Array:
        return stream.at[:, token].add(jnp.where(done == 2 * layer, change, 0))

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
