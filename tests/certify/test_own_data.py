"""A model runs on the data that it was compiled with, whatever they are: Longley's, raw, are nearly collinear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.compiler import compile_program, interpret
from innerloop.programs import load
from innerloop.runtime import Transformer

LONGLEY = np.loadtxt(Path(__file__).parents[1] / "data" / "longley.csv", delimiter=",", skiprows=1)
"""Longley 1967: employment, and six economic series, 1947 to 1962."""


@pytest.mark.parametrize("target", ["gpt2", "llama"])
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("sherman_morrison", {"examples": 15, "ridge": 1.0}),
        ("kalman_filter", {"examples": 15}),
        ("normalized_least_mean_squares", {}),
    ],
)
def test_longley_raw(name: str, parameters: dict[str, Any], target: str) -> None:
    fields = {"x": LONGLEY[None, :, 1:], "y": LONGLEY[None, :15, 0]}
    text = load(name)
    weights = compile_program(text, target=target, dtype="float64", calibration=fields, d=6, **parameters)
    found = Transformer(weights, guard="raise")(**fields)
    truth = interpret(text, d=6, **parameters, **fields)
    assert np.abs(found - truth).max() <= weights.report.predicted_error <= weights.report.output_rms
