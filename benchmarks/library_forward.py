"""What a call of each shipped program takes, beside another version of innerloop, by turns.

    python -m benchmarks.library_forward PYTHON [--tasks 100] [--rounds 3] [--program averaging …] [--target llama]

PYTHON: the interpreter of an environment in which the other version is installed. Of the programs that both ship, with
the parameters and the calibration data of tests/reference, on the same default tasks, each version compiles its own
text in a process of its own, on one core; a call with the guard off is timed after one that compiles it; the calls take
turns, and medians are compared. The last line holds the geometric means of beside over here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np
from innerloop.compiler.interpreter.default_tasks import draw, repetitions
from innerloop.compiler.ir.build import graph_of
from innerloop.programs import load, names

from tests.reference import Case, case_of

from .support.tables import early, show

SHIPPED = "from innerloop.programs import names; print(*names())"
SIDE = """
import os, sys, time
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
import numpy as np
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime import Transformer
name, target, file = sys.argv[1:]
given = {"parameters": {}, "sample": {}, "data": {}}
for key, array in np.load(file).items():
    part, field = key.split(".")
    given[part][field] = array if array.ndim else array.item()
weights = compile_program(load(name), target=target, calibration=given["sample"], **given["parameters"])
model = Transformer(weights, guard="off")
model(**given["data"])
print("ready", flush=True)
for _ in sys.stdin:
    cpu, clock = time.process_time(), time.perf_counter()
    model(**given["data"])
    print(time.process_time() - cpu, time.perf_counter() - clock, flush=True)
"""
"""Compiles, calls once, and then once for each line that it is given."""
HEADS = ("program", "here CPU s", "beside CPU s", "ratio", "here clock s", "beside clock s", "ratio of clocks")


class Side:
    """One version with one program, in its process."""

    def __init__(self, python: str, case: Case, target: str, file: Path) -> None:
        command = [python, "-c", SIDE, case.program, target, str(file)]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=file.parent, env=environment, text=True
        )
        self._told()

    def _told(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError(f"ended with {self._process.wait()}")
        return line

    def call(self) -> tuple[float, float]:
        """CPU seconds and the clock's."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        cpu, clock = map(float, self._told().split())
        return cpu, clock

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def measured(pythons: list[str], case: Case, target: str, tasks: int, rounds: int) -> list[list[float]]:
    """For here and beside: CPU seconds of 1,000 tasks, and the clock's. Raises ChildProcessError where one ends."""
    graph = graph_of(load(case.program), case.parameters)
    given: dict[str, Any] = {f"parameters.{name}": value for name, value in case.parameters.items()}
    given |= {f"sample.{name}": array for name, array in case.sample().items()}
    given |= {f"data.{name}": array for name, array in draw(graph.signature, repetitions(graph), tasks, 7).items()}
    with tempfile.TemporaryDirectory() as folder:  # where no folder shadows the other version
        file = Path(folder) / "given.npz"
        np.savez(file, **given)
        sides: list[Side] = []
        try:
            for python in pythons:
                sides.append(Side(python, case, target, file))
            spent = [[side.call() for side in sides] for _ in range(rounds)]
        finally:
            for side in sides:
                side.close()
    return [
        [1000.0 / tasks * median(numbers) for numbers in zip(*calls, strict=True)] for calls in zip(*spent, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", metavar="PYTHON")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", nargs="+", default=names())
    parser.add_argument("--target", default="gpt2")
    options = parser.parse_args()
    theirs = subprocess.check_output([options.python, "-c", SHIPPED], cwd=tempfile.gettempdir(), text=True).split()
    rows, ratios, load_before = [], [], os.getloadavg()[0]
    for name in (name for name in names() if name in theirs and name in options.program):
        try:
            here, beside = measured([sys.executable, options.python], case_of(name), options.target, options.tasks,
                                    options.rounds)  # fmt: skip
        except ChildProcessError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        ratio = [theirs / ours for ours, theirs in zip(here, beside, strict=True)]
        ratios.append(ratio)
        rows.append(early([
            name, f"{here[0]:.3g}", f"{beside[0]:.3g}", f"{ratio[0]:.2f}", f"{here[1]:.3g}", f"{beside[1]:.3g}",
            f"{ratio[1]:.2f}",
        ]))  # fmt: skip
    title = f"1,000 tasks on {options.target}, {options.tasks} at a time; load {load_before:.1f} before, "
    show(f"{title}{os.getloadavg()[0]:.1f} after", HEADS, HEADS[:1], rows)
    cpu, clock = (geometric_mean(some) for some in zip(*ratios, strict=True))
    print(f"{len(rows)} programs; beside over here, geometric mean: {cpu:.2f} in CPU seconds, {clock:.2f} by the clock")


if __name__ == "__main__":
    main()
