"""Retargetable optimisers: one set of weights, and a prompt that says which loss to minimise.

24 examples of d = 4, x, w ~ N(0, I), labels with noise of 0.1, three of them outliers by 3 to 6 either way. The losses
of the residuals r = w·x − y are means over the examples, but for L∞:

    l1  mean |r|     l2  ½ mean r²     linf  max |r|
    huber     mean of ½ r² for |r| ≤ δ, else δ (|r| − δ/2)          δ = 0.3
    quantile  mean of max(−τ r, (1 − τ) r)                          τ = 0.8
    epsilon   mean of max(|r| − ε, 0)                               ε = 0.3

Their optima are SciPy's: linear programmes, least squares, BFGS. What the transformer found is read off its predictions
at the d unit vectors; its excess is its loss less the optimum, in the mean over tasks. Weights are made from the
default tasks, or from data whose prompts name the first three (for the table: random tables of two ramps), and stay
as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Floats
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights
from innerloop.runtime import Transformer
from scipy.optimize import linprog, minimize

from tests.reference import source
from tests.support.shared import compiled_once

D, EXAMPLES, TASKS = 4, 24, 24
DELTA, TAU, EPSILON = 0.3, 0.8, 0.3
RAMP = 0.01
"""Half the width of the ramp that stands for a jump of ℓ′ in a table."""

NAMED = ["l1", "l2", "linf"]
LOSSES: dict[str, Callable[[Floats], Floats]] = {
    "l1": lambda r: np.abs(r).mean(-1),
    "l2": lambda r: 0.5 * (r**2).mean(-1),
    "linf": lambda r: np.abs(r).max(-1),
    "huber": lambda r: np.where(np.abs(r) <= DELTA, r**2 / 2, DELTA * (np.abs(r) - DELTA / 2)).mean(-1),
    "quantile": lambda r: np.maximum(-TAU * r, (1 - TAU) * r).mean(-1),
    "epsilon": lambda r: np.maximum(np.abs(r) - EPSILON, 0).mean(-1),
}
TABLES = {
    "huber": ([-DELTA, 0], [1, 0], [2 * DELTA, 0], [0.5, 0]),
    "quantile": ([-RAMP, 0], [0.5 / RAMP, 0], [1, 0], [TAU, 0]),
    "epsilon": ([-EPSILON - RAMP, EPSILON - RAMP], [0.5 / RAMP] * 2, [1, 1], [1, 0]),
}
"""ℓ′(r) = Σ clip(slope · (r − knot), 0, rise) − below · rise: (knot, slope, rise, below) of two ramps."""


def draw(seed: int, tasks: int) -> tuple[Floats, Floats]:
    """x [tasks, EXAMPLES, D] and y [tasks, EXAMPLES]."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((tasks, EXAMPLES, D))
    y = np.einsum("tnd,td->tn", x, rng.standard_normal((tasks, D))) + 0.1 * rng.standard_normal((tasks, EXAMPLES))
    for row in y:
        row[rng.choice(EXAMPLES, 3, replace=False)] += rng.choice([-1, 1], 3) * rng.uniform(3, 6, 3)
    return x, y


def optimum(loss: str, x: Floats, y: Floats) -> float:
    """The least loss of any w."""
    n, d = x.shape
    if loss == "l2":
        return float(LOSSES[loss](x @ np.linalg.lstsq(x, y, rcond=None)[0] - y))
    if loss == "huber":

        def value(w: Floats) -> tuple[float, Floats]:
            r = x @ w - y
            return float(LOSSES["huber"](r)), np.clip(r, -DELTA, DELTA) @ x / n

        return float(minimize(value, np.zeros(d), jac=True, method="BFGS", options={"gtol": 1e-9}).fun)
    # bounds t on what is summed: above · r ≤ t + floor, −below · r ≤ t + floor
    above, below, floor = {"quantile": (1 - TAU, TAU, 0.0), "epsilon": (1.0, 1.0, EPSILON)}.get(loss, (1.0, 1.0, 0.0))
    each = np.ones((n, 1)) if loss == "linf" else np.eye(n)
    found = linprog(
        np.concatenate([np.zeros(d), np.full(each.shape[1], 1.0 / each.shape[1])]),
        A_ub=np.block([[above * x, -each], [-below * x, -each]]),
        b_ub=np.concatenate([floor + above * y, floor - below * y]),
        bounds=[(None, None)] * d + [(0.0, None)] * each.shape[1],
    )
    assert found.success
    return float(found.fun)


