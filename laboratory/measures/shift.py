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
from numpy.typing import ArrayLike, NDArray

from .distance import Fields, Floats, Predictor, squared_difference

Drawn = tuple[Fields, ArrayLike]
"""Fields, and the targets [batch, rows, *shape] of the output."""


@dataclass(frozen=True)
class Shift:
    """At `values` of what shifts: `each` {model: squared errors [tasks, values]}, and `apart` {model: its squared
    difference from the first model [tasks, values]}, of all but the first; `usual`: the value that was trained on."""

    what: str
    values: Floats
    each: Mapping[str, Floats]
    apart: Mapping[str, Floats]
    usual: float | None = None

    @property
    def loss(self) -> dict[str, Floats]:
        """{model: [values]}"""
        return {name: np.asarray(errors.mean(0)) for name, errors in self.each.items()}

    @property
    def spd(self) -> Floats:
        """Of the last model from the first: [values]."""
        return np.asarray(list(self.apart.values())[-1].mean(0))

    @property
    def off(self) -> NDArray[np.int64]:
        """The places of the values that were not trained on."""
        return np.flatnonzero([self.usual is None or not np.isclose(value, self.usual) for value in self.values])


def shift(
    what: str, values: Sequence[float], draw: Callable[[float], Drawn], models: Mapping[str, Predictor], row: int = -1,
    usual: float | None = None,
) -> Shift:  # fmt: skip
    """Losses at `row` of the output on tasks that `draw(value)` gives, and SPD of each model from the first.

    A model that diverges there has an infinite loss."""
    losses: dict[str, list[Floats]] = {name: [] for name in models}
    first, *others = models
    differences: dict[str, list[Floats]] = {name: [] for name in others}
    for value in values:
        fields, targets = draw(value)
        answers = {name: np.asarray(model(fields))[:, [row]] for name, model in models.items()}
        for name, answer in answers.items():
            losses[name].append(squared_difference(answer, np.asarray(targets)[:, [row]])[:, 0])
            if name != first:
                differences[name].append(squared_difference(answer, answers[first])[:, 0])
    each, apart = ({name: np.stack(of, 1) for name, of in found.items()} for found in (losses, differences))
    return Shift(what, np.array(values, np.float64), each, apart, usual)
