"""k-gram models of text that says counts are two layers, and say what counting says (benchmarks/kgrams.py)."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.precisions import UNIT
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler import interpret
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Attend, Divide
from innerloop.compiler.transforms.matches import matches

from benchmarks.kgrams import SYMBOLS, counted, measured, program, sequences


@pytest.mark.parametrize("target", ["gpt2", "llama"])
@pytest.mark.parametrize(("k", "prior"), [(1, 1), (2, 0), (4, 1)])
def test_two_layers_say_what_counting_says(k: int, prior: int, target: TargetName) -> None:
    found = measured(k, prior, target, 16)
    assert found.holds, found


def test_the_program_is_the_counting() -> None:
    symbols = sequences(4)
    for k, prior in ((1, 0), (3, 1)):
        wanted = np.stack([counted(task, k, prior) for task in symbols])
        np.testing.assert_allclose(interpret(program(k, prior), s=symbols, vocabulary=SYMBOLS), wanted, atol=1e-12)


TEXT = """program ratio(v)

tokens (s)*
    s : onehot[v]
    x : vector[v] on s

p = move s from previous
output sum[j in s](dot(s, p[j]) * x[j]) / (1 + {})
"""


@pytest.mark.parametrize(
    "divisor",
    [
        "sum[j in s](dot(s, p[j]) * sum(x[j]))",  # does not count what matches
        "sum[j in s](dot(x, p[j]))",  # no code
        "sum[j in s](dot(p, p[j]))",  # another match
        "sum[j in s](dot(s, p[j])) - 2",  # a prior below 0
        "sum(sum[j in s](dot(s, p[j]) * x[j]))",  # x is not one-hot
        "sum(sum[j in s](dot(s, p[j]) * p[j]))",  # p is 0 where there is none before
    ],
)
def test_what_is_no_ratio_of_counts_stays(divisor: str) -> None:
    graph = graph_of(TEXT.format(divisor), {"v": 3})
    assert matches(graph) is graph


def test_a_ratio_of_other_values_is_one() -> None:
    made = matches(graph_of(TEXT.format("2 * sum[j in s](dot(s, p[j]))"), {"v": 3}))
    ops = [made[v].op for v in made.values()]
    assert any(isinstance(op, Attend) and op.rest is not None for op in ops)
    assert not any(isinstance(op, Divide) for op in ops)


READ = """program looked_up()

tokens (s)* q
    s : onehot[4] on s, q
    v : scalar on s

p = move s from previous
at q
    output ({} + sum[j in s](dot(s, p[j]) * v[j])) / (sum[j in s](dot(s, p[j])) + {})
"""
ROWS, LARGE = 900, 1000.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("prior", ["0", "0.000000000000001", "0.001", "1"])
@pytest.mark.parametrize("shared", [False, True])
def test_what_does_not_match_has_no_share(shared: bool, prior: str, dtype: Dtype) -> None:
    """However many do not, beside whatever prior: what they add is below a rounding of what is read."""
    graph = graph_of(READ.format(prior if shared else "0", prior), {})
    made = matches(graph, dtype=dtype)
    assert made is not graph
    symbols = np.zeros((2, ROWS + 1), dtype=int)
    symbols[0, -1], symbols[1, -1], symbols[1, 5] = 3, 3, 3  # the first finds none, the second one of all
    data = read_data(graph.signature, {"s": symbols, "v": np.full((2, ROWS), LARGE)})
    exact, found = evaluate(graph, data), evaluate(made, data)
    assert exact[0].max() == float(shared and prior != "0")
    assert exact[1].max() > 1.0
    assert np.abs(found - exact)[0].max() <= UNIT[dtype] / 4 * LARGE
    assert np.abs(found - exact).max() <= 4 * UNIT[dtype] * LARGE


def test_a_prior_that_a_match_hides_is_no_rest_where_it_is_shared_out() -> None:
    """(1 + Σ m v) / (Σ m + c) is 1/c without a match: a share of 1 − s has no digits where c is a rounding."""
    graph = graph_of(READ.format("1", "0.000000000000001"), {})
    assert matches(graph) is graph
    assert matches(graph_of(READ.format("1", "0.001"), {})) is not graph
