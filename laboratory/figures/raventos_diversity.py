"""With few pretraining tasks a transformer learns those tasks; with many it learns ridge regression.

    trained    GPT-2s of 4 layers on y = w · x + noise, w one of M vectors that never change; M = ∞: any, w ~ N(0, I)
    compiled   both ends: the posterior mean over the M vectors (dMMSE, `bayes_model_average`), which is best on the
               pretraining tasks, and ridge regression with λ = σ², which is best on fresh ones, w ~ N(0, I)

Measured on pretraining tasks and on fresh ones: losses, and SPD/d of the trained model from either end. Raventós et al.
have d = 8, 16 examples, 8 layers of width 128 and M up to 2²⁰, and see the switch between 2¹⁴ and 2¹⁵; this is the same
experiment at d = 4 and 8 examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program, interpret
from innerloop.programs import load
from matplotlib.figure import Figure as Picture

from ..charts import COMPILED, OTHER, TRAINED
from ..measures.distance import (
    Fields,
    Floats,
    predicted,
    squared_error,
    squared_prediction_difference,
)
from ..measures.subject import Subject
from ..training.tasks import TaskDistribution, task
from .frame import Check, Figure, Result, Setting, Table
from .pictures import INK, panels
from .small import CALIBRATION, MEASURED, fresh, trained

D, N, NOISE = 4, 8, 0.5
DIVERSITY = (2, 8, 32, 128)
LONG_DIVERSITY = (2, 32, 512)
LAYERS = 4
TRAINING = 3000
FRESH = task("noisy_linear", d=D, n=N, noise=NOISE)
PLACES = ("pretraining", "fresh")


def pretraining(count: int) -> TaskDistribution:
    return task("discrete_linear", d=D, n=N, noise=NOISE, tasks=count)


@dataclass(frozen=True)
class Point:
    """At one diversity, by place of measurement: loss E (ŷ − y)² of the trained model and of both ends, and SPD/d of
    the trained model from the ends; {place: number}."""

    count: int
    loss: dict[str, float]
    loss_discrete: dict[str, float]
    loss_ridge: dict[str, float]
    from_discrete: dict[str, float]
    from_ridge: dict[str, float]

    @property
    def shown(self) -> tuple[dict[str, float], ...]:
        """What the table has of it."""
        return self.loss, self.loss_discrete, self.loss_ridge, self.from_discrete, self.from_ridge

    def ratio(self, place: str) -> float:
        """How much farther the trained model is from the discrete posterior mean than from ridge."""
        return self.from_discrete[place] / self.from_ridge[place]


def run(setting: Setting) -> Result:
    setting.told("compiling", 0, 0)
    calibration = FRESH.drawn(2048, CALIBRATION)
    ridge = compile_program(load("sherman_morrison"), d=D, examples=N, ridge=NOISE**2, calibration=calibration)
    fresh_tasks = FRESH.drawn(setting.tasks(2048), MEASURED)
    start = fresh(ridge, LAYERS, N)
    points, errors, weights = [], [off(ridge, fresh_tasks)], {"ridge": ridge}
    for count in LONG_DIVERSITY if setting.long else DIVERSITY:
        on = pretraining(count)
        setting.told(f"compiling the posterior mean over {count} tasks", 0, 0)
        both = {k: np.concatenate([calibration[k], v]) for k, v in on.drawn(2048, CALIBRATION).items()}
        discrete = compile_program(
            load("bayes_model_average"), d=D, m=count, noise=NOISE**2, calibration=both,
            known=np.asarray(on.pool(), np.float64),
        )  # fmt: skip
        learnt = trained(setting, f"tasks_{count}", start, on, TRAINING)
        places = {"pretraining": on.drawn(setting.tasks(2048), MEASURED), "fresh": fresh_tasks}
        errors.append(max(off(discrete, fields) for fields in places.values()))
        points.append(measured(count, learnt, discrete, ridge, places))
        weights |= {f"tasks_{count}": learnt, f"posterior_{count}": discrete}
    limit = trained(setting, "tasks_all", start, FRESH, TRAINING)
    prediction = predicted(Subject(limit, "trained"), fresh_tasks)
    last = spd(prediction, predicted(Subject(ridge, "ridge"), fresh_tasks))
    last_loss = float(squared_error(prediction, fresh_tasks["y"]).mean())
    bound = float(squared_error(predicted(Subject(ridge, "ridge"), fresh_tasks), fresh_tasks["y"]).mean())
    long = (Check("M = ∞: loss / compiled ridge's", last_loss / bound, high=1.05),) if setting.long else ()
    return Result(
        checks=checks(points, last, max(errors)) + long,
        tables=tuple(_table(place, points, last, last_loss) for place in PLACES),
        pictures={"raventos_diversity": _picture(points, last, last_loss)},
        numbers={
            "points": [vars(point) for point in points],
            "unlimited_from_ridge": last,
            "unlimited_loss": last_loss,
            "compiled_from_oracle": errors,
        },
        weights=weights | {"tasks_all": limit},
    )


def off(weights: Weights, fields: Fields, count: int = 200) -> float:
    """SPD/d of compiled weights from their program's oracle, on so many of the tasks."""
    few = {name: value[:count] for name, value in fields.items()}
    given: dict[str, Any] = {**few, **weights.signature.parameters}
    exact = interpret(weights.signature.text, **given)
    return spd(predicted(Subject(weights, "compiled"), few), np.asarray(exact, np.float64))


