"""One trained layer of linear attention on skewed inputs preconditions its step with Γ⁻¹.

    compiled   one step of gradient descent through A = Γ⁻¹ on lsa (PROGRAM)
    trained    the same architecture from random attention weights on tokens (x, y), x ~ N(0, Λ), w ~ N(0, I)

With S = (1/n) Σ xⱼ xⱼᵀ the loss of the prediction x_qᵀ A (1/n) Σⱼ yⱼ xⱼ = x_qᵀ A S w is

    ½ E tr Λ (A S − I)(A S − I)ᵀ,   E S = Λ,   E S² = (1 + 1/n) Λ² + (tr Λ/n) Λ

which is least at A = E[S] E[S²]⁻¹ = Γ⁻¹,  Γ = (1 + 1/n) Λ + (tr Λ/n) I.
"""

from __future__ import annotations

import numpy as np
from innerloop.compiler import compile_program
from innerloop.programs import load
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from ..charts import COMPILED, OTHER
from ..measures.distance import Floats
from ..training.kinds import eigenvalues
from ..training.tasks import task
from .shared.frame import UNSEEN, Check, Figure, Result, Setting, Table
from .shared.layers import half_loss, off, preconditioner, random_layers
from .shared.pictures import learning, panels

D, N = 5, 20
TASKS = task("skewed_linear", d=D, n=N, power=1.0, rows="query")

PROGRAM = """\
# Gradient descent that moves the labels, through a fixed matrix (Ahn et al. 2023; Zhang et al. 2023).
program preconditioned_gradient_descent_dual(d, steps = 1, A : matrix[d, d] = identity(d))

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

at example
    r = y
at query
    r = 0

repeat steps
    r = r - mean[j in example](dot(x, A @ x[j]) * r[j])

at query
    output -r
"""


def gamma() -> Floats:
    """Γ [d, d] of these tasks."""
    covariance = np.diag(eigenvalues(TASKS.parameters))
    return np.asarray((1 + 1 / N) * covariance + np.trace(covariance) / N * np.eye(D))


def plain_rate() -> float:
    """η of least loss for A = η I: E tr Λ S / E tr Λ S²."""
    values = eigenvalues(TASKS.parameters)
    second = (1 + 1 / N) * values**2 + values.sum() / N * values
    return float((values**2).sum() / (values * second).sum())


def run(setting: Setting) -> Result:
    wanted = np.asarray(np.linalg.inv(gamma()), np.float64)
    compiled = compile_program(PROGRAM, target="lsa", d=D, A=wanted)
    plain = compile_program(load("gradient_descent_dual"), target="lsa", d=D, steps=1, rate=plain_rate())
    start = random_layers(compiled, seed=0, d_head=D + 1)
    found = setting.train("one_layer", start, TASKS, steps=1500, batch=2048, rate=5e-3, warmup=100, clip=10.0)
    trained = found.weights
    setting.told("comparing", 0, 0)
    fields = TASKS.drawn(setting.tasks(100_000), UNSEEN)
    losses = [half_loss(weights, fields) for weights in (plain, compiled, trained)]
    # The trained layer's ρ is 1: its sum over the examples is n times their mean.
    matrices = [preconditioner(plain), preconditioner(compiled), N * preconditioner(trained)]
    away = [off(matrix, wanted) for matrix in matrices]
    names = ["gradient descent, compiled", "through Γ⁻¹, compiled", "trained"]
    return Result(
        checks=(
            Check("compiled matrix from Γ⁻¹", away[1], high=1e-6),
            Check("trained matrix from Γ⁻¹, Frobenius", away[2], high=0.03),
            Check("loss, trained / compiled", losses[2] / losses[1], 0.99, 1.01),
            Check("loss, trained / plain gradient descent", losses[2] / losses[0], high=0.99),
        ),
        tables=(
            Table(
                ["one layer", "loss", "distance from Γ⁻¹"],
                [[n, f"{loss:.4f}", f"{a:.1e}"] for n, loss, a in zip(names, losses, away, strict=True)],
            ),
        ),
        pictures={"zhang_gamma": _picture(found.losses / 2, losses, wanted, matrices[2], away[2])},
        numbers={
            "eigenvalues": eigenvalues(TASKS.parameters),
            "inverse_gamma": wanted,
            "trained_matrix": matrices[2],
            "off_inverse_gamma": dict(zip(names, away, strict=True)),
            "losses": dict(zip(names, losses, strict=True)),
            "training_losses": found.losses / 2,
        },
        weights={"compiled": compiled, "compiled_gradient_descent": plain, "trained": trained},
    )


def _picture(training: Floats, losses: list[float], wanted: Floats, found: Floats, away: float) -> Picture:
    with panels(3, "One trained layer of linear attention preconditions its step with Γ⁻¹") as (picture, grid):
        left, middle, right = grid
        references = {
            "gradient descent, compiled": (losses[0], OTHER),
            "through Γ⁻¹, compiled": (losses[1], COMPILED),
        }
        learning(left, training, references)
        top = float(max(wanted.max(), found.max()))
        _matrix(middle, wanted, top, "Γ⁻¹, compiled")
        _matrix(right, found, top, f"trained, {away:.1%} away")
    return picture


def _matrix(axes: Axes, matrix: Floats, top: float, title: str) -> None:
    axes.grid(visible=False)
    axes.imshow(matrix, cmap="RdBu", vmin=-1.4 * top, vmax=1.4 * top)
    for row, column in np.ndindex(*matrix.shape):
        shown = f"{matrix[row, column]:.2f}".replace("-0.00", "0.00")
        axes.text(column, row, shown, ha="center", va="center", fontsize=8)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", fontsize=10)


FIGURE = Figure(
    "zhang_gamma",
    "on skewed inputs a trained layer of linear attention preconditions its step with Γ⁻¹",
    "Zhang, Frei and Bartlett 2023, Trained transformers learn linear models in-context (arXiv 2306.09927)",
    run,
)
