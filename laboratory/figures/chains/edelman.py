"""On Markov chains in context a transformer counts symbols first, and pairs of symbols when its induction head forms.

    task       sequences of a random chain each, rows of its matrix from a flat Dirichlet prior; every next symbol
    compiled   unigram and bigram: the share of each symbol so far, and after the last symbol, with Laplace's prior
    trained    two layers of attention, one head each, without MLPs; rotary positions, as `llama` has them

With the flat prior `bigram` is the Bayes predictor, so that the loss can fall to its loss and no further:

    E[next | s₁ … s_t] = (1 + n(s_t, ·)) / (V + n(s_t)),    n the counts of pairs so far

Followed over training: E KL from both, the share of the first layer's attention at the token before, and how many
times more than uniformly the second looks at tokens that came after one like its own: the induction head (Olsson et al.
2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from matplotlib.figure import Figure as Picture

from ...charts import COMPILED, OTHER, TRAINED
from ...measures.distance import Fields, Floats
from ..shared.attention import without_mlps
from ..shared.frame import UNSEEN, Check, Figure, Result, Setting, Table
from ..shared.pictures import panels
from ..shared.small import fresh
from ..shared.stages import halfway
from ..shared.streams import Stream, answers, cross_entropy
from .measures import UNIGRAM, divergence, induction, loss, probabilities, walked

SYMBOLS = 3
TOKENS, LONG_TOKENS = 48, 100
SEEDS = (0, 1, 2)
ENDS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 120, 140, 160, 200, 250, 300, 400, 600, 800)
MAPPED = 64
"""Sequences whose attention is looked at."""


def drawn(key: Any, batch: int, tokens: int = TOKENS) -> dict[str, Any]:
    of_matrix, of_walk = jax.random.split(key)
    matrices = jax.random.dirichlet(of_matrix, jnp.ones(SYMBOLS), (batch, SYMBOLS))
    return walked(of_walk, matrices, tokens)


def stream(tokens: int = TOKENS) -> Stream:
    parameters = {"symbols": SYMBOLS, "tokens": tokens}
    return Stream("markov_chains", parameters, draw=partial(drawn, tokens=tokens), score=cross_entropy("next"))


@dataclass(frozen=True)
class Course:
    """A run at step 0 and after each of ENDS: its loss, E KL from both compiled, and `induction`'s two numbers."""

    steps: Floats
    loss: Floats
    unigram: Floats
    bigram: Floats
    before: Floats
    after: Floats
    weights: Weights

    @property
    def forming(self) -> float:
        """The step at which the first layer is halfway to its share at the token before, by that at which KL from the
        bigrams is halfway down from where it stood at the unigrams."""
        plateau = int(self.unigram.argmin())
        return halfway(self.steps, self.before) / halfway(self.steps[plateau:], self.bigram[plateau:])


