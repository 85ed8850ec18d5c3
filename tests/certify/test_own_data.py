"""A model runs on the data that it was compiled with, whatever they are: Longley's, raw, are nearly collinear."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.tokens import output_rows
from innerloop.artifact.words import TargetName
from innerloop.compiler import compile_program, interpret
from innerloop.compiler.interpreter.default_tasks import samples
from innerloop.compiler.ir.build import graph_of
from innerloop.programs import load
from innerloop.runtime import Transformer

from tests.reference import case_of

LONGLEY = np.loadtxt(Path(__file__).parents[1] / "data" / "longley.csv", delimiter=",", skiprows=1)
"""Longley 1967: employment, and six economic series, 1947 to 1962."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters", "target"),
    [
        ("sherman_morrison", {"examples": 15, "ridge": 1.0}, "llama"),
        ("kalman_filter", {"examples": 15}, "gpt2"),
        ("normalized_least_mean_squares", {}, "gpt2"),
        ("normalized_least_mean_squares", {}, "llama"),
    ],
)
def test_longley_raw(name: str, parameters: dict[str, Any], target: TargetName) -> None:
    fields = {"x": LONGLEY[None, :, 1:], "y": LONGLEY[None, :15, 0]}
    text = load(name)
    weights = compile_program(text, target=target, dtype="float64", calibration=fields, d=6, **parameters)
    found = Transformer(weights, guard="raise")(**fields)
    truth = interpret(text, d=6, **parameters, **fields)
    assert np.abs(found - truth).max() <= weights.report.predicted_error <= weights.report.output_rms


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("bayes_model_average", "gpt2"),  # rounding takes the largest argument of a softmax above 0
        ("conjugate_gradient", "llama"),  # and a divisor that no output depends on below its floor
        ("logistic_regression", "gpt2"),  # the very answer is 0 where nothing has been read
    ],
)
def test_a_model_says_nothing_where_its_outputs_are_known_to_be_right(name: str, target: TargetName) -> None:
    case = case_of(name)
    weights = compile_program(load(name), target=target, **case.parameters)
    drawn = samples(graph_of(load(name), case.parameters))[0].data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sample in drawn:
            data = {}
            for f in weights.signature.fields:
                held = sample.fields[f.name][:16, output_rows(sample.sequence, f.kinds)]
                data[f.name] = held.reshape(*held.shape[:2], *f.shape)
            Transformer(weights)(**data)
