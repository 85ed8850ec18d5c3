"""A centred range: where a value crowds, and how far from there it goes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats


@dataclass(frozen=True)
class Ball:
    """|component − centre| ≤ radius, for each component; the centre is 0 but where the values crowd elsewhere.
    `spread` is the largest of all radii over the median of |component − centre|: how far the extremes are out."""

    centre: Floats
    radius: Floats
    spread: float

    @property
    def most(self) -> Floats:
        """How far from 0 each component goes."""
        return np.asarray(np.abs(self.centre) + self.radius)
