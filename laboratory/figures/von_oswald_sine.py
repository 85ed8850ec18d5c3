"""On sine waves an MLP and a layer of linear attention answer as a step of gradient descent on meta-learnt features.

    task       y = a sin(x + φ), ten examples; the loss is at the query
    trained    (x, y) in 40 slots, an MLP of 160 GELUs on each token, a layer of linear attention; three seeds
    learnt     z = B tanh(A x + c) and w₀, for one step of gradient descent on w · z from w₀; three seeds
    compiled   PROGRAM with what was learnt, on gpt2

PROGRAM is deep_features with two parameters more: without B the step of a tanh network takes 6 % from the error of the
answer 0, for one tanh is monotone, and only plain products of tanhs are in its kernel; w₀ is not 0, for φ is within
half a turn. Off distribution x comes from another range, a is larger or smaller, or φ starts later. FAR are shifts at
which the two part: tanhs are constant far out where GELUs grow, and the MLP reads y, so its answer is not linear in a.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from matplotlib.figure import Figure as Picture

from ..charts import COMPILED, OTHER, TRAINED
from ..measures.distance import Fields, Floats
from ..measures.subject import Subject
from ..training.tasks import task
from .shared.frame import UNSEEN, Check, Figure, Result, Setting, Table
from .shared.pictures import learning, panels
from .shared.sine import FEATURES, TANHS, Features, meta_learnt, network, waves

N = 10
SEEDS = (0, 1, 2)
TRAINING = 3000
TASKS = task("sine", n=N, rows="query")
SHIFTS: Mapping[str, tuple[float, ...]] = {
    "inputs": (0.5, 0.75, 1.0, 1.25, 1.5),
    "amplitudes": (0.5, 0.75, 1.0, 1.5, 2.0),
    "phases": (0.0, np.pi / 4, np.pi / 2, np.pi),
}
USUAL = {"inputs": 1.0, "amplitudes": 1.0, "phases": 0.0}
FAR = {"inputs": 1.5, "amplitudes": 2.0, "phases": np.inf}

PROGRAM = """\
# Gradient descent on features B tanh(A x + c) from learnt weights: deep_features, projected.
program learnt_features(d, m, r, A : matrix[m, d], c : vector[m], B : matrix[r, m], start : vector[r])

tokens (x y)* x
    x : vector[d]
    y : scalar

at x
    z = B @ tanh(A @ x + c)
at y
    u = move z from previous

w : vector[r] = start
w = w - grad[w](mean[j in y]((dot(w, u[j]) - y[j]) ^ 2 / 2))

at x
    output dot(w, z)
