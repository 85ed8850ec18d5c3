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

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits memory maps")

SIZES = range(2, 6)


def grown(weights: Weights) -> int:
    """By how many maps the process grows over a call of each size."""
    model, random = Transformer(weights), np.random.default_rng(0)
    before = memory_maps()
    for n in SIZES:
        x = random.normal(size=(n, 2))
        model(x=x, y=x.sum(-1))
    return memory_maps() - before


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
