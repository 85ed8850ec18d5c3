"""The functions that neurons are made of, and their derivatives, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.words import ActivationName

from .operations import erf


@dataclass(frozen=True)
class Activation:
    """`name` is what a configuration calls it."""

    name: ActivationName
    value: Callable[[Floats], Floats]
    derivative: Callable[[Floats], Floats]
    both: Callable[[Floats], tuple[Floats, Floats]]
    """Value and derivative, which have most of their work in common."""
    gap: float
    """How far it is from relu at most."""


def gelu(x: Floats) -> Floats:
    """GPT-2's: 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
    return np.asarray(0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3))))


def _gelu_slope(x: Floats) -> Floats:
    """Of `gelu`."""
    return _gelu_both(x)[1]


def _gelu_both(x: Floats) -> tuple[Floats, Floats]:
    root = np.sqrt(2.0 / np.pi)
    t = np.tanh(root * (x + 0.044715 * x**3))
    slope = 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * root * (1.0 + 3 * 0.044715 * x * x)
    return np.asarray(0.5 * x * (1.0 + t)), np.asarray(slope)


def gelu_erf(x: Floats) -> Floats:
    """GPT-NeoX's: x Φ(x)."""
    return np.asarray(x * _normal(x))


def _gelu_erf_slope(x: Floats) -> Floats:
    return _gelu_erf_both(x)[1]


def _gelu_erf_both(x: Floats) -> tuple[Floats, Floats]:
    normal = _normal(x)
    return np.asarray(x * normal), np.asarray(normal + x * np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi))


def _normal(x: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + erf(x / np.sqrt(2.0))))


def silu(x: Floats) -> Floats:
    """Llama's: x / (1 + exp(−x))."""
    return np.asarray(x * _sigmoid(x))


def _slope(x: Floats) -> Floats:
    return _silu_both(x)[1]


def _silu_both(x: Floats) -> tuple[Floats, Floats]:
    s = _sigmoid(x)
    return np.asarray(x * s), np.asarray(s * (1.0 + x * (1.0 - s)))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


GELU = Activation("gelu_tanh", gelu, _gelu_slope, _gelu_both, 0.1701)
GELU_ERF = Activation("gelu_erf", gelu_erf, _gelu_erf_slope, _gelu_erf_both, 0.17)
SILU = Activation("silu", silu, _slope, _silu_both, 0.2785)
ACTIVATIONS: dict[str, Activation] = {a.name: a for a in (GELU, GELU_ERF, SILU)}
