"""The report: what was built, counted, and how exact it came out, measured and predicted.

Raises CompileError rather than hand out weights that are wrong: where values are not finite, or the
error is of the output's own size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.claims import AnswerError, Report
from innerloop.artifact.counting import numbers
from innerloop.artifact.errors import CompileError
from innerloop.artifact.parts import Config
from innerloop.artifact.precisions import SHORT, UNIT
from innerloop.artifact.progress import each
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.signature import Signature
from innerloop.artifact.tokens import TokenData, output_rows
from innerloop.artifact.weights import Weights
from numpy.typing import NDArray

from ..emit.emit import Emitted
from ..interpreter.calibrate import Ranges
from ..interpreter.chunks import some_of
from ..interpreter.oracle import evaluate
from ..ir.build import graph_of
from ..ir.critical_path import critical_path
from ..ir.graph import Attend, Divide, Function, Graph, Keep, Op, Softmax
from ..schedule.allocate import Allocation
from ..schedule.arguments import FLOOR
from ..schedule.constructions import Choice
from .error_model import ErrorModel
from .predict import SAFETY, predict
from .rotated import rotated

WORST = 3
"""Of the tasks of one length, those that the prediction is made for."""
TURNED, FEW = 1e3, 1 / 16
"""In a task rounding turned a tie over, where its error is so many times the median's, and no mere rounding of the
output; in no more tasks than this share, else it is no exception."""
ORACLE = 16.0
"""Units of float64, of the largest output, that the oracle may be off by itself: no certificate promises more."""
HOPELESS = 0.5
"""An error of this share of the output (both root mean squares) is no answer."""


def all_finite(graph: Graph, ranges: Ranges) -> None:
    """Raises CompileError for the first value that is no number on the calibration data."""
    for value in graph.values():
        if not (np.isfinite(ranges.low[value]).all() and np.isfinite(ranges.high[value]).all()):
            node = graph[value]
            if isinstance(node.op, Function):
                return  # lower.py says what the function takes
            what = f"`{node.name}`" if node.name else "this value"
            hint = "the program diverges, or divides by 0, with these parameters: try others, or a smaller rate"
            if isinstance(node.op, Divide):
                hint = f"it divides by 0: {FLOOR}; `use statistics` has `ratio(a, n)`, 0 where nothing was counted"
            raise graph.signature.refusal(f"{what} is not finite on the calibration data", node.span, hint)


def some_finite(graph: Graph, data: TokenData) -> None:
    """Raises CompileError for a program, as it was built, of which no output is a number on the first of these tasks:
    what is no number may be folded into nothing."""
    if not np.isfinite(evaluate(graph, some_of(data, slice(0, 2)))).any():
        hint = "a constant of it is no number, as log(0) is none: see what it computes with these parameters"
        place = graph[graph.results[0]].span
        raise graph.signature.refusal("the output is not finite, whatever the data", place, hint)


def counts(graph: Graph, allocation: Allocation, emitted: Emitted) -> Report:
    """What there is to count; the errors are filled in by `measured`."""
    config = emitted.config
    parts = emitted.embedding, emitted.positions, emitted.final_norm, emitted.readout, emitted.body
    parameters, nonzeros = numbers(config, *parts)
    return Report(
        layers=config.n_layer,
        critical_path=critical_path(graph, config.block == "parallel"),
        width=config.d_model,
        slots=allocation.used,
        live=allocation.live,
        neurons=emitted.neurons,
        heads=emitted.heads,
        nonzeros=nonzeros,
        parameters=parameters,
        predicted_error=float("nan"),
        measured_error=float("nan"),
        output_rms=float("nan"),
        tasks=0,
    )


def measured(
    weights: Weights, model: ErrorModel, tasks: Sequence[TokenData], choice: Choice, accept: bool = False
) -> Report:
    """The report with its errors, on `tasks`, but for those in which rounding turned a tie over: they are counted, and
    the guard names such. Weights that may be rotated are run in both coordinates (rotated.py), and the larger error
    counts. `choice` is what it was built from. Raises CompileError where errors leave nothing of the output; with
    `accept` only where they are no numbers."""
    truths = [evaluate(_as_written(weights, model.graph), data) for data in tasks]
    certificate = weights.report.certificate
    turned = rotated(weights) if certificate is not None and certificate.rotation else None

    def error(data: TokenData, truth: Floats) -> Floats:
        rows = output_rows(data.sequence, weights.output.kinds)
        found = forward(weights, data)[:, rows].reshape(truth.shape) - truth
        if turned is None:
            return found
        other = forward(turned, data)[:, rows].reshape(truth.shape) - truth
        return np.where(np.abs(other) > np.abs(found), other, found)

    errors = [error(*one) for one in each("running the weights", list(zip(tasks, truths, strict=True)))]
    split, names = weights.output.split, [answer.name for answer in weights.output.answers] or [""]
    by_output = zip(*map(split, truths), strict=True), zip(*map(split, errors), strict=True)
    found, left = list[AnswerError](), np.zeros(sum(data.batch for data in tasks), bool)
    for k, (name, exact, off) in enumerate(zip(names, *by_output, strict=True)):
        every = list(zip(tasks, truths, exact, off, strict=True))
        one, beyond = _of_output(weights, model, (k, name), every, choice, accept)
        found.append(one)
        left |= beyond
    least = max(found, key=lambda error: error.predicted_error / error.output_rms if error.output_rms else 0.0)
    if left.any() and certificate is not None:
        told = f"{certificate.measured_on}; {left.sum()} left out, in which rounding decides, as the guard says"
        certificate = replace(certificate, measured_on=told)
    return replace(
        weights.report,
        predicted_error=least.predicted_error,
        measured_error=least.measured_error,
        output_rms=least.output_rms,
        tasks=int(np.sum(~left)),
        certificate=certificate,
        answers=tuple(found) if weights.output.answers else (),
    )


def _as_written(weights: Weights, graph: Graph) -> Graph:
    """The graph that says what is right: where a comparison decides, rounding of what rewrites made of the program may
    turn a tie over, such as 3 out of 5 labels counted as 5 · mean."""
    if not any(isinstance(graph[value].op, Keep) for value in graph.values()):
        return graph
    signature = weights.signature
    return graph_of(signature.text, signature.parameters, signature.source)


_Task = tuple[TokenData, Floats, Floats, Floats]
"""Data, all outputs, one of them, and how far off the weights are in it."""


def _of_output(
    weights: Weights, model: ErrorModel, which: tuple[int, str], tasks: list[_Task], choice: Choice, accept: bool
) -> tuple[AnswerError, NDArray[np.bool_]]:
    """The errors of one output, by number and name, and which tasks were left out for it."""
    number, name = which
    what = f"its output `{name}`" if name else "its output"
    _, _, exact, errors = zip(*tasks, strict=True)
    rms, error_rms = (float(np.sqrt(np.mean(np.concatenate([a.ravel() for a in s]) ** 2))) for s in (exact, errors))
    if not np.isfinite(error_rms) or (error_rms > HOPELESS * rms > 0.0 and not accept):
        why = f"{what} is {rms:.3g} rms, and the weights' error {error_rms:.3g}"
        raise hopeless(weights.signature, weights.config, why, "; or accept the error")
    # One comparison turned over may cost all of one output, and of no other: that is said, and not refused.
    decides = any(_decides(model.graph[v].op) for v in model.graph.values())
    sizes = [np.abs(error).reshape(len(error), -1).max(axis=1, initial=0.0) for error in errors]
    most = _most(sizes, rms * UNIT[model.dtype] ** 0.5) if decides else np.inf
    asked = each("predicting errors", list(zip(tasks, sizes, strict=True)))
    predicted = max(_predicted(model, *task[:2], size, choice, most)[number] for task, size in asked)
    every = np.concatenate(sizes)
    largest = float(every[every <= most].max(initial=0.0))
    if predicted > rms > 0.0 and not (accept or decides):
        why = f"{what} is {rms:.3g} rms, and errors of {predicted:.3g} are to be expected"
        raise hopeless(weights.signature, weights.config, why, "; or accept the error")
    own = ORACLE * UNIT["float64"] * max(np.abs(truth).max(initial=0.0) for truth in exact)
    return AnswerError(name, max(float(predicted), SAFETY * largest, float(own)), largest, rms), every > most


def _decides(op: Op) -> bool:
    return isinstance(op, Keep | Softmax) or (isinstance(op, Attend) and op.how == "softmax")


def _most(sizes: Sequence[Floats], least: float) -> float:
    """Above which, and above `least`, tasks' errors are not like the others'; infinity where there is no such thing."""
    every = np.concatenate(sizes)
    most = max(least, TURNED * float(np.median(every)))
    return most if np.sum(every > most) <= FEW * every.size else np.inf


def hopeless(signature: Signature, config: Config, why: str, or_else: str = "") -> CompileError:
    """The error that refuses a program for what its weights cannot hold."""
    where, finer = f"{config.dtype} on target {config.target}", "scale"
    if config.dtype != "float64":
        finer = f"compile in {'float32' if config.dtype in SHORT else 'float64'}, scale"
    hint = f"{finer} the data, or choose parameters that keep its values closer together{or_else}"
    return signature.refusal(f"{where} cannot hold this program with these parameters: {why}", None, hint)


def _predicted(model: ErrorModel, data: TokenData, truth: Floats, sizes: Floats, choice: Choice, most: float) -> Floats:
    """The prediction of each output on the tasks whose measured error [tasks] is largest, and `most` at most: it is the
    largest that is to be bounded."""
    order = np.argsort(sizes, kind="stable")
    worst = np.sort(order[sizes[order] <= most][-WORST:])
    if not worst.size:
        return np.zeros(len(model.graph.results))
    fields = {name: array[worst] for name, array in data.fields.items()}
    return predict(model, TokenData(data.sequence, worst.size, fields, data.batched), truth[worst], choice)
