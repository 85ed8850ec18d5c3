"""Linear layers that are trained to evaluate policies run temporal-difference learning.

    task       the states of a random chain (below): n transitions of one trajectory, and a state whose value is asked
    trained    a loop of three layers of linear attention, all numbers free, by TD(0) itself: the value of the state
               that follows in the trajectory, through the same layers, is the target, and is not differentiated
    compiled   temporal_difference on lsa, three steps

A chain (Wang et al., algorithm 3, after Boyan 1999): from state i to i + 1 with probability p_i ~ U(0, 1), else to
i + 2; from the last but one to the last, from the last to any; features φ ~ U(−1, 1)ᵈ and rewards U(−1, 1) of each.

One step of TD(0) on all transitions, w ← w + η mean eⱼ φⱼ, is in tokens (φ, φ', e) a layer with

    S = [(−φ, +γ φ') on φ],  V = [e to e],      e_i ← e_i + η mean_j ((γ φ'_i − φ_i) · φ_j) e_j

which are compared, as the paper compares P and Q, by their cosine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime.plots import COLOURS
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from scipy.optimize import minimize_scalar

from ..charts import averaged
from ..measures.distance import Floats
from .shared.frame import UNSEEN, Check, Figure, Result, Setting, Table
from .shared.layers import layer, random_layers, slots
from .shared.pictures import panels
from .shared.streams import Stream, answers

D, N, STATES, DISCOUNT, LAYERS = 4, 30, 10, 0.9, 3
SEEDS = (0, 1, 2, 3, 4)
TRAINING = 4000
STEP = 0.3
"""η at which the compiled layer's S and V are read; neither direction depends on it."""


def chains(key: Any, count: int) -> tuple[Any, Any, Any]:
    """Transition matrices [count, states, states], features [count, states, d] and rewards [count, states]."""
    of_next, of_last, of_phi, of_reward = jax.random.split(key, 4)
    p = jax.random.uniform(of_next, (count, STATES - 2, 1))
    one, two = (jnp.eye(STATES)[k : STATES - 2 + k] for k in (1, 2))
    last = jax.random.uniform(of_last, (count, 1, STATES))
    before = jnp.broadcast_to(jnp.eye(STATES)[-1:], (count, 1, STATES))
    matrix = jnp.concatenate([p * one + (1 - p) * two, before, last / last.sum(-1, keepdims=True)], 1)
    phi = jax.random.uniform(of_phi, (count, STATES, D), minval=-1.0)
    return matrix, phi, jax.random.uniform(of_reward, (count, STATES), minval=-1.0)


def drawn(key: Any, batch: int) -> dict[str, Any]:
    """Pairs of prompts with the same transitions: prompt 2i asks for a state, 2i + 1 for the one after it. `gained` is
    the reward between them, `value` the truth of what is asked [batch]."""
    of_chain, of_start, of_walk = jax.random.split(key, 3)
    count = batch // 2
    matrix, phi, reward = chains(of_chain, count)
    start = jax.random.randint(of_start, (count,), 0, STATES)

    def walk(state: Any, key: Any) -> tuple[Any, Any]:
        rows = jnp.take_along_axis(matrix, state[:, None, None], 1)[:, 0]
        return jax.random.categorical(key, jnp.log(rows)), state

    _, path = jax.lax.scan(walk, start, jax.random.split(of_walk, N + 2))
    path = path.T  # [count, n + 2]: the transitions' states, the first of which is followed by the second …
    held = jnp.take_along_axis(phi, path[..., None], 1)
    gained = jnp.take_along_axis(reward, path, 1)
    values = jnp.linalg.solve(jnp.eye(STATES) - DISCOUNT * matrix, reward[..., None])[..., 0]
    asked = jnp.stack([path[:, N], path[:, N + 1]], 1)
    context = {"phi": held[:, :N], "after": held[:, 1 : N + 1], "reward": gained[:, :N]}
    found = {name: jnp.repeat(value, 2, axis=0) for name, value in context.items()}
    queries = jnp.stack([held[:, N], held[:, N + 1]], 1).reshape(-1, 1, D)
    return {
        "phi": jnp.concatenate([found["phi"], queries], 1),
        "after": found["after"],
        "reward": found["reward"],
        "gained": jnp.repeat(gained[:, N], 2, axis=0),
        "value": jnp.take_along_axis(values, asked, 1).reshape(-1),
    }


