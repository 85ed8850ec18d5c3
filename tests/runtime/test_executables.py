"""A process that runs many models stays within its memory maps."""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime import Transformer, executables
from innerloop.runtime.executables import compiled, memory_maps
from innerloop.runtime.forward import forward
from innerloop.runtime.surroundings import settled

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits memory maps")

SIZES = (5, 7, 9, 13)
"""Tokens that hold x, of lengths that are compiled each for itself (calls/lengths.py)."""


def grown(weights: Weights) -> int:
    """By how many maps the process grows over a call of each size."""
    model, random = Transformer(weights), np.random.default_rng(0)
    before = memory_maps()
    for n in SIZES:
        x = random.normal(size=(n, 2))
        model(x=x, y=x.sum(-1))
    return memory_maps() - before


@pytest.mark.slow
def test_what_was_compiled_is_dropped_before_the_maps_run_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = compile_program(load("gradient_descent"), d=2, steps=2)
    forward.forget()
    whole = grown(weights)  # far below the real limit: everything is kept
    assert whole > 50 * len(SIZES)
    forward.forget()
    limit = tmp_path / "max_map_count"
    limit.write_text(str(round((memory_maps() + whole / 2) / executables.SHARE)))
    monkeypatch.setattr(executables, "LIMIT", limit)
    assert grown(weights) < whole / 2


def test_a_function_gives_the_same_after_its_executable_was_dropped() -> None:
    @compiled
    def double(x: jax.Array) -> jax.Array:
        return 2 * x

    x = jnp.arange(3.0)
    assert double(x).tolist() == double(x).tolist() == [0, 2, 4]
    assert double.traces == 1
    double.forget()
    assert double(x).tolist() == [0, 2, 4]
    assert double.traces == 2
    assert jax.grad(lambda x: double(x).sum())(x).tolist() == [2, 2, 2]  # a part of another trace


def test_what_is_compiled_under_settings_keeps_them_and_is_dropped_with_the_rest() -> None:
    @compiled
    def third(x: jax.Array) -> jax.Array:
        return x / 3

    x = np.arange(3.0)
    wide = third.settled(3, lambda: settled("float64"), x)
    with jax.enable_x64(True):
        assert np.array_equal(np.array(wide(x)), x / 3)
    assert third.settled(3, lambda: settled("float32"), x) is wide
    third.forget()
    assert third.settled(3, lambda: settled("float64"), x) is not wide


def test_products_that_are_multiplied_and_summed_are_right() -> None:
    """XLA's reductions by YNNPACK are off by the size of the sum."""
    rng = np.random.default_rng(0)
    y, w = rng.standard_normal((2, 1750, 6))
    f = compiled(lambda y, w: ((y @ np.ones((6, 6))) * w).reshape(250, 7, 6).sum(1))
    with settled("float64"):
        found = np.asarray(f(y, w))
    assert np.abs(found - (y.sum(1, keepdims=True) * w).reshape(250, 7, 6).sum(1)).max() <= 1e-12


def test_a_maximum_of_what_is_no_number_is_none() -> None:
    """XLA's reductions by YNNPACK pass it over."""
    x = np.zeros((64, 81, 20), np.float32)
    x[3, 40, 7] = np.nan
    with settled("float32"):
        found = np.asarray(compiled(lambda x: x.max(1))(x))
    assert np.argwhere(np.isnan(found)).tolist() == [[3, 7]]


def test_what_is_compiled_is_differentiated_and_inlined() -> None:
    f = compiled(lambda x: x * x)
    with settled("float32"):
        assert float(jax.grad(f)(3.0)) == 6.0
        assert np.asarray(jax.jit(lambda x: f(x) + 1)(2.0)) == 5.0
        assert np.asarray(jax.vmap(f)(np.arange(3.0))).tolist() == [0.0, 1.0, 4.0]
