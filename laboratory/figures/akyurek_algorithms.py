"""The algorithm that a transformer learns depends on its depth, and on the noise of the labels.

    trained    GPT-2s of 1, 2 and 4 layers on linear regression; the deepest once more with labels of noise σ
    compiled   gradient descent of one step and of several, SGD, ridge regression and least squares, on gpt2

SPD/d of each trained model from each algorithm, mean over the queries with an example before them. Rates are those of
the least loss on these tasks. The Bayes predictor for w ~ N(0, τ² I) and noise σ is ridge with λ = σ²/τ²; τ = 1.
Least squares is compiled as ridge with λ = 0.001. In NumPy stand least squares itself, averaging and 3 nearest
neighbours.

On these tokens one layer cannot take the published GD step: the product y x of another token's label and input is there
only after a layer has put both into one token, and compiled GD of one step has two layers. What one layer does is still
nearer to gradient descent than to anything else here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime.plots import COLOURS
from matplotlib.figure import Figure as Picture

from ..charts import TRAINED
from ..measures.distance import Fields, Floats, Predictor, predicted, squared_error
from ..measures.nearest import Nearest, nearest
from ..measures.references import (
    averaging,
    gradient_descent,
    nearest_neighbours,
    reference,
    ridge_regression,
    stochastic_gradient_descent,
)
from ..measures.subject import Subject
from .shared.frame import Check, Figure, Result, Setting, Table
from .shared.pictures import INK, panels
from .shared.regression import TASKS, TRAINING, D, N, noisy
from .shared.small import CALIBRATION, MEASURED, fresh, trained

DEPTHS = (1, 2, 4)
NOISE = 0.5
STEPS = (1, 4, 16)
RIDGES = (0.01, 0.1, 0.25, 1.0)
SMALLEST = 0.001
"""The λ of least squares as it is compiled."""

RATES = np.geomspace(0.02, 1.0, 60)


def seen(predictor: Predictor) -> Predictor:
    """Its predictions at the queries with an example before them."""
    return lambda fields: np.asarray(predictor(fields))[:, 1:]


def best_rate(predict: Callable[[float], Predictor], fields: Fields) -> float:
    """Of RATES the one of the least loss at the queries with an example before them."""
    losses = [squared_error(seen(predict(rate))(fields), fields["y"][:, 1:]).mean() for rate in RATES]
    return round(float(RATES[int(np.argmin(losses))]), 3)


def descents(fields: Fields, steps: tuple[int, ...] | None = None) -> dict[str, tuple[Weights, Predictor]]:
    """Gradient descent of so many steps (None: STEPS) and SGD, compiled and in closed form, for tasks like these."""
    found = {}
    for count in STEPS if steps is None else steps:
        rate = best_rate(lambda r, k=count: reference(gradient_descent, steps=k, rate=r), fields)  # type: ignore[misc]
        weights = compile_program(load("gradient_descent"), d=D, steps=count, rate=rate, calibration=fields)
        name = f"GD, {count} step{'s' * (count > 1)}"
        found[name] = weights, reference(gradient_descent, steps=count, rate=rate)
    rate = best_rate(lambda r: reference(stochastic_gradient_descent, rate=r), fields)
    weights = compile_program(load("stochastic_gradient_descent"), d=D, examples=N, rate=rate, calibration=fields)
    return found | {"SGD": (weights, reference(stochastic_gradient_descent, rate=rate))}


def ridges(fields: Fields, values: tuple[float, ...]) -> dict[str, tuple[Weights, Predictor]]:
    """Ridge regression, compiled and in closed form, for tasks like these."""
    found = {}
    for value in values:
        name = "least squares" if value == SMALLEST else f"ridge {value:g}"
        weights = compile_program(load("sherman_morrison"), d=D, examples=N, ridge=value, calibration=fields)
        found[name] = weights, reference(ridge_regression, ridge=value)
    return found


def run(setting: Setting) -> Result:
    with_labels = noisy(NOISE)
    setting.told("compiling", 0, 0)
    usual = TASKS.drawn(2048, CALIBRATION)
    known = descents(usual) | ridges(usual, (*RIDGES[::-1], SMALLEST))
    of_noise = ridges(with_labels.drawn(2048, CALIBRATION), RIDGES)
    like = known["GD, 1 step"][0]
    models = {
        f"{k} layer{'s' * (k > 1)}": trained(setting, f"layers_{k}", fresh(like, k, N), TASKS, TRAINING) for k in DEPTHS
    }
    with_noise = trained(setting, "noise", fresh(like, DEPTHS[-1], N), with_labels, TRAINING)
    setting.told("comparing", 0, 0)
    fields, noisy_fields = (on.drawn(setting.tasks(2048), MEASURED) for on in (TASKS, with_labels))
    table = nearest(
        predictors(models),
        predictors({name: weights for name, (weights, _) in known.items()})
        | {
            "least squares, NumPy": seen(reference(ridge_regression, ridge=0.0)),
            "averaging, NumPy": seen(reference(averaging)),
            "3 nearest, NumPy": seen(reference(nearest_neighbours, count=3)),
        },
        fields,
        D,
    )
    deepest = models[table.models[-1]]
    lines = {
        0.0: by_ridge(deepest, {r: known[f"ridge {r:g}"][0] for r in RIDGES}, fields),
        NOISE: by_ridge(with_noise, {r: of_noise[f"ridge {r:g}"][0] for r in RIDGES}, noisy_fields),
    }
    pairs = [(pair, fields) for pair in known.values()] + [(pair, noisy_fields) for pair in of_noise.values()]
    error = max(off(pair, data) for pair, data in pairs)
    return Result(
        checks=checks(table, lines, error),
        tables=(_depths(table), _noise(lines)),
        pictures={"akyurek_algorithms": _picture(table, lines)},
        numbers={
            "models": table.models,
            "references": table.references,
            "spd": table.spd,
            "ridges": (0.0, *RIDGES),
            "spd_by_ridge": {f"noise {noise:g}": line for noise, line in lines.items()},
            "compiled_from_closed_form": error,
        },
        weights={f"layers_{k}": w for k, w in zip(DEPTHS, models.values(), strict=True)} | {"noise": with_noise},
    )


def predictors(models: Mapping[str, Weights]) -> dict[str, Predictor]:
    return {name: seen(Subject(weights, name)) for name, weights in models.items()}


def by_ridge(model: Weights, compiled: Mapping[float, Weights], fields: Fields) -> Floats:
    """SPD/d of a model from ridge with λ = 0, in NumPy, and the compiled ones: [1 + ridges]."""
    known = {"0": seen(reference(ridge_regression, ridge=0.0))}
    known |= predictors({f"{value:g}": weights for value, weights in compiled.items()})
    line: Floats = nearest(predictors({"model": model}), known, fields, D).mean[0]
    return line


def off(pair: tuple[Weights, Predictor], fields: Fields) -> float:
    """SPD/d of compiled weights from their closed form."""
    weights, closed = pair
    return float(((predicted(Subject(weights, "compiled"), fields) - predicted(closed, fields)) ** 2).mean()) / D


def checks(table: Nearest, lines: Mapping[float, Floats], error: float) -> tuple[Check, ...]:
    first, last = table.mean[0], table.mean[-1]
    at = table.references.index
    descent = np.array([name.startswith("GD") for name in table.references])
    ridge = {noise: (0.0, *RIDGES)[int(line.argmin())] for noise, line in lines.items()}
    return (
        Check("SPD/d of compiled algorithms from their closed forms", error, high=1e-6),
        Check(
            "1 layer: SPD/d from the nearest GD / from the nearest other",
            first[descent].min() / first[~descent].min(),
            high=1,
        ),
        Check(
            f"SPD/d from one GD step, 1 layer / {table.models[-1]}",
            first[at("GD, 1 step")] / last[at("GD, 1 step")],
            high=1,
        ),
        Check(f"{table.models[-1]}: SPD/d from least squares", last[at("least squares")], high=0.02),
        Check(f"{table.models[-1]}: the nearest λ without noise", ridge[0.0], high=0.1),
        Check(f"{table.models[-1]}: the nearest λ at σ = {NOISE:g}", ridge[NOISE], NOISE**2, NOISE**2),
    )


def _depths(table: Nearest) -> Table:
    """SPD/d of the models, a column each, from the algorithms."""
    best = table.mean.argmin(1)
    rows = [
        [name, *(f"{v:.2g}{' *' if best[k] == r else ''}" for k, v in enumerate(table.mean[:, r]))]
        for r, name in enumerate(table.references)
    ]
    return Table(["SPD/d (* nearest)", *table.models], rows)


def _noise(lines: Mapping[float, Floats]) -> Table:
    rows = [
        [f"{DEPTHS[-1]} layers, σ = {noise:g}", *(f"{v:.2g}{' *' if v == line.min() else ''}" for v in line)]
        for noise, line in lines.items()
    ]
    return Table(["SPD/d (* nearest)", *(f"λ = {value:g}" for value in (0.0, *RIDGES))], rows)


def _picture(table: Nearest, lines: Mapping[float, Floats]) -> Picture:
    names = "GD, 1 step", "ridge 0.25", "SGD", "3 nearest, NumPy", "GD, 4 steps", "least squares"
    shown = dict(zip(names, COLOURS, strict=True))
    with panels(3, "Which algorithm a transformer has learned: how far it is from each") as (picture, grid):
        left, middle, right = grid
        for name, colour in shown.items():
            column = table.references.index(name)
            left.plot(DEPTHS, table.mean[:, column], "o-", color=colour, linewidth=2, markersize=5, label=name)
            middle.plot(np.arange(1, N + 1), table.spd[-1, column], color=colour, linewidth=2)
        left.set_xscale("log", base=2)
        left.set_xticks(DEPTHS, [str(k) for k in DEPTHS])
        left.set_xlabel("layers of the trained model")
        left.set_ylabel("SPD/d from the trained model")
        left.legend(fontsize=8)
        middle.set_xlabel(f"examples seen, {table.models[-1]}")
        for (noise, line), colour in zip(lines.items(), (INK, TRAINED), strict=True):
            places = np.arange(line.size)
            right.plot(places, line, "o-", color=colour, linewidth=2, label=f"σ = {noise:g}")
            right.plot(places[line.argmin()], line.min(), "o", color=colour, markersize=10, markerfacecolor="none")
        right.set_xticks(np.arange(1 + len(RIDGES)), [f"{value:g}" for value in (0.0, *RIDGES)])
        right.set_xlabel(f"λ of the ridge regression, {table.models[-1]}")
        right.legend()
        for axes, title in zip(grid, ("by depth", "by examples", "by noise of the labels"), strict=True):
            axes.set_title(title, loc="left", fontsize=10)
            axes.set_yscale("log")
            axes.tick_params(colors=INK)
    return picture


FIGURE = Figure(
    "akyurek_algorithms",
    "deeper transformers learn GD, then least squares; with noisy labels ridge with λ = σ²",
    "Akyürek et al. 2022, What learning algorithm is in-context learning?, figures 1 to 3 (arXiv 2211.15661)",
    run,
)
