"""On random automata in context a transformer comes near compiled n-gram heads; recurrent networks stay behind it.

    task       a walk of a random automaton each: from every state lead EDGES symbols, each to a random state, and all
               as likely; every next symbol is to be predicted, and symbols alone are seen
    compiled   unigram, bigram and trigram: the share of each symbol so far, after the last one, and after the last two;
               the trigram falls back on the bigram, as much as STRENGTH counts weigh
    trained    a GPT-2 of two layers, an LSTM, a GRU and linear attention, of about the same number of parameters

The truth is the distribution of the next symbol at the state in which the automaton is. E KL(truth ‖ model), nats, over
all tokens; the accuracy is the share of tokens whose most likely symbol the automaton can give there. Nearest n-gram is
that of least E KL(n-gram ‖ model). Akyürek et al. have several strings of an automaton in a context, and larger
automata; here one string is as long as the context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import BaselineName
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime.plots import COLOURS
from matplotlib.figure import Figure as Picture

from ...charts import TRAINED, averaged
from ...measures.distance import Fields, Floats
from ...training.baselines import Baseline
from ...training.model import Model
from ...training.train import Trained
from ..shared.frame import UNSEEN, Check, Figure, Result, Setting, Table
from ..shared.pictures import panels
from ..shared.small import fresh
from ..shared.streams import Stream, answers, cross_entropy
from .measures import UNIGRAM, divergence, loss

SYMBOLS, STATES, EDGES = 4, 4, 2
TOKENS = 64
TRAINING = 2000
SEEDS = (0, 1, 2)
STRENGTH = 1.0
BASELINES: Mapping[BaselineName, int] = {"lstm": 40, "gru": 46, "linear_attention": 32}
"""Their widths: about as many parameters as the GPT-2's."""

GPT2: Literal["gpt2"] = "gpt2"

TRIGRAM = """\
# Probabilities of the next symbol from the trigrams so far, mixed with those from the bigrams.
program trigram(vocabulary, prior = 1, strength = 1)

tokens (s)*
    s : onehot[vocabulary]

p = move s from previous
before = move p from previous
pairs = sum[j in s](dot(p[j], s) * s[j])
triples = sum[j in s](dot(p[j], s) * dot(before[j], p) * s[j])
back = (prior + pairs) / sum(prior + pairs)
output (strength * back + triples) / sum(strength * back + triples)
"""


def drawn(key: Any, batch: int) -> dict[str, Any]:
    """s and next [batch, tokens, symbols], one-hot, and `truth`, the distribution that each next symbol came of."""
    of_edges, of_states, of_start, of_walk = jax.random.split(key, 4)
    ranks = jax.random.uniform(of_edges, (batch, STATES, SYMBOLS)).argsort(-1).argsort(-1)
    chances = jnp.where(ranks < EDGES, 1 / EDGES, 0.0)
    targets = jax.random.randint(of_states, (batch, STATES, SYMBOLS), 0, STATES)
    start = jax.random.randint(of_start, (batch,), 0, STATES)
    rows = jnp.arange(batch)

    def step(state: Any, key: Any) -> tuple[Any, Any]:
        truth = chances[rows, state]
        symbol = jax.random.categorical(key, jnp.log(truth))
        return targets[rows, state, symbol], (symbol, truth)

    _, (symbols, truth) = jax.lax.scan(step, start, jax.random.split(of_walk, TOKENS + 1))
    found = jax.nn.one_hot(symbols.T, SYMBOLS)
    return {"s": found[:, :-1], "next": found[:, 1:], "truth": truth.swapaxes(0, 1)[:, 1:]}