def spd(a: Floats, b: Floats) -> float:
    return float(squared_prediction_difference(a, b).mean()) / D


def measured(count: int, trained: Weights, discrete: Weights, ridge: Weights, places: Mapping[str, Fields]) -> Point:
    found: dict[str, list[float]] = {}
    for place, fields in places.items():
        ours, average, regression = (predicted(Subject(w, "model"), fields) for w in (trained, discrete, ridge))
        losses = [float(squared_error(p, fields["y"]).mean()) for p in (ours, average, regression)]
        found[place] = [*losses, spd(ours, average), spd(ours, regression)]
    return Point(count, *({place: found[place][k] for place in places} for k in range(5)))


def checks(points: Sequence[Point], last: float, error: float) -> tuple[Check, ...]:
    few, many = points[0], points[-1]
    ratios = {place: np.array([point.ratio(place) for point in points]) for place in PLACES}
    return (
        Check("SPD/d of both compiled ends from the oracle", error, high=1e-6),
        *(
            Check(f"M = {few.count}, {place} tasks: SPD from dMMSE / from ridge", few.ratio(place), high=1)
            for place in PLACES
        ),
        Check(f"M = {many.count}, fresh tasks: SPD from dMMSE / from ridge", many.ratio("fresh"), low=1),
        *(
            Check(f"{place} tasks: least growth of that ratio from M to the next", float(np.min(r[1:] / r[:-1])), low=1)
            for place, r in ratios.items()
        ),
        Check("fresh tasks: SPD from ridge, M = ∞ / the largest M", last / many.from_ridge["fresh"], high=1),
    )


def _table(place: str, points: Sequence[Point], last: float, last_loss: float) -> Table:
    rows = [[str(point.count), *(f"{found[place]:.3g}" for found in point.shown)] for point in points]
    if place == "fresh":
        rows.append(["∞", f"{last_loss:.3g}", "–", f"{points[-1].loss_ridge[place]:.3g}", "–", f"{last:.3g}"])
    columns = "loss", "dMMSE's loss", "ridge's loss", "SPD/d from dMMSE", "from ridge"
    return Table([f"M, on {place} tasks", *columns], rows)


def _picture(points: Sequence[Point], last: float, last_loss: float) -> Picture:
    counts = [point.count for point in points]
    everything = [*counts, 4 * counts[-1]]
    with panels(3, "Few pretraining tasks are learned by heart, many teach ridge regression") as (picture, grid):
        for axes, place in zip(grid, PLACES, strict=False):
            axes.plot(counts, [p.loss_discrete[place] for p in points], color=COMPILED, linewidth=2,
                      label="posterior mean over M, compiled")  # fmt: skip
            axes.plot(counts, [p.loss_ridge[place] for p in points], color=OTHER, linewidth=2, label="ridge, compiled")
            axes.plot(counts, [p.loss[place] for p in points], "o-", color=TRAINED, linewidth=2, label="trained")
            axes.set_title(f"{place} tasks", loc="left", fontsize=10)
            axes.set_ylabel("E (ŷ − y)²")
        grid[1].plot(everything[-2:], 2 * [points[-1].loss_ridge["fresh"]], color=OTHER, linewidth=2)
        grid[1].plot(everything[-1:], [last_loss], "o", color=TRAINED)
        grid[2].plot(everything[-1:], [last], "o", color=OTHER)
        grid[0].legend(fontsize=8)
        for place, style in zip(PLACES, ((0, (4, 2)), "-"), strict=True):
            grid[2].plot(counts, [p.from_discrete[place] for p in points], "o", linestyle=style, color=COMPILED,
                         linewidth=2, label=f"from the posterior mean, {place}")  # fmt: skip
            grid[2].plot(counts, [p.from_ridge[place] for p in points], "o", linestyle=style, color=OTHER, linewidth=2,
                         label=f"from ridge, {place}")  # fmt: skip
        grid[2].set_title("the trained model", loc="left", fontsize=10)
        grid[2].set_ylabel("SPD/d")
        grid[2].set_yscale("log")
        grid[2].legend(fontsize=8)
        for axes in grid:
            axes.set_xscale("log", base=2)
            axes.set_xlabel("M, pretraining tasks")
            axes.set_xticks(counts, [str(c) for c in counts])
            axes.tick_params(colors=INK)
        for axes in grid[1:]:
            axes.set_xticks(everything, [*(str(c) for c in counts), "∞"])
    return picture


FIGURE = Figure(
    "raventos_diversity",
    "few pretraining tasks teach their posterior mean, many ridge regression",
    "Raventós et al. 2023, Pretraining task diversity, figures 2 and 3 (arXiv 2306.15063)",
    run,
)
