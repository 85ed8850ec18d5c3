"""Balancing: narrower MLPs from the same depth and no more slots, and the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, compile_program, interpret
from innerloop.compiler import finish as passes
from innerloop.compiler.compile import plan_for
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.pipeline import optimise
from innerloop.compiler.schedule import balance as balancing
from innerloop.compiler.schedule.lower import lower
from innerloop.compiler.schedule.schedule import schedule
from innerloop.programs import load

from tests.reference import case_of, measured

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


@pytest.mark.parametrize("name", ["support_vector", "gradient_descent"])
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


CHANGES = """program changes(k = 2)

tokens (s)*
    s : vector[k]

v = 1 + s ^ 2
repeat 2
    a = softmax({logit})
    v = 0.2 + mean[j in s](a[j])
output a
"""
LOGITS = {
    "-log(v) - s / v": lambda v, s: -np.log(v) - s / v,
    "-log(v) - s * exp(-v)": lambda v, s: -np.log(v) - s * np.exp(-v),
    "-sqrt(v) - s / v": lambda v, s: -np.sqrt(v) - s / v,
    "-tanh(v) - s / v": lambda v, s: -np.tanh(v) - s / v,
}
"""Sums of what is there at once, and what takes two more sublayers."""


def by_hand(logit: str, s: np.ndarray, passes: int) -> np.ndarray:
    """What CHANGES computes, in as many lines of NumPy."""
    v, a = 1.0 + s**2, s
    for _ in range(passes):
        logits = LOGITS[logit](v, s)
        a = np.exp(logits - logits.max(-1, keepdims=True))
        a /= a.sum(-1, keepdims=True)
        v = 0.2 + np.cumsum(a, axis=1) / np.arange(1, s.shape[1] + 1)[:, None]
    return np.asarray(a)


def right(text: str, logit: str, passes: int, target: TargetName, dtype: Dtype) -> None:
    s = np.random.default_rng(0).standard_normal((8, 12, 2))
    found = measured.numpy_run(compile_program(text, target=target, dtype=dtype), {"s": s})
    atol = {"float32": 5e-6, "float64": 5e-10}[dtype]
    np.testing.assert_allclose(found, by_hand(logit, s, passes), rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("logit", "target", "dtype"),
    [
        (logit, target, ("float32", "float64")[(k + j) % 2])
        for k, logit in enumerate(LOGITS)
        for j, target in enumerate(("gpt2", "gelu", "llama"))
    ],
)
def test_nothing_moves_past_a_change_of_what_it_reads(logit: str, target: TargetName, dtype: Dtype) -> None:
    right(CHANGES.format(logit=logit), logit, 2, target, dtype)


@pytest.mark.parametrize("passes", [1, 3])
def test_nor_in_loops_of_another_length(passes: int) -> None:
    logit = "-log(v) - s / v"
    right(CHANGES.format(logit=logit).replace("repeat 2", f"repeat {passes}"), logit, passes, "gpt2", "float32")


def test_nor_where_the_loop_is_written_out() -> None:
    logit = "-log(v) - s / v"
    head, body = CHANGES.format(logit=logit).replace("output a\n", "").split("repeat 2\n")
    once = "\n".join(line.strip() for line in body.splitlines())
    again = once.replace("a =", "b =").replace("a[j]", "b[j]").replace("v =", "t =")
    again = again.replace("t =", "r =").replace("log(v)", "log(t)").replace("s / v", "s / t")
    once = once.replace("v =", "t =")
    right(f"{head}{once}\n{again}\noutput b\n", logit, 2, "gpt2", "float32")


@pytest.mark.parametrize("target", ["gpt2", "neox"])
@pytest.mark.parametrize("name", ["gaussian_mixture", "k_means", "support_vector"])
def test_whatever_neurons_cost_all_that_is_read_is_there(
    name: str, target: TargetName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What moves is chosen by cost, and may not depend on it. Beside an attention that changes a state, an MLP of the
    same layer reads what it was before: there nothing may move to a later layer."""
    case = case_of(name)
    graph = optimise(graph_of(load(name), case.parameters), target)
    plan = plan_for(graph, target, "float32", case.sample(64))
    instructions = lower(plan.graph, plan.ranges, plan.target)
    before, moved = [p for s in schedule(instructions).walk() for p in s.placed], 0
    for seed in range(8):
        random = np.random.default_rng(seed).integers(1, 1000, 10_000)
        monkeypatch.setattr(balancing, "_cost", lambda placed, _, random=random: random[placed.instruction.out])
        placed, _ = passes.arranged(instructions, "float32")
        moved += [p for s in placed.walk() for p in s.placed] != before
    assert moved > 0
