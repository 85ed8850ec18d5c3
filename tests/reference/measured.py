"""What a program compiles to, and how far it is from the independent implementation of its case.

    measure(case, "gpt2", "float32")   →   Measured(layers=11, width=32, …, spd=8e-13)   or   Refused(line=22, …)

SPD/d is the mean over tasks and predictions of ‖difference‖², over d (Akyürek et al. 2022); d is the size of what is
predicted from: the parameter `d`, or the number of symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import output_rows, read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, Weights, compile_program
from innerloop.runtime import Transformer
from numpy.typing import NDArray

from tests.support.shared import once

from . import CASES, Case, packed, source

TASKS = 200
BOUNDS = {"float32": 1e-6, "float64": 1e-12}
"""SPD/d that a program keeps within, unless reasons.py says why not."""

Fields = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Measured:
    layers: int
    width: int
    neurons: int
    heads: int
    rms: float
    """Root mean square of what is predicted."""
    largest: float
    """The largest error, and in `error` their root mean square."""
    error: float
    spd: float
    """SPD/d."""


@dataclass(frozen=True)
class Refused:
    """The compiler's first complaint; `line` in the program's text, 0 if it is about the whole."""

    line: int
    message: str
    hint: str | None


def compiled(case: Case, target: TargetName = "gpt2", dtype: Dtype = "float32", **options: Any) -> Weights:
    """With ranges from the case's sample, unless the options say otherwise, and whatever error is to be expected at the
    ends of those: it is measured on the case's data. Without options it is compiled once in a run of the tests.
    Raises CompileError."""

    def make() -> Weights:
        given = {"calibration": case.sample(), "accept_error": True, **options}
        return compile_program(source(case.program), target=target, dtype=dtype, **given, **case.parameters)

    ours = any(case is one for one in CASES)
    return make() if options or not ours else once(f"{case.program}-{target}-{dtype}", make)


def numpy_run(weights: Weights, fields: Fields) -> NDArray[Any]:
    """The output's rows, by the compiler's own forward pass."""
    data = read_data(weights.signature, fields)
    found = forward(weights, data)[:, output_rows(data.sequence, weights.output.kinds)]
    return found.reshape(*found.shape[:2], *weights.output.shape)


def jax_run(weights: Weights, fields: Fields) -> NDArray[Any]:
    """The same, by the transformer that users run."""
    return packed(Transformer(weights, guard="off")(**fields))


def measure(
    case: Case,
    target: TargetName,
    dtype: Dtype,
    tasks: int = TASKS,
    run: Callable[[Weights, Fields], NDArray[Any]] = numpy_run,
) -> Measured | Refused:
    """On fresh tasks, which calibration has not seen."""
    try:
        weights = compiled(case, target, dtype)
    except CompileError as error:
        first = error.diagnostics[0]
        return Refused(first.span.line if first.span else 0, first.message, first.hint)
    fields = case.data(seed=0, tasks=tasks)
    truth = case.answers(fields)
    wrong = run(weights, fields).astype(np.float64) - truth
    assert wrong.shape == truth.shape
    components = wrong[0, 0].size
    return Measured(
        weights.config.n_layer,
        weights.config.d_model,
        weights.report.neurons,
        weights.report.heads,
        float(np.sqrt(np.mean(truth**2))),
        float(np.abs(wrong).max()),
        float(np.sqrt(np.mean(wrong**2))),
        float(np.mean(wrong**2)) * components / size(case),
    )


def size(case: Case) -> int:
    """The d of SPD/d."""
    return int(next(case.parameters[name] for name in ("d", "vocabulary", "states") if name in case.parameters))
