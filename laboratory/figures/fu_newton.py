"""A trained model's middle layers are worth iterations of Newton's method each; gradient descent would need far more.

    trained    GPT-2s on linear regression; after each layer a linear readout of the label, fitted on other tasks
    compiled   iterative_newton on gpt2: M ← 2M − M S M from M = S/‖S‖², w = M b, S and b the moments so far
    descent    w ← w − (S w − b)/λ, λ the largest eigenvalue of S: the best rate that is safe for each prompt

The errors of a layer's readout, and of k iterations, are vectors over the queries of a prompt; how alike two are is the
mean of their cosine. A layer's k is the number of iterations most like it, of Newton's and of gradient descent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime.plots import COLOURS
from matplotlib.figure import Figure as Picture
from numpy.typing import NDArray

from ..charts import COMPILED, OTHER
from ..measures.distance import Fields, Floats
from ..measures.probes import fit
from ..measures.subject import Subject
from ..training.tasks import task
from .frame import Check, Figure, Result, Setting, Table
from .pictures import INK, panels
from .small import CALIBRATION, MEASURED, fresh, trained

D, N = 5, 16
LAYERS, LONG_LAYERS = 8, 12
WIDTH, LONG_WIDTH = 32, 64
SEEDS = (0, 1, 2)
TRAINING = 1500
NEWTON = np.arange(25)
DESCENT = np.unique(np.round(np.geomspace(1, 1000, 40)).astype(int))
COMPILED_STEPS = 6
TASKS = task("linear", d=D, n=N)


def moments(fields: Fields) -> tuple[Floats, Floats]:
    """S [tasks, n, d, d] and b [tasks, n, d] of the first 1 … n examples."""
    x, y = (np.asarray(fields[name], np.float64)[:, :N] for name in ("x", "y"))
    counts = np.arange(1, N + 1)[:, None]
    s = np.cumsum(x[..., :, None] * x[..., None, :], 1) / counts[..., None]
    return s, np.cumsum(x * y[..., None], 1) / counts


def newton(fields: Fields, steps: NDArray[Any]) -> Floats:
    """Predictions [steps, tasks, n] at the queries after 1 … n examples, after each of these numbers of iterations."""
    s, b = moments(fields)
    query = np.asarray(fields["x"], np.float64)[:, 1:]
    m = s / (s**2).sum((-1, -2), keepdims=True)
    found = {}
    for step in range(int(max(steps)) + 1):
        found[step] = np.einsum("bnd,bnde,bne->bn", query, m, b)
        m = 2 * m - m @ s @ m
    return np.stack([found[int(step)] for step in steps])


def descent(fields: Fields, steps: NDArray[Any]) -> Floats:
    """The same of gradient descent: in the eigenvectors of S, w = (1 − (1 − s/λ)ᵏ)/s b."""
    s, b = moments(fields)
    query = np.asarray(fields["x"], np.float64)[:, 1:]
    values, vectors = np.linalg.eigh(s)
    there = values > 1e-9 * values[..., -1:]
    within = np.einsum("bnde,bnd->bne", vectors, b) * np.where(there, 1 / np.where(there, values, 1), 0)
    share = values / values[..., -1:]
    seen = np.einsum("bnde,bnd->bne", vectors, query)
    return np.stack([(seen * within * (1 - (1 - share) ** int(step))).sum(-1) for step in steps])


def readouts(weights: Weights, fields: Fields, on: Fields) -> Floats:
    """Each layer's readout of the label [1 + layers, tasks, n] at the queries with an example before them, fitted on
    the tasks `on`."""

    def stream(data: Fields) -> Floats:
        queries = tuple(range(2, 2 * N + 1, 2))
        return np.asarray(Subject(weights, "").stream(data, queries))  # [1 + layers, tasks, n, width]

    ours, theirs = stream(fields), stream(on)
    found = []
    for here, there in zip(ours, theirs, strict=True):
        probe = fit(there.reshape(-1, there.shape[-1]), np.asarray(on["y"], np.float64)[:, 1:].reshape(-1, 1))
        found.append(probe(here.reshape(-1, here.shape[-1])).reshape(here.shape[:2]))
    return np.stack(found)


def likeness(a: Floats, b: Floats, truth: Floats) -> Floats:
    """The mean cosine [k, m] of the errors of predictions a [k, tasks, n] and b [m, tasks, n] of `truth` [tasks, n]."""
    left, right = ((one - truth) / np.linalg.norm(one - truth, axis=-1, keepdims=True) for one in (a, b))
    return np.asarray(np.einsum("kbn,mbn->km", left, right) / len(truth))


@dataclass(frozen=True)
class Found:
    """A trained model by its layers: the most that the errors are like Newton's and gradient descent's, after how many
    iterations that is, and the error E (ŷ − y)² of its readout after all examples."""

    newton: Floats
    newton_steps: Floats
    descent: Floats
    descent_steps: Floats
    error: Floats
    weights: Weights

    @property
    def middle(self) -> slice:
        """The layers between the first that is like an iteration or two, and that whose error is the last's."""
        start = int(np.argmax(self.newton_steps >= 2))
        end = int(np.argmax(self.newton_steps >= self.newton_steps.max()))
        return slice(start, max(end, start + 1) + 1)

    @property
    def slope(self) -> float:
        """Iterations of Newton's method for a middle layer."""
        steps = self.newton_steps[self.middle]
        return float((steps[-1] - steps[0]) / (len(steps) - 1))


