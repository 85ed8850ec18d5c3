"""One layer of linear attention that writes its steps out takes many; without, it takes one.

    compiled   PROGRAM on lsa: the token `iterate` holds w, and the output is the next, w − η/n Xᵀ(X w − y)
    trained    the same layer from random attention weights; with chain of thought on the iterates of K steps of
               gradient descent, each given its predecessor; without, on w* itself, asked at w = 0

A model with chain of thought is then asked K times, each answer the next question. With S = XᵀX/n, x and w* of N(0, I):

    without   ŵ = M S w*;   E ‖ŵ − w*‖² ≥ d (d + 1)/(n + d + 1), at M = n/(n + d + 1) I, one step of gradient descent
    with      ŵ = (I − (I − η S)ᴷ) w*;   E ‖ŵ − w*‖² = E Σᵢ (1 − η λᵢ)²ᴷ, λᵢ the eigenvalues of S

A prompt holds the last iterate alone: the published one holds all, of which the learnt layer reads the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from matplotlib.figure import Figure as Picture

from ..charts import COMPILED, OTHER, TRAINED, averaged
from ..measures.distance import Floats
from ..measures.subject import Subject
from ..training.model import Model
from .shared.frame import UNSEEN, Check, Figure, Result, Setting, Table
from .shared.layers import layer, off, slots
from .shared.pictures import panels
from .shared.streams import Stream, squared

D, N, K, RATE = 10, 20, 50, 0.4
SEEDS = (0, 1, 2)
TRAINING = 1000

PROGRAM = """\
# A step of gradient descent from the weights that the last token holds (Huang, Wang and Lee 2025).
program written_descent(d, rate = 0.4)

tokens (example)* iterate  visible context
    x : vector[d] on example
    y : scalar on example
    w : vector[d] on iterate

at iterate
    output w - rate * mean[j in example]((dot(w, x[j]) - y[j]) * x[j])
"""


def one_step(d: int = D, n: int = N) -> float:
    """The least E ‖ŵ − w*‖² of one step from 0: see above."""
    return d * (d + 1) / (n + d + 1)


def many_steps(x: Floats, steps: int, rate: float = RATE) -> float:
    """E ‖ŵ − w*‖² over w* of so many steps on inputs x [tasks, n, d]."""
    values = np.linalg.eigvalsh(x.swapaxes(1, 2) @ x / x.shape[1])
    return float(((1 - rate * values) ** (2 * steps)).sum(1).mean())


def drawn(key: Any, batch: int, written: bool) -> dict[str, Any]:
    """Tasks that ask for the iterate after w [batch, 1, d], any of the K steps, or for w* at w = 0 (`next`)."""
    of_x, of_w, of_step = jax.random.split(key, 3)
    x = jax.random.normal(of_x, (batch, N, D))
    truth = jax.random.normal(of_w, (batch, D))
    y = jnp.einsum("bnd,bd->bn", x, truth)
    w, after = jnp.zeros_like(truth), truth
    if written:
        step = jax.random.randint(of_step, (batch, 1), 0, K)

        def descend(number: Any, pair: Any) -> Any:
            w, held = pair
            moved = w - RATE / N * jnp.einsum("bnd,bn->bd", x, jnp.einsum("bnd,bd->bn", x, w) - y)
            return moved, jnp.where(number == step, jnp.stack([w, moved]), held)

        _, (w, after) = jax.lax.fori_loop(0, K, descend, (w, jnp.zeros((2, *w.shape))))
    return {"x": x, "y": y, "w": w[:, None], "next": after[:, None], "truth": truth}


def stream(written: bool) -> Stream:
    parameters = {"d": D, "n": N, "rate": RATE, "written_steps": K if written else 0}
    return Stream("written_descent", parameters, draw=partial(drawn, written=written), score=squared("next"))


def rolled_out(weights: Weights, fields: Mapping[str, Floats], steps: int) -> Floats:
    """E ‖w − w*‖² after 0 … `steps` questions, each answer the next question: [1 + steps]."""
    subject, w = Subject(weights, ""), np.zeros((len(fields["x"]), 1, D))
    found = [w]
    for _ in range(steps):
        w = np.asarray(subject({"x": fields["x"], "y": fields["y"], "w": w}), np.float64)
        found.append(w)
    return np.asarray([((one[:, 0] - fields["truth"]) ** 2).sum(1).mean() for one in found])


def step_matrices(weights: Weights) -> dict[str, Floats]:
    """Of the layer on the mean over examples: what w it is given, and what y, move the output by:
    {"w": M [d, d] of −M S w, "y": M of M Xᵀy/n}, each summed over heads and averaged over the inputs' components."""
    scores, values = layer(weights)
    x, (y,), w = slots(weights, "x"), slots(weights, "y"), slots(weights, "w")
    written = np.einsum("hab,bc->hac", values, weights.readout.csr.toarray())[:, x]  # [heads, component, output]
    constant = weights.roles.index("suffix:iterate")
    from_w = np.einsum("hab,hbc->ac", scores[:, w][:, :, x], written)
    from_y = np.einsum("h,hbc->bc", scores[:, constant, y], written)
    return {"w": -from_w, "y": from_y}