"""


def compiled(learnt: Features) -> Weights:
    """PROGRAM, for the widest of the shifts, and all of their inputs."""
    few = [waves(300, N, 1, **{kind: shifts[-1]}) for kind, shifts in SHIFTS.items()]
    calibration = {name: np.concatenate([one[name] for one in few]) for name in ("x", "y")}
    given: dict[str, Any] = {"A": learnt.A[:, None], "c": learnt.c, "B": learnt.B, "start": learnt.start}
    return compile_program(PROGRAM, d=1, m=TANHS, r=FEATURES, calibration=calibration, **given)


def at_query(weights: Weights, fields: Fields) -> Floats:
    """The answers [tasks] at the query."""
    return np.asarray(Subject(weights, "")({"x": fields["x"], "y": fields["y"][:, :N]}), np.float64)[:, -1]


@dataclass(frozen=True)
class Found:
    """Of one seed, by kind of shift, [shifts]: E (ŷ − y)² / E y² of the compiled step and of the network, and the
    cosine of their answers; and how far compiled answers are from the closed form, rms over that of y."""

    step: Mapping[str, Floats]
    trained: Mapping[str, Floats]
    cosines: Mapping[str, Floats]
    error: float
    losses: Floats


def cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def measured(known: Weights, learnt: Features, found: Weights, losses: Floats, count: int) -> Found:
    parts: dict[str, dict[str, list[float]]] = {part: {} for part in ("step", "trained", "cosines")}
    error = 0.0
    for kind, shifts in SHIFTS.items():
        for shift in shifts:
            fields = waves(count, N, UNSEEN, **{kind: shift})
            truth = fields["y"][:, -1]
            size = float((truth**2).mean())
            ours, theirs = at_query(known, fields), at_query(found, fields)
            closed = np.asarray(learnt.answers(fields["x"], fields["y"]), np.float64)
            error = max(error, float(np.sqrt(((ours - closed) ** 2).mean() / size)))
            for part, answers in (("step", ours), ("trained", theirs)):
                parts[part].setdefault(kind, []).append(float(((answers - truth) ** 2).mean()) / size)
            parts["cosines"].setdefault(kind, []).append(cosine(ours, theirs))
    arrays = {part: {kind: np.array(v) for kind, v in each.items()} for part, each in parts.items()}
    return Found(**arrays, error=error, losses=losses)


def run(setting: Setting) -> Result:
    dual = compile_program(load("gradient_descent_dual"), target="lsa", d=1, steps=1)
    to_learn_on = waves(setting.tasks(10_000), N, 2)
    found: dict[int, Found] = {}
    kept: dict[str, Weights] = {}
    for seed in SEEDS:
        trained = setting.train(f"seed_{seed}", network(dual, seed), TASKS, steps=TRAINING, batch=256, rate=3e-3,
                                warmup=200, clip=10.0, seed=seed)  # fmt: skip
        setting.told("learning features", 0, 0)
        learnt = meta_learnt(to_learn_on, seed, setting.steps(400))
        setting.told("compiling", 0, 0)
        known = kept[f"compiled_{seed}"] = compiled(learnt)
        other = kept[f"trained_{seed}"] = trained.weights
        setting.told("comparing", 0, 0)
        found[seed] = measured(known, learnt, other, trained.losses.astype(np.float64), setting.tasks(10_000))
    return Result(
        checks=checks(found),
        tables=(_table(found),),
        pictures={"von_oswald_sine": _picture(found)},
        numbers={"shifts": SHIFTS, **{f"seed_{seed}": vars(one) for seed, one in found.items()}},
        weights=kept,
    )


def checks(found: Mapping[int, Found]) -> tuple[Check, ...]:
    place = SHIFTS["inputs"].index(USUAL["inputs"])
    step, trained, cosines = (
        np.array([getattr(f, part)["inputs"][place] for f in found.values()]) for part in ("step", "trained", "cosines")
    )
    near = {kind: sum(shift < FAR[kind] for shift in shifts) for kind, shifts in SHIFTS.items()}
    return (
        Check("compiled: rms off its closed form / of y, at most", max(f.error for f in found.values()), high=1e-3),
        Check("compiled: error / of the answer 0, largest of the seeds", step.max(), high=0.1),
        Check("error, trained / compiled, least", (trained / step).min(), low=0.95),
        Check("the same, largest", (trained / step).max(), high=1.05),
        Check("cosine of the answers, least", cosines.min(), low=0.99),
        *(Check(f"the same on other {kind}, but far off", min(f.cosines[kind][:count].min() for f in found.values()),
                low=0.95) for kind, count in near.items()),
    )  # fmt: skip


def _label(kind: str, shift: float) -> str:
    return f"phases + {shift / np.pi:g} π" if kind == "phases" else f"{kind} × {shift:g}"


def _table(found: Mapping[int, Found]) -> Table:
    rows = []
    for kind, shifts in SHIFTS.items():
        for k, shift in enumerate(shifts):
            cells = [(f.step[kind][k], f.trained[kind][k], f.cosines[kind][k]) for f in found.values()]
            rows.append([_label(kind, shift), *(", ".join(f"{v:.3f}" for v in cell) for cell in cells)])
    return Table(["error / E y²: compiled, trained; cosine", *(f"seed {seed}" for seed in found)], rows)


def _picture(found: Mapping[int, Found]) -> Picture:
    first = found[SEEDS[0]]
    place = SHIFTS["inputs"].index(USUAL["inputs"])
    size = float((waves(10_000, N, UNSEEN)["y"][:, -1] ** 2).mean())
    with panels(1 + len(SHIFTS), "Sine waves: an MLP and attention, and a step on meta-learnt features") as (
        picture,
        grid,
    ):
        left, *others = grid
        learning(left, first.losses / size, {"a step, compiled": (float(first.step["inputs"][place]), COMPILED)})
        left.set_ylim(0, 0.5)
        left.set_ylabel("error / E y² in training")
        for axes, (kind, shifts) in zip(others, SHIFTS.items(), strict=True):
            across = np.array(shifts) / (np.pi if kind == "phases" else 1)
            for part, colour, label in (("step", COMPILED, "a step, compiled"), ("trained", TRAINED, "trained")):
                curves = np.array([getattr(f, part)[kind] for f in found.values()])
                axes.plot(across, np.median(curves, 0), "o-", color=colour, linewidth=1.8, label=label)
                axes.fill_between(across, curves.min(0), curves.max(0), color=colour, alpha=0.2, linewidth=0)
            cosines = np.array([f.cosines[kind] for f in found.values()])
            axes.plot(across, np.median(cosines, 0), ":", color=OTHER, linewidth=1.5, label="cosine of their answers")
            axes.axvline(USUAL[kind], color=OTHER, linewidth=0.8, linestyle=(0, (4, 2)))
            axes.set_ylim(0, 1.05)
            axes.set_xlabel("phases, plus so many π" if kind == "phases" else f"{kind}, times those of training")
        others[0].set_ylabel("error / E y²")
        others[0].legend(fontsize=8)
    return picture


FIGURE = Figure(
    "von_oswald_sine",
    "on sine waves an MLP and linear attention answer as a step of gradient descent on meta-learnt features",
    "von Oswald et al. 2022, Transformers learn in-context by gradient descent, figure 4 (arXiv 2212.07677)",
    run,
    minutes=2.5,
)
