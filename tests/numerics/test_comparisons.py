"""Comparisons: exactly 0 and 1, what is multiplied by one kept bit for bit, and programs that learn by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.words import TargetName
from innerloop.compiler import compile_program
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Function, Keep, Product
from innerloop.compiler.pipeline import optimise
from innerloop.runtime import Transformer
from innerloop.runtime.exports.export import export
from numpy.typing import NDArray

from tests.reference import case_of
from tests.reference.measured import compiled, numpy_run
from tests.runtime.test_stream import streamed
from tests.support.against_oracle import both

HEAD = "program test(d = 4)\n\ntokens (x y)* x\n    x : vector[d]\n    y : scalar\n\n"
TARGETS = ("gpt2", "gelu", "llama")
Array = NDArray[Any]


def draw(examples: int, tasks: int = 8, seed: int = 0) -> dict[str, Array]:
    """Numbers that float32 holds, of many sizes."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((tasks, examples + 1, 4)), rng.standard_normal((tasks, examples))
    x *= 10.0 ** rng.uniform(-4, 0, x.shape)
    return {"x": x.astype(np.float32).astype(np.float64), "y": y.astype(np.float32).astype(np.float64)}


def ties(fields: dict[str, Array], at: float = 0.5) -> dict[str, Array]:
    """The same, a fifth of x at the threshold, and as much 2⁻¹⁶ of the range beside it."""
    x, rng = fields["x"].copy(), np.random.default_rng(1)
    which = rng.random(x.shape)
    x[which < 0.2] = at
    beside = (which > 0.2) & (which < 0.4)
    x[beside] = at + rng.choice([-1.0, 1.0], beside.sum()) * 2.0**-16 * (np.abs(x - at).max() + 1.0)
    return {**fields, "x": x.astype(np.float32).astype(np.float64)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("value", ["x < 0.5", "x <= 0.5", "x > 0.5", "x >= 0.5", "sign(x - 0.5)"])
def test_a_comparison_is_exactly_0_or_1_at_ties_too(value: str, target: TargetName, dtype: Dtype) -> None:
    found, truth = both(f"{HEAD}at x\n    output {value}\n", ties(draw(10)), target, dtype)
    np.testing.assert_array_equal(found, truth)


@pytest.mark.parametrize("target", TARGETS)
def test_the_threshold_is_a_few_units_from_0_where_nothing_is_0(target: TargetName) -> None:
    """x is no closer to 0 than 2⁻²⁴ of its range."""
    fields = draw(40)
    x = np.where(fields["x"] == 0.0, 1.0, fields["x"])
    reach = 1.1 * np.abs(x).max()
    fields["x"] = np.sign(x) * np.maximum(np.abs(x), 2.0**-24 * reach).astype(np.float32)
    fields["x"][..., ::7, :] = np.sign(fields["x"][..., ::7, :]) * np.float32(2.0**-24 * reach)
    found, truth = both(f"{HEAD}at x\n    output sign(x)\n", fields, target)
    np.testing.assert_array_equal(found, truth)


KEPT = [
    "(x > 0) * x",
    "(1 - (x > 0)) * x",
    "(sum(x) <= 0) * x",
    "(x > 0) * (x < 0.25) * x",
    "x * (v > 0.5)",
]
"""What is kept, by one and by several."""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("value", KEPT)
def test_what_is_kept_is_bit_for_bit(value: str, target: TargetName) -> None:
    """Over 1,023 tokens; elsewhere it is exactly 0."""
    text = f"{HEAD}at x\n    v = 2 * x\n    output {value}\n"
    found, truth = both(text, draw(511, tasks=2), target)
    np.testing.assert_array_equal(found, truth.astype(np.float32))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("value", "most"), [("sign(x) * x", 0.0), ("dot(x > 0, x)", 3e-7), ("outer(x > 0, x) @ x", 2e-6)]
)
def test_sums_of_what_is_kept(value: str, most: float, target: TargetName) -> None:
    found, truth = both(f"{HEAD}at x\n    output {value}\n", draw(20), target)
    assert np.abs(found - truth).max() <= most * np.abs(truth).max()


