"""Several outputs, by name: what each face gives, from the interpreter to an exported folder."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import DataError
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, interpret
from innerloop.laboratory.training.model import Model
from innerloop.runtime import RangeWarning, Transformer
from innerloop.runtime.differentiable.function import Differentiable
from innerloop.runtime.exports.export import export
from innerloop.runtime.unjitted import Unjitted

from tests.support.commands import Command, npz
from tests.support.linear_tasks import linear_tasks
from tests.support.shared import compiled_once
from tests.support.stock_models import readme_difference

TEXT = """program answers(d)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous
g = mean[j in y](y[j] * u[j])

at x
    output mean = dot(g, x)
    output slope = g
    output small = 0.0001 * dot(g, g)
"""
NAMES = ["mean", "slope", "small"]
FIELDS = linear_tasks(4, 5, 2, seed=3)


@cache
def weights(target: TargetName = "gpt2") -> Weights:
    return compiled_once(TEXT, target=target, d=2)


@cache
def truth() -> dict[str, Any]:
    found: dict[str, Any] = interpret(TEXT, **FIELDS, d=2)
    return found


@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_every_call_gives_each_by_its_name_and_within_its_own_certificate(target: TargetName) -> None:
    made = weights(target)
    most = {error.name: error.predicted_error for error in made.report.answers}
    assert list(most) == NAMES
    assert most["small"] < 1e-2 * most["mean"]
    model = Transformer(made)
    calls: list[dict[str, Any]] = [call(**FIELDS) for call in (model, Unjitted(made))]
    calls.append(Differentiable(TEXT, d=2)(x=FIELDS["x"], y=FIELDS["y"]))
    for found in calls:
        assert list(found) == NAMES
        for name, exact in truth().items():
            assert found[name].shape == exact.shape
            assert np.abs(found[name] - exact).max() <= most[name]
    alone = model(**{name: array[0] for name, array in FIELDS.items()})
    np.testing.assert_allclose(alone["slope"], calls[0]["slope"][0], atol=most["slope"])


def test_bounds_streams_and_differences_are_of_each() -> None:
    model = Transformer(weights())
    found = model.certify(**FIELDS)
    for name, exact in truth().items():
        assert np.all(np.abs(found.prediction[name] - exact) <= found.bound[name])
        assert found.resolved[name].shape == exact.shape
    assert found.bound["small"].max() < 1e-2 * found.bound["mean"].max()
    assert [d.name for d in model.diff(**FIELDS).differences if d.layer is None] == NAMES
    stream = model.stream(4)
    pushed = [stream.push(x=FIELDS["x"][:, 0]), stream.push(y=FIELDS["y"][:, 0]), stream.push(x=FIELDS["x"][:, 1])]
    assert pushed[1] is None
    for name, exact in truth().items():
        assert np.abs(pushed[2][name] - exact[:, 1]).max() <= 1e-4


def test_the_guard_names_the_output_that_is_off() -> None:
    made = weights()
    bias = made.readout_bias.copy()
    bias[made.output.columns[2]] = 2 * made.report.answers[2].predicted_error
    with pytest.warns(RangeWarning, match="the outputs `small` of task"):
        Transformer(replace(made, readout_bias=bias))(**FIELDS)


def test_folders_keep_them_and_damage_is_named(tmp_path: Path) -> None:
    weights().save(tmp_path / "m")
    assert Weights.load(tmp_path / "m").output == weights().output
    other = replace(weights(), output=replace(weights().output, answers=weights().output.answers[:2]))
    other.save(tmp_path / "n")
    with pytest.raises(DataError, match=r"output\.answers are not the 3"):
        Weights.load(tmp_path / "n")


def test_the_trainable_view_has_them_and_weights_of_it_run(tmp_path: Path) -> None:
    model = Model.of(weights())
    trained = model.weights(model.parameters)
    trained.save(tmp_path / "t")
    found = Transformer(Weights.load(tmp_path / "t"))(**FIELDS)
    for name, exact in truth().items():
        np.testing.assert_allclose(found[name], exact, atol=1e-4)


def test_the_command_line_gives_columns_by_name(tmp_path: Path, innerloop: Command) -> None:
    weights().save(tmp_path / "m")
    data = npz(tmp_path / "data.npz", **FIELDS)
    found = json.loads(innerloop("run", tmp_path / "m", "--data", data, "--json").out)
    assert found["output"] == NAMES
    np.testing.assert_allclose(found["slope"], truth()["slope"], atol=1e-4)
    table = tmp_path / "out.csv"
    assert innerloop("run", tmp_path / "m", "--data", data, "--certify", "-o", table).status == 0
    header = table.read_text().splitlines()[0]
    assert header.startswith("task,row,mean,mean_bound,mean_resolved,slope_0,slope_1,slope_bound_0")


def test_an_exported_readme_prints_the_difference_of_each(tmp_path: Path) -> None:
    export(weights(), tmp_path / "out")
    said = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert '{"mean": slice(0, 1), "slope": slice(1, 3), "small": slice(3, 4)}' in said
    assert 0 < readme_difference(tmp_path / "out") <= max(e.predicted_error for e in weights().report.answers)
