"""Small calls are filled up to few lengths: compiled for few, right at each, and told apart by no guard."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.places import places
from innerloop.artifact.reference.forward import forward as numpy_forward
from innerloop.artifact.tokens import output_rows, read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.task_families import CORE
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.calls.afford import at_once, widest
from innerloop.runtime.calls.lengths import few, filled
from innerloop.runtime.forward import forward

from tests.reference import case_of
from tests.support.by_the_book import tasks
from tests.support.random_weights import tree
from tests.support.shared import compiled_once


def test_twenty_lengths_are_compiled_as_six() -> None:
    weights = tree(1)
    model, before = Transformer(weights, guard="off"), forward.traces
    for examples in range(1, 21):
        data = tasks(3, examples=examples)
        read = read_data(weights.signature, data)
        rows = output_rows(read.sequence, weights.output.kinds)
        assert np.abs(model(**data) - numpy_forward(weights, read)[:, rows].reshape(3, -1)).max() < 1e-5, examples
    assert forward.traces - before == len({few(examples) for examples in range(1, 21)}) == 6


def test_lengths_are_two_for_each_doubling_and_end_where_the_weights_do() -> None:
    assert [few(times) for times in (0, 1, 4, 5, 6, 7, 9, 13, 17, 25, 33)] == [4, 4, 4, 6, 6, 8, 12, 16, 24, 32, 48]
    weights = tree(1)
    line = read_data(weights.signature, tasks(1, examples=25)).sequence
    longer = filled(weights, line)
    assert longer is not None
    assert longer.kinds[: len(line)] == line.kinds
    assert len(longer) == weights.config.n_positions - 1 == 63
    assert longer.roles[len(line) :] == (0,) * (63 - len(line))


@pytest.mark.parametrize(
    ("program", "target", "groups"),
    [
        ("prototypical_network", "gpt2", (3, 5)),
        pytest.param("sherman_morrison", "llama", 5, marks=pytest.mark.slow),
        pytest.param("bigram", "gpt2", 7, marks=pytest.mark.slow),
        pytest.param("fast_weights", "deltanet", 5, marks=pytest.mark.slow),
    ],
)
def test_what_fills_changes_nothing(
    program: str, target: TargetName, groups: int | tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the guard, which may find nothing."""
    weights = compiled_once(load(program), target=target, **case_of(program).parameters)
    model = Transformer(weights, guard="raise")
    data = draw(weights.signature, groups, 4, 77, family=CORE)
    read = read_data(weights.signature, data)
    line = filled(weights, read.sequence)
    assert line is not None
    assert len(line) > len(read.sequence)
    found = model.outputs_of(read)
    monkeypatch.setattr("innerloop.runtime.calls.way.filled", lambda *_: None)
    assert np.abs(found - model.outputs_of(read)).max() <= 0.01 * max(e.predicted_error for e in weights.report.each)


def test_what_goes_through_at_once_as_it_is_and_not_when_filled_is_not_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long task on its own, say, would pay for its fill at each call."""
    weights, data = tree(1), tasks(1, examples=13)
    model, line = Transformer(weights, guard="off"), read_data(weights.signature, data).sequence
    longer = filled(weights, line)
    assert longer is not None
    model(**data)
    before, tokens = forward.traces, 1 + len(line)
    model(**tasks(1, examples=14))
    assert forward.traces == before
    steps, size = model.parameters.steps, model.dtype.itemsize
    room = widest(steps, tokens, places(weights, line.kinds)) * size
    monkeypatch.setattr("innerloop.runtime.calls.afford.CACHED_BYTES", room)
    assert not at_once(weights, steps, len(longer), 1, places(weights, longer.kinds), size, on_cpu=True)
    model(**data)
    assert forward.traces == before + 1
