"""A function of one number as a sum of neurons: what it is worth at a point, and what it rounds there.

before   up, bias, down, slope, constant, as fit.py or steep.py found them
after    constant + slope · x + Σ down · g(up · x + bias), with the fit's own error, and the units that rounding costs
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .activations import Activation
from .sparse import Floats


@dataclass(frozen=True)
class Curve:
    """f(x) ≈ constant + slope · x + Σ down · g(up · x + bias); `error` is the largest on the range."""

    up: Floats
    bias: Floats
    down: Floats
    slope: float
    constant: float
    error: float
    truth: Callable[[Floats], Floats]
    grid: Floats
    """Points in order, dense enough that the error is straight between them; none for a function with kinks."""
    activation: Activation

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """The curve at x, and the rms of its rounding in units."""
        if not self.grid.size:
            return self.neurons(x)
        errors, units = self._tabled
        inside = np.clip(x, self.grid[0], self.grid[-1])
        found = self.truth(inside) + np.interp(inside, self.grid, errors), np.interp(inside, self.grid, units)
        if (beyond := inside != x).any():
            found[0][beyond], found[1][beyond] = self.neurons(x[beyond])
        return found

    def neurons(self, x: Floats) -> tuple[Floats, Floats]:
        """The same as the neurons make it, within the range and beyond."""
        inside = x[..., None] * self.up
        z = inside + self.bias
        neurons = self.activation.value(z)
        straight = self.slope * x
        value = self.constant + straight + neurons @ self.down
        opened = np.abs(self.activation.derivative(z)) * (np.abs(inside) + np.abs(self.bias))
        units = (np.abs(neurons) + opened) ** 2 @ self.down**2 + straight**2 + self.constant**2
        return np.asarray(value), np.asarray(np.sqrt(units))

    @cached_property
    def _tabled(self) -> tuple[Floats, Floats]:
        value, units = self.neurons(self.grid)
        return value - self.truth(self.grid), units