def found(weights: Weights, fields: Fields, on: Fields) -> Found:
    truth = np.asarray(fields["y"], np.float64)[:, 1:]
    predictions = readouts(weights, fields, on)
    by_newton = likeness(predictions, newton(fields, NEWTON), truth)
    by_descent = likeness(predictions, descent(fields, DESCENT), truth)
    return Found(
        by_newton.max(1), NEWTON[by_newton.argmax(1)].astype(float), by_descent.max(1),
        DESCENT[by_descent.argmax(1)].astype(float), ((predictions - truth) ** 2)[..., -1].mean(1), weights,
    )  # fmt: skip


def run(setting: Setting) -> Result:
    layers, width = (LONG_LAYERS, LONG_WIDTH) if setting.long else (LAYERS, WIDTH)
    compiled = compile_program(
        load("iterative_newton"), d=D, steps=COMPILED_STEPS, calibration=TASKS.drawn(1024, CALIBRATION)
    )
    fields, on = TASKS.drawn(setting.tasks(1500), MEASURED), TASKS.drawn(max(60, setting.tasks(3000)), MEASURED + 1)
    own = np.asarray(Subject(compiled, "")(fields), np.float64)[:, -1]
    exact = newton(fields, np.array([COMPILED_STEPS]))[0, :, -1]
    error = float(((own - exact) ** 2).mean()) / D
    runs = {}
    for seed in SEEDS:
        start = fresh(compiled, layers, N, seed, width=width, heads=4)
        weights = trained(setting, f"seed_{seed}", start, TASKS, TRAINING, seed=seed, rate=1e-3)
        setting.told("comparing", 0, 0)
        runs[seed] = found(weights, fields, on)
    gains = [(f.newton - f.descent)[f.middle] for f in runs.values()]
    return Result(
        checks=(
            Check(f"compiled: SPD/d from {COMPILED_STEPS} iterations in NumPy", error, high=1e-4),
            Check("iterations of Newton's method for a middle layer, least", min(f.slope for f in runs.values()),
                  1.5, 4.5),
            Check("iterations of Newton's method for a middle layer, largest", max(f.slope for f in runs.values()),
                  1.5, 4.5),
            Check("likeness to Newton − to gradient descent, mean of middle layers, least", min(
                float(g.mean()) for g in gains), low=0),
            Check("likeness to Newton at its last iterations, least", min(
                float(f.newton[int(f.newton_steps.argmax())]) for f in runs.values()), low=0.9),
        ),
        tables=(_table(runs),),
        pictures={"fu_newton": _picture(runs)},
        numbers={
            "compiled_off_numpy": error,
            **{f"seed_{s}": {"newton": f.newton, "newton_steps": f.newton_steps, "descent": f.descent,
                             "descent_steps": f.descent_steps, "error": f.error} for s, f in runs.items()},
        },
        weights={"compiled": compiled} | {f"trained_{s}": f.weights for s, f in runs.items()},
    )  # fmt: skip


def _table(runs: Mapping[int, Found]) -> Table:
    rows = []
    for seed, f in runs.items():
        for layer in range(len(f.newton)):
            rows.append([
                f"seed {seed}", str(layer), f"{f.newton_steps[layer]:.0f}", f"{f.newton[layer]:.3f}",
                f"{f.descent_steps[layer]:.0f}", f"{f.descent[layer]:.3f}", f"{f.error[layer]:.3g}",
            ])  # fmt: skip
    return Table(["readout", "after layer", "Newton's k", "likeness", "descent's k", "likeness", "error"], rows)


def _picture(runs: Mapping[int, Found]) -> Picture:
    with panels(3, "A middle layer is worth iterations of Newton's method") as (picture, grid):
        for seed, f in runs.items():
            layers = np.arange(len(f.newton))
            of: dict[str, Any] = {"linewidth": 1.6, "alpha": 1 - 0.25 * seed}
            for name, colour, steps, like in (
                ("Newton", COMPILED, f.newton_steps, f.newton), ("gradient descent", OTHER, f.descent_steps, f.descent),
            ):  # fmt: skip
                label = name if seed == SEEDS[0] else None
                grid[0].plot(layers, np.maximum(steps, 0.5), "o-", color=colour, markersize=3, label=label, **of)
                grid[1].plot(layers, like, "o-", color=colour, markersize=3, label=label, **of)
            grid[2].plot(layers, f.error, "o-", color=COLOURS[5], markersize=3, **of)
        titles = "iterations most like a layer", "likeness of the errors", f"error of the readout, {N} examples"
        for axes, title in zip(grid, titles, strict=True):
            axes.set_title(title, loc="left", fontsize=10)
            axes.set_xlabel("after layer (0: embedding)")
            axes.tick_params(colors=INK)
        grid[0].set_yscale("log")
        grid[2].set_yscale("log")
        grid[0].legend(fontsize=8)
    return picture


FIGURE = Figure(
    "fu_newton",
    "a trained model's middle layers are worth iterations of Newton's method each, and far more of gradient descent",
    "Fu et al. 2023, Transformers learn to achieve second-order convergence rates for in-context linear regression "
    "(arXiv 2310.17086)",
    run,
)
