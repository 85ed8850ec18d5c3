"""Norms and activations, as the compiled constructions need them rounded and as training needs them differentiated.

    mean       slots eight apart are added first, so that constants +C, −C cancel before anything is added; and what is
               left is rounded at the size of the largest slot: of a balanced stream to exactly 0
    variance   a true division by the width, and x / √(var + ε): exact when these are powers of two
    rmsnorm    the same: a constant whose square swallows all others divides everything by itself, exactly
    silu       x itself from 17 on (37 in float64), 0 from −104 down (−746)

Derivatives are written out: those of the formulas as they stand are 0 · ∞ where exp overflows, and take several passes
over the stream more.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int

from ..arrays import matmul
from ..packing.packed import NormStep, Short
from .reductions import broadcast, filled, greatest, summed

APART = 8
"""How many slots stand between a constant and its opposite: `LANES` of compiler/emit/layer_norm_stream.py."""
Array = Any
Pair = tuple[Array, Array]
"""A value and its tangent."""


def held(x: Float[Array, "*axes"], short: Short) -> Float[Array, "*axes"]:
    """Rounded to this precision of 16 bits, if there is one. The barrier keeps XLA from leaving the rounding out."""
    if short is None:
        return x
    return lax.optimization_barrier(x.astype(short)).astype(x.dtype)  # type: ignore[no-untyped-call]


@jax.custom_jvp
def added(x: Float[Array, "*axes width"], bias: Float[Array, " width"]) -> Float[Array, "*axes width"]:
    """x + bias."""
    return x + bias


@added.defjvp
def _added_jvp(primals: Pair, tangents: Pair) -> Pair:
    """The bias's tangent is spread by a product with ones, so that its gradient is one, too: XLA on a CPU sums the rows
    of a matrix several times as slowly as it multiplies by it."""
    (x, bias), (moved, tangent) = primals, tangents
    ones = np.ones((prod(x.shape[:-1]), 1), x.dtype)
    return x + bias, moved + matmul(ones, tangent[None]).reshape(x.shape)


@jax.custom_jvp
def stored(x: Float[Array, "*axes"]) -> Float[Array, "*axes"]:
    """x. Its cotangent is written to memory, where XLA would compute the sum of all sublayers behind it anew wherever
    it is read: a division it does once, and one by 1 changes nothing."""
    return x


@stored.defjvp
def _stored_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Pair:
    (x,), (tangent,) = primals, tangents
    return x, tangent / lax.optimization_barrier(np.ones(x.shape, x.dtype))  # type: ignore[no-untyped-call]


# Activations -------------------------------------------------------------------------------------


@jax.custom_jvp
def gelu(x: Float[Array, "*axes"]) -> Float[Array, "*axes"]:
    """GPT-2's GELU, 0.5 x (1 + tanh z) = x / (1 + exp(−2z)) with z = √(2/π) (x + 0.044715 x³).

    The second form, since XLA's tanh is off by several ulp: sums of g(s) + g(−s), which products are made of,
    come out 20 times as exact at small s.
    """
    return x / (1.0 + jnp.exp(-2.0 * np.sqrt(2.0 / np.pi).astype(x.dtype) * (x + 0.044715 * x * x * x)))


@gelu.defjvp
def _gelu_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Pair:
    """g' = σ + g (1 − σ) 2z', σ = 1 / (1 + exp(−2z))."""
    (x,), (tangent,) = primals, tangents
    c = 2.0 * np.sqrt(2.0 / np.pi).astype(x.dtype)
    share = 1.0 / (1.0 + jnp.exp(-c * (x + 0.044715 * x * x * x)))
    slope = share + x * share * (1.0 - share) * c * (1.0 + 3 * 0.044715 * x * x)
    return gelu(x), slope * tangent


@jax.custom_jvp
def silu(x: Float[Array, "*axes"]) -> Float[Array, "*axes"]:
    """Llama's x σ(x)."""
    return x / (1.0 + jnp.exp(-x))


@silu.defjvp
def _silu_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Pair:
    (x,), (tangent,) = primals, tangents
    share = 1.0 / (1.0 + jnp.exp(-x))
    return silu(x), share * (1.0 + x * (1.0 - share)) * tangent


def gelu_erf(x: Float[Array, "*axes"]) -> Float[Array, "*axes"]:
    """GPT-NeoX's x Φ(x), with Φ(x) = erfc(−x/√2) / 2, which keeps the digits of what is small."""
    half = np.sqrt(0.5).astype(x.dtype)
    return 0.5 * x * lax.erfc(-half * x)


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"gelu_tanh": gelu, "gelu_erf": gelu_erf, "silu": silu}


def activation(x: Float[Array, "*axes"], name: str, short: Short) -> Float[Array, "*axes"]:
    """Of 16 bits as stock libraries write it: of GELU every step is a result."""
    if short is None or name != "gelu_tanh":
        return held(ACTIVATIONS[name](x), short)
    inner = held(x + held(0.044715 * held(x * x * x, short), short), short)
    z = held(jnp.tanh(held(np.sqrt(2.0 / np.pi).astype(x.dtype) * inner, short)), short)
    return held(0.5 * x * held(1.0 + z, short), short)


# Norms -------------------------------------------------------------------------------------------