def difference(outputs: Any, fields: Mapping[str, Any]) -> Any:
    """Mean (R + γ v(s') − v(s))², v(s') not differentiated (Sutton 1988)."""
    value, after = outputs[::2, 0], jax.lax.stop_gradient(outputs[1::2, 0])
    return jnp.mean(jnp.square(fields["gained"][::2] + DISCOUNT * after - value))


STREAM = Stream(
    "policy_evaluation",
    {"d": D, "n": N, "states": STATES, "discount": DISCOUNT},
    draw=drawn,
    score=difference,
)


def ordered(weights: Weights) -> tuple[Floats, Floats]:
    """S and V [2d + 1, 2d + 1] of its (first) layer, summed over heads, in the order φ, φ', e."""
    order = np.concatenate([slots(weights, name) for name in ("phi", "after", "reward")])
    scores, values = layer(weights)
    return scores.sum(0)[np.ix_(order, order)], values.sum(0)[np.ix_(order, order)]


def cosine(a: Floats, b: Floats) -> float:
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b)))


def temporal_differences(fields: Mapping[str, Floats], steps: int, rate: float) -> Floats:
    """v(s) [tasks] of so many steps of TD(0) from w = 0 on the mean of all transitions."""
    phi, query = fields["phi"][:, :-1], fields["phi"][:, -1]
    w = np.zeros_like(query)
    for _ in range(steps):
        slope = DISCOUNT * fields["after"] - phi
        e = fields["reward"] + np.einsum("bnd,bd->bn", slope, w)
        w = w + rate * np.einsum("bn,bnd->bd", e, phi) / phi.shape[1]
    return np.asarray((w * query).sum(1))


@dataclass(frozen=True)
class Found:
    """A trained loop: its S and V, signed as the compiled, their cosines with TD's, the rate of TD(0) nearest to its
    answers, and the share E (v − v_TD)² / E v² that this does not explain."""

    scores: Floats
    values: Floats
    cosines: tuple[float, float]
    rate: float
    unexplained: float
    error: float
    losses: Floats
    weights: Weights


def found(setting: Setting, seed: int, compiled: Weights, fields: Mapping[str, Floats]) -> Found:
    start = random_layers(compiled, seed, deviation=0.1, n_head=1, d_head=2 * D + 1)
    run = setting.train(f"loop_{seed}", start, STREAM, steps=TRAINING, batch=256, rate=3e-3, warmup=100, seed=seed)
    setting.told("comparing", 0, 0)
    (s, v), (s_to, v_to) = ordered(run.weights), ordered(compiled)
    sign = np.sign((s * s_to).sum())
    values = answers(run.weights, fields)[:, 0]

    def unexplained(rate: float) -> float:
        off = values - temporal_differences(fields, LAYERS, rate)
        return float((off**2).mean() / (values**2).mean())

    best: Any = minimize_scalar(unexplained, bounds=(0.01, 3.0), method="bounded")
    return Found(
        s * sign, v * sign, (cosine(s * sign, s_to), cosine(v * sign, v_to)), float(best.x), float(best.fun),
        float(((values - fields["value"]) ** 2).mean()), run.losses.astype(np.float64), run.weights,
    )  # fmt: skip


