"""How long compiling takes, stage by stage, and for each nonzero that it writes: one table.

    python -m benchmarks.compile_time [--runs 5] [--programs gradient_descent …]
    python -m benchmarks.compile_time --large [--runs 3] [--beside PYTHON]

In milliseconds, in a process that has compiled before; the best of several runs, but for calibration (the oracle on
sample tasks), which is run once and not part of `total`. A loop's weights are written once however often it runs, so
`nonzeros` does not grow with the steps; the report runs the loop: `unrolled` are the nonzeros that it multiplies by.
`ns` is the total but for the report over the nonzeros, `ns unrolled` all of the total over the unrolled ones. Small
programs pay for what does not depend on their size: the parser, passes over some twenty values, and calls of NumPy.

`--large`: CPU seconds of the whole compile of three programs, each in a process of its own that has compiled a small
one before, and the most memory that it took; medians of the runs, `--beside` by turns with another version.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any
from unittest import mock

from innerloop.artifact.sparse import Matrix
from innerloop.compiler import Weights, compile_program
from innerloop.compiler import compile as compiling
from innerloop.compiler import finish as finishing
from innerloop.programs import load

from .support.tables import show

COUNTS = {"gradient_descent": "steps", "stochastic_gradient_descent": "examples", "sherman_morrison": "examples"}
SIZES, NUMBERS = (4, 8, 16, 32), (1, 4, 16, 64)
USUAL_D, USUAL_NUMBER = 8, 16
STAGES = {
    "front end": ("graph_of",),
    "passes": ("optimise",),
    "calibration": ("samples", "observed", "affordable"),
    "schedule": ("all_finite", "lower", "schedule", "balance", "allocate", "fresh_tasks"),
    "emission": ("finish",),
    "report": ("measured",),
}
"""The functions of compile.py, or else of finish.py, that make a stage; from `finish`, `measured` is taken off."""


@dataclass(frozen=True)
class Line:
    """One row: a program and its parameters."""

    program: str
    parameters: dict[str, Any]


def lines(programs: list[str]) -> list[Line]:
    """Every program over d, and over its steps or examples; and the README's gradient descent."""
    found = []
    for program in programs:
        number = COUNTS[program]
        sweep = [(d, USUAL_NUMBER) for d in SIZES] + [(USUAL_D, n) for n in NUMBERS if n != USUAL_NUMBER]
        for d, n in sweep:
            parameters: dict[str, Any] = {"d": d, number: n}
            if program != "sherman_morrison":
                parameters["rate"] = 0.08 / d  # the steps then stay small for every d
            found.append(Line(program, parameters))
    if "gradient_descent" in programs:
        found.append(Line("gradient_descent", {"d": 8, "steps": 10, "rate": 0.1}))
    return found


@contextmanager
def timed(spent: dict[str, float], known: dict[str, Any]) -> Iterator[None]:
    """Adds the seconds of each of their functions to `spent`; what `known` holds is not computed again."""

    def around(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if name in known:
                return known[name]
            started = time.perf_counter()
            try:
                result = function(*arguments, **options)
            finally:
                spent[name] = time.perf_counter() - started
            if name in STAGES["calibration"]:
                known[name] = result
            return result

        return call

    names = [name for stage in STAGES.values() for name in stage]
    with ExitStack() as watched:
        for name in names:
            place = compiling if hasattr(compiling, name) else finishing
            watched.enter_context(mock.patch.object(place, name, around(name, getattr(place, name))))
        yield


def measure(line: Line, runs: int) -> list[str]:
    """One row of the table."""
    known: dict[str, Any] = {}
    best: dict[str, float] = {}
    calibration = 0.0
    for run in range(runs):
        spent: dict[str, float] = {}
        with timed(spent, known):
            weights = compile_program(load(line.program), **line.parameters)
        if run == 0:
            calibration = sum(spent.pop(name) for name in STAGES["calibration"])
        spent["finish"] -= spent["measured"]
        if not best or sum(spent.values()) < sum(best.values()):
            best = spent
    total, report = sum(best.values()), best["measured"]
    stages = {stage: sum(best.get(name, 0.0) for name in names) for stage, names in STAGES.items()}
    stages["calibration"] = calibration
    counts, run_nonzeros = weights.report, unrolled(weights)
    return [
        line.program,
        f"{line.parameters['d']:g}",
        f"{line.parameters[COUNTS[line.program]]:g}",
        *(f"{n:,}" for n in (counts.layers, counts.width, counts.slots, counts.neurons, counts.nonzeros, run_nonzeros)),
        *(f"{1e3 * seconds:,.{0 if stage == 'calibration' else 1}f}" for stage, seconds in stages.items()),
        f"{1e3 * total:,.0f}",
        f"{1e9 * (total - report) / counts.nonzeros:,.0f}",
        f"{1e9 * total / run_nonzeros:,.0f}",
    ]


def unrolled(weights: Weights) -> int:
    """The nonzeros of every sublayer that runs, and of the embedding, the positions and the readout."""
    ends = weights.report.nonzeros - sum(map(nonzeros, weights.sublayers()))
    return ends + sum(nonzeros(sublayer) for _, sublayer in weights.unrolled())


def nonzeros(sublayer: object) -> int:
    return sum(part.nnz for part in vars(sublayer).values() if isinstance(part, Matrix))


LARGE = {
    "gradient_descent": ("d=8, steps=10", "d=32, steps=16, rate=0.0025"),
    "sherman_morrison": ("d=8, examples=512",),
}
ALONE = """
import resource
import time
from innerloop.compiler import compile_program
from innerloop.programs import load
compile_program(load("gradient_descent"), d=2)
start = time.process_time()
compile_program(load("{}"), {})
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
"""


def large(runs: int, pythons: dict[str, str]) -> None:
    """The table of `--large`."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    cases = [(program, parameters) for program, each in LARGE.items() for parameters in each]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as elsewhere:  # where no folder shadows the other version
        for case in cases * runs:
            for side, python in pythons.items():
                command = [python, "-c", ALONE.format(*case)]
                printed = subprocess.check_output(command, cwd=elsewhere, env=environment, text=True)
                found.setdefault((side, ", ".join(case)), []).append([float(number) for number in printed.split()])
    rows = [
        [case, side, *(f"{median(numbers):,.1f}" for numbers in zip(*each, strict=True))]
        for (side, case), each in sorted(found.items(), key=lambda item: item[0][1])
    ]
    show(f"medians of {runs} runs", ("program", "", "CPU s", "MB at most"), ("program", ""), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--programs", nargs="+", default=list(COUNTS), choices=list(COUNTS))
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--beside", metavar="PYTHON")
    options = parser.parse_args()
    if options.large:
        large(options.runs, {"here": sys.executable} | ({"beside": options.beside} if options.beside else {}))
        return
    compile_program(load("gradient_descent"), d=2)
    counted = ("d", "steps", "layers", "width", "slots", "neurons", "nonzeros", "unrolled")
    show(
        f"milliseconds, the best of {options.runs} runs",
        ("program", *counted, *STAGES, "total", "ns", "ns unrolled"),
        ("program",),
        [measure(line, options.runs) for line in lines(options.programs)],
        width=200,
    )


if __name__ == "__main__":
    main()
