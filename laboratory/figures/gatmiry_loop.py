"""A trained loop of one linear layer is preconditioned gradient descent, and goes on improving when it loops longer.

    compiled   L steps of gradient descent through A on lsa (zhang_gamma's PROGRAM), A of least loss for L steps
    trained    the same loop, of one matrix that is random at first: r ← r − (1/n) Σⱼ (x · S xⱼ) rⱼ, x ~ N(0, Λ),
               w ~ N(0, I); both are then run for up to 2 L loops

With S_x = (1/n) Σ xⱼ xⱼᵀ a task's error after L steps is x_qᵀ (I − A S_x)ᴸ w, and the loss

    ½ E tr Λ (I − A S_x)ᴸ (I − A S_x)ᴸᵀ

is that of D A D for every diagonal D of signs, since a component's sign is as likely as the other. The least is not at
an A that all D leave as it is, a diagonal one, but about a tenth below, where A has opposite numbers across its
diagonal, and there are 2ᵈ⁻¹ such A. One is found numerically. For long prompts A → Λ⁻¹, which is Newton's step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import numpy as np
from innerloop.artifact.parts import Repeated
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from matplotlib.figure import Figure as Picture
from scipy.optimize import minimize

from ..charts import COMPILED, OTHER, TRAINED
from ..measures.distance import Floats
from ..training.kinds import eigenvalues
from ..training.model import Model
from ..training.tasks import task
from .frame import UNSEEN, Check, Figure, Result, Setting, Table
from .layers import half_loss, off, preconditioner, random_layers, slots
from .pictures import learning, panels
from .zhang_gamma import PROGRAM

D, N, LOOPS = 5, 40, 3
TASKS = task("skewed_linear", d=D, n=N, power=1.0, rows="query")
SEEDS = (0, 1, 2)
TRAINING = 2000
RUN = (1, 2, LOOPS, LOOPS + 1, 2 * LOOPS)
"""The loops that models are run for."""


def covariances(count: int, seed: int = 0) -> Floats:
    """S_x [count, d, d] of so many tasks."""
    x = np.random.default_rng(seed).standard_normal((count, N, D)) * np.sqrt(eigenvalues(TASKS.parameters))
    return np.asarray(x.swapaxes(1, 2) @ x / N)


def after(a: Floats, covariance: Floats, loops: int) -> float:
    """The loss of so many steps through A [d, d]: see above."""
    return _after(a, covariance, loops)[0]


def _after(a: Floats, covariance: Floats, loops: int) -> tuple[float, Floats]:
    """That loss, and its gradient by A: with B = I − A S, −Σ_k E Bᵏᵀ Λ Bᴸ (S Bᴸ⁻¹⁻ᵏ)ᵀ over k < L."""
    values = eigenvalues(TASKS.parameters)
    b = np.eye(D) - a @ covariance
    powers = [np.broadcast_to(np.eye(D), b.shape)]
    for _ in range(loops):
        powers.append(powers[-1] @ b)
    weighed = values[:, None] * powers[loops]
    slope = -sum(
        powers[k].swapaxes(1, 2) @ weighed @ (covariance @ powers[loops - 1 - k]).swapaxes(1, 2) for k in range(loops)
    )
    return float((weighed * powers[loops]).sum((1, 2)).mean()) / 2, np.asarray(slope).mean(0)


def best(covariance: Floats, loops: int = LOOPS, diagonal: bool = False) -> Floats:
    """A [d, d] of least loss, or of least loss among diagonal ones."""
    start = np.diag(0.85 / eigenvalues(TASKS.parameters))
    if not diagonal:
        start = start + 0.1 * np.random.default_rng(0).standard_normal((D, D))
    mask = np.eye(D) if diagonal else np.ones((D, D))

    def loss(flat: Floats) -> tuple[float, Floats]:
        value, slope = _after(flat.reshape(D, D) * mask, covariance, loops)
        return value, (slope * mask).ravel()

    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"ftol": 1e-12, "gtol": 1e-8})
    return np.asarray(found.x.reshape(D, D) * mask)


def signed(matrix: Floats, like: Floats) -> Floats:
    """Of all D A D, D of signs, the one nearest to another matrix."""
    every = [np.array([1.0, *signs]) for signs in product((1.0, -1.0), repeat=D - 1)]
    return min((s[:, None] * matrix * s for s in every), key=lambda one: float(((one - like) ** 2).sum()))


def looped(weights: Weights, loops: int) -> Weights:
    """The same layer run so many times."""
    (loop,) = (item for item in weights.body if isinstance(item, Repeated))
    config = replace(weights.config, n_layer=loops)
    return replace(weights.bare(), config=config, body=(replace(loop, count=loops),))


def begun(like: Weights, seed: int) -> tuple[Model, list[str]]:
    """A loop whose queries are random, and the parameters that stay: keys are x, values the residual over −n."""
    model = random_layers(like, seed, deviation=0.02, n_head=1, d_head=D)
    x, (y,) = slots(model.template, "x"), slots(model.template, "y")
    fixed = {part: np.zeros((D + 1, D), np.float32) for part in ("key", "value")}
    fixed["key"][x, range(D)] = fixed["value"][y, 0] = 1.0
    fixed["output"] = np.zeros((D, D + 1), np.float32)
    fixed["output"][0, y] = -1 / N
    found = {name: fixed.get(name.rsplit(".", 1)[-1], value) for name, value in model.parameters.items()}
    return replace(model, parameters=found), [name for name in found if name.rsplit(".", 1)[-1] in fixed]


def run(setting: Setting) -> Result:
    setting.told("the best matrix", 0, 0)
    drawn = covariances(max(500, setting.tasks(4000)))
    wanted = best(drawn)
    diagonal, unseen = best(drawn, diagonal=True), covariances(20_000, 1)
    compiled = compile_program(PROGRAM, target="lsa", d=D, steps=LOOPS, A=wanted)
    runs = {}
    for seed in SEEDS:
        start, stays = begun(compiled, seed)
        runs[seed] = setting.train(
            f"loop_{seed}", start, TASKS, steps=TRAINING, batch=256, rate=2e-2, warmup=50, clip=10.0, freeze=stays,
            seed=seed,
        )  # fmt: skip
    setting.told("comparing", 0, 0)
    fields = TASKS.drawn(setting.tasks(10_000), UNSEEN)

    def curve(weights: Weights) -> Floats:
        return np.array([half_loss(looped(weights, loops), fields) for loops in RUN])

    known = curve(compiled)
    curves = {seed: curve(found.weights) for seed, found in runs.items()}
    matrices = {seed: signed(N * preconditioner(found.weights), wanted) for seed, found in runs.items()}
    away = {seed: off(matrix, wanted) for seed, matrix in matrices.items()}
    straight = max(off(np.diag(m), np.diag(wanted)) for m in matrices.values())
    losses = {name: after(a, unseen, LOOPS) for name, a in (("best", wanted), ("diagonal", diagonal))}
    usual, twice = RUN.index(LOOPS), RUN.index(2 * LOOPS)
    return Result(
        checks=(
            Check("compiled: loss / closed form", known[usual] / losses["best"], 0.9, 1.1),
            Check("trained matrix off the best, Frobenius, largest", max(away.values()), high=0.03),
            Check("its diagonal off that of the best, largest", straight, high=0.03),
            Check("loss, trained / best diagonal matrix, largest", max(
                after(m, unseen, LOOPS) for m in matrices.values()) / losses["diagonal"], high=1),
            Check("loss, trained / compiled, largest", max(c[usual] for c in curves.values()) / known[usual], 0.98,
                  1.02),
            Check("loss at twice the loops / at those trained for, largest", max(
                c[twice] / c[usual] for c in curves.values()), high=0.5),
            Check("rise of the loss from one loop to the next, to twice, largest", max(
                (c[1:] / c[:-1]).max() for c in curves.values()), high=1),
        ),
        tables=(_table(known, curves, away),),
        pictures={"gatmiry_loop": _picture({s: f.losses / 2 for s, f in runs.items()}, known, curves,
                                           matrices[SEEDS[0]], np.diag(wanted))},
        numbers={
            "best_matrix": wanted,
            "best_diagonal_matrix": diagonal,
            "closed_losses": losses,
            "inverse_eigenvalues": 1 / eigenvalues(TASKS.parameters),
            "trained_matrices": {str(s): m for s, m in matrices.items()},
            "off_best": {str(s): a for s, a in away.items()},
            "loss_by_loops_compiled": known,
            "loss_by_loops_trained": {str(s): c for s, c in curves.items()},
        },
        weights={"compiled": compiled} | {f"trained_{s}": f.weights for s, f in runs.items()},
    )  # fmt: skip


def _table(known: Floats, curves: Mapping[int, Floats], away: Mapping[int, float]) -> Table:
    rows = [["compiled", *(f"{v:.5f}" for v in known), "–"]]
    rows += [[f"trained, seed {s}", *(f"{v:.5f}" for v in c), f"{away[s]:.4f}"] for s, c in curves.items()]
    return Table([f"trained for {LOOPS}, loss at loops", *map(str, RUN), "off the best matrix"], rows)


def _picture(
    training: Mapping[int, Floats], known: Floats, curves: Mapping[int, Floats], matrix: Floats, wanted: Floats
) -> Picture:
    with panels(3, "A trained loop is preconditioned gradient descent, and gains by looping on") as (picture, grid):
        left, middle, right = grid
        learning(left, training[SEEDS[0]], {"through the best A, compiled": (float(known[RUN.index(LOOPS)]), COMPILED)})
        middle.plot(RUN, known, color=COMPILED, linewidth=4, alpha=0.6, label="compiled")
        for seed, curve in curves.items():
            middle.plot(RUN, curve, "o-", color=TRAINED, linewidth=1.2, markersize=3,
                        label="trained" if seed == SEEDS[0] else None)  # fmt: skip
        middle.axvline(LOOPS, color=OTHER, linewidth=1, linestyle=(0, (4, 2)), label="loops trained for")
        middle.set_yscale("log")
        middle.set_xlabel("loops")
        middle.set_ylabel("loss")
        middle.legend()
        places = np.arange(1, D + 1)
        right.plot(places, 1 / eigenvalues(TASKS.parameters), "_", color=OTHER, markersize=16, label="1/λ")
        right.plot(places, wanted, "o", color=COMPILED, markersize=9, label="best for these loops, compiled")
        right.plot(places, np.diag(matrix), "o", color=TRAINED, markersize=4, label="trained")
        right.set_xticks(places)
        right.set_xlabel("eigenvector of Λ")
        right.set_ylabel("diagonal of the matrix")
        right.legend(loc="upper left")
    return picture


FIGURE = Figure(
    "gatmiry_loop",
    "a trained loop of one linear layer is preconditioned gradient descent, and improves at twice its loops",
    "Gatmiry et al. 2024, Can looped transformers learn to implement multi-step gradient descent for in-context "
    "learning? (arXiv 2410.08292)",
    run,
    minutes=2,
)
