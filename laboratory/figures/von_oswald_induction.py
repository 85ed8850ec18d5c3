"""On alternating tokens two softmax layers learn a step of gradient descent when the first copies the token before.

    task       x₁ y₁ … xₙ yₙ x: inputs and labels in tokens of their own; the loss is at the last x
    compiled   gradient_descent_alternating on lsa, one step of the best rate: a copying layer, then the step
    trained    two layers of softmax attention, without MLPs and norms; positions are one-hot, in slots of their own

A step needs yⱼ and xⱼ in one token. Followed over training: the loss, the share of the first layer's attention from a
label to the input before it, in its best head, and how much of a change of that input the first layer adds to the
label's token, over the change of the input's own: the sensitivity of von Oswald et al.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from innerloop.artifact.tokens import read_data
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime.attention_maps import attention_maps
from matplotlib.figure import Figure as Picture

from ..charts import COMPILED, OTHER, TRAINED
from ..measures.distance import Fields, Floats, squared_error
from ..measures.references import gradient_descent
from ..measures.subject import Subject
from ..training.tasks import task
from .shared.attention import marked, without_mlps, without_norms
from .shared.frame import UNSEEN, Check, Figure, Result, Setting, Table
from .shared.pictures import panels
from .shared.small import fresh
from .shared.stages import halfway

D, N = 4, 8
SEEDS = (0, 1, 2)
ENDS = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 800, 1000, 1250, 1500, 2000, 2500, 3000, 4000)
TASKS = task("linear", d=D, n=N, inputs="uniform", input_scale=1.0, rows="query")
FEW = 200
"""Tasks whose attention, and whose sensitivity, is looked at."""


def best_step(fields: Fields) -> tuple[float, float]:
    """(η, E (ŷ − y)²) of the step of least loss at the query."""
    step = gradient_descent(fields["x"], fields["y"], steps=1, rate=1.0)[:, -1]
    truth = fields["y"][:, -1]
    rate = float(step @ truth / (step @ step))
    return rate, float(((rate * step - truth) ** 2).mean())


def copied(weights: Weights, fields: Fields) -> tuple[float, float]:
    """Of the first layer: the share of attention from labels to the inputs before them, of the head with most; and the
    change at labels by a change of the inputs before them, over the change at those inputs."""
    given = {"x": fields["x"][:FEW], "y": fields["y"][:FEW, :N]}
    maps = attention_maps(weights, read_data(weights.signature, given), 0)
    labels = 2 + 2 * np.arange(N)  # the rest token is 0, x₁ 1, y₁ 2
    shares = [float(one[:, labels, labels - 1].mean()) for one in maps.values()]
    model = Subject(weights, "")
    nudge = 0.1 * np.random.default_rng(0).standard_normal(given["x"].shape)
    nudge[:, N // 2 + 1 :] = nudge[:, : N // 2] = 0  # of one input alone
    changed = model.stream({**given, "x": given["x"] + nudge}, None)[1] - model.stream(given, None)[1]
    moved = np.linalg.norm(changed, axis=-1).mean(0)
    place = 2 * (N // 2)
    return max(shares, default=0.0), float(moved[place + 1] / moved[place])


@dataclass(frozen=True)
class Course:
    """A run at step 0 and after each of ENDS: the loss at the query, and `copied`'s two numbers."""

    steps: Floats
    loss: Floats
    share: Floats
    sensitivity: Floats
    weights: Weights

    @property
    def together(self) -> float:
        """The step at which the sensitivity is halfway to its most, by that at which the loss is halfway down."""
        most = int(self.sensitivity.argmax()) + 1
        return halfway(self.steps[:most], self.sensitivity[:most]) / halfway(self.steps, self.loss)


def course(setting: Setting, seed: int, like: Weights, fields: Fields) -> Course:
    start = marked(without_norms(without_mlps(fresh(like, 2, N, seed))))
    options: dict[str, Any] = {"batch": 256, "rate": 3e-3, "freeze": ("positions",), "seed": seed}
    stages = setting.stages(f"seed_{seed}", start, TASKS, ends=ENDS, **options)
    setting.told("comparing", 0, 0)
    kept = [start.weights(start.parameters), *(stage.weights for stage in stages)]
    looks = np.array([copied(weights, fields) for weights in kept])
    return Course(
        steps=np.array([0, *(stage.losses.size for stage in stages)], float),
        loss=np.array([at_query(weights, fields) for weights in kept]),
        share=looks[:, 0],
        sensitivity=looks[:, 1],
        weights=kept[-1],
    )