def run(setting: Setting) -> Result:
    settings: dict[str, Any] = {"target": "lsa", "d": D, "steps": LAYERS, "discount": DISCOUNT}
    compiled = compile_program(load("temporal_difference"), rate=STEP, **settings)
    fields = STREAM.drawn(2 * setting.tasks(5000), UNSEEN)
    values = answers(compiled, fields)[:, 0]
    exact = temporal_differences(fields, LAYERS, STEP)
    error = float(((values - exact) ** 2).mean() / (exact**2).mean())
    runs = {seed: found(setting, seed, compiled, fields) for seed in SEEDS}
    zero = float((fields["value"] ** 2).mean())
    mean = [cosine(np.mean([getattr(f, n) / np.linalg.norm(getattr(f, n)) for f in runs.values()], 0), to)
            for n, to in zip(("scores", "values"), ordered(compiled), strict=True)]  # fmt: skip
    return Result(
        checks=(
            Check("compiled from TD(0) in NumPy, share unexplained", error, high=1e-6),
            Check("cosine of S with TD(0)'s, mean matrix of the seeds", mean[0], low=0.95),
            Check("cosine of V with TD(0)'s, mean matrix of the seeds", mean[1], low=0.95),
            Check("cosine of S, least of the seeds", min(f.cosines[0] for f in runs.values()), low=0.95),
            Check("cosine of V, least of the seeds", min(f.cosines[1] for f in runs.values()), low=0.95),
            Check("answers unexplained by TD(0), largest", max(f.unexplained for f in runs.values()), high=0.05),
        ),
        tables=(
            Table(
                ["three layers", "cosine of S", "of V", "nearest rate", "unexplained", "E (v − truth)² / E truth²"],
                [
                    [f"seed {s}", *(f"{c:.4f}" for c in f.cosines), f"{f.rate:.3f}", f"{f.unexplained:.4f}",
                     f"{f.error / zero:.4f}"]
                    for s, f in runs.items()
                ],
            ),
        ),
        pictures={"wang_td": _picture(runs, compiled)},
        numbers={
            "compiled_unexplained": error,
            "mean_cosines": mean,
            **{
                str(s): {"scores": f.scores, "values": f.values, "cosines": f.cosines, "rate": f.rate,
                         "unexplained": f.unexplained, "error": f.error, "training_losses": f.losses}
                for s, f in runs.items()
            },
        },
        weights={"compiled": compiled} | {f"trained_{s}": f.weights for s, f in runs.items()},
    )  # fmt: skip


def _picture(runs: Mapping[int, Found], compiled: Weights) -> Picture:
    first = next(iter(runs.values()))
    with panels(4, "Trained on policy evaluation, linear layers run TD(0)", width=3.2) as (picture, grid):
        for seed, one in runs.items():
            steps, means = averaged(one.losses, 100)
            grid[0].plot(steps, means, color=COLOURS[seed], linewidth=1.5, label=f"seed {seed}")
        usual = np.median(np.concatenate([one.losses for one in runs.values()]))
        grid[0].set_ylim(0, 2.5 * usual)  # runs that jump leave the panel
        grid[0].set_xlabel("steps of Adam")
        grid[0].set_ylabel("TD error, squared")
        grid[0].legend()
        _matrix(grid[1], ordered(compiled)[0], "S, compiled")
        _matrix(grid[2], first.scores, f"S, trained, cosine {first.cosines[0]:.3f}")
        _matrix(grid[3], first.values, f"V, trained, cosine {first.cosines[1]:.3f}")
    return picture


def _matrix(axes: Axes, matrix: Floats, title: str) -> None:
    top = float(np.abs(matrix).max())
    axes.grid(visible=False)
    axes.imshow(matrix, cmap="RdBu", vmin=-top, vmax=top)
    middles = [D / 2 - 0.5, 1.5 * D - 0.5, 2 * D]
    axes.set_xticks(middles, ["φ", "φ'", "e"])
    axes.set_yticks(middles, ["φ", "φ'", "e"])
    for edge in (D - 0.5, 2 * D - 0.5):
        axes.axhline(edge, color="white", linewidth=1)
        axes.axvline(edge, color="white", linewidth=1)
    axes.set_title(title, loc="left", fontsize=10)


FIGURE = Figure(
    "wang_td",
    "linear layers that are trained to evaluate policies run temporal-difference learning",
    "Wang et al. 2024, Transformers can learn temporal difference methods for in-context reinforcement learning "
    "(arXiv 2405.13861)",
    run,
    minutes=4.5,
)
