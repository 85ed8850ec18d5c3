"""What a call takes, in products of matrices: CPU seconds of 1,000 tasks, over those of one 2048³ product in float32.

    python -m benchmarks.forward [--tasks 200] [--rounds 3] [--program sherman_morrison …] [--target gpt2 llama] [--all]

Each program runs in turn with the same weights as stock transformers run them, every pass of a scan at every token, and
with the product; the medians of the rounds are compared. Not counted: compiling, and the first call. `--all`: every
shipped program that compiles, with its smallest parameters, and the geometric mean of what running in turn saves. What
is printed are CPU seconds of one process on one core; the clock's stand beside. Where JAX's device is no CPU, all is
told by the clock: give a card enough `--tasks` to fill it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.places import places
from innerloop.artifact.tokens import output_rows, read_data
from innerloop.compiler import CompileError, Weights, compile_program
from innerloop.compiler.interpreter.default_tasks import draw, repetitions
from innerloop.compiler.ir.build import graph_of
from innerloop.programs import load, names
from innerloop.runtime import Transformer
from innerloop.runtime.forward import forward

from tests.reference import case_of

from .support.devices import named, on_cpu
from .support.tables import early, show

PRODUCT, TIMES = 2048, 20
"""Rows of the matrices that are multiplied, and how often where that takes no time: on a card."""
ROWS: list[tuple[str, str, dict[str, Any], float]] = [
    ("sherman_morrison", "gpt2", {"d": 8, "ridge": 0.001}, 8.0),
    ("sherman_morrison", "gpt2", {"d": 8, "ridge": 0.1}, 6.0),
    ("sherman_morrison", "llama", {"d": 8, "ridge": 0.1}, 4.0),
    ("stochastic_gradient_descent", "gpt2", {"d": 8}, 4.0),
    ("gradient_descent", "gpt2", {"d": 8, "steps": 10}, 8.0),
    ("sherman_morrison", "gpt2", {"d": 8, "examples": 512, "ridge": 0.1}, 500.0),
]
"""Program, target, parameters, and the products that 1,000 tasks are to take."""


def measure(weights: Weights, tasks: int, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """CPU seconds of a product, of 1,000 tasks in turn and of 1,000 at all tokens; the clock's of the same; and how far
    the two outputs are apart, next to the certificate."""
    graph = graph_of(weights.signature.text, weights.signature.parameters, weights.signature.name)
    fields = draw(weights.signature, repetitions(graph), tasks, 7)
    model = Transformer(weights, guard="off")
    data = read_data(weights.signature, fields)
    rows, where = output_rows(data.sequence, weights.output.kinds) + 1, places(weights, data.sequence.kinds)
    square = jnp.asarray(np.random.default_rng(0).standard_normal((PRODUCT, PRODUCT), np.float32))
    product, times = jax.jit(partial(jnp.matmul, precision="highest")), 1 if on_cpu() else TIMES

    def products() -> None:
        made = [product(square, square) for _ in range(times)]
        made[-1].block_until_ready()

    def run(where: Any) -> np.ndarray:
        with model.precision():
            chunks = [
                np.asarray(forward(model.parameters, features, rows, {}, where)[0])[:count]
                for _, count, features in model.chunks(data, where)
            ]
        return np.concatenate(chunks)

    sides: list[Callable[[], Any]] = [
        products,
        lambda: run(where),
        lambda: run(None),
    ]
    spent: list[list[float]] = [[] for _ in sides]
    clock: list[list[float]] = [[] for _ in sides]
    found = [side() for side in sides]
    for _ in range(rounds):
        for side, cpu, wall in zip(sides, spent, clock, strict=True):
            began, start = time.process_time(), time.perf_counter()
            side()
            cpu.append(time.process_time() - began)
            wall.append(time.perf_counter() - start)
    each = [1.0 / times, *[1000.0 / tasks] * (len(sides) - 1)]
    cpus, walls = ([k * statistics.median(s) for k, s in zip(each, some, strict=True)] for some in (spent, clock))
    apart = float(np.abs(found[-1] - found[1]).max())
    return cpus, walls, [apart, weights.report.predicted_error]


def row(name: str, target: str, parameters: dict[str, Any], goal: float | None, tasks: int, rounds: int) -> list[str]:
    weights = compile_program(load(name), target=target, **parameters)  # type: ignore[arg-type]
    spent, clock, (apart, certificate) = measure(weights, tasks, rounds)
    (product, *cpu), wall = spent if on_cpu() else clock, clock[1:]
    told = ", ".join(f"{k} {v}" for k, v in parameters.items() if not isinstance(v, np.ndarray))
    taken = cpu[0] / product
    verdict = "" if goal is None else f"≤ {goal:g}{'' if taken <= goal else '  MISSED'}"
    whole = f"{cpu[-1] / product:,.1f}" if len(cpu) > 1 else "–"
    return [
        name, target, told, f"{1000 * product:.3g}", f"{spent[1]:.3g}", f"{wall[0]:.3g}", f"{taken:,.1f}", verdict,
        whole, f"{cpu[-1] / cpu[0]:.1f}", f"{apart:.0e} of {certificate:.0e}",
    ]  # fmt: skip


HEADS = (
    "program", "target", "parameters", "product ms", "CPU s", "clock s", "products", "asked", "all tokens", "ratio",
    "apart",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", nargs="+")
    parser.add_argument("--target", nargs="+", default=["gpt2", "llama"])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--short", action="store_true", help="without the row of many examples, long to compile")
    parser.add_argument("--cores", type=int, default=1, help="that this process has (default: 1)")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])  # before JAX, when first used, counts
    wanted: list[tuple[str, str, dict[str, Any], float | None]] = list(ROWS)
    if options.all:
        wanted = [(name, target, dict(case_of(name).parameters), None) for name in names() for target in options.target]
    rows, before = [], os.getloadavg()[0]
    for name, target, parameters, goal in wanted:
        if target in options.target and (options.program is None or name in options.program):
            long = parameters.get("examples", 0) > 100
            if long and options.short:
                continue
            tasks = max(2, options.tasks // 64) if long else options.tasks
            try:
                rows.append(early(row(name, target, parameters, goal, tasks, options.rounds)))
            except CompileError as error:
                print(f"{name} on {target}: {error.diagnostics[0].message}", file=sys.stderr)
    show(
        f"1,000 tasks, run {options.tasks} at a time; {named()}; load of the machine {before:.1f} before, "
        f"{os.getloadavg()[0]:.1f} after",
        HEADS,
        HEADS[:3],
        rows,
        160,
    )
    mean = float(np.exp(np.mean([np.log(float(each[9])) for each in rows])))
    print(f"{len(rows)} rows; the geometric mean of what running in turn saves is {mean:.2f}")


if __name__ == "__main__":
    main()
