"""Scans backwards beside other kinds of token: the interpreter against NumPy, JAX, weights, traces, patches."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import DataError
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, compile_program, interpret
from innerloop.compiler.interpreter.counterfactual import Moment, changed
from innerloop.compiler.ir.build import graph_of
from innerloop.runtime import Transformer
from innerloop.runtime.differentiable.function import Differentiable

from tests.reference.measured import numpy_run

TEXT = """program mixed(steps = 4)

tokens h (x y)* q  visible context
    a : scalar on x
    b : vector[2] on h, y, q

at x
    s : vector[2] = [a, 1]
    k = move b from previous
at h
    s = b
scan x backwards up to steps
    s = 0.5 * s + a * k
at y
    s = b
at q
    s = move s from first x

output s
"""
_rng = np.random.default_rng(1)
FIELDS: dict[str, Any] = {"a": _rng.standard_normal((5, 4)), "b": _rng.standard_normal((5, 6, 2))}


@cache
def weights(target: TargetName) -> Weights:
    return compile_program(TEXT, target=target)


def by_hand(a: Any, b: Any) -> Any:
    """Of one task: h, then x and y in turn, then q."""
    rows, s = [b[-1]], np.array([a[-1], 1.0])
    for x in reversed(range(len(a))):
        s = 0.5 * s + a[x] * b[x]
        rows += [b[x + 1], s]
    return np.array([b[0], *rows[:0:-1], s])


def test_the_last_begins_with_its_own_and_other_kinds_keep_theirs() -> None:
    wanted = np.stack([by_hand(a, b) for a, b in zip(FIELDS["a"], FIELDS["b"], strict=True)])
    np.testing.assert_allclose(interpret(TEXT, **FIELDS), wanted, rtol=1e-12)
    np.testing.assert_allclose(Differentiable(TEXT, ())(**FIELDS), wanted, rtol=1e-12)


@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_weights_hold_it_at_every_length_and_layer(target: TargetName) -> None:
    made = weights(target)
    for tokens in (4, 1, 0):
        fields = {"a": FIELDS["a"][:, :tokens], "b": FIELDS["b"][:, : tokens + 2]}
        error = np.abs(numpy_run(made, fields) - interpret(TEXT, **fields)).max()
        assert error <= made.report.predicted_error <= 1e-3
    assert Transformer(made, guard="off").diff(**FIELDS).first is None


def test_more_tokens_than_the_limit_are_refused() -> None:
    many: dict[str, Any] = {"a": np.ones((1, 5)), "b": np.ones((1, 7, 2))}
    with pytest.raises(DataError, match="5 `x` tokens given; this program scans `x` up to 4"):
        interpret(TEXT, **many)
    with pytest.raises(DataError, match="compiled for at most 4 times"):
        Transformer(weights("llama"))(**many)


def test_what_a_value_changes_is_found_before_it() -> None:
    """s of the third x, one larger: the first two x and q differ, by ½ for each step back."""
    data = read_data(graph_of(TEXT, {}).signature, FIELDS)
    moved = changed(graph_of(TEXT, {}), data, Moment("s", "ended", None, 5), lambda value: value + 1.0)
    assert moved is not None
    difference = (moved - interpret(TEXT, **FIELDS))[0, :, 0]
    np.testing.assert_allclose(difference, [0, 0.25, 0, 0.5, 0, 1, 0, 0, 0, 0.25], atol=1e-12)
