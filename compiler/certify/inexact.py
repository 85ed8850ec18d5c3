"""What an operation gives in the weights instead of an array, and the rounding that is drawn for it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from innerloop.artifact.arrays import Floats

from ..numerics.attention_gates import Draws

Operand = Callable[[int], Floats]
Inexact = Callable[[Floats, Operand, Draws], Floats]
"""From the exact array and the operands, by number."""


Made = TypeVar("Made")


class Once(Generic[Made]):
    """What is made of an array, made once for the same one: most operands of a loop's passes change in none."""

    def __init__(self, make: Callable[[Floats], Made]) -> None:
        self._make = make
        self._last: tuple[weakref.ref[Floats], Made] | None = None

    def __call__(self, array: Floats) -> Made:
        last = self._last
        if last is not None and last[0]() is array:
            return last[1]
        made = self._make(array)
        self._last = weakref.ref(array), made
        return made


def noisy(array: Floats, size: Floats, rng: Draws) -> Floats:
    """With errors of this root mean square."""
    return np.asarray(array + size * rng.standard_normal(array.shape))


def usual(array: Floats, apart: bool = False) -> Floats:
    """The root mean square of each component over tasks and tokens; `apart`: over each task's tokens alone."""
    if not array.size:
        return np.zeros(())
    return np.asarray(np.sqrt(np.mean(array**2, axis=1 if apart else (0, 1), keepdims=True)))
