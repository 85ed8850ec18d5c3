"""Two trained layers of linear attention that share their weights find GD++, not plain gradient descent.

    compiled   gd_plus on lsa, two steps: y ← y − (η/N) Σⱼ (z·zⱼ) yⱼ,  z ← (I − γ Σⱼ zⱼ zⱼᵀ) z;  and two plain steps
    trained    the loop of gd_plus from random attention weights, one head on tokens (x, y) as published

The compiled have the rates that are best for these tasks, found numerically: two steps of rate η on a task whose
inputs have A = Σⱼ xⱼ xⱼᵀ, with G = I − γ A, predict x_qᵀ E w with

    E = (η/N) A + (η/N) G² A (I − (η/N) A),      and their loss is ½ s E ‖I − E‖²_F,  s = E x²
"""

from __future__ import annotations

from typing import Any

import numpy as np
from innerloop.compiler import compile_program
from innerloop.programs import load
from matplotlib.figure import Figure as Picture
from scipy.optimize import minimize

from ..charts import COMPILED, OTHER, TRAINED
from ..measures.distance import Floats
from ..measures.sensitivity import alignment
from ..measures.subject import Subject
from .shared.frame import UNSEEN, Check, Figure, Result, Setting, Table
from .shared.layers import curvature, half_loss, random_layers
from .shared.pictures import INK, learning, panels
from .von_oswald_1 import TASKS, D, N


def covariances(count: int, seed: int = 0) -> Floats:
    """A = Σⱼ xⱼ xⱼᵀ [count, d, d] of so many tasks."""
    x = np.random.default_rng(seed).uniform(-0.5, 0.5, (count, N, D))
    return np.asarray(x.swapaxes(1, 2) @ x)


def two_steps(a: Floats, rate: float, gamma: float) -> float:
    """The loss ½ E (ŷ − y)² of two steps: see above."""
    identity = np.eye(D)
    g, first = identity - gamma * a, rate / N * a
    left = identity - first - rate / N * g @ g @ a @ (identity - first)
    return float((left**2).sum((1, 2)).mean()) / 24


def run(setting: Setting) -> Result:
    setting.told("rates that are best for these tasks", 0, 0)
    a = covariances(setting.tasks(10_000))
    (plain,) = minimize(lambda p: two_steps(a, p[0], 0.0), [6.0], method="Nelder-Mead").x
    rate, gamma = minimize(lambda p: two_steps(a, *p), [12.0, 0.15], method="Nelder-Mead").x
    shared: dict[str, Any] = {"target": "lsa", "d": D, "steps": 2}
    descent = compile_program(load("gradient_descent_dual"), rate=float(plain), **shared)
    curved = compile_program(load("gd_plus"), rate=float(rate), curvature=float(gamma), **shared)
    start = random_layers(curved, seed=0, n_head=1, d_head=D + 1)
    found = setting.train("two_layers", start, TASKS, steps=3000, batch=2048, rate=2.5e-3, warmup=200, clip=10.0)
    trained = found.weights
    setting.told("comparing", 0, 0)
    fields = TASKS.drawn(setting.tasks(100_000), UNSEEN)
    losses = {
        "two steps of gradient descent": half_loss(descent, fields),
        "gd_plus": half_loss(curved, fields),
        "trained": half_loss(trained, fields),
    }
    few = {name: value[: setting.tasks(10_000)] for name, value in fields.items()}
    sides = [Subject(weights, "").sensitivities(few) for weights in (curved, descent, trained)]
    cosines = [alignment(sides[2], side).mean_cosine for side in sides[:2]]
    learnt, away = curvature(trained)
    plain_loss, curved_loss, loss = losses.values()
    return Result(
        checks=(
            Check("loss of the trained layers", loss, high=0.113),
            Check("loss, trained / two steps of gradient descent", loss / plain_loss, high=0.95),
            Check("loss, trained / compiled gd_plus", loss / curved_loss, 0.98, 1.02),
            Check("γ of the trained layers", learnt, 0.17, 0.18),
            Check("γ, trained / best of gd_plus", learnt / gamma, 0.95, 1.05),
            Check("mean cosine of the sensitivities with gd_plus", cosines[0], low=0.99),
        ),
        tables=(
            Table(
                ["two layers", "loss", "γ", "cosine with the trained"],
                [
                    ["gradient descent, compiled", f"{plain_loss:.4f}", "0", f"{cosines[1]:.4f}"],
                    ["gd_plus, compiled", f"{curved_loss:.4f}", f"{gamma:.4f}", f"{cosines[0]:.4f}"],
                    ["trained", f"{loss:.4f}", f"{learnt:.4f}", "1"],
                ],
            ),
        ),
        pictures={"von_oswald_2": _picture(found.losses / 2, losses, a, learnt, gamma)},
        numbers={
            "losses": losses,
            "rate": rate,
            "gamma": gamma,
            "plain_rate": plain,
            "trained_gamma": learnt,
            "trained_off_multiples_of_identity": away,
            "cosines": dict(zip(("gd_plus", "gradient_descent"), cosines, strict=True)),
            "training_losses": found.losses / 2,
        },
        weights={"compiled": curved, "compiled_gradient_descent": descent, "trained": trained},
    )


def _picture(losses: Floats, found: dict[str, float], a: Floats, learnt: float, best: float) -> Picture:
    """Training against both compiled models, and the least loss of two steps at each γ."""
    plain, curved, _ = found.values()
    with panels(2, "Two trained layers of linear attention find GD++", width=5.0) as (picture, (left, right)):
        learning(
            left,
            losses,
            {"two steps of gradient descent, compiled": (plain, OTHER), "gd_plus, compiled": (curved, COMPILED)},
        )
        gammas = np.linspace(0, 0.2, 21)
        part = a[:2000]
        least = [
            minimize(lambda p, g=gamma: two_steps(part, p[0], g), [10.0], method="Nelder-Mead").fun for gamma in gammas
        ]
        right.plot(gammas, least, color=COMPILED, linewidth=2, label="two steps of GD++ at their best rate")
        right.axvline(learnt, color=TRAINED, linewidth=2, linestyle=(0, (4, 2)), label=f"trained: γ = {learnt:.4f}")
        right.annotate(
            f"best: γ = {best:.4f}",
            (best, min(least)),
            (-8, -4),
            textcoords="offset points",
            ha="right",
            va="top",
            color=INK,
        )
        right.plot([best], [min(least)], "o", color=COMPILED, markersize=7)
        right.set_ylim(0.8 * min(least), 1.05 * max(least))
        right.set_xlabel("γ of x ← (I − γ XXᵀ) x")
        right.set_ylabel("least loss")
        right.legend(loc="lower left")
    return picture


FIGURE = Figure(
    "von_oswald_2",
    "two trained layers of linear attention find GD++, and beat two steps of gradient descent",
    "von Oswald et al. 2022, Transformers learn in-context by gradient descent, figure 3 and appendix A.10",
    run,
)
