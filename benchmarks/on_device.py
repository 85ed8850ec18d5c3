"""How exact the library is on this machine's device, a GPU say, and on its CPU: the same weights on the same tasks.

    python -m benchmarks.on_device [--program ridge …] [--target gpt2 llama] [--dtype float32 float64] [--tasks 200]
                                   [--seconds 3600]

SPD/d is the mean squared difference from the float64 interpreter over d, on default tasks that calibration has not
seen; `off` is the largest difference over the certificate, at most 1 where the certificate holds; `told` counts the
guard's warnings on the device, of which there should be none. `first s` and `again s`: a call by the clock with its
compilation, and without. `--seconds`: no program is begun after that; what is left is named.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, Weights, compile_program, interpret
from innerloop.compiler.interpreter.default_tasks import draw, repetitions
from innerloop.compiler.ir.build import graph_of
from innerloop.programs import load, names
from innerloop.runtime import Transformer

from tests.reference import case_of

from .support.devices import named
from .support.tables import early, show

SEED = 2026


@dataclass(frozen=True)
class Found:
    """Of one device: SPD/d, the largest difference over the certificate, warnings, seconds of a first call and of a
    second one."""

    spd: float
    off: float
    told: int
    first: float
    again: float


def run(weights: Weights, fields: dict[str, Floats], expected: Floats) -> Found:
    """A call on the device that JAX has by default now."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model, start = Transformer(weights), time.perf_counter()
        model(**fields)
        first, again = time.perf_counter() - start, time.perf_counter()
        given = model(**fields)
        again = time.perf_counter() - again
    each = given.values() if isinstance(given, dict) else [given]
    found = np.concatenate([np.asarray(a, np.float64).reshape(len(a), -1) for a in each], 1)
    difference = np.abs(found - expected)[np.isfinite(expected)]
    parameters: Any = weights.signature.parameters
    spd = float(np.mean(difference**2)) / parameters.get("d", 1)
    return Found(spd, float(difference.max()) / weights.report.predicted_error, len(told), first, again)


def row(name: str, target: TargetName, dtype: Dtype, tasks: int) -> list[str]:
    parameters: dict[str, Any] = dict(case_of(name).parameters)
    weights = compile_program(load(name), target=target, dtype=dtype, **parameters)
    graph = graph_of(weights.signature.text, weights.signature.parameters, name)
    fields: Any = draw(weights.signature, repetitions(graph), tasks, SEED)
    given = interpret(load(name), **fields, **parameters)
    each = given.values() if isinstance(given, dict) else [given]
    expected = np.concatenate([np.asarray(a).reshape(len(a), -1) for a in each], 1)
    there = run(weights, fields, expected)
    with jax.default_device("cpu"):
        here = run(weights, fields, expected)
    return [
        name, target, dtype, str(weights.report.layers), f"{there.spd:.1e}", f"{here.spd:.1e}", f"{there.off:.2f}",
        f"{here.off:.2f}", f"{there.told}", f"{there.first:.1f}", f"{here.first:.1f}", f"{there.again:.3f}",
        f"{here.again:.3f}",
    ]  # fmt: skip


HEADS = (
    "program", "target", "dtype", "layers", "SPD/d", "on the CPU", "off", "on the CPU", "told", "first s", "on the CPU",
    "again s", "on the CPU",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", nargs="+", default=list(names()))
    parser.add_argument("--target", nargs="+", default=["gpt2", "llama"])
    parser.add_argument("--dtype", nargs="+", default=["float32", "float64"], choices=["float32", "float64"])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3600.0)
    options = parser.parse_args()
    began, rows, left = time.perf_counter(), [], []
    for dtype in options.dtype:
        for name in options.program:
            for target in options.target:
                if time.perf_counter() - began > options.seconds:
                    left.append(f"{name} on {target}, {dtype}")
                    continue
                try:
                    rows.append(early(row(name, target, dtype, options.tasks)))
                except CompileError as error:
                    print(f"{name} on {target}: {error.diagnostics[0].message}", file=sys.stderr)
    show(f"{options.tasks} tasks of the default families; {named()}", HEADS, HEADS[:3], rows, 160)
    worst = max((float(each[6]) for each in rows), default=0.0)
    print(f"{len(rows)} rows; largest difference over the certificate {worst:.2f}; {len(left)} left {'; '.join(left)}")


if __name__ == "__main__":
    main()
