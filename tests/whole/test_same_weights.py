"""Texts that say the same compile to the same weights, number for number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from innerloop.artifact.sparse import Matrix
from innerloop.compiler import Weights, compile_program
from innerloop.compiler.stages import show
from innerloop.programs import load, names

from tests.reference import case_of, source


def assert_same(one: Weights, other: Weights) -> None:
    assert one.embedding == other.embedding
    assert one.readout == other.readout
    assert np.array_equal(one.positions, other.positions)
    for a, b in zip(one.sublayers(), other.sublayers(), strict=True):
        assert type(a) is type(b)
        for name, value in vars(a).items():
            if isinstance(value, Matrix):
                assert value == getattr(b, name)
            elif isinstance(value, np.ndarray):
                assert np.array_equal(value, getattr(b, name))


@pytest.mark.parametrize("name", ["gd_plus", "gradient_descent", "gradient_descent_dual", "sherman_morrison"])
def test_the_core_text_compiles_to_the_same_weights(name: str) -> None:
    text = load(name)
    sizes: dict[str, Any] = {"d": 3} | ({"examples": 4} if "examples =" in text else {})
    assert_same(compile_program(text, **sizes), compile_program(show(text, "core", "gpt2", sizes), **sizes))


def test_a_loss_that_is_differentiated_compiles_to_the_weights_of_the_gradient_by_hand() -> None:
    by_grad = source("gradient_descent_by_grad")
    assert_same(compile_program(load("gradient_descent"), d=3), compile_program(by_grad, d=3))


BY_GRAD = "grad[w](mean[j in y]((dot(w, u[j]) - y[j]) ^ 2 / 2))"
BY_HAND = "mean[j in y]((dot(w, u[j]) - y[j]) * u[j])"


@pytest.mark.parametrize(
    "name",  # deep_features takes long to fit
    [pytest.param(n, marks=pytest.mark.slow) if n == "deep_features" else n for n in names() if BY_GRAD in load(n)],
)
def test_a_shipped_program_that_says_grad_compiles_to_the_weights_of_the_gradient_by_hand(name: str) -> None:
    case = case_of(name)
    sample, parameters = case.sample(64), case.parameters | {"steps": 3}
    texts = load(name), load(name).replace(BY_GRAD, BY_HAND)
    assert_same(*(compile_program(text, calibration=sample, **parameters) for text in texts))


def test_compiling_twice_gives_the_same_weights() -> None:
    text = load("sherman_morrison")
    assert_same(compile_program(text, d=3, examples=5), compile_program(text, d=3, examples=5))