def counted(fields: Fields, order: int) -> Floats:
    """What the n-gram of this order says, in NumPy: [tasks, tokens, symbols]."""
    s = np.asarray(fields["s"], np.float64)
    if order == 1:
        total = 1 + s.cumsum(1)
        return np.asarray(total / total.sum(-1, keepdims=True))
    back, prior = (np.ones_like(s), 1.0) if order == 2 else (counted(fields, order - 1), STRENGTH)
    codes = s.argmax(-1)
    context = codes.copy() if order == 2 else codes + SYMBOLS * np.pad(codes[:, :-1], ((0, 0), (1, 0)))
    first = order - 2  # the first token with a whole context
    total = prior * back
    for t in range(first + 1, s.shape[1]):
        same = context[:, first:t] == context[:, t, None]
        total[:, t] += (same[..., None] * s[:, first + 1 : t + 1]).sum(1)
    return np.asarray(total / total.sum(-1, keepdims=True))


def outputs(model: Model, parameters: Any, fields: Fields) -> Floats:
    """Probabilities [tasks, tokens, symbols] of a trained model, or of a baseline."""
    with model.precision():
        found = jax.nn.softmax(jax.jit(model.apply)(parameters, {"s": np.asarray(fields["s"], np.float32)}))
    return np.asarray(found, np.float64)


@dataclass(frozen=True)
class Score:
    """Of one model: E KL from the truth, the accuracy, the loss, and E KL from each n-gram."""

    divergence: float
    accuracy: float
    loss: float
    away: Mapping[str, float]

    @property
    def nearest(self) -> str:
        return min(self.away, key=lambda name: self.away[name])


def scored(found: Floats, known: Mapping[str, Floats], fields: Fields) -> Score:
    truth = np.asarray(fields["truth"])
    can = np.take_along_axis(truth, found.argmax(-1)[..., None], -1) > 0
    return Score(
        divergence(truth, found), float(can.mean()), loss(found, fields),
        {name: divergence(one, found) for name, one in known.items()},
    )  # fmt: skip


def compiled(fields: Fields) -> dict[str, Weights]:
    usual: dict[str, Any] = {"target": "llama", "vocabulary": SYMBOLS, "calibration": {"s": fields["s"]}}
    programs = {"unigram": UNIGRAM, "bigram": load("bigram")}
    found = {name: compile_program(program, **usual) for name, program in programs.items()}
    return found | {"trigram": compile_program(TRIGRAM, strength=STRENGTH, **usual)}


