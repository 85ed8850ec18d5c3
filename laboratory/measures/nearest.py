"""Which known algorithm a model is nearest to, how surely, and whether it is near at all.

    models {"1 layer": f₁, "2 layers": f₂ …} × references {"GD": g₁, "ridge": g₂ …}   →   SPD/d of each pair

    tie     another reference is no further, within the interval of the difference of the two on the same tasks
    near    what the nearest leaves unexplained of the model's predictions, E (f − g)² / E f², is at most a limit: what
            one trained model leaves of another seed's where there are several, and NEAR where there is one

Source: Akyürek et al. 2022, §4 and figures 1 to 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.errors import DataError

from .distance import Fields, Floats, Predictor, predicted, squared_difference
from .sample import Sample

NEAR = 0.03
"""Two predictors are one algorithm where at most this share of E f² is between them, the interval's upper end."""
EXACT = 1e-3
"""A share that counts as near however close two trained models are."""


@dataclass(frozen=True)
class Judged:
    """The nearest reference of a model: SPD/d from it, `left` the share of the model's predictions that it leaves, both
    with intervals; `ties`: the references that are as near, within the interval; `near`: by `limit`."""

    name: str
    spd: Sample
    left: Sample
    ties: tuple[str, ...]
    limit: float

    @property
    def near(self) -> bool:
        return bool(self.left.interval[1] <= self.limit)


@dataclass(frozen=True)
class Nearest:
    """each [models, references, tasks, rows]: SPD/d, rows in order of the examples seen; NaN where a reference is the
    model itself. power [models, tasks, rows]: f²/d."""

    models: tuple[str, ...]
    references: tuple[str, ...]
    each: Floats
    power: Floats | None = None

    @property
    def spd(self) -> Floats:
        """SPD/d at each row, over tasks: [models, references, rows]."""
        return np.asarray(self.each.mean(2))

    @property
    def mean(self) -> Floats:
        """SPD/d over all rows: [models, references]."""
        return np.asarray(self.spd.mean(2))

    def nearest(self, model: str) -> str:
        """The reference with the least SPD. Raises DataError for a model that is not in the table."""
        if model not in self.models:
            raise DataError(f"no model `{model}` in this table: there are {', '.join(self.models)}")
        return self.references[int(np.nanargmin(self.mean[self.models.index(model)]))]

    def judged(self, model: str, limit: float = NEAR) -> Judged:
        """The nearest with its interval, its ties, and whether it is near. Raises DataError as `nearest` does."""
        name = self.nearest(model)
        row = self.models.index(model)
        by_task = self.each[row].mean(2)  # [references, tasks]
        best = by_task[self.references.index(name)]
        further = Sample((by_task - best).T)
        ties = [
            other
            for other, low in zip(self.references, further.interval[0], strict=True)
            if other != name and low <= 0 and np.isfinite(low)
        ]
        power = np.ones_like(best) if self.power is None else self.power[row].mean(1)
        return Judged(name, Sample(best), Sample(best, power), tuple(ties), limit)

    def sample(self, model: str) -> Sample:
        """SPD/d of the model from every reference, over rows: [references]."""
        return Sample(self.each[self.models.index(model)].mean(2).T)

    def rows(self) -> list[list[str]]:
        """A line for each model: its name, SPD/d from each reference, and the nearest of them."""
        return [
            [model, *(f"{value:.1e}" for value in line), self.nearest(model)]
            for model, line in zip(self.models, self.mean, strict=True)
        ]


def nearest(
    models: Mapping[str, Predictor], references: Mapping[str, Predictor], fields: Fields, d: int,
    own: Mapping[str, str] | None = None,
) -> Nearest:  # fmt: skip
    """SPD/d of every model from every reference on the same tasks: SPD(f, g)/d = E (f − g)²/d. `own`: references
    that are one of the models, by its name, and not asked how far they are from themselves.

    Raises DataError for predictions of different shapes."""
    known = {name: predicted(reference, fields) for name, reference in references.items()}
    table, power = [], []
    for asked, model in models.items():
        ours = predicted(model, fields)
        power.append(squared_difference(ours, np.zeros_like(ours)) / d)
        away = [squared_difference(ours, theirs) / d for theirs in known.values()]
        itself = [(own or {}).get(name) == asked for name in known]
        table.append([np.full_like(each, np.nan) if same else each for each, same in zip(away, itself, strict=True)])
    return Nearest(tuple(models), tuple(references), np.array(table), np.array(power))


def nearest_of(
    settings: Mapping[str, tuple[Mapping[str, Predictor], Fields]], references: Mapping[str, Predictor], d: int
) -> Nearest:
    """The same with tasks of its own for each setting, as many in each, such as a level of noise:
    {setting: (models, fields)}.

    A line is called `model, setting`, or after the setting where it has one model."""
    tables = [(label, models, nearest(models, references, fields, d)) for label, (models, fields) in settings.items()]
    names: Sequence[str] = [
        label if len(models) == 1 else f"{model}, {label}" for label, models, _ in tables for model in models
    ]
    each, power = ([getattr(table, part) for _, _, table in tables] for part in ("each", "power"))
    return Nearest(tuple(names), tuple(references), np.concatenate(each), np.concatenate(power))
