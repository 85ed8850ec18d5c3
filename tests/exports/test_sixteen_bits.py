"""Weights compiled for 16 bits: stock transformers loads them as such, and computes what we compute, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.folders.storage import tensors_of
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, compile_program, interpret
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.exports.export import export
from innerloop.runtime.unjitted import Unjitted
from transformers import GPT2Model, LlamaModel

from tests.support.linear_tasks import linear_tasks
from tests.support.stock_models import outputs, readme_difference

KINDS: dict[TargetName, type[Any]] = {"gpt2": GPT2Model, "llama": LlamaModel}
CASES = {
    ("llama", "bfloat16", "gradient_descent"): 1e-5,
    ("llama", "float16", "gradient_descent"): 1e-6,
}
"""SPD/d at most."""
TASKS, EXAMPLES, D = 40, 40, 8
PARAMETERS: dict[str, dict[str, Any]] = {"gradient_descent": {"steps": 10, "rate": 0.05}}


def compiled(target: TargetName, dtype: Dtype, name: str, d: int = D) -> Weights:
    return compile_program(load(name), target=target, dtype=dtype, d=d, **PARAMETERS[name])


@pytest.mark.parametrize(("target", "dtype", "name"), CASES)
def test_stock_models_in_sixteen_bits(target: TargetName, dtype: Dtype, name: str, tmp_path: Path) -> None:
    """The same number from the runtime, from the pass that the certificate was measured with, and from transformers;
    saved and loaded; within the certificate."""
    compiled(target, dtype, name).save(tmp_path / "saved")
    weights = Weights.load(tmp_path / "saved")
    assert {tensor.dtype for tensor in tensors_of(weights).values()} == {np.dtype(dtype)}
    data = linear_tasks(TASKS, EXAMPLES, D, seed=2026)
    truth = interpret(load(name), d=D, **PARAMETERS[name], **data)
    ours = Transformer(weights, guard="raise")(**data)
    error = ours - truth
    assert np.mean(error[:, 1:] ** 2) / D <= CASES[target, dtype, name]
    assert np.abs(error).max() <= weights.report.predicted_error
    few = {field: array[:4] for field, array in data.items()}
    assert np.array_equal(np.asarray(Unjitted(weights)(**few)), ours[:4])
    export(weights, tmp_path / "out")
    assert np.array_equal(outputs(KINDS[target], tmp_path / "out", weights, **few), ours[:4])
    assert readme_difference(tmp_path / "out") <= weights.report.predicted_error
