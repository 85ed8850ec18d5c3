"""The programs in JAX against the NumPy oracle on 1,000 tasks: errors, and how many times quicker.

    python -m benchmarks.differentiable

From the root of the repository.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from innerloop.artifact.tokens import read_data
from innerloop.compiler import interpret
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.syntax.parse import parse
from innerloop.programs import load, names
from innerloop.runtime.differentiable.function import Differentiable
from innerloop.runtime.differentiable.opened import real_parameters
from innerloop.runtime.surroundings import settled

from tests.reference import case_of, packed

from .support.tables import show


def interpreter() -> None:
    """Every shipped program on 1,000 tasks of its reference case: largest error, CPU seconds, ratio."""

    def seconds(function: Callable[..., Any], *args: Any, **fields: Any) -> float:
        times = []
        for _ in range(4):
            start = time.process_time()
            function(*args, **fields)
            times.append(time.process_time() - start)
        return min(times)

    rows, ratios = [], []
    for name in names():
        case = case_of(name)
        data: dict[str, Any] = dict(case.data(5, 1000))
        f = Differentiable(load(name), real_parameters(parse(load(name))), **case.parameters)
        graph = graph_of(load(name), case.parameters)
        tokens = read_data(f.program.signature, data)
        wanted = evaluate(graph, tokens)
        error = float(np.abs(packed(f(**data)) - wanted).max() / max(1.0, float(np.abs(wanted).max())))
        line, rows_of = tokens.sequence, f.rows(tokens)
        with settled("float64"):
            held = jax.block_until_ready(jax.device_put((dict(f.start), rows_of)))  # type: ignore[no-untyped-call]
            kernel = seconds(lambda k, h: jax.block_until_ready(k(*h)), f.batch(line), held)  # type: ignore[no-untyped-call]
        alone = [seconds(evaluate, graph, tokens), kernel]
        called = [seconds(interpret, load(name), **data, **case.parameters), seconds(f, **data)]
        ratios.append((alone[0] / alone[1], called[0] / called[1]))
        numbers = [f"{1e3 * number:.1f}" for number in (*alone, *called)]
        rows.append([name, f"{error:.1e}", *numbers[:2], f"{ratios[-1][0]:.1f}", *numbers[2:], f"{ratios[-1][1]:.1f}"])
    medians = np.median(ratios, 0)
    show(
        f"1,000 tasks, CPU milliseconds: graph against graph, median ratio {medians[0]:.1f}; call against call "
        f"{medians[1]:.1f}",
        ("program", "error", "oracle", "JAX", "ratio", "interpret", "Differentiable", "ratio "),
        ("program",),
        rows,
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    interpreter()
