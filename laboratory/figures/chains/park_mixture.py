"""All through training a model on Markov chains is a convex mixture of four algorithms, each of them compiled.

    task       sequences of one of M chains that never change (rows from a flat Dirichlet prior); every next symbol
    compiled   unigram and bigram, by counts (inference), and the same by posterior over the M chains (retrieval)
    trained    two layers of attention and MLPs, on few chains and on many

Retrieval weighs the chains by the likelihood of the symbols so far under their stationary distributions πᶜ, or of the
pairs so far under their rows, and predicts with the mean of what the chains predict:

    unigram   p ∝ Π_t πᶜ[s_t],  Σ_c p_c πᶜ            bigram   p ∝ Π_t Tᶜ[s_{t−1}, s_t],  Σ_c p_c Tᶜ[s_t]

At every stage the model's probabilities, half on the M chains and half on fresh ones, are fitted by least squares:
Σ_k w_k p_k, w_k ≥ 0, Σ_k w_k = 1, over the four and the even distribution, with which training begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime.plots import COLOURS
from matplotlib.figure import Figure as Picture
from scipy.optimize import nnls

from ...measures.distance import Fields, Floats
from ...measures.probes import r_squared
from ..shared.frame import UNSEEN, Check, Figure, Result, Setting, Table
from ..shared.pictures import panels
from ..shared.small import fresh
from ..shared.streams import Stream, answers, cross_entropy
from .measures import UNIGRAM, probabilities, walked

SYMBOLS, TOKENS = 4, 48
CHAINS = {"few": 4, "many": 128}
SEEDS = (0, 1, 2)
ENDS = (20, 40, 60, 80, 100, 130, 160, 200, 250, 300, 400, 600, 800, 1000, 1500, 2000, 3000)
EARLIEST = 100
"""Stages from this step on are held to be mixtures: before, a model says next to nothing."""

ALGORITHMS = ("unigram retrieval", "bigram retrieval", "unigram inference", "bigram inference", "even")

RETRIEVAL = {
    "unigram retrieval": """\
# The posterior mean over m known distributions of symbols (Park et al. 2024).
program unigram_retrieval(vocabulary, m, logs : matrix[m, vocabulary], known : matrix[m, vocabulary])

tokens (s)*
    s : onehot[vocabulary]

output softmax(sum[j in s](logs @ s[j])) @ known
""",
    "bigram retrieval": """\
# The posterior mean over m known Markov chains (Park et al. 2024).
program bigram_retrieval(vocabulary, m, logs : tensor[vocabulary, m, vocabulary],
                         known : tensor[vocabulary, m, vocabulary], each : matrix[vocabulary, vocabulary])

tokens (s)*
    s : onehot[vocabulary]

p = move s from previous
l : vector[m] = 0
repeat vocabulary as v                 # how likely my symbol is after the one before, in each chain
    l = l + dot(each[v], p) * (logs[v] @ s)

w = softmax(sum[j in s](l[j]))
q : vector[vocabulary] = 0
repeat vocabulary as v
    q = q + dot(each[v], s) * (w @ known[v])

