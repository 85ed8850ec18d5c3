"""How far, and where to, a compiled model leaves its algorithm when it is trained on.

    start   gradient_descent_dual on lsa, one step of the rate η₀ that is best for x, w ~ N(0, I): its own tasks
    tasks   its own; the same with labels of noise σ; inputs x ~ N(0, Λ)

Where each should end is known. With b = (1/n) Σ yⱼ xⱼ the least loss of x_qᵀ M b is at

    own      M = η₀ I,  η₀ = 1/(1 + (d + 1)/n)            it is there already, and stays
    noise    M = η I,   η = 1/(1 + (d + 1 + σ²)/n)        the same algorithm with a smaller rate
    skewed   M = Γ⁻¹    (zhang_gamma)                     another algorithm: the step is preconditioned

Followed by steps of training: M, read off the weights; the share of the answers that x_qᵀ M b leaves unexplained; and
for each variable of the layout how far it has moved in the stream, E ‖v − v₀‖² / E ‖v₀‖² over tokens and tasks, v₀ as
compiled: x, which the algorithm leaves alone; r, which it writes; and the slots that hold what a token is. Only what is
read later can learn: after one layer that is r.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime.plots import COLOURS
from matplotlib.figure import Figure as Picture

from ..measures.distance import Fields, Floats
from ..measures.subject import Subject
from ..training.kinds import eigenvalues
from ..training.model import Model
from ..training.tasks import TaskDistribution, task
from .shared.frame import UNSEEN, Check, Figure, Result, Setting, Table
from .shared.layers import half_loss, off, preconditioner, slots
from .shared.pictures import panels

D, N, NOISE, POWER = 5, 10, 2.0, 1.0
SEEDS = (0, 1, 2)
ENDS = (5, 10, 20, 40, 80, 160, 320)
TASKS: Mapping[str, TaskDistribution] = {
    "own": task("linear", d=D, n=N, rows="query"),
    "noise": task("noisy_linear", d=D, n=N, noise=NOISE, rows="query"),
    "skewed": task("skewed_linear", d=D, n=N, power=POWER, rows="query"),
}


def destinations() -> dict[str, Floats]:
    """M [d, d] of least loss for each of TASKS: see above."""
    values = eigenvalues(TASKS["skewed"].parameters)
    gamma = (1 + 1 / N) * values + values.sum() / N
    return {
        "own": np.eye(D) / (1 + (D + 1) / N),
        "noise": np.eye(D) / (1 + (D + 1 + NOISE**2) / N),
        "skewed": np.diag(1 / gamma),
    }


@dataclass(frozen=True)
class Course:
    """One run at step 0 and after each of ENDS: ½ E (ŷ − y)² on its tasks, how far M is from where it should end and
    from where it began, the share of the answers that M leaves unexplained, and {variable: how far it has moved}."""

    steps: Floats
    loss: Floats
    to_go: Floats
    gone: Floats
    unexplained: Floats
    moved: dict[str, Floats]
    weights: Weights


def unexplained(weights: Weights, fields: Fields) -> float:
    x, y = fields["x"][:, :-1], fields["y"][:, :-1]
    answers = np.asarray(Subject(weights, "")(fields), np.float64)[:, 0]
    step = np.einsum("bd,de,be->b", fields["x"][:, -1], preconditioner(weights), np.einsum("bn,bnd->bd", y, x) / N)
    return float(((answers - step) ** 2).mean() / (answers**2).mean())


def moved(weights: Weights, compiled: Weights, fields: Fields) -> dict[str, float]:
    """For each variable how far it is in the stream after the layer from the compiled model's: see above."""
    held = {"x": slots(compiled, "x"), "r": slots(compiled, "y")}
    held["roles"] = np.setdiff1d(np.arange(compiled.config.d_model), np.concatenate(list(held.values())))
    ours, theirs = (np.asarray(Subject(w, "").stream(fields, None)[-1], np.float64) for w in (weights, compiled))
    return {name: float(((ours - theirs)[..., at] ** 2).sum() / (theirs[..., at] ** 2).sum())
            for name, at in held.items()}  # fmt: skip


def course(setting: Setting, name: str, seed: int, start: Model, compiled: Weights) -> Course:
    stages = setting.stages(f"{name}_{seed}", start, TASKS[name], ends=ENDS, batch=512, rate=3e-3, seed=seed)
    setting.told("comparing", 0, 0)
    fields = TASKS[name].drawn(setting.tasks(20_000), UNSEEN)
    few = {field: value[: setting.tasks(2000)] for field, value in fields.items()}
    kept = [compiled, *(stage.weights for stage in stages)]
    goal, begun = destinations()[name], preconditioner(compiled)
    matrices = [preconditioner(weights) for weights in kept]
    distances = [moved(weights, compiled, few) for weights in kept]
    return Course(
        steps=np.array([0, *(stage.losses.size for stage in stages)], float),
        loss=np.array([half_loss(weights, fields) for weights in kept]),
        to_go=np.array([off(matrix, goal) for matrix in matrices]),
        gone=np.array([off(matrix, begun) for matrix in matrices]),
        unexplained=np.array([unexplained(weights, few) for weights in kept]),
        moved={variable: np.array([d[variable] for d in distances]) for variable in distances[0]},
        weights=kept[-1],
    )


