"""A feature of the language, compiled, held against NumPy and the interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler import compile_program
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of

from tests.reference.measured import numpy_run

from .feature import Feature

BOUND = 1e-5
TARGETS: tuple[TargetName, ...] = ("gpt2", "llama")


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
