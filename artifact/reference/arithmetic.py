"""Norms and activations in NumPy, as they round: this package's, and those of stock libraries.

    before   the stream [width, tokens] or preactivations, in the precision of the weights
    after    what the norm makes of them, or the activation

The constructions are exact for exact arithmetic. How far they are off depends on how norms and activations round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..parts import Config, Norm
from ..precisions import SHORT, Round, rounding
from .stock_norm import moments

Real = NDArray[Any]


@dataclass(frozen=True)
class Arithmetic:
    """own: whether norms round as this package's; activations: by name."""

    own: bool
    activations: Mapping[str, Callable[[Real, Round], Real]]


def normalise(x: Real, norm: Norm | None, config: Config, arithmetic: Arithmetic) -> Real:
    """The configuration's norm of x [width, …].

    LayerNorm: this package adds slots eight apart first, and rounds the total at the size of the largest, so that the
    mean of a balanced stream is exactly 0 (see layer_norm_stream.py). RMSNorm: a sum of squares that is exact gives an
    exact norm, by true division and a square root. PyTorch sums in its own order (stock_norm.py), and multiplies by
    one over the root."""
    if norm is None:
        return x
    held = rounding(config.dtype)
    gain, bias = (part.astype(x.dtype)[:, None] for part in (norm.gain, norm.bias))
    centred, variance = _squared(x) if config.norm == "rmsnorm" else _centred(x, arithmetic)
    deviation = np.sqrt(variance + x.dtype.type(config.norm_epsilon))
    scaled = centred / deviation if arithmetic.own else centred * (x.dtype.type(1.0) / deviation)
    if config.norm == "rmsnorm":
        scaled = held(scaled)
    scaled *= gain
    if config.norm != "rmsnorm":
        scaled += bias
    return held(scaled)


def _squared(x: Real) -> tuple[Real, Real]:
    return x, np.asarray(np.square(x).sum(axis=0) / x.dtype.type(x.shape[0]))


def _centred(x: Real, arithmetic: Arithmetic) -> tuple[Real, Real]:
    """x without its mean, and its variance."""
    if not arithmetic.own:
        mean, variance = moments(x.reshape(x.shape[0], -1))
        return x - mean.reshape(x.shape[1:]), variance.reshape(x.shape[1:])
    largest = np.abs(x).max(axis=0)
    blocks = x.shape[0] // 16
    pairs = x[: 16 * blocks].reshape(blocks, 2, 8, *x.shape[1:])
    total = (pairs[:, 0] + pairs[:, 1]).sum(axis=(0, 1)) + x[16 * blocks :].sum(axis=0)
    total = total + largest - largest
    return _squared(np.asarray(x - total / x.dtype.type(x.shape[0])))


def _gelu(x: Real, held: Round = np.asarray) -> Real:
    """0.5 x (1 + tanh z) = x / (1 + exp(−2z)), which rounds less: the sum over ± pairs then keeps its small terms."""
    f = x.dtype.type
    z = f(0.044715) * x
    with np.errstate(over="ignore"):  # of neurons that are shut: −∞ does as well
        z *= x
        z *= x
        z += x
        z *= f(-2.0 * np.sqrt(2.0 / np.pi))
    return held(_over_one_and_exp(x, z))


def _silu(x: Real, held: Round = np.asarray) -> Real:
    """x σ(x): x itself from 17 on (37 in float64), and 0 from −89 down (−710), where exp(−x) is infinite."""
    return held(_over_one_and_exp(x, -x))


def _over_one_and_exp(x: Real, z: Real) -> Real:
    """x / (1 + exp z), in the place of z."""
    with np.errstate(over="ignore"):
        np.exp(z, out=z)
    z += z.dtype.type(1.0)
    return np.asarray(np.divide(x, z, out=z))


def _gelu_new(x: Real, held: Round = np.asarray) -> Real:
    """The first form, as PyTorch and transformers write it, each of its steps a result."""
    f = x.dtype.type
    with np.errstate(over="ignore"):
        inner = held(x + held(f(0.044715) * held(x * x * x)))
        z = held(np.tanh(held(f(np.sqrt(2.0 / np.pi)) * inner)))
    return held(f(0.5) * x * held(f(1.0) + z))


def _gelu_erf(x: Real, held: Round = np.asarray) -> Real:
    """x Φ(x), with Φ(x) = erfc(−x/√2) / 2, which keeps the digits of what is small."""
    from scipy.special import erfc  # which only this activation needs

    f = x.dtype.type
    return held(f(0.5) * x * erfc(f(-np.sqrt(0.5)) * x))


def _gelu_erf_new(x: Real, held: Round = np.asarray) -> Real:
    """0.5 x (1 + erf(x/√2)), as PyTorch writes it."""
    from scipy.special import erf  # which only this activation needs

    f = x.dtype.type
    return held(f(0.5) * x * (f(1.0) + erf(f(np.sqrt(0.5)) * x)))


OWN = Arithmetic(own=True, activations={"gelu_tanh": _gelu, "gelu_erf": _gelu_erf, "silu": _silu})
"""As this package's passes compute."""
STOCK = Arithmetic(own=False, activations={"gelu_tanh": _gelu_new, "gelu_erf": _gelu_erf_new, "silu": _silu})
"""As PyTorch and transformers do: LayerNorm takes away a mean that is not exactly 0, and GELU rounds more. So is
everything in 16 bits."""


def arithmetic_of(config: Config) -> Arithmetic:
    """That of this package's passes on weights of this configuration."""
    return STOCK if config.dtype in SHORT else OWN