def named(loss: str, tasks: int) -> dict[str, Any]:
    return {"named": np.full((tasks, 1), NAMED.index(loss))}


def tabled(table: tuple[Any, ...], tasks: int) -> dict[str, Floats]:
    """The same ramps for all tasks, or each task's own [tasks, 2]."""
    columns = zip(("knot", "slope", "rise", "below"), table, strict=True)
    return {name: np.broadcast_to(column, (tasks, 2))[:, None] for name, column in columns}


def with_queries(x: Floats, y: Floats, queries: Floats, prompt: dict[str, Floats]) -> dict[str, Floats]:
    """Each task with each of these queries [queries, D]."""
    each = {name: np.repeat(field, len(queries), 0) for name, field in (prompt | {"x": x, "y": y}).items()}
    return each | {"x": np.concatenate([each["x"], np.tile(queries, (len(x), 1))[:, None]], 1)}


def minimiser(model: Transformer, x: Floats, y: Floats, prompt: dict[str, Floats]) -> Floats:
    """The w that the transformer predicts with [tasks, D]."""
    return np.asarray(model(**with_queries(x, y, np.eye(D), prompt)), np.float64).reshape(len(x), D)


def excesses(
    weights: Weights, prompts: dict[str, dict[str, Floats]], losses: list[str]
) -> dict[tuple[str, str], float]:
    """Of each prompt on each loss, by one and the same transformer. Its guard is off: what it would say of the
    predictions is no part of how good they are, and the interpreter takes longer than the pass."""
    x, y = draw(0, TASKS)
    least = {loss: np.array([optimum(loss, *task) for task in zip(x, y, strict=True)]) for loss in losses}
    found, model = {}, Transformer(weights, guard="off")
    for name, prompt in prompts.items():
        r = np.einsum("tnd,td->tn", x, minimiser(model, x, y, prompt)) - y
        found.update({(name, loss): float(np.mean(LOSSES[loss](r) - least[loss])) for loss in losses})
    return found


COMPILED: list[tuple[TargetName, bool]] = [("gpt2", False), ("llama", True)]
"""With ranges from the default tasks, as test_defaults.py compiles the first too, and from data like those here."""


@pytest.mark.slow
@pytest.mark.parametrize(("target", "given"), COMPILED)
def test_one_transformer_minimises_the_loss_that_its_prompt_names(target: TargetName, given: bool) -> None:
    x, y = draw(1, 1536)
    prompt: dict[str, Any] = {"named": np.random.default_rng(3).integers(len(NAMED), size=(1536, 1))}
    sample = with_queries(x, y, np.ones((1, D)), prompt) if given else None
    weights = compiled_once(source("retargetable_gradient_descent"), target=target, calibration=sample, d=D)
    found = excesses(weights, {loss: named(loss, TASKS) for loss in NAMED}, NAMED)
    assert found["l1", "l1"] <= 1e-3
    assert found["l2", "l2"] <= 1e-3
    assert found["linf", "linf"] <= 1e-2
    assert min(excess for (prompt, loss), excess in found.items() if prompt != loss) >= 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("target", "given"), COMPILED)
def test_one_transformer_minimises_losses_that_no_weight_has_seen(target: TargetName, given: bool) -> None:
    x, y = draw(1, 1536)
    rng = np.random.default_rng(2)
    slope = np.exp(rng.uniform(0, np.log(0.5 / RAMP), (1536, 2)))
    prompt = tabled((rng.uniform(-1, 1, (1536, 2)), slope, *rng.random((2, 1536, 2))), 1536)
    sample = with_queries(x, y, np.ones((1, D)), prompt) if given else None
    weights = compiled_once(source("retargetable_loss_table"), target=target, calibration=sample, d=D, ramps=2)
    prompts = {loss: tabled(table, TASKS) for loss, table in TABLES.items()}
    found = excesses(weights, prompts, list(TABLES))
    for loss in TABLES:
        assert found[loss, loss] <= 1e-2
        assert min(found[other, loss] for other in TABLES if other != loss) > 4 * found[loss, loss]
