"""One trained layer of linear attention is one step of gradient descent.

    compiled   gradient_descent_dual on lsa, one step of the rate that is best for these tasks
    trained    the same architecture from random attention weights, on x ~ U(−0.5, 0.5), w ~ N(0, I)

The best rate is known: with s = E x², m = E x⁴ and A = (1/N) Σ xⱼ xⱼᵀ the loss of one step from 0 is

    ½ s E tr (I − ηA)² = ½ s (d − 2 η d s + η² E tr A²),   E tr A² = (d m + d (d − 1) s²)/N + d s² (N − 1)/N

which is least, ½ s (d − (d s)² / E tr A²), at η = d s / E tr A².
"""

from __future__ import annotations

import numpy as np
from innerloop.compiler import compile_program
from innerloop.programs import load
from matplotlib.figure import Figure as Picture

from ..charts import COMPILED, OTHER, on_line
from ..measures.distance import Floats, prediction_difference
from ..measures.interpolate import Line, interpolation
from ..measures.sensitivity import Alignment, alignment
from ..measures.subject import Subject
from ..training.model import Model
from ..training.tasks import task
from .shared.frame import UNSEEN, Check, Figure, Result, Setting
from .shared.layers import half_loss, off_identity, preconditioner
from .shared.pictures import INK, learning, panels

D, N = 10, 10
TASKS = task("linear", d=D, n=N, inputs="uniform", input_scale=0.5, rows="query")
PUBLISHED = 0.2047
"""The released notebook's loss of one step of gradient descent, on 10⁴ tasks (± 0.003)."""


def best_step() -> tuple[float, float]:
    """(η, the loss ½ E (ŷ − y)² of one step of it): see above. For these tasks 6.06 and 0.2062."""
    s, m = 1 / 12, 1 / 80
    trace = (D * m + D * (D - 1) * s**2) / N + D * s**2 * (N - 1) / N
    return D * s / trace, s * (D - (D * s) ** 2 / trace) / 2


def run(setting: Setting) -> Result:
    rate, analytic = best_step()
    compiled = compile_program(load("gradient_descent_dual"), target="lsa", d=D, steps=1, rate=rate)
    found = setting.train(
        "one_layer", Model.fresh(compiled, seed=0), TASKS, steps=2000, batch=2048, rate=5e-3, warmup=200, clip=10.0
    )
    trained, fields = found.weights, TASKS.drawn(setting.tasks(100_000), UNSEEN)
    setting.told("comparing", 0, 0)
    few = {name: value[: setting.tasks(10_000)] for name, value in fields.items()}
    models = Subject(compiled, "compiled"), Subject(trained, "trained")
    ours, theirs = half_loss(trained, fields), half_loss(compiled, fields)
    angles = alignment(*(model.sensitivities(few) for model in models))
    line = interpolation(compiled, trained, fields, fields["y"][:, -1:])
    matrix = preconditioner(trained)
    return Result(
        checks=(
            Check("loss of compiled gradient descent", theirs, PUBLISHED - 0.003, PUBLISHED + 0.003),
            Check("loss, trained / compiled", ours / theirs, 0.99, 1.01),
            Check("mean cosine of the sensitivities", angles.mean_cosine, low=0.99),
            Check("rise of the loss between the weights", line.rise, high=0.01),
        ),
        pictures={"von_oswald_1": _picture(found.losses / 2, theirs, angles, line)},
        numbers={
            "loss_trained": ours,
            "loss_compiled": theirs,
            "loss_analytic": analytic,
            "rate": rate,
            "trained_rate": np.trace(matrix) / D,
            "trained_matrix_off_identity": off_identity(matrix),
            "prediction_difference": prediction_difference(*(model(few) for model in models))[0],
            "mean_distance_of_sensitivities": angles.mean_distance,
            "alphas": line.alphas,
            "line_losses": line.losses / 2,
            "training_losses": found.losses / 2,
        },
        weights={"compiled": compiled, "trained": trained},
    )


def _picture(losses: Floats, reference: float, angles: Alignment, line: Line) -> Picture:
    with panels(3, "One trained layer of linear attention is one step of gradient descent") as (picture, grid):
        left, middle, right = grid
        learning(left, losses, {"gradient descent, compiled": (reference, COMPILED)})
        away = np.maximum(1 - angles.cosine, 1e-9)
        middle.hist(away, bins=np.logspace(-6, 0, 49).tolist(), color=OTHER)
        middle.set_xscale("log")
        middle.set_xlabel("1 − cosine of ∂ŷ/∂x, trained and compiled")
        middle.set_ylabel("tasks")
        middle.annotate(
            f"mean cosine {angles.mean_cosine:.4f}", (0.98, 0.94), xycoords="axes fraction", ha="right", color=INK
        )
        on_line(right, line.alphas, line.losses / 2)
        right.set_ylim(0, 1.5 * float(line.losses.max() / 2))
        right.set_ylabel("loss")
        right.legend(loc="lower center", ncols=2)
    return picture


FIGURE = Figure(
    "von_oswald_1",
    "one trained layer of linear attention predicts as one compiled step of gradient descent",
    "von Oswald et al. 2022, Transformers learn in-context by gradient descent, figure 2 (arXiv 2212.07677)",
    run,
)
