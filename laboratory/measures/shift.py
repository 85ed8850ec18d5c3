"""Off the training distribution: how loss and prediction difference change as the tasks do.

    scale     0.5, 1, 2 …      x ← s x (labels with it) · w ← s w (labels alone) · skew, noise
    loss      E (ŷ − y)² of each model, by scale; and SPD between them

A model that runs the compiled algorithm errs like it wherever the tasks go: its SPD from it stays small. Source: von
Oswald et al. 2022, figure 3; Garg et al. 2022, §4; Zhang, Frei and Bartlett 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .distance import Fields, Floats, Predictor, squared_error_at

Drawn = tuple[Fields, ArrayLike]
"""Fields, and the targets [batch, rows, *shape] of the output."""


@dataclass(frozen=True)
class Shift:
    """`loss` {model: [values]} and `spd` [values], of the first model from the second, at `values` of what shifts."""

    what: str
    values: Floats
    loss: Mapping[str, Floats]
    spd: Floats


def shift(
    what: str, values: Sequence[float], draw: Callable[[float], Drawn], models: Mapping[str, Predictor], row: int = -1
) -> Shift:
    """Losses at `row` of the output on tasks that `draw(value)` gives; of two models their SPD too.

    A model that diverges there has an infinite loss."""
    losses: dict[str, list[float]] = {name: [] for name in models}
    differences = []
    for value in values:
        fields, targets = draw(value)
        answers = [model(fields) for model in models.values()]
        for name, answer in zip(models, answers, strict=True):
            losses[name].append(squared_error_at(answer, targets, row))
        differences.append(squared_error_at(answers[0], answers[-1], row))
    return Shift(what, np.array(values, np.float64), {n: np.array(l) for n, l in losses.items()}, np.array(differences))