def start(kind: BaselineName | Literal["gpt2"], like: Weights, seed: int) -> Model:
    if kind == "gpt2":
        return fresh(like, 2, TOKENS // 2, seed)
    return Baseline.drawn(kind, like, seed, width=BASELINES[kind])


def run(setting: Setting) -> Result:
    parameters = {"symbols": SYMBOLS, "states": STATES, "edges": EDGES, "tokens": TOKENS}
    tasks = Stream("automata", parameters, draw=drawn, score=cross_entropy("next"))
    fields = tasks.drawn(setting.tasks(2000), UNSEEN)
    setting.told("compiling", 0, 0)
    heads = compiled(fields)
    known = {name: answers(weights, fields) for name, weights in heads.items()}
    exact = {name: counted(fields, order) for order, name in enumerate(known, 1)}
    like = compile_program(load("bigram"), vocabulary=SYMBOLS)  # gpt2
    runs: dict[str, list[Trained]] = {}
    for kind in (GPT2, *BASELINES):
        runs[kind] = [
            setting.train(f"{kind}_{seed}", start(kind, like, seed), tasks, steps=TRAINING, batch=64, rate=3e-3,
                          warmup=100, seed=seed)
            for seed in SEEDS
        ]  # fmt: skip
    setting.told("comparing", 0, 0)
    found = {
        kind: [scored(outputs(one.model, one.parameters, fields), known, fields) for one in those]
        for kind, those in runs.items()
    }
    grams = {name: scored(one, known, fields) for name, one in known.items()}
    sizes = {kind: sum(value.size for value in those[0].parameters.values()) for kind, those in runs.items()}
    error = max(float(np.abs(known[name] - exact[name]).max()) for name in known)
    return Result(
        checks=checks(found, grams, error),
        tables=(_table(found, grams, sizes),),
        pictures={"automata": _picture(found, grams, {kind: those[0].losses for kind, those in runs.items()})},
        numbers={
            "parameters": sizes,
            "compiled": {name: vars(score) for name, score in grams.items()},
            **{kind: {f"seed_{seed}": vars(score) for seed, score in zip(SEEDS, scores, strict=True)}
               for kind, scores in found.items()},
        },
        weights=heads | {f"gpt2_{seed}": one.weights for seed, one in zip(SEEDS, runs[GPT2], strict=True)},
    )  # fmt: skip


def checks(found: Mapping[str, list[Score]], grams: Mapping[str, Score], error: float) -> tuple[Check, ...]:
    ours = found[GPT2]
    best = min(score.divergence for score in grams.values())
    behind = {
        kind: min(score.divergence for score in scores) / max(score.divergence for score in ours)
        for kind, scores in found.items()
        if kind != GPT2
    }
    return (
        Check("compiled: probabilities off counts in NumPy, at most", error, high=1e-3),
        Check("GPT-2: KL from the truth / of the best compiled n-gram, largest", max(
            score.divergence for score in ours) / best, high=1.1),
        Check("GPT-2: seeds whose nearest n-gram is the unigram", sum(score.nearest == "unigram" for score in ours),
              high=0),
        *(Check(f"{kind}: least KL from the truth of the seeds / the GPT-2's largest", ratio, low=1)
          for kind, ratio in behind.items()),
    )  # fmt: skip


def _table(found: Mapping[str, list[Score]], grams: Mapping[str, Score], sizes: Mapping[str, int]) -> Table:
    rows = [
        [f"{name}, compiled", "", f"{s.divergence:.4f}", f"{s.accuracy:.3f}", f"{s.loss:.4f}", "", *_away(s)]
        for name, s in grams.items()
    ]
    for kind, scores in found.items():
        for seed, s in zip(SEEDS, scores, strict=True):
            rows.append([f"{kind}, seed {seed}", f"{sizes[kind]:,}", f"{s.divergence:.4f}", f"{s.accuracy:.3f}",
                         f"{s.loss:.4f}", s.nearest, *_away(s)])  # fmt: skip
    columns = "parameters", "KL from the truth", "accuracy", "loss", "nearest", *(f"KL from {name}" for name in grams)
    return Table(["automata in context", *columns], rows)


def _away(score: Score) -> list[str]:
    return [f"{value:.3f}" for value in score.away.values()]


def _picture(found: Mapping[str, list[Score]], grams: Mapping[str, Score], losses: Mapping[str, Any]) -> Picture:
    colours = dict(zip(found, (TRAINED, *COLOURS), strict=False))
    with panels(2, "Automata in context: transformers come near compiled n-grams", width=5.0) as (picture, grid):
        left, right = grid
        for kind, of_steps in losses.items():
            left.plot(*averaged(of_steps, 100), color=colours[kind], linewidth=1.5, label=f"{kind}, seed {SEEDS[0]}")
        for name, style in zip(grams, (":", "--", "-"), strict=True):
            left.axhline(grams[name].loss, color="#404040", linewidth=1, linestyle=style, label=f"{name}, compiled")
            right.axhline(grams[name].divergence, color="#404040", linewidth=1, linestyle=style)
        left.set_xlabel("steps of Adam")
        left.set_ylabel("loss, nats")
        left.legend(fontsize=8)
        for place, (kind, scores) in enumerate(found.items()):
            right.plot([place] * len(scores), [s.divergence for s in scores], "o", color=colours[kind], markersize=6)
        right.set_xticks(range(len(found)), [kind.replace("_", "\n") for kind in found])
        right.set_ylabel("E KL from the truth, nats")
        right.set_ylim(0, None)
    return picture


FIGURE = Figure(
    "automata",
    "on automata in context a transformer comes near compiled n-gram heads, and recurrent networks stay behind it",
    "Akyürek et al. 2024, In-context language learning: architectures and algorithms (arXiv 2401.12973)",
    run,
    minutes=11,
)
