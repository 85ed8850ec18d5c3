"""How far a trained model is from each textbook predictor, by the number of examples, and whose λ it has, by the noise.

    trained    GPT-2s on linear regression, x, w ~ N(0, I), labels with N(0, σ²) added, σ = 0 and others
    compiled   gradient descent of one step, SGD of one pass, ridge regression and least squares, on gpt2; 3 nearest
               neighbours, and ridge of every λ of a grid, are in NumPy

SPD(f, g)/d = E (f − g)²/d after each number of examples. Rates are those of the least loss on the tasks. Least squares
is compiled as ridge with λ = 0.001, without noise, and is exact in NumPy with it: at n = d its w has no bound, and SPD
from it peaks there. The Bayes predictor for w ~ N(0, τ² I) and noise σ is ridge with λ = σ²/τ²; here τ = 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.runtime.plots import COLOURS
from matplotlib.figure import Figure as Picture

from ..charts import TRAINED
from ..measures.distance import Fields, Floats, Predictor, predicted
from ..measures.nearest import nearest
from ..measures.references import nearest_neighbours, reference, ridge_regression
from .akyurek_algorithms import SMALLEST, descents, off, predictors, ridges, seen
from .shared.frame import Check, Figure, Result, Setting, Table
from .shared.pictures import INK, panels
from .shared.regression import D, N, noisy, regressor
from .shared.small import CALIBRATION, MEASURED

SEEDS = (0, 1, 2)
NOISES = (0.5, 1.0)
LAMBDAS = np.geomspace(0.01, 10, 61)
"""The grid of λ that a model's is sought on: ten a factor of about 3."""


@dataclass(frozen=True)
class Found:
    """Of the models of one noise: SPD/d from each predictor [seeds, examples], and from ridge by LAMBDAS [seeds, λ]."""

    away: Mapping[str, Floats]
    by_ridge: Floats

    @property
    def ridge(self) -> Floats:
        """The nearest λ of each seed."""
        return np.asarray(LAMBDAS[self.by_ridge.argmin(1)])

    def mean(self, name: str) -> Floats:
        """SPD/d of each seed from a predictor, over all numbers of examples."""
        return np.asarray(self.away[name].mean(1))


def compiled(noise: float) -> dict[str, tuple[Weights, Predictor]]:
    """The predictors for tasks of this noise, compiled and in closed form."""
    usual = noisy(noise).drawn(2048, CALIBRATION)
    return descents(usual, steps=(1,)) | ridges(usual, (noise**2 if noise else SMALLEST,))


def run(setting: Setting) -> Result:
    found: dict[float, Found] = {}
    kept: dict[str, Weights] = {}
    error = 0.0
    for noise in (0.0, *NOISES):
        models = {f"{seed}": regressor(setting, seed, noise) for seed in SEEDS}
        setting.told(f"compiling for σ = {noise:g}", 0, 0)
        known = compiled(noise)
        fields = noisy(noise).drawn(setting.tasks(2048), MEASURED)
        error = max(error, *(off(pair, fields) for pair in known.values()))
        found[noise] = measured(models, {name: weights for name, (weights, _) in known.items()}, fields)
        kept |= {f"noise_{noise:g}_seed_{seed}": weights for seed, weights in models.items()}
        kept |= {f"noise_{noise:g}_{name.replace(' ', '_')}": weights for name, (weights, _) in known.items()}
    return Result(
        checks=checks(found, error),
        tables=(_table(found),),
        pictures={"akyurek_predictors": _picture(found)},
        numbers={
            "lambdas": LAMBDAS,
            "compiled_from_closed_form": error,
            **{f"noise {noise:g}": {"spd": f.away, "spd_by_ridge": f.by_ridge, "ridge": f.ridge}
               for noise, f in found.items()},
        },
        weights=kept,
    )  # fmt: skip


def measured(models: Mapping[str, Weights], known: Mapping[str, Weights], fields: Fields) -> Found:
    """SPD/d of trained models from compiled predictors and from those in NumPy, on the same tasks."""
    exact = {
        "least squares": seen(reference(ridge_regression, ridge=0.0)),
        "3 nearest": seen(reference(nearest_neighbours, count=3)),
    }
    table = nearest(predictors(models), exact | predictors(known), fields, D)
    answers = [predicted(model, fields) for model in predictors(models).values()]
    ridge = [predicted(seen(reference(ridge_regression, ridge=value)), fields) for value in LAMBDAS]
    by_ridge = np.array([[((f - g) ** 2).mean() / D for g in ridge] for f in answers])
    return Found({name: table.spd[:, at] for at, name in enumerate(table.references)}, by_ridge)


