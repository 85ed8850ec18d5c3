"""How two models' predictions answer to their query: the sensitivities ∂ŷ/∂x_query.

    cosine   E ⟨a, b⟩ / (‖a‖ ‖b‖)       L2   E ‖a − b‖₂       a, b = ∂ŷ/∂x_query of either, task by task

A linear predictor's sensitivity is its weights: two that agree have learned the same weights in context.
Source: von Oswald et al. 2022, §3 and figure 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from innerloop.artifact.errors import DataError
from numpy.typing import ArrayLike

from .distance import Floats


@dataclass(frozen=True)
class Alignment:
    """cosine and distance [batch], task by task; a cosine with 0 is 0."""

    cosine: Floats
    distance: Floats

    @property
    def mean_cosine(self) -> float:
        return float(self.cosine.mean())

    @property
    def mean_distance(self) -> float:
        return float(self.distance.mean())


def alignment(a: ArrayLike, b: ArrayLike) -> Alignment:
    """Of sensitivities [batch, …], flattened. Raises DataError for different shapes."""
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if left.shape != right.shape:
        raise DataError(f"sensitivities of shapes {left.shape} and {right.shape} cannot be compared")
    left, right = left.reshape(len(left), -1), right.reshape(len(right), -1)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosine = np.where(lengths > 0, (left * right).sum(1) / np.where(lengths > 0, lengths, 1), 0.0)
    return Alignment(cosine, np.asarray(np.linalg.norm(left - right, axis=1)))