def run(setting: Setting) -> Result:
    compiled = compile_program(PROGRAM, target="lsa", d=D, rate=RATE)
    runs = {
        (name, seed): setting.train(
            f"{name}_{seed}", Model.fresh(compiled, seed), stream(name == "with"), steps=TRAINING, batch=512,
            rate=1e-2, warmup=100, clip=10.0, seed=seed,
        )
        for name in ("with", "without") for seed in SEEDS
    }  # fmt: skip
    setting.told("comparing", 0, 0)
    fields = stream(True).drawn(setting.tasks(4000), UNSEEN)
    steps = K
    known = rolled_out(compiled, fields, steps)
    closed = np.array([many_steps(fields["x"], k) for k in range(steps + 1)])
    curves = {seed: rolled_out(runs["with", seed].weights, fields, steps) for seed in SEEDS}
    alone = {seed: float(rolled_out(runs["without", seed].weights, fields, 1)[1]) for seed in SEEDS}
    away = [off(m, RATE * np.eye(D)) for s in SEEDS for m in step_matrices(runs["with", s].weights).values()]
    return Result(
        checks=(
            Check("compiled, written out: error after K steps / closed form", known[-1] / closed[-1], 0.8, 1.25),
            Check("without: loss / closed form of one step, largest", max(alone.values()) / one_step(), 0.95, 1.05),
            Check("without: loss / closed form of one step, least", min(alone.values()) / one_step(), 0.95, 1.05),
            Check("with / without chain of thought, largest", max(
                curves[s][-1] / alone[s] for s in SEEDS), high=0.01),
            Check("with: error after K steps / compiled, largest", max(c[-1] for c in curves.values()) / known[-1],
                  0.95, 1.05),
            Check("with: matrices off η I, largest", max(away), high=0.03),
        ),
        tables=(_table(curves, alone, known),),
        pictures={"huang_cot": _picture(
            {s: runs["with", s].losses for s in SEEDS}, {s: runs["without", s].losses for s in SEEDS}, curves, alone,
            known)},
        numbers={
            "compiled": known,
            "closed_form": closed,
            "one_step_closed_form": one_step(),
            "with": {str(s): c for s, c in curves.items()},
            "without": {str(s): a for s, a in alone.items()},
            "off_rate": away,
        },
        weights={"compiled": compiled} | {f"{name}_{seed}": one.weights for (name, seed), one in runs.items()},
    )  # fmt: skip


def _table(curves: Mapping[int, Floats], alone: Mapping[int, float], known: Floats) -> Table:
    at = (1, K // 5, K)
    rows = [["compiled", *(f"{known[k]:.4f}" for k in at), "–"]]
    rows += [[f"trained, seed {s}", *(f"{c[k]:.4f}" for k in at), f"{alone[s]:.4f}"] for s, c in curves.items()]
    return Table(["E ‖ŵ − w*‖²", *(f"{k} written" for k in at), "trained without"], rows)


def _picture(
    learnt: Mapping[int, Any], plain: Mapping[int, Any], curves: Mapping[int, Floats], alone: Mapping[int, float],
    known: Floats,
) -> Picture:  # fmt: skip
    title = "Writing steps out, one layer of linear attention takes as many as it writes"
    with panels(2, title, width=5.0) as (picture, (left, right)):
        for name, runs, colour in (("with chain of thought", learnt, TRAINED), ("without", plain, OTHER)):
            for seed, losses in runs.items():
                steps, means = averaged(np.asarray(losses, np.float64), 100)
                left.plot(steps, means, color=colour, linewidth=1.5, alpha=1 - 0.25 * seed,
                          label=name if seed == 0 else None)  # fmt: skip
        left.set_yscale("log")
        left.set_xlabel("steps of Adam")
        left.set_ylabel("loss, a component")
        left.legend()
        right.plot(np.arange(known.size), known, color=COMPILED, linewidth=4, alpha=0.6, label="compiled")
        for seed, curve in curves.items():
            right.plot(np.arange(curve.size), curve, color=TRAINED, linewidth=1.2,
                       label="trained, written out" if seed == 0 else None)  # fmt: skip
            right.axhline(alone[seed], color=OTHER, linewidth=1.2,
                          label="trained without: one answer" if seed == 0 else None)  # fmt: skip
        right.set_yscale("log")
        right.set_xlabel("steps written")
        right.set_ylabel("E ‖ŵ − w*‖²")
        right.legend()
    return picture


FIGURE = Figure(
    "huang_cot",
    "one layer with its steps written out reaches many steps of gradient descent; without, it stops at one",
    "Huang, Wang and Lee 2025, Transformers learn to implement multi-step gradient descent with chain of thought "
    "(arXiv 2502.21212)",
    run,
    minutes=1.7,
)
