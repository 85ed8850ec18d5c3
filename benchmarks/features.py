"""What the language can say, each way of saying it against NumPy: is it exact, and within its certificate?

    python -m benchmarks.features [--only transpose] [--tasks 64] [-o docs/features.md]

From the root of the repository. A row is a program that uses the feature, drawn tasks, and the same computed by NumPy
alone, on gpt2 and llama in float32 with ranges from other tasks. `error` is the largest error over the root mean square
of the output, of several outputs the one that holds least; `certificate` the predicted error over the same. Exit status
1 where an error is above 1e-5 or above its certificate. `-o` writes the table as a page, too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler import compile_program
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of

from tests.reference.measured import numpy_run

from .support.feature import Feature
from .support.feature_references import EXAMPLES
from .support.feature_table import FEATURES
from .support.tables import show

BOUND = 1e-5
TARGETS: tuple[TargetName, ...] = ("gpt2", "llama")
PAGE = """\
# How exact each construct is

`python -m benchmarks.features -o docs/features.md` writes this page: a program for each feature of
[the language](language.md), on {tasks} tasks of {examples} examples, where none are said, in float32, against NumPy.
Errors are the largest, over the root mean square of the output; behind "of" the certificate, in the same unit. The
interpreter, in float64, is within {oracle:.0e}.

| feature | layers on `gpt2` | error | layers on `llama` | error |
|---|--:|---|--:|---|
"""


@dataclass(frozen=True)
class Outcome:
    """`oracle`: the interpreter's largest error, all errors in root mean squares of the outputs."""

    layers: int
    error: float
    certificate: float
    oracle: float

    @property
    def holds(self) -> bool:
        return self.error <= min(BOUND, self.certificate) and self.oracle <= 1e-9


def drawn(feature: Feature, tasks: int, seed: int) -> dict[str, Floats]:
    """[tasks, rows, *shape] of every field: the examples, and the query last."""
    rng = np.random.default_rng(seed)
    each = [feature.draw(rng) for _ in range(tasks)]
    return {name: np.stack([task[name] for task in each]) for name in each[0]}


def measured(feature: Feature, target: TargetName, tasks: int) -> Outcome:
    """Compiled for `target`, held against NumPy and the interpreter on so many tasks."""
    fields, calibration = drawn(feature, tasks, 1), drawn(feature, 1024, 2)
    given: Mapping[str, Any] = feature.parameters
    weights = compile_program(feature.text, target=target, calibration=calibration, **given)
    truth = np.stack([feature.reference({n: a[k] for n, a in fields.items()}) for k in range(tasks)])
    truths = weights.output.split(truth)
    rms = [float(np.sqrt(np.mean(part**2))) for part in truths]

    def errors(found: Floats) -> list[float]:
        parts = zip(weights.output.split(found[:, -1]), truths, rms, strict=True)
        return [float(np.abs(part - exact).max()) / size for part, exact, size in parts]

    certificates = [own.predicted_error / size for own, size in zip(weights.report.each, rms, strict=True)]
    oracle = evaluate(graph_of(feature.text, given), read_data(weights.signature, fields))
    found = errors(numpy_run(weights, fields))
    worst = max(range(len(rms)), key=lambda k: found[k] / min(BOUND, certificates[k]))
    return Outcome(weights.report.layers, found[worst], certificates[worst], max(errors(oracle)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="features whose name begins so")
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    rows, holds, lines, oracle = [], True, [], 0.0
    for feature in (f for f in FEATURES if f.name.startswith(options.only)):
        lines.append(f"| {feature.name} |")
        for target in TARGETS:
            found = measured(feature, target, options.tasks)
            holds, oracle = holds and found.holds, max(oracle, found.oracle)
            lines[-1] += f" {found.layers} | {found.error:.1e} of {found.certificate:.1e} |"
            told = "" if found.holds else "  MISSED"
            rows.append([feature.name, target, str(found.layers), f"{found.error:.1e}{told}",
                         f"{found.certificate:.1e}", f"{found.oracle:.0e}"])  # fmt: skip
    columns = ("feature", "target", "layers", "error", "certificate", "interpreter")
    show(f"{options.tasks} tasks of {EXAMPLES} examples, where none are said, float32", columns, columns[:2], rows)
    if options.output is not None:
        page = PAGE.format(tasks=options.tasks, examples=EXAMPLES, oracle=oracle)
        options.output.write_text(page + "\n".join([*lines, ""]), encoding="utf-8")
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())
