"""Sums and maxima over the last axis, as vectors of a processor make them.

Along an axis XLA's code for CPUs goes number by number, and through windows where it is longer than RUN, which takes up
to six times as long. Here the numbers that stand a multiple of LANES apart are reduced first, side by side; where it
runs elsewhere, as XLA has it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

Array = Any
LANES, RUN = 16, 32
"""Numbers side by side, and how many rows of them are reduced at once."""


def summed(x: Float[Array, "*axes width"]) -> Float[Array, "*axes 1"]:
    """The sum."""
    return _reduced(x, jnp.sum, 0.0)


def greatest(x: Float[Array, "*axes width"]) -> Float[Array, "*axes 1"]:
    """The largest."""
    return _reduced(x, jnp.max, -np.inf)


def broadcast(x: Float[Array, "*axes 1"], width: int) -> Float[Array, "*axes width"]:
    """The same number so many times: what `summed` is transposed, and transposed it."""

    def by_lanes(x: Array) -> Array:
        first, *wider = reversed(_widths(width))
        x = jnp.broadcast_to(x, (*x.shape[:-1], first))
        for wide in wider:
            x = lax.optimization_barrier(x)[..., None, :]  # type: ignore[no-untyped-call]
            rows = jnp.broadcast_to(x, (*x.shape[:-2], -(-wide // x.shape[-1]), x.shape[-1]))
            x = rows.reshape(*x.shape[:-2], -1)[..., :wide]
        return x

    def at_once(x: Array) -> Array:
        return jnp.broadcast_to(x, (*x.shape[:-1], width))

    found: Array = lax.platform_dependent(x, cpu=by_lanes, default=at_once)
    return found


def _reduced(x: Array, reduce: Callable[..., Array], nothing: float) -> Array:
    def by_lanes(x: Array) -> Array:
        for width in _widths(x.shape[-1])[1:]:
            rows = filled(x, width, nothing).reshape(*x.shape[:-1], -1, width)
            # The barrier keeps XLA from making one reduction of two.
            x = lax.optimization_barrier(reduce(rows, -2))  # type: ignore[no-untyped-call]
        return reduce(x, -1, keepdims=True)

    found: Array = lax.platform_dependent(x, cpu=by_lanes, default=partial(reduce, axis=-1, keepdims=True))
    return found


def _widths(width: int) -> list[int]:
    """How many numbers there are after each step, the last LANES at most."""
    found = [width]
    while found[-1] > LANES:
        found.append(-(-found[-1] // (RUN * LANES)) * LANES)
    return found


def filled(x: Float[Array, "*axes width"], size: int, number: float = 0.0) -> Float[Array, "*axes filled"]:
    """With such numbers behind, to a multiple of this size."""
    more = -x.shape[-1] % size
    return x if not more else jnp.concatenate([x, np.full((*x.shape[:-1], more), number, x.dtype)], -1)
