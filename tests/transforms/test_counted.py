"""Divisors that count, and count nothing somewhere: 0/0 is 0 there, in weights as NumPy says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, compile_program, interpret
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.transforms.guard_empty_divisors import guard_counts
from innerloop.compiler.transforms.rewriter import simplify
from numpy.typing import NDArray

from tests.reference.measured import numpy_run

HEAD = (
    "program p()\n\ntokens (x y)* x\n    x : vector[2]\n    c : onehot[3] on x\n    y : scalar\n\n"
    "at y\n    u = move x from previous\n    b = move c from previous\n"
)
TASKS, EXAMPLES = 24, 9


def fields(seed: int, tasks: int = TASKS) -> dict[str, Any]:
    """Labels of which few are positive, and none at first; classes of which the last is rare."""
    rng = np.random.default_rng(seed)
    y = rng.choice([-2.0, -1.0, -1.0, 0.0, 1.0, 3.0], (tasks, EXAMPLES))
    y[:, :2] = -1.0
    c = rng.choice(3, (tasks, EXAMPLES + 1), p=[0.6, 0.3, 0.1])
    return {"x": rng.uniform(-2, 2, (tasks, EXAMPLES + 1, 2)), "c": c, "y": y}


def over(weights: NDArray[Any], values: NDArray[Any]) -> Any:
    """Σ w v / Σ w, 0 where the weights are: of [n], [n, …]."""
    total = weights.sum()
    return np.tensordot(weights, values, 1) / total if total else np.zeros(values.shape[1:])


@dataclass(frozen=True)
class Case:
    """Lines of a program, and what they give for one query: of (query, its class, earlier x, classes, labels)."""

    body: str
    answer: Callable[[Floats, int, Floats, Floats, Floats], Any]


CASES = {
    "comparisons": Case(
        "w = sum[j in y]((y[j] > 0) * u[j]) / sum[j in y](y[j] > 0)\nat x\n    output w\n",
        lambda q, k, x, c, y: over((y > 0) * 1.0, x),
    ),
    "means": Case(
        "w = 3 * mean[j in y]((y[j] > 0) * u[j]) / mean[j in y](y[j] > 0)\nat x\n    output dot(w, x)\n",
        lambda q, k, x, c, y: 3 * over((y > 0) * 1.0, x) @ q,
    ),
    "equal, and not": Case(
        "n = sum[j in y]((y[j] == 1) and not (b[j][1] == 1))\n"
        "w = sum[j in y](((y[j] == 1) and not (b[j][1] == 1)) * u[j][2]) / (2 * n)\nat x\n    output w\n",
        lambda q, k, x, c, y: over(((y == 1) & (c != 0)) * 1.0, x[:, 1]) / 2,
    ),
    "either, and what is right of 0": Case(
        "w = sum[j in y](((y[j] > 2) or (y[j] == 0)) * (u[j] - 1)) / sum[j in y]((y[j] > 2) or (y[j] == 0))\n"
        "at x\n    output dot(w, x) + sum[j in y](relu(y[j])) / sum[j in y](y[j] > 0)\n",
        lambda q, k, x, c, y: over(((y > 2) | (y == 0)) * 1.0, x - 1) @ q + over((y > 0) * 1.0, y),
    ),
    "class means": Case(
        "M = sum[j in y](outer(b[j], u[j])) / outer(sum[j in y](b[j]), [1, 1])\nat x\n    output M @ x\n",
        lambda q, k, x, c, y: np.array([over((c == i) * 1.0, x) @ q for i in range(3)]),
    ),
    "carried by a scan": Case(
        "s : vector[2] = 0\nn = 0\nscan y up to 9\n    n = n + (y > 0)\n    s = s + (y > 0) * u\n"
        "at x\n    output s / n\n",
        lambda q, k, x, c, y: over((y > 0) * 1.0, x),
    ),
    "carried by loops in each other": Case(
        "s = 0\nn = 1 - 1\nrepeat 2\n    repeat 2\n        n = n + sum[j in y](y[j] > 0)\n"
        "        s = s + sum[j in y]((y[j] > 0) * u[j][1])\n    s = 2 * s\nat x\n    output s / n\n",
        lambda q, k, x, c, y: 3 * over((y > 0) * 1.0, x[:, 0]),
    ),
    "those of my class": Case(
        "at x\n    output sum[j in y](dot(c, b[j]) * (y[j] - 1)) / sum[j in y](dot(c, b[j]))\n",
        lambda q, k, x, c, y: over((c == k) * 1.0, y - 1),
    ),
}


def truth(case: Case, data: dict[str, Any]) -> Floats:
    """Query by query, in NumPy."""
    x, c, y = data["x"], data["c"], data["y"]
    rows = [
        [case.answer(x[t, i], c[t, i], x[t, :i], c[t, :i], y[t, :i]) for i in range(EXAMPLES + 1)] for t in range(TASKS)
    ]
    return np.asarray(rows, np.float64)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_weights_divide_by_counts_that_may_be_0(case: Case, target: TargetName) -> None:
    data, sample = fields(0), fields(1, tasks=200)
    expected = truth(case, data)
    np.testing.assert_allclose(interpret(HEAD + case.body, **data), expected, rtol=0, atol=1e-12)
    weights = compile_program(HEAD + case.body, target=target, calibration=sample, certify=8)
    np.testing.assert_allclose(numpy_run(weights, data), expected, rtol=0, atol=1e-4)
    assert weights.report.predicted_error < 1e-2


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_filled_has_the_same_outputs(case: Case) -> None:
    graph = simplify(graph_of(HEAD + case.body, {}))
    data = read_data(graph.signature, fields(2))
    filled = guard_counts(graph)
    assert filled is not graph
    np.testing.assert_allclose(evaluate(filled, data), evaluate(graph, data), rtol=1e-14)
    assert guard_counts(filled) is filled  # max(n, 1) is divided by as it is


LOOP, POSITIVE = "w = 0\nn = 0\nrepeat 2\n", "sum[j in y](y[j] > 0)"
NO_COUNTS = {
    "what is divided is not 0": "w = sum[j in y](u[j]) / sum[j in y](y[j] > 0)",
    "weights, and no count": "w = sum[j in y](relu(y[j]) * u[j]) / sum[j in y](relu(y[j]))",
    "a difference": "w = sum[j in y]((y[j] > 0) * u[j]) / (sum[j in y](y[j] > 0) - sum[j in y](y[j] > 1))",
    "a half": "w = sum[j in y]((y[j] > 0) * u[j]) / (0.5 * sum[j in y](y[j] > 0))",
    "a loop that adds all": f"{LOOP}    n = n + {POSITIVE}\n    w = w + sum[j in y](u[j][1])\nw = w / n",
    "a loop that starts from 1": f"{LOOP}    n = n + {POSITIVE}\n    w = w - 1\nw = (w + 2) / n",
    "a loop that takes counts away": f"{LOOP}    w = w + n\n    n = {POSITIVE} - n\nw = w / n",
    "a loop that forgets": f"{LOOP}    w = w + n\n    n = {POSITIVE}\nw = w / n",
    "another's count": "w = sum[j in y]((y[j] > 1) * u[j]) / sum[j in x](x[j][1] > 1)",
    "of another mean": "w = mean[j in x]((x[j][1] > 1) * x[j]) / mean[j in y](y[j] > 1)",
}


@pytest.mark.parametrize("body", NO_COUNTS.values(), ids=NO_COUNTS)
def test_what_is_no_count_is_divided_by_as_it_is(body: str) -> None:
    graph = simplify(graph_of(f"{HEAD}{body}\nat x\n    output w\n", {}))
    assert guard_counts(graph) is graph


def test_what_is_no_count_is_refused_with_its_place() -> None:
    body = f"{NO_COUNTS['what is divided is not 0']}\nat x\n    output w\n"
    with pytest.raises(CompileError, match="not finite on the calibration data") as refused:
        compile_program(HEAD + body, calibration=fields(0))
    assert refused.value.diagnostics[0].span is not None
    with np.errstate(divide="ignore", invalid="ignore"):
        assert not np.isfinite(interpret(HEAD + body, **fields(0))).all()
