"""One trained layer of softmax attention with two heads is a step of gradient descent; with one head it is not.

    compiled   gradient_descent_dual on lsa, one step of the best rate (von_oswald_1)
    trained    one layer of softmax attention on the same tokens (x, y) and tasks: one head, two, and two with a sink
    built      two heads by hand: scores β x·xⱼ and −β x·xⱼ, their labels written with opposite signs

With exp z ≈ 1 + z a head of scores β x·xⱼ answers with the mean label, which no step has, and β times a step:

    Σⱼ yⱼ exp(β x·xⱼ) / Z₊ − Σⱼ yⱼ exp(−β x·xⱼ) / Z₋  ≈  2β/m Σⱼ (x·xⱼ − mean) yⱼ,      m tokens

The difference of two heads has no mean label, but Z leaves the mean of the scores, over all tokens that are read: the
examples, the query, and the rest token, whose score is 0. β and the factor of the built heads have the least loss. With
a sink tokens are flagged by what they are: heads that leave nearly all their attention at the rest token have a Z that
hardly varies, and no mean is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime.plots import COLOURS
from matplotlib.figure import Figure as Picture
from scipy.optimize import minimize_scalar

from ..charts import COMPILED, OTHER, TRAINED, averaged
from ..measures.distance import Fields, Floats
from ..measures.sensitivity import alignment
from ..measures.subject import Subject
from .attention import products, softmax_layer
from .frame import UNSEEN, Check, Figure, Result, Setting, Table
from .layers import half_loss
from .pictures import panels
from .von_oswald_1 import TASKS, D, best_step

SEEDS = (0, 1, 2)
KINDS = {"one head": (1, False), "two heads": (2, False), "two heads, sink": (2, True)}
"""Heads, and whether they can leave their attention at the rest token."""

TRAINING = 1500


def built(fields: Fields, beta: float) -> tuple[float, Floats]:
    """The factor of least loss, and the answers [tasks], of two heads of scores ± β x·xⱼ: see above."""
    x, query = fields["x"], fields["x"][:, -1]
    scores = beta * np.einsum("bd,bnd->bn", query, x)
    read = np.concatenate([np.exp(scores), np.exp(-scores)]).reshape(2, *scores.shape)
    shares = read / (read.sum(2, keepdims=True) + 1)  # the rest token
    labels = fields["y"][:, : x.shape[1] - 1]
    difference = np.einsum("bn,bn->b", shares[0, :, :-1] - shares[1, :, :-1], labels)
    factor = float(difference @ fields["y"][:, -1] / (difference @ difference))
    return factor, factor * difference


def best_built(fields: Fields) -> tuple[float, float]:
    """β of least loss, and that loss ½ E (ŷ − y)²."""

    def loss(logarithm: float) -> float:
        return float(((built(fields, np.exp(logarithm))[1] - fields["y"][:, -1]) ** 2).mean()) / 2

    found = minimize_scalar(loss, bounds=(-4.0, 4.0), method="bounded")
    return float(np.exp(found.x)), float(found.fun)


@dataclass(frozen=True)
class Found:
    """A trained layer: its loss, the mean cosine of ∂ŷ/∂x with the compiled step's, and of its heads the scores between
    inputs [heads, d, d] and the numbers by which labels are written [heads]."""

    loss: float
    cosine: float
    scores: Floats
    written: Floats
    training: Floats
    weights: Weights

    @property
    def slopes(self) -> Floats:
        """Of each head the mean diagonal of its scores: its β."""
        return np.asarray(np.trace(self.scores, axis1=1, axis2=2) / D)

    @property
    def straight(self) -> Floats:
        """Of each head how much of its scores is a multiple of I: |tr S| / (‖S‖ √d), 1 where all is."""
        norms = np.linalg.norm(self.scores, axis=(1, 2))
        return np.asarray(np.abs(np.trace(self.scores, axis1=1, axis2=2)) / (norms * D**0.5))


def run(setting: Setting) -> Result:
    rate, closed = best_step()
    compiled = compile_program(load("gradient_descent_dual"), target="lsa", d=D, steps=1, rate=rate)
    fields = TASKS.drawn(setting.tasks(40_000), UNSEEN)
    few = {name: value[: setting.tasks(5000)] for name, value in fields.items()}
    known, slopes = half_loss(compiled, fields), Subject(compiled, "").sensitivities(few)
    runs: dict[tuple[str, int], Found] = {}
    for kind, (heads, sink) in KINDS.items():
        for seed in SEEDS:
            start, biases = softmax_layer(compiled, seed, heads, deviation=0.15, sink=sink)
            trained = setting.train(
                folder(kind, seed), start, TASKS, steps=TRAINING, batch=1024, rate=2e-2, warmup=100, clip=10.0,
                freeze=biases, seed=seed,
            )  # fmt: skip
            cosine = alignment(slopes, Subject(trained.weights, "").sensitivities(few)).mean_cosine
            runs[kind, seed] = Found(half_loss(trained.weights, fields), cosine, *products(trained.weights),
                                     trained.losses.astype(np.float64) / 2, trained.weights)  # fmt: skip
    setting.told("comparing", 0, 0)
    beta, hand = best_built(fields)
    one, two, sunk = ([f for (name, _), f in runs.items() if name == kind] for kind in KINDS)
    return Result(
        checks=(
            Check("compiled: loss / closed form", known / closed, 0.97, 1.03),
            Check("two heads: loss / compiled, largest of the seeds", max(f.loss for f in two) / known, 0.95, 1.05),
            Check("two heads: loss / two heads built by hand, largest", max(f.loss for f in two) / hand, high=1.02),
            Check("two heads, sink: loss / compiled, largest", max(f.loss for f in sunk) / known, 0.95, 1.05),
            Check("two heads, sink: loss / compiled, least", min(f.loss for f in sunk) / known, 0.95, 1.05),
            Check("two heads: cosine of the sensitivities, least of both kinds", min(f.cosine for f in (*two, *sunk)),
                  low=0.99),
            Check("one head: loss / compiled, least of the seeds", min(f.loss for f in one) / known, low=1.05),
            Check("two heads: scores that are a multiple of I, least share", min(
                f.straight.min() for f in (*two, *sunk)), low=0.95),
            Check("two heads: runs whose β, or whose labels, have one sign", sum(
                f.slopes.prod() > 0 or f.written.prod() > 0 for f in (*two, *sunk)), high=0),
        ),
        tables=(_table(runs, known, hand, beta),),
        pictures={"von_oswald_softmax": _picture(runs, known)},
        numbers={
            "loss_compiled": known,
            "loss_closed_form": closed,
            "loss_built": hand,
            "beta_built": beta,
            **{
                folder(kind, seed): {"loss": f.loss, "cosine": f.cosine, "scores": f.scores, "written": f.written,
                                     "training_losses": f.training}
                for (kind, seed), f in runs.items()
            },
        },
        weights={"compiled": compiled} | {folder(kind, seed): f.weights for (kind, seed), f in runs.items()},
    )  # fmt: skip


def folder(kind: str, seed: int) -> str:
    """The name of a run."""
    return f"{kind.replace(', ', '_').replace(' ', '_')}_{seed}"


def _table(runs: Mapping[tuple[str, int], Found], known: float, hand: float, beta: float) -> Table:
    rows = [["gradient descent, compiled", f"{known:.4f}", "1", "–", "–"]]
    rows.append(["two heads, built", f"{hand:.4f}", "–", f"{beta:.2f}, {-beta:.2f}", "opposite"])
    for (kind, seed), f in runs.items():
        betas, labels = (", ".join(f"{v:.2f}" for v in values) for values in (f.slopes, f.written))
        rows.append([f"{kind}, seed {seed}", f"{f.loss:.4f}", f"{f.cosine:.4f}", betas, labels])
    return Table(["one layer", "loss", "cosine with compiled", "β of each head", "labels written by"], rows)


def _picture(runs: Mapping[tuple[str, int], Found], known: float) -> Picture:
    colours = dict(zip(KINDS, (OTHER, COLOURS[1], TRAINED), strict=True))
    with panels(3, "Two heads of softmax attention are a step of gradient descent, one is not") as (picture, grid):
        for (kind, seed), found in runs.items():
            steps, means = averaged(found.training, 100)
            grid[0].plot(steps, means, color=colours[kind], linewidth=1.3, alpha=1 - 0.25 * seed,
                         label=kind if seed == SEEDS[0] else None)  # fmt: skip
        grid[0].axhline(known, color=COMPILED, linewidth=1.6, linestyle=(0, (4, 2)), label="gradient descent, compiled")
        grid[0].set_xlabel("steps of Adam")
        grid[0].set_ylabel("loss")
        grid[0].set_ylim(0.9 * known, 0.45)
        grid[0].legend()
        first = runs["two heads, sink", SEEDS[0]]
        top = float(np.abs(first.scores).max())
        for axes, scores, label in zip(grid[1:], first.scores, first.written, strict=True):
            axes.grid(visible=False)
            axes.imshow(scores, cmap="RdBu", vmin=-top, vmax=top)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            axes.set_title(f"scores between inputs, labels × {label:.2f}", loc="left", fontsize=10)
    return picture


FIGURE = Figure(
    "von_oswald_softmax",
    "one layer of softmax attention with two heads is a step of gradient descent; with one head it is not",
    "von Oswald et al. 2022, Transformers learn in-context by gradient descent, section 3 and appendix A.9 "
    "(arXiv 2212.07677)",
    run,
)
