"""A function of one number as a sum of neurons: what it is worth at a point, and what it rounds there.

before   up, bias, down, slope, constant, as fit_smooth.py or fit_geometric.py found them
after    constant + slope · x + Σ down · g(up · x + bias), with the fit's own error, and the units that rounding costs
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InternalError

from .activations import Activation

BEYOND, POINTS = 0.5, 1000
"""How far the curve is known beyond its range, as a share of that, and at how many points."""


class NoFit(InternalError):
    """A function has no curve on the range that it is to be fitted on: lowering refuses such before."""


@dataclass(frozen=True)
class Approximant:
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
    kinks: int = 0
    """So many of the last neurons are as sharp as there is room for."""

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """The curve at x, and the rms of its rounding in units."""
        if not self.grid.size:
            return self.neurons(x)
        errors, units = self._tabled
        inside = np.clip(x, self.grid[0], self.grid[-1])
        found = self.truth(inside) + np.interp(inside, self.grid, errors), np.interp(inside, self.grid, units)
        for end, side in ((self.grid[0], -1), (self.grid[-1], 1)):
            beyond = (x - end) * side > 0.0
            if beyond.any():
                far, *tables = self._tabled_beyond[side]
                for array, table in zip(found, tables, strict=True):
                    array[beyond] = np.interp(np.abs(x[beyond] - end), far, table)
        return found

    def neurons(self, x: Floats) -> tuple[Floats, Floats]:
        """The same as the neurons make it, within the range and beyond."""
        inside = x[..., None] * self.up
        z = inside + self.bias
        neurons, slopes = self.activation.both(z)
        straight = self.slope * x
        value = self.constant + straight + neurons @ self.down
        opened = np.abs(slopes) * (np.abs(inside) + np.abs(self.bias))
        sums = np.cumsum(neurons * self.down, axis=-1)  # each is rounded as the next neuron is added to it
        units = (np.abs(neurons) + opened) ** 2 @ self.down**2 + np.sum(sums**2, axis=-1)
        units += straight**2 + self.constant**2
        return np.asarray(value), np.asarray(np.sqrt(units))

    def scatter(self, x: Floats) -> Floats:
        """The root of the sum of squares of the neurons' own slopes at x."""
        each = self.activation.derivative(x[..., None] * self.up + self.bias) * self.up * self.down
        return np.asarray(np.sqrt(self.slope**2 + np.sum(each**2, axis=-1)))

    @cached_property
    def _tabled(self) -> tuple[Floats, Floats]:
        value, units = self.neurons(self.grid)
        return value - self.truth(self.grid), units

    @cached_property
    def _tabled_beyond(self) -> dict[int, tuple[Floats, Floats, Floats]]:
        """Below the grid (−1) and above (1), at distances of up to `BEYOND` times its length: the curve, and units."""
        length = float(self.grid[-1] - self.grid[0])
        far = np.concatenate([[0.0], np.geomspace(1e-15, BEYOND, POINTS) * length])
        ends = {-1: self.grid[0], 1: self.grid[-1]}
        return {side: (far, *self.neurons(end + side * far)) for side, end in ends.items()}
