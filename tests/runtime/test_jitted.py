"""The interpreter in JAX beside every call: what is said does not depend on whether it or NumPy's has run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from innerloop.artifact.tokens import TokenData, read_data
from innerloop.compiler import Weights
from innerloop.compiler.interpreter.chunks import chunk_size
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.differentiable import evaluate
from innerloop.runtime.differentiable.opened import Opened
from innerloop.runtime.guard import jitted
from innerloop.runtime.guard.guard import Guard
from innerloop.runtime.guard.interpreted import Interpreter
from innerloop.runtime.guard.jitted import Jitted

from tests.certify.test_domains import told
from tests.reference import case_of
from tests.support.shared import compiled_once


def programs() -> list[Weights]:
    """Reads in a loop, a scan, and a read that no statistic is."""
    return [
        compiled_once(load("gradient_descent"), target="gpt2", d=2),
        compiled_once(load("stochastic_gradient_descent"), target="gpt2", d=2),
        compiled_once(load("kernel_regression"), target="gpt2", d=3),
    ]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jitted, "BEGUN", -1e9)


def fields(weights: Weights, tasks: int = 12) -> dict[str, Any]:
    """A third of the tasks as compiled for, a third at three times the size, and a last one that is no number's."""
    data = draw(weights.signature, 6, tasks, seed=11)
    scale = np.repeat([1.0, 1.0, 3.0], tasks // 3)
    return {name: array * scale.reshape(-1, *[1] * (array.ndim - 1)) for name, array in data.items()}


@pytest.mark.parametrize("number", range(3))
def test_it_says_what_numpys_says(number: int, at_once: None) -> None:
    weights = programs()[number]
    data = fields(weights)
    found = Transformer(weights)
    first, later = (told(found, **data) for _ in range(2))  # both are asked, then JAX's alone
    assert isinstance(found._interpreter, Jitted)
    assert found._interpreter.runs > 1
    jitted.BEGUN = 1e9
    plain = told(Transformer(weights), **data)
    assert plain
    assert [(str(w), w.tasks) for w in first] == [(str(w), w.tasks) for w in plain]
    assert [(str(w), w.tasks) for w in later] == [(str(w), w.tasks) for w in plain]


def test_only_what_is_not_clear_is_numpys(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = programs()[1]
    seen: list[int] = []
    plain = Interpreter.hold

    def hold(self: Interpreter, data: TokenData, *more: Any) -> Any:
        seen.append(data.batch)
        return plain(self, data, *more)

    monkeypatch.setattr(Interpreter, "hold", hold)
    model, data = Transformer(weights), fields(weights)
    for _ in range(2):
        told(model, **data)
    assert seen[0] == 12
    assert 4 <= sum(seen[1:]) < 12
    seen.clear()
    assert told(model, **{name: array[:8] for name, array in data.items()}) == []
    assert told(model, **{name: array[:8] for name, array in data.items()}) == []
    assert seen == [8]  # of chunks of another size both are asked once more


def test_it_is_compiled_when_numpys_has_cost_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = Transformer(programs()[1]), fields(programs()[1])
    found = model._interpreter
    told(model, **data)
    assert found.runs == 0
    monkeypatch.setattr(jitted, "BEGUN", 0.0)
    monkeypatch.setattr(jitted, "EACH", 1e-4)
    while found.runs == 0:
        told(model, **data)
    assert found.runs == 1


def test_one_that_would_hide_an_error_is_not_used(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a pass or XLA were wrong just as the weights are."""
    weights = programs()[0]
    off = replace(weights, readout_bias=weights.readout_bias + 0.25)
    run = evaluate.evaluate_within

    def wrong(*arguments: Any) -> Any:
        exact, beyond = run(*arguments)
        return exact + 0.25, beyond

    monkeypatch.setattr(evaluate, "evaluate_within", wrong)
    model, data = Transformer(off), draw(weights.signature, 6, 4, seed=11)
    for _ in range(3):
        (said,) = told(model, **data)
        assert "off by 0.25" in str(said)
    assert model._interpreter.runs == 1


def test_named_values_are_held_where_an_output_comes_of_them() -> None:
    """`w` at y is read by nobody."""
    weights = programs()[1]
    guard = Guard(weights, "warn")
    data = read_data(weights.signature, draw(weights.signature, 6, 4, seed=11))
    outputs = np.zeros((4, 7, 1))
    wide = {"w": (np.full(2, -1e9), np.full(2, 1e9))}
    narrow = {"w": (np.full(2, -1e-9), np.full(2, 1e-9))}
    for ranges, out in ((wide, False), (narrow, True)):
        for interpreter in (Interpreter(weights), Jitted(weights, guard)):
            held = interpreter.hold(data, outputs, ranges)
            assert held is not None
            assert held.beyond.tolist() == [out] * 4


def test_reads_in_a_loop_are_statistics_where_every_name_stays() -> None:
    weights = programs()[0]
    graph = Interpreter(weights).graph
    assert graph is not None
    run, _ = jitted._program(graph, {"w": (np.zeros(2), np.ones(2))})
    assert "Read" not in {type(run.graph[v].op).__name__ for v in run.graph.values()}
    assert isinstance(run, Opened)


@pytest.mark.parametrize("program", ["averaging", "k_nearest_neighbours"])
def test_no_examples_are_as_good_as_some(program: str, at_once: None) -> None:
    """Reads of no token, and loops that carry what stands at none."""
    weights = compiled_once(load(program), target="gpt2", **case_of(program).parameters)
    model, data = Transformer(weights, guard="raise"), draw(weights.signature, 0, 3, seed=1)
    first, later = (model(**data) for _ in range(2))
    assert np.array_equal(first, later)
    assert model._interpreter.runs == 2


def test_where_jax_cannot_numpys_does(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a device has no memory left."""

    def full(*_: Any) -> Any:
        raise RuntimeError("RESOURCE_EXHAUSTED")

    monkeypatch.setattr(jitted, "_function", full)
    weights = programs()[1]
    model, data = Transformer(weights), fields(weights)
    first, later = (told(model, **data) for _ in range(2))
    assert [(str(w), w.tasks) for w in first] == [(str(w), w.tasks) for w in later]
    assert first


def test_what_is_kept_of_a_sequence_is_of_few_sizes() -> None:
    weights = programs()[2]
    model = Transformer(weights)
    for tasks in range(1, 33):
        model(**draw(weights.signature, 5, tasks, seed=tasks))
    (line,) = model._interpreter._lines.values()
    assert len(line.chunks) == len({chunk_size(tasks, line.most) for tasks in range(1, 33)}) < 14


def test_of_many_lengths_the_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jitted, "KEPT", 3)
    weights = programs()[2]
    model = Transformer(weights)
    for examples in (1, 2, 3, 4, 5):
        model(**draw(weights.signature, examples, 2, seed=examples))
    assert [line.repetitions for line in model._interpreter._lines] == [(3,), (4,), (5,)]


def test_it_runs_where_the_model_does(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not where JAX would run anything by now."""
    seen: list[Any] = []
    run = evaluate.evaluate_within

    def noted(*arguments: Any) -> Any:
        seen.append(jax.config.values["jax_default_device"])
        return run(*arguments)

    monkeypatch.setattr(evaluate, "evaluate_within", noted)
    weights = programs()[2]
    model = Transformer(weights)
    model(**draw(weights.signature, 5, 2, seed=1))
    assert seen == [model._placement.first]


SO_FAR = """
program so_far(d)
tokens (x y)* x
    x : vector[d]
    y : scalar
at y
    u = move x from previous
    s = mean[j in y](y[j] * u[j])
    output dot(s, u)
"""


def test_where_no_token_answers_there_are_no_rows(at_once: None) -> None:
    """A query alone, of a program whose answers are at the labels: neither of the two interpreters ends the call."""
    model = Transformer(compiled_once(SO_FAR, d=2))
    for _ in range(2):
        assert model(x=np.ones((3, 1, 2)), y=np.zeros((3, 0))).shape == (3, 0)
    assert model._interpreter.runs == 2