def checks(found: Mapping[float, Found], error: float) -> tuple[Check, ...]:
    clean = found[0.0]
    others = np.min([clean.mean(name) for name in clean.away if name != "least squares"], 0)
    every = [
        Check("SPD/d of compiled predictors from their closed forms", error, high=1e-6),
        Check("σ = 0: SPD/d from least squares / from the nearest other, largest of the seeds", (
            clean.mean("least squares") / others).max(), high=0.5),
        Check(f"σ = 0: examples at which SPD from least squares is most (d = {D}), median", float(
            np.median(peak(clean.away["least squares"]))), D, D),
    ]  # fmt: skip
    for noise in NOISES:
        one, bayes = found[noise], f"ridge {noise**2:g}"
        others = np.min([one.mean(name) for name in one.away if name != bayes], 0)
        every += [
            Check(f"σ = {noise:g}: SPD/d from ridge with λ = σ² / from the nearest other, largest", (
                one.mean(bayes) / others).max(), high=0.5),
            Check(f"σ = {noise:g}: examples at which SPD from least squares is most, least", float(
                peak(one.away["least squares"]).min()), D, D),
            Check(f"σ = {noise:g}: the same, largest", float(peak(one.away["least squares"]).max()), D, D),
            Check(f"σ = {noise:g}: nearest λ / σ², least of the seeds", one.ridge.min() / noise**2, low=0.75),
            Check(f"σ = {noise:g}: the same, largest", one.ridge.max() / noise**2, high=4 / 3),
        ]  # fmt: skip
    return tuple(every)


def peak(curves: Floats) -> Floats:
    """After how many examples each is largest: curves [seeds, examples], from the first example on."""
    return np.asarray(1 + curves.argmax(1))


def _table(found: Mapping[float, Found]) -> Table:
    rows = []
    for noise, one in found.items():
        for name, curves in one.away.items():
            ends = (f"{np.median(curves[:, n - 1]):.2g}" for n in (1, D, N))
            rows.append([f"σ = {noise:g}: {name}", *(f"{v:.2g}" for v in one.mean(name)), *ends])
        rows.append([f"σ = {noise:g}: nearest λ (σ² = {noise**2:g})", *(f"{v:.3g}" for v in one.ridge), "", "", ""])
    return Table(["SPD/d from", *(f"seed {s}" for s in SEEDS), *(f"after {n}" for n in (1, D, N))], rows)


def _picture(found: Mapping[float, Found]) -> Picture:
    """Medians of the seeds, and from the least to the largest of them."""
    shown = 0.0, NOISES[-1]
    with panels(1 + len(shown), "Which predictor a trained model is near: by examples, and by λ", width=4.2) as (
        picture,
        grid,
    ):
        for axes, noise in zip(grid, shown, strict=False):
            colours = dict(zip(found[noise].away, (COLOURS[5], COLOURS[3], COLOURS[0], COLOURS[2], COLOURS[1]),
                               strict=False))  # fmt: skip
            for name, colour in colours.items():
                curves = found[noise].away[name]
                places = 1 + np.arange(curves.shape[1])
                axes.plot(places, np.median(curves, 0), color=colour, linewidth=2, label=name)
                axes.fill_between(places, curves.min(0), curves.max(0), color=colour, alpha=0.15, linewidth=0)
            axes.axvline(D, color=INK, linewidth=1, linestyle=(0, (4, 2)))
            axes.set_title(f"σ = {noise:g}", loc="left", fontsize=10)
            axes.set_xlabel("examples seen (dashed: d)")
            axes.set_ylabel("SPD/d from the trained models")
            axes.legend(fontsize=8)
        right = grid[-1]
        for (noise, one), colour in zip(found.items(), (INK, COLOURS[0], TRAINED), strict=False):
            right.plot(LAMBDAS, np.median(one.by_ridge, 0), color=colour, linewidth=2, label=f"σ = {noise:g}")
            right.fill_between(LAMBDAS, one.by_ridge.min(0), one.by_ridge.max(0), color=colour, alpha=0.15,
                               linewidth=0)  # fmt: skip
            if noise:
                right.axvline(noise**2, color=colour, linewidth=1.2, linestyle=(0, (4, 2)))
        right.set_xscale("log")
        right.set_xlabel("λ of ridge regression (dashed: σ²)")
        right.legend(fontsize=8)
        for axes in grid:
            axes.set_yscale("log")
            axes.tick_params(colors=INK)
    return picture


FIGURE = Figure(
    "akyurek_predictors",
    "noise takes trained models from least squares to ridge with λ = σ², which no other predictor is as near to",
    "Akyürek et al. 2022, What learning algorithm is in-context learning?, figures 1 and 2 (arXiv 2211.15661)",
    run,
)
