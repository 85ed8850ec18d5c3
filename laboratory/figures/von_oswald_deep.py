"""Five trained layers of linear attention are five steps of GD++, looped or not, on tasks like those and on others.

    compiled   PROGRAM on lsa, five steps of the rates η_k and curvatures γ_k that are read off the trained layers
    looped     five passes of one trained layer of one head on tokens (x, y); also against the one pair of least loss
    deep       five trained layers

Tokens are cut at ± BOUND after each layer, in training and in all that is measured, as published: without it inputs of
1.25 times the size end at 10¹⁰, trained or compiled, and the one pair of least loss, 0.0513, is of a curvature at which
some tasks leave the bound: cut, it errs by 0.2, so the best pair is sought under the bound, on tasks in NumPy. (Where
compiled streams come to the bound, they are not cut quite as the steps in NumPy.) A pair a step has a least loss, too,
at curvatures up to 7 that blow z up a thousandfold; no run of Adam is near it. Off distribution inputs are longer or
shorter by a factor, which no model has seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from matplotlib.figure import Figure as Picture
from scipy.optimize import minimize

from ..charts import COMPILED, OTHER, TRAINED, averaged
from ..measures.distance import Fields, Floats
from ..measures.sensitivity import alignment
from ..training.clipped import Clipped
from ..training.tasks import task
from .shared.frame import UNSEEN, Check, Figure, Result, Setting, Table
from .shared.layers import layer, random_layers, slots
from .shared.pictures import panels
from .von_oswald_1 import TASKS, D, N

K = 5
SEEDS = (0, 1, 2)
KINDS = ("looped", "deep")
TRAINING = {"looped": 4000, "deep": 2000}
BOUND = 10.0
PART = 1000
"""Tasks that are measured at once."""
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5)
"""Factors of the inputs' size; the middle one is trained on."""
DRAWN = 100.0
"""Losses beyond leave the picture."""

PROGRAM = """\
# GD++ whose rate and curvature differ from step to step (von Oswald et al. 2022, appendix A.10).
program gd_plus_by_step(d, steps = 5, rates : vector[steps], curvatures : vector[steps])

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

z = x
at example
    r = y
at query
    r = 0

repeat steps as t
    r = r - rates[t] * mean[j in example](dot(z, z[j]) * r[j])
    z = z - curvatures[t] * sum[j in example](dot(z, z[j]) * z[j])

at query
    output -r
"""


def steps(fields: Fields, rates: Floats, curvatures: Floats, bound: float = BOUND) -> Floats:
    """ŷ [tasks] of steps of these rates and curvatures, in NumPy, all tokens cut at ± bound after each."""
    z, r = fields["x"].copy(), fields["y"].copy()
    r[:, -1] = 0
    for rate, curvature in zip(rates, curvatures, strict=True):
        products = z @ z[:, :-1].swapaxes(1, 2)
        r, z = r - rate / N * (products @ r[:, :-1, None])[..., 0], z - curvature * products @ z[:, :-1]
        r, z = np.clip(r, -bound, bound), np.clip(z, -bound, bound)
    return np.asarray(-r[:, -1])


def best(fields: Fields) -> tuple[float, float]:
    """The rate and the curvature, the same in every step, of least loss on these tasks."""

    def at(pair: Floats) -> float:
        return loss(steps(fields, np.full(K, pair[0]), np.full(K, pair[1])), fields)

    found = minimize(at, [15.0, 0.13], method="Nelder-Mead", options={"xatol": 0.02, "fatol": 1e-6}).x
    return float(found[0]), float(found[1])