def course(setting: Setting, seed: int, known: Mapping[str, Weights], tasks: Stream, fields: Fields) -> Course:
    start = without_mlps(fresh(known["bigram"], 2, tasks.parameters["tokens"] // 2, seed, heads=1))
    stages = setting.stages(f"seed_{seed}", start, tasks, ends=ENDS, batch=64, rate=3e-3, seed=seed)
    setting.told("comparing", 0, 0)
    kept = [start.weights(start.parameters), *(stage.weights for stage in stages)]
    expected = {name: answers(weights, fields) for name, weights in known.items()}
    found = [probabilities(weights, fields) for weights in kept]
    heads = np.array([induction(weights, {"s": fields["s"][:MAPPED]}) for weights in kept])
    return Course(
        steps=np.array([0, *(stage.losses.size for stage in stages)], float),
        loss=np.array([loss(one, fields) for one in found]),
        unigram=np.array([divergence(expected["unigram"], one) for one in found]),
        bigram=np.array([divergence(expected["bigram"], one) for one in found]),
        before=heads[:, 0],
        after=heads[:, 1],
        weights=kept[-1],
    )


def counts(fields: Fields) -> dict[str, Floats]:
    """What both say, in NumPy: [tasks, tokens, symbols]."""
    s = np.asarray(fields["s"], np.float64)
    pairs = np.cumsum(s[:, :-1, :, None] * s[:, 1:, None, :], 1)
    pairs = np.concatenate([np.zeros_like(pairs[:, :1]), pairs], 1)
    totals = {"unigram": 1 + s.cumsum(1), "bigram": 1 + np.einsum("btp,btpn->btn", s, pairs)}
    return {name: total / total.sum(-1, keepdims=True) for name, total in totals.items()}


def run(setting: Setting) -> Result:
    tasks = stream(LONG_TOKENS if setting.long else TOKENS)
    fields = tasks.drawn(setting.tasks(2000), UNSEEN)
    usual: dict[str, Any] = {"target": "llama", "vocabulary": SYMBOLS, "calibration": {"s": fields["s"]}}
    known = {"unigram": compile_program(UNIGRAM, **usual), "bigram": compile_program(load("bigram"), **usual)}
    exact = counts(fields)
    error = max(float(np.abs(answers(known[name], fields) - exact[name]).max()) for name in known)
    levels = {name: loss(exact[name], fields) for name in known}
    runs = {seed: course(setting, seed, known, tasks, fields) for seed in SEEDS}
    return Result(
        checks=(
            Check("compiled: probabilities off counts in NumPy, at most", error, high=1e-3),
            Check("E KL from compiled bigram at the end, largest of the seeds", max(
                c.bigram[-1] for c in runs.values()), high=0.01),
            Check("least E KL from compiled unigram while nearer to it, largest of the seeds", max(
                c.unigram[c.unigram < c.bigram].min(initial=np.inf) for c in runs.values()), high=0.02),
            Check("loss, trained / compiled bigram, largest", max(c.loss[-1] for c in runs.values()) / levels["bigram"],
                  high=1.01),
            Check("attention at the token before at the end, least", min(c.before[-1] for c in runs.values()), low=0.5),
            Check("attention after like tokens at the end / uniform, least", min(c.after[-1] for c in runs.values()),
                  low=1.5),
            *(Check(f"halfway step of the first layer's head / of the fall to bigrams, seed {seed}", c.forming, 0.5, 2)
              for seed, c in runs.items()),
        ),
        tables=(_table(runs),),
        pictures={"edelman": _picture(runs, levels)},
        numbers={
            "loss_compiled": levels,
            **{
                f"seed_{s}": {"steps": c.steps, "loss": c.loss, "from_unigram": c.unigram, "from_bigram": c.bigram,
                              "attention_before": c.before, "attention_after_like": c.after}
                for s, c in runs.items()
            },
        },
        weights=known | {f"trained_{s}": c.weights for s, c in runs.items()},
    )  # fmt: skip


def _table(runs: Mapping[int, Course]) -> Table:
    rows = []
    for seed, one in runs.items():
        for k in range(0, len(one.steps), 3):
            values = (v[k] for v in (one.loss, one.unigram, one.bigram, one.before, one.after))
            rows.append([f"seed {seed}", f"{one.steps[k]:.0f}", *(f"{v:.3g}" for v in values)])
    columns = "loss", "KL from unigram", "from bigram", "at the token before", "after like / uniform"
    return Table(["two layers", "steps", *columns], rows)


def _picture(runs: Mapping[int, Course], levels: Mapping[str, float]) -> Picture:
    with panels(3, "Symbols are counted first, and pairs when the induction head forms") as (picture, grid):
        left, middle, right = grid
        for seed, one in runs.items():
            steps = np.maximum(one.steps, 5)  # 0 stands at 5 on a logarithmic axis
            of: dict[str, Any] = {"linewidth": 1.6, "alpha": 1 - 0.25 * seed}
            first = seed == SEEDS[0]
            left.plot(steps, one.loss, color=TRAINED, label="trained" if first else None, **of)
            middle.plot(steps, one.unigram, color=OTHER, label="from unigram" if first else None, **of)
            middle.plot(steps, one.bigram, color=COMPILED, label="from bigram" if first else None, **of)
            right.plot(steps, one.before, color=TRAINED, label="layer 1 at the token before" if first else None, **of)
            stood = one.bigram[int(one.unigram.argmin())]
            share = (stood - one.bigram) / (stood - one.bigram[-1])
            right.plot(
                steps, np.maximum(share, 0), ":", color=COMPILED, label="fall to the bigrams" if first else None, **of
            )
        for (name, level), colour in zip(levels.items(), (OTHER, COMPILED), strict=True):
            left.axhline(level, color=colour, linewidth=1.4, linestyle=(0, (4, 2)), label=f"{name}, compiled")
        middle.set_yscale("log")
        left.set_ylabel("loss, nats")
        middle.set_ylabel("E KL from compiled, nats")
        right.set_ylabel("share")
        for axes in grid:
            axes.set_xscale("log")
            axes.set_xlabel("steps of Adam (first: 0)")
            axes.legend(fontsize=8)
    return picture


FIGURE = Figure(
    "edelman",
    "on Markov chains a transformer counts symbols first, then pairs, when its induction head forms",
    "Edelman et al. 2024, The evolution of statistical induction heads (arXiv 2402.11004)",
    run,
    minutes=1.2,
)
