"""Which known algorithm a model is nearest to, and how that changes with depth, width and noise.

    models {"1 layer": f₁, "2 layers": f₂ …} × references {"GD": g₁, "ridge": g₂ …}   →   SPD/d of each pair

Source: Akyürek et al. 2022, §4 and figures 1 to 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.errors import DataError

from .distance import Fields, Floats, Predictor, predicted, squared_prediction_difference


@dataclass(frozen=True)
class Nearest:
    """spd [models, references, rows]: SPD/d at each row of the output, rows in order of the examples seen."""

    models: tuple[str, ...]
    references: tuple[str, ...]
    spd: Floats

    @property
    def mean(self) -> Floats:
        """SPD/d over all rows: [models, references]."""
        return np.asarray(self.spd.mean(2))

    def nearest(self, model: str) -> str:
        """The reference with the least SPD. Raises DataError for a model that is not in the table."""
        if model not in self.models:
            raise DataError(f"no model `{model}` in this table: there are {', '.join(self.models)}")
        return self.references[int(self.mean[self.models.index(model)].argmin())]

    def rows(self) -> list[list[str]]:
        """A line for each model: its name, SPD/d from each reference, and the nearest of them."""
        return [
            [model, *(f"{value:.1e}" for value in line), self.nearest(model)]
            for model, line in zip(self.models, self.mean, strict=True)
        ]


def nearest(models: Mapping[str, Predictor], references: Mapping[str, Predictor], fields: Fields, d: int) -> Nearest:
    """SPD/d of every model from every reference on the same tasks: SPD(f, g)/d = E (f − g)²/d.

    Raises DataError for predictions of different shapes."""
    known = [predicted(reference, fields) for reference in references.values()]
    table = []
    for model in models.values():
        ours = predicted(model, fields)
        table.append([squared_prediction_difference(ours, theirs) / d for theirs in known])
    return Nearest(tuple(models), tuple(references), np.array(table))


def nearest_of(
    settings: Mapping[str, tuple[Mapping[str, Predictor], Fields]], references: Mapping[str, Predictor], d: int
) -> Nearest:
    """The same with tasks of its own for each setting, such as a level of noise: {setting: (models, fields)}.

    A line is called `model, setting`, or after the setting where it has one model."""
    tables = [(label, models, nearest(models, references, fields, d)) for label, (models, fields) in settings.items()]
    names: Sequence[str] = [
        label if len(models) == 1 else f"{model}, {label}" for label, models, _ in tables for model in models
    ]
    return Nearest(tuple(names), tuple(references), np.concatenate([table.spd for _, _, table in tables]))