@pytest.mark.parametrize("target", TARGETS)
def test_tokens_of_other_kinds_may_hold_anything(target: TargetName) -> None:
    """What decides at x is large at h, and what is kept lives there, too; attention goes both ways."""
    text = (
        "program test(d = 3)\n\ntokens h (x)* q  visible context\n    a : vector[d] on h, x, q\n\n"
        "at x\n    g = (sum(a) > 1) * a\noutput mean[j in x](g[j])\n"
    )
    rng = np.random.default_rng(3)
    a = rng.standard_normal((16, 9, 3))
    a[:, 0] = 1e3
    a[:, -1] = -1e3
    found, truth = both(text, {"a": a}, target)
    assert np.abs(found - truth).max() < 1e-5


def test_products_of_comparisons_are_kept_and_no_product_is_left() -> None:
    graph = optimise(graph_of(f"{HEAD}at x\n    output (1 - (sum(x) > 0)) * x + sign(x) * x\n", {}))
    ops = [graph[v].op for v in graph.values()]
    assert not any(isinstance(op, Product | Function) for op in ops)
    assert sum(isinstance(op, Keep) for op in ops) == 3


# Programs ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-11), ("float64", 1e-20)])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("name", "layers"), [("perceptron", 80), ("support_vector", 89)])
def test_programs_that_compare_to_learn(name: str, layers: int, target: TargetName, dtype: Dtype, most: float) -> None:
    """SPD/d; a comparison that goes the wrong way once costs 1e-5 or more. float32: 2.2e-12 was measured."""
    case = case_of(name)
    weights, fields = compiled(case, target, dtype), case.data(seed=11, tasks=200)
    assert np.mean((numpy_run(weights, fields) - case.truth(fields)) ** 2) / 3 < most
    report = weights.report
    assert report.layers == layers
    assert report.measured_error <= report.predicted_error <= 100 * report.measured_error


@pytest.mark.slow
def test_a_looser_tolerance_never_costs_more() -> None:
    neurons = []
    for tolerance in (1e-2, 1e-5):
        report = compiled(case_of("support_vector"), tolerance=tolerance).report
        assert report.measured_error <= tolerance
        neurons.append(report.neurons)
    assert neurons == sorted(neurons)
    assert neurons[0] < compiled(case_of("support_vector")).report.neurons


@pytest.mark.slow
@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_stock_models_streams_and_traces_compare_alike(target: TargetName, tmp_path: Path) -> None:
    from transformers import GPT2Model, LlamaModel  # here: a mutant's tests take seconds less to start

    from tests.support.stock_models import outputs

    kind = {"gpt2": GPT2Model, "llama": LlamaModel}[target]
    case = case_of("perceptron")
    weights, fields = compiled(case, target), case.data(seed=11, tasks=4)
    truth = case.truth(fields)
    export(weights, tmp_path / "out")
    model = Transformer(weights, guard="off")
    for found in (outputs(kind, tmp_path / "out", weights, **fields), streamed(model, **fields)):
        assert np.abs(found - truth).max() < 2e-5
    assert model.diff(case.sample(), **fields).first is None


def test_what_decides_a_comparison_is_never_made_cheaper() -> None:
    """An error there has no size: it turns the comparison over, or, as on all tasks here, it does not."""

    def neurons(value: str, tolerance: float | None) -> int:
        text = f"program p()\n\ntokens (x)*\n    x : vector[4]\n    z : scalar on x\n\ns = dot(x, x)\noutput {value}\n"
        return compile_program(text, tolerance=tolerance).report.neurons

    assert neurons("(s > -9) * z + s", 0.05) == neurons("(s > -9) * z + s", None)
    assert neurons("z + s", 0.05) < neurons("z + s", None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", ["gpt2", "gelu", "llama"])
def test_the_sign_of_what_is_given_is_right_far_below_its_range(target: TargetName, dtype: Dtype) -> None:
    text = "program signs()\n\ntokens (s)*\n    s : scalar\n\noutput sign(s) - sign(-3 * s)\n"
    sample = 3.0 * np.random.default_rng(0).standard_normal((64, 8))
    sample[0, 0] = 0.0
    s = np.array([[0.0, 1e-6, -1e-6, 3e-6, -1e-5, 3e-5, -3e-5, 5.0]])
    weights = compile_program(text, target=target, dtype=dtype, calibration={"s": sample})
    assert np.array_equal(numpy_run(weights, {"s": s}), 2.0 * np.sign(s))
