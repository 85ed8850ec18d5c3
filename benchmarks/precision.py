"""How exact the compiled programs are: SPD/d against the float64 oracle on fresh tasks, in one table.

    python -m benchmarks.precision [--tasks 1000] [--target gpt2] [--dtype float32 float64]

x, w ~ N(0, I), noiseless labels, d = 8, 40 examples in context; predictions at every query after at least
one example. SPD is the mean squared difference of two predictors (Akyürek et al. 2022). Compile times
are those of this run, calibration included and imports not; peak memory is the process's so far.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.words import TargetName
from innerloop.compiler import compile_program, interpret
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.programs import load
from innerloop.runtime import Transformer

from .support.tables import show

D, EXAMPLES = 8, 40


@dataclass(frozen=True)
class Line:
    """One row: a program, its parameters, and the SPD/d that it has to reach in float32 on each target."""

    program: str
    parameters: dict[str, Any]
    goals: dict[str, float]


LINES = (
    Line("gradient_descent", {"steps": 10, "rate": 0.1}, {"gpt2": 1e-9, "llama": 1e-12}),
    Line("gradient_descent", {"steps": 10, "rate": 0.05}, {"gpt2": 1e-11, "llama": 1e-12}),
    Line("stochastic_gradient_descent", {"rate": 0.01}, {"gpt2": 1e-12, "llama": 1e-13}),
    Line("sherman_morrison", {"ridge": 1.0}, {"gpt2": 1e-11, "llama": 1e-12}),
    Line("sherman_morrison", {"ridge": 0.1}, {"gpt2": 1e-11, "llama": 1e-12}),
    Line("sherman_morrison", {"ridge": 0.01}, {"gpt2": 1e-10, "llama": 1e-11}),
    Line("sherman_morrison", {"ridge": 0.001}, {"gpt2": 1e-9, "llama": 1e-10}),
)
FLOAT64_GOAL = 1e-16


def tasks(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """x [count, 41, 8] and y [count, 40] of fresh noiseless linear tasks."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, EXAMPLES + 1, D))
    w = rng.standard_normal((count, D, 1))
    return x, (x @ w)[:, :EXAMPLES, 0]


def measure(line: Line, target: TargetName, dtype: Dtype, count: int, seed: int) -> list[str]:
    """One row of the table."""
    started = time.perf_counter()
    weights = compile_program(load(line.program), target=target, dtype=dtype, d=D, **line.parameters)
    compiled = time.perf_counter() - started
    x, y = tasks(count, seed)
    model = Transformer(weights, guard="off")
    started = time.perf_counter()
    found = np.asarray(model(x=x, y=y), dtype=np.float64)
    ran = time.perf_counter() - started
    error = (found - interpret(load(line.program), x=x, y=y, d=D, **line.parameters))[:, 1:]
    spd = float(np.mean(error**2)) / D
    exact = FLOAT64_GOAL if line.parameters.get("ridge", 1.0) >= 0.1 else None
    goal = line.goals.get(target) if dtype == "float32" else exact
    report = weights.report
    return [
        line.program,
        ", ".join(f"{k} {v:g}" for k, v in line.parameters.items()),
        dtype,
        f"{spd:.1e}",
        "–" if goal is None else f"≤ {goal:.0e}{'' if spd <= goal else '  MISSED'}",
        f"{np.median(error**2) / D:.1e}",
        str(report.layers),
        str(report.width),
        f"{report.neurons:,}",
        f"{compiled:.1f}",
        f"{ran:.1f}",
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f}",
    ]


def plain(count: int, seed: int) -> str:
    """What NumPy's float32 makes of the ten steps at rate 0.1: what no weights in float32 need beat."""
    x, y = tasks(count, seed)
    w, rate = np.zeros((count, EXAMPLES, D), np.float32), np.float32(0.1)
    u, label = x[:, :EXAMPLES].astype(np.float32), y.astype(np.float32)
    number = np.arange(1, EXAMPLES + 1, dtype=np.float32)[:, None]
    square = np.cumsum(u[..., None] * u[..., None, :], 1, dtype=np.float32) / number[..., None]
    mixed = np.cumsum(u * label[..., None], 1, dtype=np.float32) / number
    for _ in range(10):
        w = w - rate * (np.einsum("tnij,tnj->tni", square, w) - mixed)
    found = np.einsum("tni,tni->tn", w, x[:, 1:].astype(np.float32)).astype(np.float64)
    off = found - interpret(load("gradient_descent"), x=x, y=y, d=D, steps=10, rate=0.1)[:, 1:]
    each = np.sort(np.mean(off**2, 1) / D)
    without = f", {each[:-1].sum() / count:.1e} without its worst task" if count > 1 else ""
    return f"gradient_descent, steps 10, rate 0.1, in NumPy's float32: {each.mean():.1e}{without}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--target", default="gpt2", choices=[t for t in TARGETS if not TARGETS[t].linear])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--dtype", nargs="+", default=["float32", "float64"], choices=["float32", "float64"])
    options = parser.parse_args()
    heads = ("program", "parameters", "dtype", "SPD/d", "goal", "median", "layers", "width", "neurons")
    show(
        f"{options.tasks} fresh tasks, d = {D}, {EXAMPLES} examples, seed {options.seed}",
        (*heads, "compile s", "run s", "GiB"),
        ("program", "parameters", "dtype", "goal"),
        # float64 costs about six times as much a task
        [
            measure(
                line, options.target, dtype, options.tasks if dtype == "float32" else options.tasks // 10, options.seed
            )
            for dtype in options.dtype
            for line in LINES
        ],
        width=160,
    )
    print(plain(options.tasks, options.seed))


if __name__ == "__main__":
    main()
