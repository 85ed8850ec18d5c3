"""Off its tasks a trained model errs where its algorithm would not; the compiled algorithm goes with them.

    trained    GPT-2s on y = w · x, x, w ~ N(0, I)
    compiled   ridge regression with λ = 0.05 on gpt2, calibrated on all the tasks below: near to least squares

    usual      as trained on
    skewed     x ~ N(0, Λ) turned at random, λᵢ ∝ 1/i², mean 1
    noisy      labels with N(0, 1) added: least squares itself errs most at n = d
    quadrants  the examples' inputs lie in one orthant, drawn task by task, and the query in another
    subspace   the examples' inputs lie in a random subspace, of two dimensions of three, and the query anywhere
    x × 3, w × 3   three times the inputs, or the weights

The error is E (ŷ − w · x)² / E (w · x)² after each number of examples. Garg et al. 2022 found trained models to keep to
least squares with noise, across quadrants and in a subspace, and to fail on skewed inputs and at other scales.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime.plots import COLOURS
from matplotlib.figure import Figure as Picture

from ..charts import COMPILED, TRAINED
from ..measures.distance import Fields, Floats
from ..measures.references import reference, ridge_regression
from ..measures.subject import Subject
from .shared.frame import Check, Figure, Result, Setting, Table
from .shared.pictures import INK, panels
from .shared.regression import D, N, regressor
from .shared.small import CALIBRATION, MEASURED, WIDTH

HALF = 2
"""Of the D dimensions so many have examples in a subspace."""
RIDGE = 0.05
SEEDS = (0, 1, 2)
SHIFTS = ("usual", "skewed", "noisy", "quadrants", "subspace", "x × 3", "w × 3")
FAILING = ("skewed", "x × 3", "w × 3")
"""Where Garg et al. saw trained models fail."""


def shifted(name: str, count: int, seed: int) -> dict[str, Floats]:
    """Tasks of this kind: x [count, n + 1, d], y [count, n + 1] as told, and `truth`, w · x."""
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((count, N + 1, D)), rng.standard_normal((count, D))
    turn = np.linalg.qr(rng.standard_normal((count, D, D)))[0]
    match name:
        case "skewed":
            values = np.arange(1, D + 1.0) ** -2
            x = np.einsum("bnd,bde->bne", x * np.sqrt(values / values.mean()), turn)
        case "quadrants":
            signs = rng.choice([-1.0, 1.0], (count, 2, D))
            x = np.abs(x) * np.concatenate([np.repeat(signs[:, :1], N, 1), signs[:, 1:]], 1)
        case "subspace":
            half = np.einsum("bnd,bde->bne", x[:, :N, :HALF], turn[:, :HALF])
            x = np.concatenate([half, x[:, N:]], 1)
        case "x × 3":
            x = 3 * x
        case "w × 3":
            w = 3 * w
        case _:
            pass
    truth = np.einsum("bnd,bd->bn", x, w)
    noise = rng.standard_normal(truth.shape) if name == "noisy" else 0.0
    return {"x": x, "y": truth + noise, "truth": truth}


def given(fields: Fields) -> dict[str, Floats]:
    """What a model sees of them."""
    return {name: fields[name] for name in ("x", "y")}


def error(answers: Floats, fields: Fields) -> Floats:
    """E (ŷ − w · x)² / E (w · x)² by the number of examples [1 + n]. In a subspace the last alone is a query."""
    return np.asarray(((answers - fields["truth"]) ** 2).mean(0) / (fields["truth"] ** 2).mean(0))


def run(setting: Setting) -> Result:
    setting.told("compiling", 0, 0)
    ranges = [given(shifted(name, 600, CALIBRATION)) for name in SHIFTS]
    calibration = {name: np.concatenate([one[name] for one in ranges]) for name in ("x", "y")}
    compiled = compile_program(load("sherman_morrison"), d=D, examples=N, ridge=RIDGE, calibration=calibration)
    models = {seed: regressor(setting, seed, width=4 * WIDTH if setting.long else WIDTH) for seed in SEEDS}
    setting.told("comparing", 0, 0)
    tasks = {name: shifted(name, setting.tasks(4000), MEASURED) for name in SHIFTS}
    closed = reference(ridge_regression, ridge=RIDGE)
    exact = {name: error(np.asarray(closed(given(f)), np.float64), f) for name, f in tasks.items()}
    known = {name: measured(compiled, f) for name, f in tasks.items()}
    found = {name: np.array([measured(models[seed], f) for seed in SEEDS]) for name, f in tasks.items()}
    return Result(
        checks=checks(found, known, exact),
        tables=(_table(found, known),),
        pictures={"garg_shift": _picture(found, known)},
        numbers={"compiled": known, "trained": found, "closed_form": exact},
        weights={"compiled": compiled} | {f"trained_{seed}": weights for seed, weights in models.items()},
    )


def measured(weights: Weights, fields: Fields) -> Floats:
    return error(np.asarray(Subject(weights, "")(given(fields)), np.float64), fields)


def checks(found: Mapping[str, Floats], known: Mapping[str, Floats], exact: Mapping[str, Floats]) -> tuple[Check, ...]:
    usual = found["usual"][:, -1]
    worse = {name: found[name][:, -1] / usual for name in SHIFTS}
    return (
        Check("compiled: error off its closed form's after all examples, at most", max(
            abs(float(known[name][-1] - exact[name][-1])) for name in SHIFTS), high=0.005),
        Check("usual: error of the trained after all examples, largest", usual.max(), high=0.02),
        *(
            Check(f"{name}: error of the trained / usual, least of the seeds", worse[name].min(), low=2)
            for name in FAILING
        ),
        Check("those: error of the compiled, largest", max(known[name][-1] for name in FAILING), high=0.01),
        Check("quadrants: error of the trained, largest", found["quadrants"][:, -1].max(), high=0.1),
        Check("noisy: error of the trained / compiled after all examples, largest", (
            found["noisy"][:, -1] / known["noisy"][-1]).max(), high=1.5),
        Check(f"noisy: error of the compiled after {D} examples / after {N}", known["noisy"][D] / known["noisy"][-1],
              low=2),
        Check("subspace: error of the trained / compiled, largest", (
            found["subspace"][:, -1] / known["subspace"][-1]).max(), high=1.5),
    )  # fmt: skip


def _table(found: Mapping[str, Floats], known: Mapping[str, Floats]) -> Table:
    rows = []
    for name in SHIFTS:
        ends = found[name][:, -1]
        rows.append([name, f"{known[name][D]:.3g}", f"{np.median(found[name][:, D]):.3g}", f"{known[name][-1]:.3g}",
                     *(f"{value:.3g}" for value in ends)])  # fmt: skip
    columns = f"compiled, {D} examples", "trained, median", f"compiled, {N} examples", *(f"seed {s}" for s in SEEDS)
    return Table(["error / E (w·x)²", *columns], rows)


def _picture(found: Mapping[str, Floats], known: Mapping[str, Floats]) -> Picture:
    with panels(len(SHIFTS), "Off its tasks a trained model errs where least squares does not", width=2.5) as (
        picture,
        grid,
    ):
        examples = np.arange(N + 1)
        for axes, name in zip(grid, SHIFTS, strict=True):
            first = 0 if name != "subspace" else N
            style: dict[str, Any] = {"linewidth": 1.8} if not first else {"marker": "o"}
            axes.plot(
                examples[first:], known[name][first:], color=COMPILED, label=f"ridge {RIDGE:g}, compiled", **style
            )
            axes.plot(examples[first:], np.median(found[name], 0)[first:], color=TRAINED, label="trained", **style)
            axes.fill_between(examples, found[name].min(0), found[name].max(0), where=examples >= first,
                              color=TRAINED, alpha=0.2, linewidth=0)  # fmt: skip
            axes.axvline(D, color=COLOURS[2], linewidth=1, linestyle=(0, (4, 2)), label=f"d = {D} examples")
            axes.set_title(name, loc="left", fontsize=10)
            axes.set_yscale("log")
            axes.set_ylim(1e-6, 5)
            axes.set_xlim(0, N + 0.5)
            axes.set_xlabel("examples")
            axes.tick_params(colors=INK)
        grid[0].set_ylabel("error / E (w · x)²")
        grid[0].legend(fontsize=8, loc="lower left")
    return picture


FIGURE = Figure(
    "garg_shift",
    "off its tasks a trained model errs where least squares, compiled, does not",
    "Garg et al. 2022, What can transformers learn in-context?, section 4 (arXiv 2208.01066)",
    run,
    minutes=4.3,
)
