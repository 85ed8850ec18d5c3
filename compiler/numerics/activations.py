"""The functions that neurons are made of, and their derivatives, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.sparse import Floats

from .square_banks import derivative, gelu


@dataclass(frozen=True)
class Activation:
    """`name` is what a configuration calls it."""

    name: str
    value: Callable[[Floats], Floats]
    derivative: Callable[[Floats], Floats]
    gap: float
    """How far it is from relu at most."""


def silu(x: Floats) -> Floats:
    """Llama's: x / (1 + exp(−x))."""
    return np.asarray(x * _sigmoid(x))


def _slope(x: Floats) -> Floats:
    s = _sigmoid(x)
    return np.asarray(s * (1.0 + x * (1.0 - s)))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


GELU = Activation("gelu_tanh", gelu, derivative, 0.1701)
SILU = Activation("silu", silu, _slope, 0.2785)
