"""The figures of the product: SPD/d against the float64 oracle, through the real forward pass.

The quick tests run 50 tasks a line with room for their scatter; `slow` ones run the figures as the README gives
them, on 1,000 (float64: 100). benchmarks/precision.py prints the same as a table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, interpret
from innerloop.programs import load
from innerloop.runtime import Transformer
from numpy.typing import NDArray

from tests.reference.measured import Fields, jax_run
from tests.support.linear_tasks import linear_tasks
from tests.support.shared import compiled_once

D, EXAMPLES = 8, 40
LINES = [
    ("gradient_descent", {"steps": 10, "rate": 0.1}, 1e-9),
    ("gradient_descent", {"steps": 10, "rate": 0.05}, 1e-11),
    ("stochastic_gradient_descent", {"rate": 0.01}, 1e-12),
    ("sherman_morrison", {"ridge": 1.0}, 1e-11),
    ("sherman_morrison", {"ridge": 0.1}, 1e-11),
    ("sherman_morrison", {"ridge": 0.01}, 1e-10),
    ("sherman_morrison", {"ridge": 0.001}, 1e-9),
]


def spd(
    name: str,
    parameters: dict[str, Any],
    dtype: Dtype,
    tasks: int,
    seed: int,
    target: TargetName = "gpt2",
    run: Callable[[Weights, Fields], NDArray[Any]] = jax_run,
) -> float:
    """SPD/d on fresh tasks, at every query after at least one example."""
    fields = linear_tasks(tasks, EXAMPLES, D, seed)
    weights = compiled_once(load(name), target=target, dtype=dtype, d=D, **parameters)
    wrong = run(weights, fields).astype(np.float64) - interpret(load(name), **fields, d=D, **parameters)
    return float(np.mean(wrong[:, 1:] ** 2)) / D


@pytest.mark.parametrize(("name", "parameters", "goal"), [LINES[0], LINES[2], LINES[4]])
def test_float32(name: str, parameters: dict[str, float], goal: float) -> None:
    assert spd(name, parameters, "float32", 50, seed=11) <= goal


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters", "goal"), [LINES[1], LINES[2], LINES[4]])
def test_float64(name: str, parameters: dict[str, float], goal: float) -> None:
    assert spd(name, parameters, "float64", 10, seed=11) <= 1e-16


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters", "goal"), [*LINES[:4], *LINES[5:]])  # ridge 0.1: above, and in float64
def test_the_figure(name: str, parameters: dict[str, float], goal: float) -> None:
    assert spd(name, parameters, "float32", 1000, seed=2026) <= goal


@pytest.mark.parametrize(("count", "rate"), [(5, 0.1), (20, 0.05)])
def test_gradient_descent_is_batch_gradient_descent_on_every_prefix(count: int, rate: float) -> None:
    """Which a causal stack of one step a layer is not (von Oswald et al. 2023)."""
    fields = linear_tasks(4, count, D, seed=5, scale=0.7)
    x, y = fields["x"], fields["y"]
    found = Transformer(compiled_once(load("gradient_descent"), d=D, steps=10, rate=rate))(**fields)
    for task in range(4):
        for n in range(1, count + 1):
            w = np.zeros(D)
            for _ in range(10):
                w -= rate / n * x[task, :n].T @ (x[task, :n] @ w - y[task, :n])
            assert abs(found[task, n] - x[task, n] @ w) <= 5e-4


@pytest.mark.skipif(sys.platform == "win32", reason="resource is POSIX only")
def test_sherman_morrison_compiles_in_two_gigabytes() -> None:
    """Peak memory of a process that compiles, calibration and measurement included."""
    import subprocess

    code = (
        "import resource; from innerloop.compiler import compile_program; from innerloop.programs import load;"
        "compile_program(load('sherman_morrison'), d=8, ridge=0.1);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    if sys.platform == "linux":  # where ru_maxrss begins at the size of the process that started this one
        code = code.replace(
            "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss",
            "next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))",
        )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    kilobytes = int(done.stdout) / (1024 if sys.platform == "darwin" else 1)
    assert kilobytes <= 2 * 2**20
