"""Products at full precision: never TF32 or bf16, on any device."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

Array = Any  # a NumPy array outside the pass, a JAX array in it

einsum = partial(jnp.einsum, precision=lax.Precision.HIGHEST)


def matmul(x: Float[Array, "*axes inside"], w: Float[Array, "inside out"]) -> Float[Array, "*axes out"]:
    """[…, in] @ [in, out], as one product of two matrices: for a product with more axes XLA on a CPU copies the
    cotangent, transposed, before it computes the gradient in w, which then takes up to three times as long."""
    found: Array = jnp.matmul(x.reshape(prod(x.shape[:-1]), x.shape[-1]), w, precision=lax.Precision.HIGHEST)
    return found.reshape(*x.shape[:-1], w.shape[-1])
