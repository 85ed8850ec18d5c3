"""The trace of the shipped programs: what every name means after every layer, held against NumPy, token by token.

Layers count from 0, examples and passes from 1; y_i is the token of the i-th label. NaN: the name is not held there.

    gradient_descent   layer k, from 1 on       w after k + 1 steps on the examples up to the token, at every token
                                                (the mean that layer 1 reads is the first step, from w = 0, itself)
    scan, pass p       its first layer          what y_i began its update with, i ≤ p + 1  (P, q, s, w of two layers)
                       its last layer           what y_i ended it with, for i ≤ p + 1
                       (every token does the first update in front of the scan, for itself)
    after the last     every program            w at every token: of the last y at or before it
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Floats
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.trace import Trace

from tests.support.linear_tasks import linear_tasks
from tests.support.shared import compiled_once

D, EXAMPLES, STEPS, RATE, RIDGE = 3, 4, 3, 0.1, 0.1
TASKS = 5
SETTINGS: dict[str, dict[str, Any]] = {
    "gradient_descent": {"steps": STEPS, "rate": RATE},
    "stochastic_gradient_descent": {"examples": EXAMPLES, "rate": RATE},
    "sherman_morrison": {"examples": EXAMPLES, "ridge": RIDGE},
}


def data() -> tuple[Floats, Floats]:
    fields = linear_tasks(TASKS, EXAMPLES, D, seed=3)
    return fields["x"], fields["y"]


@cache
def traced(name: str) -> tuple[Trace, int]:
    x, y = data()
    weights = compiled_once(load(name), d=D, **SETTINGS[name])
    return Transformer(weights, guard="off").trace(x=x, y=y), weights.config.n_layer


def close(found: Floats, wanted: Floats) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5 * max(1.0, float(np.abs(wanted).max())))


def at_labels(found: Floats) -> Floats:
    """[…, tokens, …] at the y tokens."""
    return found[:, 1::2]


def along_tokens(after: Floats) -> Floats:
    """[tasks, 1 + examples, …] after 0, 1 … examples → [tasks, tokens, …]: x₁ has seen none, y₁ and x₂ one, …"""
    return after[:, (np.arange(2 * EXAMPLES + 1) + 1) // 2]


def gradient_descent(steps: int) -> Floats:
    """w after so many steps on each prefix: [tasks, 1 + examples, d]."""
    x, y = data()
    after = np.zeros((TASKS, EXAMPLES + 1, D))
    for n in range(1, EXAMPLES + 1):
        for _ in range(steps):
            residual = np.einsum("tnd,td->tn", x[:, :n], after[:, n]) - y[:, :n]
            after[:, n] -= RATE * np.einsum("tn,tnd->td", residual, x[:, :n]) / n
    return after


def stochastic_gradient_descent() -> Floats:
    """w after each example: [tasks, 1 + examples, d]."""
    x, y = data()
    after = np.zeros((TASKS, EXAMPLES + 1, D))
    for n in range(EXAMPLES):
        residual = (after[:, n] * x[:, n]).sum(-1) - y[:, n]
        after[:, n + 1] = after[:, n] - 2 * RATE * residual[:, None] * x[:, n]
    return after


def ridge_regression() -> tuple[Floats, Floats]:
    """P = (XᵀX + λI)⁻¹ and w = P Xᵀy after each example: [tasks, 1 + examples, d, d], [tasks, 1 + examples, d]."""
    x, y = data()
    grams = np.einsum("tni,tnj->tnij", x[:, :-1], x[:, :-1]).cumsum(1)
    moments = np.einsum("tni,tn->tni", x[:, :-1], y).cumsum(1)
    inverse = np.linalg.inv(np.concatenate([np.zeros_like(grams[:, :1]), grams], 1) + RIDGE * np.eye(D))
    moments = np.concatenate([np.zeros_like(moments[:, :1]), moments], 1)
    return np.asarray(inverse, np.float64), np.einsum("tnij,tnj->tni", inverse, moments)


@pytest.mark.parametrize("name", SETTINGS)
def test_names_stand_at_the_tokens_of_their_kind(name: str) -> None:
    trace, layers = traced(name)
    assert {"u", "w", "x", "y"} <= set(trace)
    for held in trace:
        assert trace[held].shape[:3] == (layers, TASKS, 2 * EXAMPLES + 1)
        if held in ("u", "y", "P", "q", "s"):
            assert np.isnan(trace[held][:, :, 0::2]).all()
    assert np.isnan(trace["x"][:, :, 1::2]).all()


@pytest.mark.parametrize("name", SETTINGS)
def test_fields_and_moves_are_the_data_wherever_they_are_held(name: str) -> None:
    trace, layers = traced(name)
    x, y = data()
    for layer in range(layers):
        for found, wanted in (
            (trace["x"][layer, :, 0::2], x),
            (trace["u"][layer, :, 1::2], x[:, :-1]),
            (trace["y"][layer, :, 1::2], y),
        ):
            if not np.isnan(found).all():
                close(found, wanted)
    assert not np.isnan(trace["x"][0, :, 0::2]).any()


def test_gradient_descent_is_a_step_further_after_each_layer() -> None:
    trace, layers = traced("gradient_descent")
    assert layers == STEPS + 1
    for layer in range(1, layers):
        close(trace["w"][layer], along_tokens(gradient_descent(min(layer + 1, STEPS))))


def test_stochastic_gradient_descent_holds_each_update_from_its_pass_on() -> None:
    trace, layers = traced("stochastic_gradient_descent")
    after = stochastic_gradient_descent()
    assert layers == EXAMPLES + 1
    for turn in range(2, EXAMPLES + 1):
        layer = turn - 1
        close(at_labels(trace["w"][layer])[:, :turn], after[:, 1 : turn + 1])
    close(trace["w"][-1], along_tokens(after))


def test_sherman_morrison_holds_each_update_from_its_pass_on() -> None:
    trace, layers = traced("sherman_morrison")
    assert layers == 2 * EXAMPLES + 1
    inverse, w = ridge_regression()
    x, _ = data()
    q = np.einsum("tnij,tnj->tni", inverse[:, :-1], x[:, :-1])
    s = 1 + (q * x[:, :-1]).sum(-1)
    for turn in range(2, EXAMPLES + 1):
        first, last = 2 * turn - 2, 2 * turn - 1
        close(at_labels(trace["P"][first])[:, :turn], inverse[:, :turn])
        close(at_labels(trace["w"][first])[:, :turn], w[:, :turn])
        close(at_labels(trace["q"][first])[:, :turn], q[:, :turn])
        close(at_labels(trace["s"][first])[:, :turn], s[:, :turn])
        close(at_labels(trace["P"][last])[:, :turn], inverse[:, 1 : turn + 1])
        close(at_labels(trace["w"][last])[:, :turn], w[:, 1 : turn + 1])
    close(trace["w"][-1], along_tokens(w))
