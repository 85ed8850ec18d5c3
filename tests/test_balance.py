"""Balancing: narrower MLPs from the same depth and no more slots, and the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.compiler import Weights, compile_program, interpret
from innerloop.compiler import compile as passes

from .reference import case_of, measured

WAITS = """program waits(d)

tokens (t)*
    x : vector[d] on t in [-1, 1]

a = tanh(x)
b = tanh(2 * x)                        # read two layers after it could be there
c = a * a
output c * c * b
"""


def test_what_can_wait_leaves_the_widest_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    after = compile_program(WAITS, d=2)
    monkeypatch.setattr(passes, "balance", lambda schedule, _: schedule)
    before = compile_program(WAITS, d=2)
    assert after.config.n_layer == before.config.n_layer
    assert after.config.d_mlp < 0.8 * before.config.d_mlp
    assert after.report.neurons == before.report.neurons
    x = np.random.default_rng(0).uniform(-1, 1, (8, 5, 2))
    for weights in (before, after):
        np.testing.assert_allclose(measured.numpy_run(weights, {"x": x}), interpret(WAITS, x=x, d=2), atol=2e-6)


@pytest.mark.parametrize("name", ["support_vector", "retargetable_loss_table", "gradient_descent"])
def test_balancing_costs_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(name)

    def compiled() -> Weights:
        return measured.compiled(case, calibration=case.sample(64))

    after = compiled()
    monkeypatch.setattr(passes, "balance", lambda schedule, _: schedule)
    before = compiled()
    assert after.config.n_layer == before.config.n_layer
    assert after.report.slots <= before.report.slots
    assert after.config.d_mlp <= before.config.d_mlp