def run(setting: Setting) -> Result:
    rate = float(destinations()["own"][0, 0])
    compiled = compile_program(load("gradient_descent_dual"), target="lsa", d=D, steps=1, rate=rate)
    start = Model.of(compiled)
    runs = {name: [course(setting, name, seed, start, compiled) for seed in SEEDS] for name in TASKS}
    last = {name: [one.to_go[-1] for one in found] for name, found in runs.items()}
    return Result(
        checks=(
            Check("own tasks: M off where it began, most at any step", max(c.gone.max() for c in runs["own"]),
                  high=0.05),
            Check("noise: M off η I of the closed form at the end, largest", max(last["noise"]), high=0.06),
            Check("noise: M off where it began at the end, least", min(c.gone[-1] for c in runs["noise"]), low=0.1),
            Check("skewed: M off Γ⁻¹ at the end, largest", max(last["skewed"]), high=0.06),
            Check("skewed: M off where it began at the end, least", min(c.gone[-1] for c in runs["skewed"]), low=0.1),
            Check("unexplained by a step through M, largest of all", max(
                c.unexplained.max() for found in runs.values() for c in found), high=0.02),
            Check("loss at the end / at first on shifted tasks, largest", max(
                c.loss[-1] / c.loss[0] for name in ("noise", "skewed") for c in runs[name]), high=1),
        ),
        tables=(_table(runs),),
        pictures={"drift": _picture(runs)},
        numbers={
            "destinations": destinations(),
            "rate": rate,
            **{
                f"{name}_{seed}": {"steps": c.steps, "loss": c.loss, "off_destination": c.to_go, "off_start": c.gone,
                                   "unexplained": c.unexplained, "moved": c.moved}
                for name, found in runs.items() for seed, c in zip(SEEDS, found, strict=True)
            },
        },
        weights={"compiled": compiled}
        | {f"{name}_{seed}": c.weights for name, f in runs.items() for seed, c in zip(SEEDS, f, strict=True)},
    )  # fmt: skip


def _table(runs: Mapping[str, Sequence[Course]]) -> Table:
    rows = []
    for name, found in runs.items():
        for k in (0, len(ENDS) // 2, len(ENDS)):
            parts = [[getattr(c, part)[k] for c in found] for part in ("loss", "to_go", "gone", "unexplained")]
            parts += [[c.moved[variable][k] for c in found] for variable in found[0].moved]
            rows.append([name, f"{found[0].steps[k]:.0f}", *(f"{np.median(part):.2g}" for part in parts)])
    variables = [f"{variable} moved" for variable in runs["own"][0].moved]
    return Table(["tasks", "steps", "loss", "M to go", "M gone", "unexplained", *variables], rows)


def _picture(runs: Mapping[str, Sequence[Course]]) -> Picture:
    """Medians of the seeds, and from the least to the largest of them."""
    with panels(4, "A compiled step of gradient descent, trained on", width=3.3) as (picture, grid):
        for (name, found), colour in zip(runs.items(), (COLOURS[0], COLOURS[2], COLOURS[5]), strict=True):
            steps = np.maximum(found[0].steps, 1)  # 0 stands at 1 on a logarithmic axis
            curves = (
                [c.loss / c.loss[0] for c in found], [c.gone for c in found], [c.to_go for c in found],
                [c.moved["r"] for c in found],
            )  # fmt: skip
            for axes, several in zip(grid, curves, strict=True):
                axes.plot(steps, np.median(several, 0), "o-", color=colour, linewidth=1.6, markersize=3, label=name)
                axes.fill_between(steps, np.min(several, 0), np.max(several, 0), color=colour, alpha=0.2, linewidth=0)
            others = np.median([c.moved["x"] for c in found], 0)
            grid[3].plot(steps, others, ":", color=colour, linewidth=1.5)
        titles = "loss / compiled", "M from where it began", "M from the closed form", "r (dotted: x) moved"
        for axes, title in zip(grid, titles, strict=True):
            axes.set_title(title, loc="left", fontsize=10)
            axes.set_xscale("log")
            axes.set_xlabel("steps of Adam (first: 0)")
        grid[0].legend()
    return picture


FIGURE = Figure(
    "drift",
    "a compiled step, trained on, stays on its own tasks, and goes where shifted ones have their least loss",
    "our own; the destinations are von Oswald et al.'s 2022 and Zhang, Frei and Bartlett's 2023",
    run,
    minutes=0.6,
)
