"""Products at full precision: never TF32 or bf16, on any device, but where a training asks for it (`halved`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

Array = Any  # a NumPy array outside the pass, a JAX array in it

SHORT_FACTORS = "BF16_BF16_F32"
"""JAX's name for factors rounded to bfloat16, summed in float32; the precision of `halved`, and a key of its caches."""


@contextmanager
def halved() -> Iterator[None]:
    """Traces products whose factors are rounded to bfloat16. A CPU does not: XLA multiplies in float32 there."""
    with jax.default_matmul_precision(SHORT_FACTORS):
        yield


def _precision() -> lax.Precision | lax.DotAlgorithmPreset:
    short = cast("Any", jax.config).jax_default_matmul_precision == SHORT_FACTORS
    return lax.DotAlgorithmPreset.BF16_BF16_F32 if short else lax.Precision.HIGHEST


def einsum(subscripts: str, a: Float[Array, "*left"], b: Float[Array, "*right"]) -> Float[Array, "*found"]:
    """jnp.einsum of two."""
    found: Array = jnp.einsum(subscripts, a, b, precision=_precision())
    return found


def matmul(x: Float[Array, "*axes inside"], w: Float[Array, "inside out"]) -> Float[Array, "*axes out"]:
    """[…, in] @ [in, out], as one product of two matrices: for a product with more axes XLA on a CPU copies the
    cotangent, transposed, before it computes the gradient in w, which then takes up to three times as long."""
    return _product(x.reshape(prod(x.shape[:-1]), x.shape[-1]), w).reshape(*x.shape[:-1], w.shape[-1])


@jax.custom_jvp
def _product(x: Float[Array, "rows inside"], w: Float[Array, "inside out"]) -> Float[Array, "rows out"]:
    found: Array = jnp.matmul(x, w, precision=_precision())
    return found


@_product.defjvp
def _product_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    """The gradient in w is xᵀ g, or where that has more rows than columns (gᵀ x)ᵀ, which a CPU computes in half the
    time: XLA turns it back but for the barrier."""
    (x, w), (moved, tangent) = primals, tangents
    if w.shape[0] > w.shape[1]:
        turned = lax.optimization_barrier(tangent.T)  # type: ignore[no-untyped-call]
        across = lax.dot_general(x, turned, (((1,), (1,)), ((), ())), precision=_precision())
    else:
        across = jnp.matmul(x, tangent, precision=_precision())
    return _product(x, w), jnp.matmul(moved, w, precision=_precision()) + across
