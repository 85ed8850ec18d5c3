"""What becomes of a program on a target: right, warned, refused, silent or crashed.

    judge(text, "gpt2", "float32", seed=3)   →   Verdict("right", worst=0.2, …)

The seed draws the calibration (the default, or tasks given) and the tasks that are run: those of the calibration, fresh
ones, corners of the compiled ranges, noise, near ties, zeros. The compiler's own forward pass says whether an error is
above the certificate's; where one is, the runtime runs that task with its guard, and what it says counts. That is the
runtime without JAX, whose pass takes longer to compile than all else; of one program in `JITTED`, JAX's runs as well,
and a task of each family if none is suspect.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import Any

import numpy as np
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import output_rows, read_data
from innerloop.compiler import CompileError, Weights, compile_program
from innerloop.compiler.interpreter.default_tasks import draw as drawn
from innerloop.compiler.interpreter.default_tasks import repetitions
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Graph
from innerloop.runtime import RangeWarning, Transformer
from innerloop.runtime.guard.interpreted import UNITS
from innerloop.runtime.unjitted import Unjitted
from numpy.typing import NDArray

from ..support.families import FAMILIES, Data, draw

TASKS = 8
"""Of each family."""
DRAWN = ("default", "corners", "noise 1", "near ties", "zeros", "scale 0.001", "corr 0.999", "integers")
LONGEST = 6
"""Groups that tasks have, if not as many as a scan allows."""
SUSPECTS = 2
"""Tasks of each family that the runtime is asked about: those with the largest errors, if above the certificate's."""
JITTED = 32
"""One seed in so many is run by JAX, too."""
DEFAULT = 0.25
"""The share of programs that are compiled without calibration data."""


@dataclass(frozen=True)
class Verdict:
    """`result`: right, warned, refused, silent or crashed; `worst`: the largest error over the certificate's of any
    task that nobody warned of, and `family` where; `said`: the refusal, the warning or the exception."""

    result: str
    worst: float = 0.0
    family: str = ""
    certificate: float = 0.0
    rms: float = 0.0
    said: str = ""
    tasks: dict[str, int] = field(default_factory=dict)


def judge(text: str, target: str, dtype: str, seed: int) -> Verdict | None:
    """None for a text that is no sound program."""
    try:
        graph = graph_of(text, {})
    except CompileError:
        return None
    except Exception as fault:
        return _crashed(fault)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _judged(text, graph, target, dtype, seed)
    except CompileError as refusal:
        return Verdict("refused", said=refusal.diagnostics[0].message)
    except InnerloopError as refusal:
        return Verdict("refused", said=str(refusal))
    except Exception as fault:
        return _crashed(fault)


def _crashed(fault: Exception) -> Verdict:
    where = fault.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    code = "" if where is None else where.tb_frame.f_code
    place = "" if not code else f" in {code.co_filename.rsplit('/', 1)[-1]}:{code.co_name}"  # type: ignore[union-attr]
    return Verdict("crashed", said=f"{type(fault).__name__}: {str(fault)[:200]}{place}")


def _judged(text: str, graph: Graph, target: str, dtype: str, seed: int) -> Verdict:
    random = Random(seed)
    groups = min(random.randint(1, LONGEST), *repetitions(graph))
    given = None if random.random() < DEFAULT else drawn(graph.signature, groups, 48, seed)
    weights = compile_program(text, target=target, dtype=dtype, calibration=given)  # type: ignore[arg-type]
    certificate = weights.report.predicted_error
    counts = {"right": 0, "suspect": 0}
    worst, where, said, largest = 0.0, "", "", 0.0
    by_jax = seed % JITTED == 0
    models: list[Unjitted | Transformer] = [Unjitted(weights), *([Transformer(weights)] if by_jax else [])]
    for family, data in _tasks(weights, given, groups, seed):
        errors = np.nan_to_num(_errors(graph, weights, data), nan=np.inf)
        suspects = np.flatnonzero(errors > certificate)
        counts["suspect"] += suspects.size
        counts["right"] += errors.size - suspects.size
        largest = max(largest, float(errors[errors <= certificate].max(initial=0.0)))
        asked = suspects[np.argsort(-errors[suspects], kind="stable")][:SUSPECTS].tolist()
        for task, model in product(asked or [0] * by_jax, models):
            error, told = _run(model, graph, {name: array[task : task + 1] for name, array in data.items()})
            if told:
                said = said or told
            elif not error <= certificate:
                over = error / certificate if certificate and np.isfinite(error) else np.inf
                worst, where = max((worst, where), (over, family))
    if not where:
        worst = largest / (certificate or 1.0)
    result = "silent" if where else "warned" if said else "right"
    return Verdict(result, worst, where, certificate, weights.report.output_rms, "" if where else said, counts)


def _tasks(weights: Weights, given: Data | None, groups: int, seed: int) -> Iterator[tuple[str, Data]]:
    """Tasks of one length, so that the runtime compiles once."""
    if given is not None:
        yield "calibration", {name: array[:TASKS] for name, array in given.items()}
    ends = {bound.name: (bound.low, bound.high) for bound in weights.inputs}
    for name in DRAWN:
        data = draw(FAMILIES[name], weights.signature, ends, groups, TASKS, seed + 1)
        if data is not None:
            yield name, data


def _errors(graph: Graph, weights: Weights, fields: Data) -> NDArray[np.float64]:
    """The largest error of each task."""
    data = read_data(weights.signature, fields)
    truth = evaluate(graph, data)
    found = forward(weights, data)[:, output_rows(data.sequence, weights.output.kinds)].reshape(truth.shape)
    return _largest(weights, weights.output.split(_beyond(found, truth)))


def _beyond(found: NDArray[Any], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far off the outputs are, but for what the oracle's own rounding leaves unsaid."""
    return np.asarray(np.abs(found.astype(np.float64) - truth) - UNITS * np.finfo(np.float64).eps * np.abs(truth))


def _largest(weights: Weights, parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Of each task the largest; of several outputs' `parts` each for its certificate, as large as the report's."""
    most = weights.report.predicted_error
    found = [
        part.reshape(len(part), -1).max(1, initial=0.0) * (most / own.predicted_error if own.predicted_error else 1.0)
        for part, own in zip(parts, weights.report.each, strict=True)
    ]
    return np.asarray(np.max(found, axis=0), np.float64)


def _run(model: Transformer | Unjitted, graph: Graph, fields: Data) -> tuple[float, str]:
    """The runtime's error on one task, and what its guard says."""
    weights = model.weights
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = model(**fields)
    told = [str(w.message) for w in heard if issubclass(w.category, RangeWarning)]
    exact = weights.output.split(evaluate(graph, read_data(weights.signature, fields)))
    parts = list(found.values()) if weights.output.answers else [found]
    off = [_beyond(part, right) for part, right in zip(parts, exact, strict=True)]
    return float(_largest(weights, off)[0]), told[0] if told else ""
