"""The whole library, exported, in stock `transformers`, onnxruntime and float32: within its certificate, on tasks like
those that it was compiled for; and gradients, cut as the README does it, are finite. Each program runs as one target in
one of the two, by turns; `python -m benchmarks.exports.stock` runs all as both in transformers."""

from __future__ import annotations

from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from innerloop.artifact.tokens import output_rows, read_data
from innerloop.artifact.words import Library, TargetName
from innerloop.compiler import Weights, interpret
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.programs import load, names
from innerloop.runtime.exports.export import export
from transformers import GPT2Model, LlamaModel

from tests.reference import CASES, Case, case_of, packed
from tests.reference.measured import Fields, compiled
from tests.support.onnx_models import run
from tests.support.shared import compiled_once
from tests.support.stock_models import by_field, gradient, interpreter_gradient, outputs

SHIPPED = [case for case in CASES if case.program in names()]
STOCK: dict[TargetName, type[Any]] = {"gpt2": GPT2Model, "llama": LlamaModel}
LIBRARIES: tuple[Library, Library] = ("huggingface", "onnx")
TASKS = 4
ACCEPTED = {("adam", "gpt2")}
"""Refused without `accept_error`: of the eight tasks that the check looks at one is beyond the certificate in PyTorch,
off by 0.015 where 0.010 is allowed; those below are within it."""

FINITE = [
    "adaboost", "adam", "algorithm_selection", "ar_mesa_optimizer", "associative_memory", "averaging",
    "bayes_model_average", "bigram", "chebyshev_iteration", "conjugate_gradient", "deep_features", "gradient_descent",
    "k_means", "kernel_regression", "perceptron", "sherman_morrison",
]  # fmt: skip
"""Gradients are looked at where one of these is held in transformers, on one target here; `python -m
benchmarks.exports.stock` says it of any program on both."""


def held(weights: Weights, fields: Fields, folder: Path, library: Library) -> None:
    """The weights, exported, in the library: as far from the oracle as the certificate allows."""
    signature, target = weights.signature, weights.config.target
    export(weights, folder, library, accept_error=(signature.name, target) in ACCEPTED)
    parameters: dict[str, Any] = dict(signature.parameters)
    truth = packed(interpret(signature.text, **fields, **parameters))
    if library == "onnx":
        rows = output_rows(read_data(signature, fields).sequence, weights.output.kinds)
        found = run(folder / "model.onnx", weights, **fields)[:, rows].reshape(truth.shape)
    else:
        found = outputs(STOCK[target], folder, weights, **fields)
    assert found.shape == truth.shape
    assert np.abs(found - truth).max() <= weights.report.predicted_error
    if signature.name in FINITE and library == "huggingface":
        first: dict[str, Any] = {name: array[:1] for name, array in fields.items()}
        back = gradient(STOCK[target], folder, weights, **first)
        assert torch.isfinite(back).all()
        assert back.abs().max() > 0.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "target", "library"),
    [
        pytest.param(c, t, library, id=f"{c.program}-{t}-{library}")
        for c, (t, library) in zip(SHIPPED, cycle(product(STOCK, LIBRARIES)), strict=False)
    ],
)
def test_a_stock_model_computes_it_within_its_certificate(
    case: Case, target: TargetName, library: Library, tmp_path: Path
) -> None:
    held(compiled(case, target), case.data(seed=0, tasks=TASKS), tmp_path / "out", library)


@pytest.mark.slow
@pytest.mark.parametrize("target", list(STOCK))
def test_conjugate_gradients_as_compiled_without_data(target: TargetName, tmp_path: Path) -> None:
    weights = compiled_once(load("conjugate_gradient"), target=target, d=3)
    held(weights, draw(weights.signature, 40, TASKS, seed=7), tmp_path / "out", "huggingface")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "target", "close"),
    [("k_means", "gpt2", 1e-5), ("conjugate_gradient", "gpt2", 0.5), ("gaussian_process", "llama", 1e-5)],
)
def test_gradients_of_programs_that_divide_are_the_interpreters(
    program: str, target: TargetName, close: float, tmp_path: Path
) -> None:
    """Of the last output, as the folder's README takes them. As they come they are off ten times as far; conjugate
    gradients end in differences of equal numbers, and llama's are off as far. A Gaussian process of six examples is
    exported with tasks of four, in which what the sixth writes is 0."""
    case = case_of(program)
    weights, fields = compiled(case, target), dict(case.data(seed=0, tasks=TASKS))
    export(weights, tmp_path / "out", accept_error=True)
    wanted = interpreter_gradient(weights, **fields)
    cut, plain = (
        by_field(weights, gradient(STOCK[target], tmp_path / "out", weights, cut=at, last=True, **fields), **fields)
        for at in (True, False)
    )
    off, beside = (max(np.abs(of[name] - part).max() for name, part in wanted.items()) for of in (cut, plain))
    assert off <= close
    assert not beside <= 10.0 * off  # NaN, too