output q
""",
}


@cache
def pool(count: int) -> Any:
    """So many matrices [count, symbols, symbols], always the same."""
    return np.random.default_rng(17).dirichlet(np.ones(SYMBOLS), (count, SYMBOLS))


def stationary(matrices: Floats) -> Floats:
    """π [chains, symbols] of each, π T = π."""
    system = np.concatenate([matrices.swapaxes(1, 2) - np.eye(SYMBOLS), np.ones((len(matrices), 1, SYMBOLS))], 1)
    right = np.concatenate([np.zeros(SYMBOLS), [1.0]])
    return np.stack([np.linalg.lstsq(one, right, rcond=None)[0] for one in system])


def drawn(key: Any, batch: int, chains: int) -> dict[str, Any]:
    """Walks along chains of the pool; of 0 chains, along fresh ones."""
    of_chain, of_walk = jax.random.split(key)
    if chains:
        matrices = jnp.asarray(pool(chains), jnp.float32)[jax.random.randint(of_chain, (batch,), 0, chains)]
    else:
        matrices = jax.random.dirichlet(of_chain, jnp.ones(SYMBOLS), (batch, SYMBOLS))
    return walked(of_walk, matrices, TOKENS)


def stream(chains: int) -> Stream:
    parameters = {"symbols": SYMBOLS, "tokens": TOKENS, "chains": chains}
    return Stream("chains_of_a_pool", parameters, draw=partial(drawn, chains=chains), score=cross_entropy("next"))


def compiled(chains: int, fields: Fields) -> dict[str, Weights]:
    """The four algorithms for this pool."""
    matrices = np.asarray(pool(chains), np.float64)
    each = stationary(matrices)
    rows = matrices.swapaxes(0, 1)  # [symbol before, chain, symbol]
    usual: dict[str, Any] = {"target": "llama", "vocabulary": SYMBOLS, "calibration": {"s": fields["s"]}}
    pooled: dict[str, Any] = {**usual, "m": chains}
    return {
        "unigram retrieval": compile_program(
            RETRIEVAL["unigram retrieval"], logs=np.log(each), known=each, **pooled
        ),
        "bigram retrieval": compile_program(
            RETRIEVAL["bigram retrieval"], logs=np.log(rows), known=rows, each=np.eye(SYMBOLS), **pooled
        ),
        "unigram inference": compile_program(UNIGRAM, **usual),
        "bigram inference": compile_program(load("bigram"), **usual),
    }  # fmt: skip


def retrieved(matrices: Floats, fields: Fields) -> dict[str, Floats]:
    """What both kinds of retrieval say, in NumPy: [tasks, tokens, symbols]."""
    s = np.asarray(fields["s"], np.float64)
    each = stationary(matrices)
    alone = np.cumsum(s @ np.log(each).T, 1)
    pairs = np.einsum("btp,cpn,btn->btc", s[:, :-1], np.log(matrices), s[:, 1:])
    pairs = np.cumsum(np.concatenate([np.zeros_like(pairs[:, :1]), pairs], 1), 1)
    after = np.einsum("btp,cpn->btcn", s, matrices)

    def shares(logs: Floats) -> Floats:
        found = np.exp(logs - logs.max(-1, keepdims=True))
        return np.asarray(found / found.sum(-1, keepdims=True))

    return {
        "unigram retrieval": shares(alone) @ each,
        "bigram retrieval": np.einsum("btc,btcn->btn", shares(pairs), after),
    }


def mixture(known: Floats, found: Floats) -> tuple[Floats, float]:
    """The shares [algorithms] of the convex mixture of known [algorithms, …] nearest to `found` […], and its R²."""
    basis, target = known.reshape(len(known), -1), found.ravel()
    heavy = 1e3 * np.linalg.norm(target)  # holds Σ w = 1
    gram = np.concatenate([basis.T, np.full((1, len(known)), heavy)])
    shares, _ = nnls(gram, np.append(target, heavy))
    size = found.shape[-1]
    return shares, r_squared((shares @ basis).reshape(-1, size), found.reshape(-1, size))


@dataclass(frozen=True)
class Course:
    """A run at each stage: the shares of ALGORITHMS [stages, algorithms] and the R² of the mixture [stages]."""

    steps: Floats
    shares: Floats
    fit: Floats
    weights: Weights


def run(setting: Setting) -> Result:
    courses: dict[tuple[str, int], Course] = {}
    kept: dict[str, Weights] = {}
    error = 0.0
    for kind, count in CHAINS.items():
        setting.told(f"compiling for {count} chains", 0, 0)
        half = setting.tasks(400)
        parts = stream(count).drawn(half, UNSEEN), stream(0).drawn(half, UNSEEN)
        fields = {name: np.concatenate([part[name] for part in parts]) for name in ("s", "next")}
        algorithms = compiled(count, fields)
        known = np.stack([np.asarray(answers(weights, fields)) for weights in algorithms.values()])
        for name, exact in retrieved(np.asarray(pool(count), np.float64), fields).items():
            error = max(error, float(np.abs(known[ALGORITHMS.index(name)] - exact).max()))
        known = np.concatenate([known, np.full((1, *known.shape[1:]), 1 / SYMBOLS)])
        kept |= {f"{kind}_{name.replace(' ', '_')}": weights for name, weights in algorithms.items()}
        for seed in SEEDS:
            start = fresh(algorithms["bigram inference"], 2, TOKENS // 2, seed)
            stages = setting.stages(f"{kind}_{seed}", start, stream(count), ends=ENDS, batch=64, rate=3e-3, seed=seed)
            found = [mixture(known, probabilities(stage.weights, fields)) for stage in stages]
            shares, fit = zip(*found, strict=True)
            steps = np.array([stage.losses.size for stage in stages], float)
            courses[kind, seed] = Course(steps, np.array(shares), np.array(fit), stages[-1].weights)
    return Result(
        checks=checks(courses, error),
        tables=(_table(courses),),
        pictures={"park_mixture": _picture(courses)},
        numbers={
            "algorithms": ALGORITHMS,
            "compiled_off_numpy": error,
            **{f"{kind}_{s}": {"steps": c.steps, "shares": c.shares, "r_squared": c.fit}
               for (kind, s), c in courses.items()},
        },
        weights=kept | {f"{kind}_{s}": c.weights for (kind, s), c in courses.items()},
    )  # fmt: skip


def checks(courses: Mapping[tuple[str, int], Course], error: float) -> tuple[Check, ...]:
    first = ENDS.index(EARLIEST)
    last = {name: at for at, name in enumerate(ALGORITHMS)}
    few, many = ([c for (kind, _), c in courses.items() if kind == of] for of in CHAINS)
    retrieving = last["unigram retrieval"], last["bigram retrieval"]
    return (
        Check("compiled retrieval off NumPy, probabilities, at most", error, high=1e-3),
        Check(f"R² of the mixture, least of all stages from step {EARLIEST}", min(
            float(c.fit[first:].min()) for c in courses.values()), low=0.95),
        Check("R² of the mixture at the end, least", min(float(c.fit[-1]) for c in courses.values()), low=0.95),
        Check(f"{CHAINS['few']} chains: share of bigram retrieval at the end, least", min(
            float(c.shares[-1, last["bigram retrieval"]]) for c in few), low=0.5),
        Check(f"{CHAINS['many']} chains: share of bigram inference at the end, least", min(
            float(c.shares[-1, last["bigram inference"]]) for c in many), low=0.5),
        Check("share of retrieval at the end, few − many chains, least", min(
            float(c.shares[-1, retrieving].sum()) for c in few) - max(
            float(c.shares[-1, retrieving].sum()) for c in many), low=0.3),
    )  # fmt: skip


def _table(courses: Mapping[tuple[str, int], Course]) -> Table:
    rows = []
    for (kind, seed), one in courses.items():
        for k in range(0, len(one.steps), 2):
            shares = (f"{v:.2f}" for v in one.shares[k])
            rows.append([f"{CHAINS[kind]} chains, seed {seed}", f"{one.steps[k]:.0f}", *shares, f"{one.fit[k]:.3f}"])
    return Table(["mixture of", "steps", *ALGORITHMS, "R²"], rows)


def _picture(courses: Mapping[tuple[str, int], Course]) -> Picture:
    """Medians of the seeds, and from the least to the largest of them."""
    colours = dict(zip(ALGORITHMS, (COLOURS[1], COLOURS[0], COLOURS[2], COLOURS[5], "#909090"), strict=True))
    with panels(3, "A model in training is a mixture of four algorithms", width=4.4) as (picture, grid):
        for axes, (kind, count) in zip(grid, CHAINS.items(), strict=False):
            runs = [c for (of, _), c in courses.items() if of == kind]
            for at, (name, colour) in enumerate(colours.items()):
                shares = np.array([c.shares[:, at] for c in runs])
                axes.plot(runs[0].steps, np.median(shares, 0), color=colour, linewidth=1.8, label=name)
                axes.fill_between(runs[0].steps, shares.min(0), shares.max(0), color=colour, alpha=0.15, linewidth=0)
            axes.set_title(f"{count} chains", loc="left", fontsize=10)
            axes.set_ylabel("share of the mixture")
            axes.set_ylim(-0.03, 1.03)
            fits = np.array([c.fit for c in runs])
            style = "-" if kind == "few" else ":"
            grid[2].plot(runs[0].steps, np.median(fits, 0), style, color="#404040", label=f"{count} chains")
            grid[2].fill_between(runs[0].steps, fits.min(0), fits.max(0), color="#404040", alpha=0.15, linewidth=0)
        grid[2].axhline(0.95, color=COLOURS[2], linewidth=1, linestyle=(0, (4, 2)))
        grid[2].set_ylabel("R² of the mixture")
        grid[2].set_ylim(0.5, 1.01)
        for axes in grid:
            axes.set_xlabel("steps of Adam")
            axes.set_xscale("log")
        grid[0].legend(fontsize=8)
        grid[2].legend(fontsize=8, loc="lower right")
    return picture


FIGURE = Figure(
    "park_mixture",
    "all through training a model on Markov chains is a convex mixture of four compiled algorithms",
    "Park et al. 2024, Competition dynamics shape algorithmic phases of in-context learning (arXiv 2412.01003)",
    run,
    minutes=10,
)
