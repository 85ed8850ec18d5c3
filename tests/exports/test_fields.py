"""fields.py of an exported folder: arrays to `inputs_embeds`, as the folder's README writes it out."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from innerloop.compiler import compile_program, interpret
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.programs import load
from innerloop.runtime.exports.export import export
from safetensors.torch import load_file
from transformers import LlamaModel

from tests.support.linear_tasks import linear_tasks
from tests.support.shared import compiled_once
from tests.support.stock_models import features


def module(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("fields", folder / "fields.py")
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


PREFIX = """program along(d)

tokens c (x)*
    c : vector[d]
    x : vector[d]

at x
    output sum[j in c](dot(c[j], x))
"""


@pytest.mark.parametrize("text", [load("gradient_descent"), load("principal_component"), PREFIX], ids=["y", "x", "c"])
def test_arrays_become_what_the_model_takes(text: str, tmp_path: Path) -> None:
    """Pairs and a query, rows alone, a prefix; in the stock model the outputs are the oracle's."""
    weights = compiled_once(text, target="llama", d=2)
    export(weights, tmp_path / "out")
    data = draw(weights.signature, 5, 3, seed=1)
    helper = module(tmp_path / "out")
    embeds, interface = helper.inputs_embeds(**data), load_file(tmp_path / "out/interface.safetensors")
    assert torch.equal(embeds, features(weights, **data)[0] @ interface["embedding"])
    with torch.no_grad():
        found = helper.outputs(LlamaModel.from_pretrained(tmp_path / "out")(inputs_embeds=embeds).last_hidden_state)
    parameters: dict[str, Any] = {**data, **weights.signature.parameters}
    truth = interpret(text, **parameters)
    assert found.shape == truth.shape
    assert np.abs(found.numpy() - truth).max() < weights.report.predicted_error


GROUPS = """program groups()

tokens (a)* (b)* q
    x : scalar on a, b, q in [-1, 1]
    y : scalar on a in [-1, 1]

s = 0
scan b up to 3
    s = 0.5 * s + x
at q
    output s * x + mean[j in a](y[j])
"""


def test_of_groups_it_takes_no_more_than_the_weights(tmp_path: Path) -> None:
    weights = compiled_once(GROUPS, target="llama")
    export(weights, tmp_path / "out")
    make = module(tmp_path / "out").features
    assert make(x=np.zeros((1, 9, 1)), y=np.zeros((1, 5))).shape[1] == 1 + 9
    with pytest.raises(ValueError, match="the data has 4 b tokens; the program scans b up to 3"):
        make(x=np.zeros((1, 10)), y=np.zeros((1, 5)))
    with pytest.raises(ValueError, match="the data has 1025 tokens; the weights were compiled for 1024"):
        make(x=np.zeros((1, 1025)), y=np.zeros((1, 1024)))


def test_what_does_not_fit_is_an_error(tmp_path: Path) -> None:
    weights = compiled_once(load("gradient_descent"), d=2)
    export(weights, tmp_path / "out")
    make = module(tmp_path / "out").inputs_embeds
    assert make(x=np.zeros((1, 4, 2)), y=np.zeros((1, 3))).shape[1] == 1 + 7
    assert make(x=np.zeros((1, 4, 2)), y=np.zeros((1, 4))).shape[1] == 1 + 7  # the query's label is left out
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"x": np.zeros((1, 4, 2))}, "the fields are x, y; given: x"),
        ({"x": np.zeros((1, 4, 3)), "y": np.zeros((1, 3))}, r"x has shape \(1, 4, 3\); wanted \(1, 4, 2\)"),
        ({"x": np.zeros((1, 4, 2)), "y": np.zeros((1, 7))}, "y has 7 rows, which does not fit"),
        ({"x": np.zeros((2, 4, 2)), "y": np.zeros((1, 3))}, "y has shape"),
        ({"x": np.zeros(4), "y": np.zeros((1, 3))}, "x has shape"),
        ({"x": np.zeros((1, 4, 2)), "y": [[1.0, np.nan, 2.0]]}, r"y is not finite at task 0, row 1 \(from 0\)"),
        ({"x": "none", "y": np.zeros((1, 3))}, "x is no array of real numbers, rows of one shape"),
        ({"x": [[[1.0, 2.0], [1.0]]], "y": np.zeros((1, 1))}, "x is no array of real numbers"),
        ({"x": np.zeros((1, 4, 2)), "y": np.ones((1, 3), complex)}, "y is no array of real numbers"),
        ({"x": np.zeros((0, 4, 2)), "y": np.zeros((0, 3))}, "the data has no task"),
    ]
    for fields, message in wrong:
        with pytest.raises(ValueError, match=message):
            make(**fields)
    width = weights.config.d_model
    with pytest.raises(ValueError, match=rf"the stream has shape \(1, 8, 3\); wanted \(batch, tokens, {width}\)"):
        module(tmp_path / "out").outputs(torch.zeros(1, 8, 3))
    with pytest.raises(ValueError, match="7 tokens do not fit the rest token and"):
        module(tmp_path / "out").outputs(torch.zeros(1, 7, width))
    with pytest.warns(UserWarning, match=r"y is 1000 at task 0, row 2 \(from 0\); compiled for -.* to .*, the weights"):
        make(x=np.zeros((1, 4, 2)), y=[[1.0, -1.0, 1000.0]])


def test_in_sixteen_bits_it_makes_what_the_model_takes(tmp_path: Path) -> None:
    """NumPy has no bfloat16."""
    sample = linear_tasks(100, 5, 2, seed=2)
    weights = compile_program(load("averaging"), target="llama", dtype="bfloat16", d=2, certify=8, calibration=sample)
    export(weights, tmp_path / "out")
    data, helper = {name: array[:3] for name, array in sample.items()}, module(tmp_path / "out")
    model = LlamaModel.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        found = helper.outputs(model(inputs_embeds=helper.inputs_embeds(**data)).last_hidden_state)
    assert found.dtype == torch.float32
    assert np.abs(found.numpy() - interpret(load("averaging"), d=2, **data)).max() <= weights.report.predicted_error
