"""Softmax over components, divisors of several components, and divisors of very many sizes, against the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import CompileError
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler.compile import compile_program, plan_for
from innerloop.compiler.interpreter.interpret import interpret
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Divide, Graph, Softmax
from innerloop.compiler.ir.verify import verify
from innerloop.compiler.transforms.rewriter import simplify
from innerloop.compiler.transforms.scalarize import components
from numpy.typing import NDArray

from tests.reference import case_of
from tests.reference.measured import compiled, numpy_run

TARGETS = ["gpt2", "gelu", "llama"]


def program(body: str, n: int) -> str:
    return f"program p()\n\ntokens (t)*\n    a : vector[{n}] on t\n    b : vector[{n}] on t\n\n{body}\n"


def fields(n: int, low: float, high: float, seed: int, scale: float = 1.0, tasks: int = 64) -> dict[str, NDArray[Any]]:
    """a normal; b of one sign, its sizes log-uniform."""
    rng = np.random.default_rng(seed)
    b = np.exp(rng.uniform(np.log(low), np.log(high), (tasks, 8, n)))
    return {"a": scale * rng.standard_normal((tasks, 8, n)), "b": b}


def off(text: str, target: TargetName, dtype: Dtype, data: list[dict[str, NDArray[Any]]]) -> tuple[float, NDArray[Any]]:
    """The largest error on the second data, compiled for the first, and the truth; the report's prediction holds."""
    weights = compile_program(text, target=target, dtype=dtype, calibration=data[0])
    report = weights.report
    assert report.measured_error <= report.predicted_error
    truth = interpret(text, **data[1])
    return float(np.abs(numpy_run(weights, data[1]) - truth).max()), truth


# Softmax -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("n", "sharpness"), [(2, 1.0), (2, 1e3), (3, 100.0), (5, 1.0), (8, 1e3)])
def test_softmax(n: int, sharpness: float, target: TargetName, dtype: Dtype) -> None:
    data = [fields(n, 0.5, 2.0, seed, tasks=16) for seed in (0, 1)]
    data[0] = {name: np.concatenate([one[name] for one in data]) for name in data[0]}
    error, truth = off(program(f"output softmax({sharpness} * a)", n), target, dtype, data)
    assert np.allclose(truth.sum(-1), 1.0)
    scores = 4.0 * sharpness  # float32 holds them to 6e-8 of their size
    assert error < {"float32": 2e-6 + 3e-7 * scores, "float64": 5e-9}[dtype]


def test_softmax_of_one_component_is_1() -> None:
    error, truth = off(program("output softmax(a) + b", 1), "gpt2", "float64", [fields(1, 0.5, 2.0, 0)] * 2)
    assert error < 1e-9
    assert np.all(truth > 1.0)


# Divisors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
def test_one_over_what_is_large_is_not_swallowed_by_it(target: TargetName) -> None:
    data = [fields(2, 1e3, 2e3, seed, tasks=16) for seed in (0, 1)]
    data[0] = {name: np.concatenate([one[name] for one in data]) for name in data[0]}
    error, truth = off(program("output [1, 2] * b / ([1, 2] * b + [0, 1] * b ^ 2)", 2), target, "float32", data)
    assert np.all(truth[..., 0] > 0.999)
    assert error < 2e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_divisor_of_several_components(sign: str, target: TargetName, dtype: Dtype) -> None:
    low, high = 1e-2, 3.0
    data = [fields(3, low, high, seed) for seed in (0, 1)]
    data[0]["a"] *= 1.2
    data[1]["b"] = np.clip(data[1]["b"], data[0]["b"].min(), data[0]["b"].max())
    error, truth = off(program(f"b = {sign}b\noutput a / b", 3), target, dtype, data)
    # plain GELUs multiply with an error of the product of both ranges, gates with one of the result
    most = float(np.abs(truth).max()) if target == "llama" else 5.0 / low
    assert error < {"float32": 2e-6, "float64": 1e-9}[dtype] * most


def test_components_that_are_one_form_are_one_divisor() -> None:
    def divides(body: str) -> int:
        graph = verify(components(simplify(graph_of(program(body, 3), {}))))
        return sum(isinstance(graph[v].op, Divide) for v in graph.values())

    assert divides("one : vector[3] = 1\noutput a / (sum(b) * one)") == 1  # the norm divides
    assert divides("output a / b") == 0


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7])
def test_the_rewriting_means_the_same(n: int) -> None:
    for body in ("output softmax(30 * a)", "output a / b", "output a / (b + softmax(a))"):
        graph = simplify(graph_of(program(body, n), {}))
        written = verify(components(graph))
        left = [v for v in written.values() if isinstance(written[v].op, Softmax)]
        assert not left
        data = read_data(graph.signature, fields(n, 1e-3, 30.0, 2))
        np.testing.assert_allclose(evaluate(written, data), evaluate(graph, data), rtol=1e-12, atol=1e-14)


def test_divisors_of_both_signs_are_refused_by_name() -> None:
    with pytest.raises(CompileError, match="divides by a number of one sign only; this divisor reaches from -"):
        compile_program(program("output b / a", 3), calibration=fields(3, 1.0, 2.0, 0))


# Divisors of many sizes --------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_divisor_over_twelve_decades(sign: str, target: TargetName) -> None:
    data = [fields(1, 1e-8, 1e4, seed) for seed in (0, 1)]
    for one in data:
        one["a"] = one["b"] * (1.0 + 0.1 * np.tanh(one["a"]))  # a quotient about 1
        one["b"] = np.clip(one["b"], data[0]["b"].min(), data[0]["b"].max())
    error, _ = off(program(f"output a / ({sign}sum(b))", 1), target, "float32", data)
    assert error < 2e-5


def test_only_what_is_too_wide_is_narrowed() -> None:
    def divisions(graph: Graph) -> int:
        return sum(isinstance(graph[v].op, Divide) for v in graph.values())

    text = program("output a / sum(b)", 1)
    for high, count in ((10.0, 1), (1e12, 2)):
        graph = simplify(graph_of(text, {}))
        assert divisions(plan_for(graph, "gpt2", "float32", fields(1, 1e-3, high, 0)).graph) == count


# Programs ----------------------------------------------------------------------------------------

GOALS = ["adam", "conjugate_gradient", "iterative_newton", "algorithm_selection", "bayes_model_average", "k_means",
         "ridge", "principal_component"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "goal"), [("float32", 1e-6), ("float64", 1e-12)])
@pytest.mark.parametrize("target", ["gpt2", "llama"])
@pytest.mark.parametrize("name", GOALS)
def test_the_mean_squared_difference(name: str, target: TargetName, dtype: Dtype, goal: float) -> None:
    case = case_of(name)
    fields = case.data(seed=0, tasks=64)
    found = numpy_run(compiled(case, target, dtype), fields)
    assert np.mean((found - case.truth(fields)) ** 2) / 3 <= goal
