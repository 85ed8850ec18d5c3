"""The interpreter beside every call: outputs that are further off than the certificate says are named, whatever the
reason, and nothing else is."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import read_data
from innerloop.compiler import Weights, interpret
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.ir.build import graph_of
from innerloop.programs import load
from innerloop.runtime import RangeError, RangeWarning, Transformer
from innerloop.runtime.guard.interpreted import Interpreter

from benchmarks.honesty.tasks import batches
from tests.certify.test_domains import told
from tests.reference import case_of
from tests.reference.measured import jax_run
from tests.support import random_weights
from tests.support.shared import compiled_once


@cache
def weights() -> Weights:
    return compiled_once(load("gradient_descent"), target="gpt2", d=2)


def data(tasks: int = 5) -> dict[str, Any]:
    return draw(weights().signature, 6, tasks, seed=11)


def off(error: float) -> Weights:
    """The weights, whose outputs are off by so much in every task: no range sees it."""
    return replace(weights(), readout_bias=weights().readout_bias + error)


def test_outputs_beyond_the_certificate_are_named_with_their_error() -> None:
    (said,) = told(Transformer(off(0.25)), **data())
    assert "off by 0.25 from what the interpreter finds" in str(said)
    assert f"{weights().report.predicted_error:.3g} at most" in str(said)
    assert said.tasks == (0, 1, 2, 3, 4)


def test_the_warning_is_the_callers() -> None:
    with pytest.warns(RangeWarning) as heard:
        Transformer(off(0.25))(**data())
    assert heard[0].filename == __file__


def test_outputs_within_the_certificate_are_not() -> None:
    assert told(Transformer(weights()), **data()) == []
    assert told(Transformer(off(0.5 * weights().report.predicted_error)), **data()) == []
    assert told(Transformer(off(0.25), guard="off"), **data()) == []


def test_errors_are_beyond_the_interpreters_own_rounding_and_what_is_no_number_is_infinitely_off() -> None:
    fields = data(3)
    outputs = interpret(weights().signature.text, **fields, d=2)
    outputs[1] *= 1.0 + 32.0 * np.finfo(np.float64).eps
    outputs[2, 0] = np.nan
    far = max(range(3), key=lambda task: np.abs(fields["x"][task]).max())
    ends = np.full(2, np.sort(np.abs(fields["x"]).max((1, 2)))[-2])
    held = Interpreter(weights()).hold(read_data(weights().signature, fields), outputs, {"x": (-ends, ends)})
    assert held is not None
    np.testing.assert_array_equal(held.errors[:, 0], [0.0, 0.0, np.inf])
    assert held.beyond.tolist() == [task == far for task in range(3)]


def test_it_raises_where_the_guard_does_and_survives_a_pickle() -> None:
    model = pickle.loads(pickle.dumps(Transformer(off(0.25), guard="raise")))
    with pytest.raises(RangeError, match=r"off by 0\.25"):
        model(**data())


def test_data_without_a_batch() -> None:
    (said,) = told(Transformer(off(0.25)), **{name: array[0] for name, array in data().items()})
    assert said.tasks == (0,)


def test_weights_that_no_program_stands_behind_are_not_interpreted() -> None:
    trained = replace(off(0.25), report=replace(weights().report, predicted_error=np.inf))
    assert told(Transformer(trained), **data()) == []
    drawn = random_weights.tree(3)
    assert not any("interpreter" in str(w) for w in told(Transformer(drawn), **draw(drawn.signature, 3, 2, seed=0)))


def test_a_head_that_was_cut_is_seen_by_what_it_does() -> None:
    """A change of the weights themselves, which no range knows of."""
    body = list(weights().body)
    first = body[0]
    body[0] = replace(first, output=Matrix.zero(*first.output.shape))  # type: ignore[union-attr,arg-type]
    said = told(Transformer(replace(weights(), body=tuple(body))), **data())
    assert any("from what the interpreter finds" in str(w) for w in said)


def test_a_program_without_a_finite_answer_is_named() -> None:
    text = "program p(d)\ntokens (x)*\n    x : vector[d] in [-1, 2]\noutput 1 / (2 + sum(x))\n"
    x = np.random.default_rng(0).uniform(-0.5, 1.0, (64, 4, 2))
    found = compiled_once(text, target="gpt2", d=2, calibration={"x": x})
    x[3, 1] = -1.0
    said = told(Transformer(found), x=x)
    assert any("no finite answer for task 3" in str(w) for w in said)


@pytest.mark.slow
def test_exact_ties_of_a_softmax_over_components_are_named() -> None:
    """k_means between two equal centres: a half each, and rounding, times 10⁵, decides otherwise."""
    case = case_of("k_means")
    found = compiled_once(load("k_means"), **case.parameters)
    graph = graph_of(load("k_means"), case.parameters)
    (fields,) = batches(found, graph, [], "zeros", 32)
    error = np.abs(jax_run(found, fields) - interpret(load("k_means"), **fields, **case.parameters))
    beyond = np.flatnonzero(error.reshape(len(error), -1).max(1) > found.report.predicted_error)
    assert beyond.size
    assert set(beyond.tolist()) <= {task for w in told(Transformer(found), **fields) for task in w.tasks}


def test_weights_that_run_coarser_than_they_were_made_for_settle_nothing_by_it() -> None:
    """Float64 weights in float32: their certificate, taken so many times as roundings differ, would pass all."""
    text = "program p(d = 100)\n\ntokens (x)*\n    x : vector[d] in [-1, 1]\n\noutput sin(0.1*sum(x))\n"
    weights = compiled_once(text, dtype="float64")
    with pytest.raises(RangeError, match="the argument of `sin"):
        Transformer(weights, dtype="float32", guard="raise")(x=0.95 * np.ones((1, 2, 100)))


def test_what_a_name_reaches() -> None:
    read = read_data(weights().signature, data(1))
    found = Interpreter(weights()).reached(read, "x")
    assert found is not None
    np.testing.assert_array_equal(found[1], np.maximum(data(1)["x"][0].max(0), 0.0))
    assert Interpreter(weights()).reached(read, "nothing") is None