def read(weights: Weights) -> tuple[Floats, Floats]:
    """η_k and γ_k [layers] of layers of one head whose ρ is 1: N and −1 times the mean diagonals' products."""
    x, (y,) = slots(weights, "x"), slots(weights, "y")
    pairs = []
    for number in range(len(list(weights.sublayers())) // 2):
        (scores,), (values,) = layer(weights, number)
        s, v = (float(np.trace(m[np.ix_(x, x)])) / D for m in (scores, values))
        pairs.append((-N * s * float(values[y, y]), -s * v))
    rates, curvatures = np.array(pairs).T
    return rates, curvatures


def compiled(rates: Floats, curvatures: Floats) -> Weights:
    given: dict[str, Any] = {"rates": rates, "curvatures": curvatures}
    return compile_program(PROGRAM, target="lsa", d=D, steps=K, calibration=TASKS.drawn(2000, 1), **given)


def answered(weights: Weights, fields: Fields, bound: float = BOUND) -> tuple[Floats, Floats]:
    """ŷ [tasks] at the query, and ∂ŷ/∂x there [tasks, d], of weights whose tokens are cut at ± bound."""
    model = Clipped.around(weights, bound)

    def answer(x: Any, y: Any) -> tuple[Any, Any]:
        found = model.apply(model.parameters, {"x": x, "y": y})[:, -1]
        return found.sum(), found

    run = jax.jit(jax.value_and_grad(answer, has_aux=True))
    taken = [np.asarray(fields[name], np.float32) for name in ("x", "y")]
    parts = [run(*(t[at : at + PART] for t in taken)) for at in range(0, len(taken[0]), PART)]
    found = np.concatenate([answers for (_, answers), _ in parts])
    slopes = np.concatenate([slope[:, -1] for _, slope in parts])
    return found.astype(np.float64), slopes.astype(np.float64)


def loss(answers: Floats, fields: Fields) -> float:
    """½ E (ŷ − y)²"""
    return float(((answers - fields["y"][:, -1]) ** 2).mean()) / 2


@dataclass(frozen=True)
class Found:
    """A trained model and its compiled counterpart, by SCALES: both losses, and the mean cosine of ∂ŷ/∂x; `off`:
    how far the compiled loss at 1, of tokens that are not cut, is from that of the steps in NumPy."""

    losses: Floats
    compiled: Floats
    cosines: Floats
    off: float
    training: Floats
    weights: Weights


def run(setting: Setting) -> Result:
    setting.told("rates that are best for these tasks", 0, 0)
    rate, curvature = best(TASKS.drawn(max(100, setting.tasks(3000)), 2))
    like = compile_program(
        load("gd_plus"), target="lsa", d=D, steps=K, rate=rate, curvature=curvature, calibration=TASKS.drawn(2000, 1)
    )
    fields = [
        task("linear", d=D, n=N, inputs="uniform", input_scale=0.5 * scale, rows="query").drawn(
            setting.tasks(20_000), UNSEEN
        )
        for scale in SCALES
    ]
    usual = SCALES.index(1.0)
    known: dict[tuple[str, int], Weights] = {}
    found = {}
    shape: dict[str, Any] = {"n_head": 1, "d_head": D + 1}
    for name in KINDS:
        for seed in SEEDS:
            start = Clipped.around(random_layers(like, seed, untied=name == "deep", **shape), BOUND)
            run = setting.train(f"{name}_{seed}", start, TASKS, steps=TRAINING[name], batch=256, rate=4e-3, warmup=200,
                                clip=10.0, seed=seed)  # fmt: skip
            setting.told("comparing", 0, 0)
            pairs = read(run.weights)
            given = pairs if name == "deep" else (np.repeat(pairs[0], K), np.repeat(pairs[1], K))
            against = known[name, seed] = compiled(*given)
            ours, theirs = ([answered(w, f) for f in fields] for w in (run.weights, against))
            free = loss(answered(against, fields[usual], np.inf)[0], fields[usual])
            off = abs(free / loss(steps(fields[usual], *given, np.inf), fields[usual]) - 1)
            found[name, seed] = Found(
                np.array([loss(y, f) for (y, _), f in zip(ours, fields, strict=True)]),
                np.array([loss(y, f) for (y, _), f in zip(theirs, fields, strict=True)]),
                np.array([alignment(a, b).mean_cosine for (_, a), (_, b) in zip(ours, theirs, strict=True)]),
                off,
                run.losses.astype(np.float64) / 2,
                run.weights,
            )
    least = loss(steps(fields[usual], np.full(K, rate), np.full(K, curvature)), fields[usual])
    return Result(
        checks=checks(found, usual, least),
        tables=(_table(found),),
        pictures={"von_oswald_deep": _picture(found, least)},
        numbers={
            "rate": rate,
            "curvature": curvature,
            "least_loss_of_one_pair": least,
            "read": {f"{name}_{seed}": read(f.weights) for (name, seed), f in found.items()},
            "scales": SCALES,
            "off": {f"{name}_{seed}": f.off for (name, seed), f in found.items()},
            "loss_compiled": {f"{name}_{seed}": f.compiled for (name, seed), f in found.items()},
            "loss_trained": {f"{name}_{seed}": f.losses for (name, seed), f in found.items()},
            "cosines": {f"{name}_{seed}": f.cosines for (name, seed), f in found.items()},
            "training_losses": {f"{name}_{seed}": f.training for (name, seed), f in found.items()},
        },
        weights={f"compiled_{name}_{seed}": w for (name, seed), w in known.items()}
        | {f"{name}_{seed}": f.weights for (name, seed), f in found.items()},
    )


def checks(found: Mapping[tuple[str, int], Found], seen: int, least: float) -> tuple[Check, ...]:
    every = [
        Check("compiled: loss off that of its steps in NumPy, largest", max(f.off for f in found.values()), high=1e-3)
    ]
    for name in KINDS:
        runs = [f for (kind, _), f in found.items() if kind == name]
        ratios = np.array([f.losses / f.compiled for f in runs])
        cosines = np.array([f.cosines for f in runs])
        every += [
            Check(f"{name}: loss, trained / compiled, largest of the seeds", ratios[:, seen].max(), high=1.05),
            Check(f"{name}: cosine of the sensitivities, least", cosines[:, seen].min(), low=0.99),
            Check(f"{name}: the same on inputs of {SCALES[0]:g} … {SCALES[-1]:g} times the size", cosines.min(),
                  low=0.99),
        ]  # fmt: skip
    looped = max(f.losses[seen] for (kind, _), f in found.items() if kind == "looped")
    return *every, Check("looped: loss / that of the best pair, largest", looped / least, high=1.05)


def _table(found: Mapping[tuple[str, int], Found]) -> Table:
    rows = []
    for (name, seed), f in found.items():
        cells = zip(f.losses, f.compiled, f.cosines, strict=True)
        rows.append([f"{name}, seed {seed}", *(f"{v:.4f}, {k:.4f}, {c:.4f}" for v, k, c in cells)])
    return Table(["loss trained, compiled, cosine; inputs times", *(f"{s:g}" for s in SCALES)], rows)


def _picture(found: Mapping[tuple[str, int], Found], least: float) -> Picture:
    with panels(3, "Five trained layers of linear attention are five steps of GD++") as (picture, grid):
        for (name, seed), one in found.items():
            colour = TRAINED if name == "looped" else OTHER
            steps, means = averaged(one.training, 100)
            grid[0].plot(steps, means, color=colour, linewidth=1.2, label=f"{name}, trained" if seed == 0 else None)
            grid[1].plot(SCALES, one.losses, "o-", color=colour, linewidth=1.2, markersize=3,
                         label=f"{name}, trained" if seed == 0 else None)  # fmt: skip
            grid[2].plot(SCALES, one.cosines, "o-", color=colour, linewidth=1.2, markersize=3)
            if seed == SEEDS[0]:
                grid[1].plot(SCALES, one.compiled, color=COMPILED, linewidth=3, alpha=0.5,
                             linestyle="-" if name == "looped" else (0, (4, 2)), label=f"{name}, compiled")  # fmt: skip
                grid[0].axhline(one.compiled[SCALES.index(1.0)], color=COMPILED, linewidth=1.2,
                                linestyle="-" if name == "looped" else (0, (4, 2)))  # fmt: skip
        grid[0].axhline(least, color="#404040", linewidth=1, linestyle=":", label="the best pair")
        grid[0].set_xlabel("steps of Adam (blue: compiled)")
        for axes in grid[:2]:
            axes.set_ylabel(f"loss (drawn to {DRAWN:g})")
            axes.set_ylim(0.5 * min(float(f.compiled.min()) for f in found.values()), DRAWN)
        grid[2].set_ylabel("cosine of ∂ŷ/∂x, trained and compiled")
        grid[2].set_ylim(min(0.98, min(float(f.cosines.min()) for f in found.values())), 1.001)
        for axes in grid[:2]:
            axes.set_yscale("log")
            axes.legend()
        for axes in grid[1:]:
            axes.set_xlabel("inputs' size, in that trained on")
    return picture


FIGURE = Figure(
    "von_oswald_deep",
    "five trained layers of linear attention, looped or not, are five steps of GD++, off distribution too",
    "von Oswald et al. 2022, Transformers learn in-context by gradient descent, deep models (arXiv 2212.07677)",
    run,
    minutes=5,
)