def at_query(weights: Weights, fields: Fields) -> float:
    given = {"x": fields["x"], "y": fields["y"][:, :N]}
    return float(squared_error(Subject(weights, "")(given)[:, -1:], fields["y"][:, -1:])[0])


def run(setting: Setting) -> Result:
    fields = TASKS.drawn(setting.tasks(10_000), UNSEEN)
    rate, level = best_step(fields)
    compiled = compile_program(load("gradient_descent_alternating"), target="lsa", d=D, steps=1, rate=rate)
    known = at_query(compiled, fields)
    like = compile_program(load("gradient_descent"), d=D, steps=1)  # gpt2
    runs = {seed: course(setting, seed, like, fields) for seed in SEEDS}
    return Result(
        checks=(
            Check("compiled: loss / one step in NumPy", known / level, 0.999, 1.001),
            Check("loss at the end, trained / compiled, largest", max(c.loss[-1] for c in runs.values()) / known,
                  high=1.05),
            Check("attention from labels to the inputs before at the end, least", min(
                c.share[-1] for c in runs.values()), low=0.5),
            *(Check(f"halfway step of the first layer's sensitivity / of the loss, seed {seed}", c.together, 0.5, 2)
              for seed, c in runs.items()),
            Check("sensitivity at first / at its most, largest", max(
                c.sensitivity[0] / c.sensitivity.max() for c in runs.values()), high=0.3),
        ),
        tables=(_table(runs, known),),
        pictures={"von_oswald_induction": _picture(runs, known)},
        numbers={
            "rate": rate,
            "loss_compiled": known,
            **{f"seed_{s}": {"steps": c.steps, "loss": c.loss, "attention_before": c.share,
                             "sensitivity": c.sensitivity} for s, c in runs.items()},
        },
        weights={"compiled": compiled} | {f"trained_{s}": c.weights for s, c in runs.items()},
    )  # fmt: skip


def _table(runs: Mapping[int, Course], known: float) -> Table:
    rows = []
    for seed, c in runs.items():
        for k in range(0, len(c.steps), 3):
            values = c.loss[k] / known, c.share[k], c.sensitivity[k]
            rows.append([f"seed {seed}", f"{c.steps[k]:.0f}", *(f"{v:.3f}" for v in values)])
    return Table(["two layers", "steps", "loss / compiled", "attention to the input before", "sensitivity"], rows)


def _picture(runs: Mapping[int, Course], known: float) -> Picture:
    """A line a seed, the first the darkest."""
    with panels(2, "The loss falls when the first layer copies the token before", width=5.0) as (picture, grid):
        left, right = grid
        for seed, c in runs.items():
            of: dict[str, Any] = {"linewidth": 1.6, "alpha": 1 - 0.25 * seed}
            first = seed == SEEDS[0]
            left.plot(c.steps, c.loss, color=TRAINED, label="trained, a line a seed" if first else None, **of)
            right.plot(c.steps, c.share, color=OTHER, label="attention to the input before" if first else None, **of)
            right.plot(c.steps, c.sensitivity / c.sensitivity.max(), color=TRAINED,
                       label="sensitivity, of its most" if first else None, **of)  # fmt: skip
            fall = (c.loss[0] - c.loss) / (c.loss[0] - c.loss[-1])
            right.plot(
                c.steps, fall, ":", color=COMPILED, label="fall of the loss, of the whole" if first else None, **of
            )
        left.axhline(known, color=COMPILED, linewidth=1.6, linestyle=(0, (4, 2)), label="one step, compiled")
        left.set_ylabel("E (ŷ − y)² at the query")
        right.set_ylabel("share")
        left.set_ylim(0, None)
        for axes in grid:
            axes.set_xlabel("steps of Adam")
            axes.legend(fontsize=8)
    return picture


FIGURE = Figure(
    "von_oswald_induction",
    "on alternating tokens the loss falls to a step of gradient descent when the first layer copies the token before",
    "von Oswald et al. 2022, Transformers learn in-context by gradient descent, figure 5 (arXiv 2212.07677)",
    run,
    minutes=3.4,
)