def normed(
    x: Float[Array, "*axes width"], norm: NormStep | None, short: Short = None, rows: Int[Array, " rows"] | None = None
) -> Float[Array, "*axes rows"]:
    """The slots `rows` of x under the norm, whose gain and bias are theirs (None: all). In 16 bits as stock libraries
    have it: RMSNorm rounds before its gain and behind it, LayerNorm at the end, and takes the mean away as it comes
    out."""
    if norm is None:
        return _of(x, rows)
    if short is None:
        return rms_norm(x, norm, rows) if norm.bias is None else layer_norm(x, norm, rows)
    if norm.bias is None:
        return held(held(_of(x, rows) / _root_mean_square(x, norm.epsilon, norm.width), short) * norm.gain, short)
    centred = x - _divided(x.sum(-1, keepdims=True), norm.width)
    deviation = _root_mean_square(centred, norm.epsilon, norm.width)
    return held(_of(centred, rows) / deviation * norm.gain + norm.bias, short)


def rms_norm(
    x: Float[Array, "*axes width"], norm: NormStep, rows: Int[Array, " rows"] | None = None
) -> Float[Array, "*axes rows"]:
    """x / √(mean x² + ε) · gain over the last axis, as in Llama; of it the slots `rows` (None: all)."""
    return _scaled(_of(x, rows), x, norm.epsilon, norm.width) * norm.gain


def layer_norm(
    x: Float[Array, "*axes width"], norm: NormStep, rows: Int[Array, " rows"] | None = None
) -> Float[Array, "*axes rows"]:
    """(x − mean) / √(variance + ε) · gain + bias over the last axis, the variance biased, as in GPT-2; of it the slots
    `rows` (None: all)."""
    return added(_standardised(_of(x, rows), x, norm.epsilon, norm.width) * norm.gain, norm.bias)


def _of(x: Float[Array, "*axes width"], rows: Int[Array, " rows"] | None) -> Float[Array, "*axes rows"]:
    return x if rows is None else x[..., rows]


@jax.custom_jvp
def _standardised(
    read: Float[Array, "*axes rows"],
    x: Float[Array, "*axes width"],
    epsilon: Float[Array, ""],
    width: Float[Array, ""],
) -> Float[Array, "*axes rows"]:
    """Of x, what is read of it."""
    mean, deviation = _moments(x, epsilon, width)
    return (read - mean) / deviation


@_standardised.defjvp
def _standardised_jvp(
    primals: tuple[Array, Array, Array, Array], tangents: tuple[Array, Array, Array, Array]
) -> Pair:  # fmt: skip
    """x̂ = (x − mean) / σ:  dx̂ = (dx − mean dx − x̂ mean(x̂ dx)) / σ."""
    (read, x, _, width), (moved, tangent, _, _) = primals, tangents
    mean, deviation = _moments(*primals[1:])
    found = (read - mean) / deviation
    shift, share = summed(tangent) / width, summed((x - mean) / deviation * tangent) / width
    size = read.shape[-1]
    return found, (moved - broadcast(shift, size) - found * broadcast(share, size)) / deviation


def _moments(
    x: Float[Array, "*axes width"], epsilon: Float[Array, ""], width: Float[Array, ""]
) -> tuple[Float[Array, "*axes 1"], Float[Array, "*axes 1"]]:
    """The mean of x, and √(variance + ε)."""
    pairs = filled(x, 2 * APART).reshape(*x.shape[:-1], -1, 2, APART)
    total = summed((pairs[..., 0, :] + pairs[..., 1, :]).reshape(*x.shape[:-1], -1))
    largest = greatest(jnp.abs(x))
    # The barrier keeps the rounding of the total at the size of the largest slot.
    mean = _divided(lax.optimization_barrier(total + largest) - largest, width)  # type: ignore[no-untyped-call]
    variance = _divided(summed(jnp.square(x - mean)), width)
    # The barrier keeps XLA from turning the division into a product with an approximate 1/√.
    return mean, lax.optimization_barrier(jnp.sqrt(variance + epsilon))  # type: ignore[no-untyped-call]


@jax.custom_jvp
def _scaled(
    read: Float[Array, "*axes rows"],
    x: Float[Array, "*axes width"],
    epsilon: Float[Array, ""],
    width: Float[Array, ""],
) -> Float[Array, "*axes rows"]:
    """Of x, what is read of it."""
    return read / _root_mean_square(x, epsilon, width)


@_scaled.defjvp
def _scaled_jvp(
    primals: tuple[Array, Array, Array, Array], tangents: tuple[Array, Array, Array, Array]
) -> Pair:  # fmt: skip
    """x̂ = x / σ:  dx̂ = (dx − x̂ mean(x̂ dx)) / σ."""
    (read, x, _, width), (moved, tangent, _, _) = primals, tangents
    deviation = _root_mean_square(*primals[1:])
    found, share = read / deviation, summed(x / deviation * tangent) / width
    return found, (moved - found * broadcast(share, read.shape[-1])) / deviation


def _root_mean_square(
    x: Float[Array, "*axes width"], epsilon: Float[Array, ""], width: Float[Array, ""]
) -> Float[Array, "*axes 1"]:
    mean = _divided(summed(jnp.square(x)), width)
    # The barrier is `_moments`'s.
    return lax.optimization_barrier(jnp.sqrt(mean + epsilon))  # type: ignore[no-untyped-call]


def _divided(total: Float[Array, "*axes 1"], width: Float[Array, ""]) -> Float[Array, "*axes 1"]:
    """Each of them by the width. XLA multiplies by 1/width where one number divides an array, and 49 · (1/49) is not 1:
    behind the barrier it sees an array."""
    return total / lax.optimization_barrier(jnp.broadcast_to(width, total.shape))  # type: ignore[no-untyped-call]
