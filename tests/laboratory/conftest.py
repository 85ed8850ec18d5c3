"""Small models to train, and what they are trained on."""

from __future__ import annotations

import pytest
from innerloop.compiler import Weights
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import TaskDistribution, task
from innerloop.programs import load

from tests.support.shared import compiled_once


@pytest.fixture(scope="module")
def weights() -> Weights:
    return compiled_once(load("gradient_descent"), target="gpt2", d=2, steps=1)


@pytest.fixture(scope="module")
def dual() -> Weights:
    return compiled_once(load("gradient_descent_dual"), target="lsa", d=3, rate=1.0)


@pytest.fixture(scope="module")
def small(weights: Weights) -> Model:
    return Model.fresh(weights, 0, n_layer=1, d_model=16, n_head=2, n_positions=16)


@pytest.fixture(scope="module")
def points() -> TaskDistribution:
    return task("linear", d=2, n=4)
