"""The report: what was built, counted, and how exact it came out, measured and predicted.

Raises CompileError rather than hand out weights that are wrong: where values are not finite, or the
error is of the output's own size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .allocate import Allocation
from .calibrate import Ranges
from .constructions import Choice
from .default_tasks import Family, Sample, describe, draw, repetitions
from .emit import Emitted
from .errors import counted
from .graph import Function, Graph
from .inexact import ErrorModel
from .levels import critical_path
from .measure import forward
from .oracle import evaluate
from .predict import predict
from .sparse import Floats, Matrix
from .tokens import Sequence as Line
from .tokens import TokenData, output_rows, read_data, sequence
from .weights import (
    Attention,
    Body,
    Certificate,
    Idle,
    InputRange,
    LinearAttention,
    Mlp,
    Norm,
    Repeated,
    Report,
    Weights,
)  # fmt: skip

MOST, FEWEST = 8, 2
"""Tasks on which the report's error is measured …"""
TOKENS = 648
"""… and how many tokens they may have together, so that long sequences take no longer to measure than 81 tokens."""
SEED = 2
"""Of those tasks, where they are drawn; calibration's are drawn from others."""
WORST = 3
"""Of those, the tasks that the prediction is made for."""
HOPELESS = 0.5
"""An error of this share of the output (both root mean squares) is no answer."""

_Part = Matrix | Norm | Floats | None


def fresh_tasks(graph: Graph) -> TokenData:
    """Tasks like the default calibration's, which it has not seen."""
    assert graph.signature is not None
    groups = repetitions(graph)
    tasks = _checked(sequence(graph.signature.pattern, groups))
    return read_data(graph.signature, draw(graph.signature, groups, tasks, SEED))


def first_tasks(data: TokenData) -> TokenData:
    """A few of the caller's own."""
    tasks = _checked(data.sequence)
    fields = {name: array[:tasks] for name, array in data.fields.items()}
    return TokenData(data.sequence, min(tasks, data.batch), fields, data.batched)


def _checked(sequence: Line) -> int:
    """How many tasks of that length the error is measured on."""
    return max(FEWEST, min(MOST, TOKENS // max(1, len(sequence))))


def certificate(
    graph: Graph, data: TokenData, samples: Sequence[Sample], families: Sequence[Family], default: bool, optimize: str
) -> Certificate:
    """Of errors measured on `data`, with ranges from those samples that are the core's or of `families`; `default` if
    all was drawn here."""
    assert graph.signature is not None

    def described(some: TokenData) -> str:
        return f"{counted(some.batch, 'task')} of {counted(len(some.sequence), 'token')}"

    drawn = describe(graph.signature, data.sequence.repetitions)
    told, given = (f"drawn: {drawn}",) * 2 if default else ("the first of the caller's", "given by the caller")
    seen = []
    for spec in graph.signature.fields:
        held = data.fields[spec.name][:, output_rows(data.sequence, spec.kinds)]
        if held.size:
            seen.append(InputRange(spec.name, float(held.min()), float(held.max())))
    core, others = samples[0], [s.family for s in samples[1:]]
    more = [f.words for f in others if f in families]
    left = [f.words for f in others if f not in families]
    return Certificate(
        measured_on=f"{described(data)}, {told}",
        seen=tuple(seen),
        calibrated="; ".join(
            [f"{' and '.join(map(described, core.data))}, {given}"]
            + ([f"in turn with {', '.join(more)}"] if more else [])
            + ([f"too dear, and left to the guard: {', '.join(left)}"] if left else [])
        ),
        default=default,
        seed=SEED if default else None,
        optimize=optimize,
        tolerance=None,
    )


def all_finite(graph: Graph, ranges: Ranges) -> None:
    """Raises CompileError for the first value that is no number on the calibration data."""
    for value in graph.values():
        if not (np.isfinite(ranges.low[value]).all() and np.isfinite(ranges.high[value]).all()):
            node = graph[value]
            if isinstance(node.op, Function):
                return  # lower.py says what the function takes
            what = f"`{node.name}`" if node.name else "this value"
            hint = "the program diverges, or divides by 0, with these parameters: try others, or a smaller rate"
            assert graph.signature is not None
            raise graph.signature.refusal(f"{what} is not finite on the calibration data", node.span, hint)


def counts(graph: Graph, allocation: Allocation, emitted: Emitted) -> Report:
    """What there is to count; the errors are filled in by `measured`."""
    config = emitted.config
    parts: list[_Part] = [emitted.embedding, emitted.positions, emitted.final_norm, emitted.readout]
    parts += (part for sublayer in _sublayers(emitted.body) for part in vars(sublayer).values())
    if config.norm == "rmsnorm":  # Llama has no biases, and no table of positions
        parts = [part.gain if isinstance(part, Norm) else part for part in parts if not isinstance(part, np.ndarray)]
    return Report(
        layers=config.n_layer,
        critical_path=critical_path(graph),
        width=config.d_model,
        slots=allocation.used,
        live=allocation.live,
        neurons=emitted.neurons,
        heads=emitted.heads,
        nonzeros=sum(part.nnz for part in parts if isinstance(part, Matrix)) + int(np.count_nonzero(emitted.positions)),
        parameters=sum(_parameters(part) for part in parts),
        predicted_error=float("nan"),
        measured_error=float("nan"),
        output_rms=float("nan"),
        tasks=0,
    )


def measured(weights: Weights, model: ErrorModel, data: TokenData, choice: Choice) -> Report:
    """The report with its errors, on `data`; `choice` is what it was built from. Raises CompileError where they leave
    nothing of the output."""
    at = output_rows(data.sequence, weights.output.kinds)
    truth = evaluate(model.graph, data)
    error = forward(weights, data)[:, at].reshape(truth.shape) - truth
    rms, error_rms = float(np.sqrt(np.mean(truth**2))), float(np.sqrt(np.mean(error**2)))
    if not np.isfinite(error_rms) or error_rms > HOPELESS * rms > 0.0:
        message = (
            f"{weights.config.dtype} on target {weights.config.target} cannot hold this program with these parameters: "
            f"its output is {rms:.3g} rms, and the weights' error {error_rms:.3g}"
        )
        hint = "compile in float64, scale the data, or choose parameters that keep its values closer together"
        raise weights.signature.refusal(message, None, hint)
    return replace(
        weights.report,
        predicted_error=_predicted(model, data, truth, error, choice),
        measured_error=float(np.abs(error).max()),
        output_rms=rms,
        tasks=data.batch,
    )


def _predicted(model: ErrorModel, data: TokenData, truth: Floats, error: Floats, choice: Choice) -> float:
    """The prediction on the tasks whose measured error is largest: it is the largest that is to be bounded."""
    sizes = np.abs(error).reshape(len(error), -1).max(axis=1, initial=0.0)
    worst = np.sort(np.argsort(sizes, kind="stable")[-WORST:])
    fields = {name: array[worst] for name, array in data.fields.items()}
    return predict(model, TokenData(data.sequence, worst.size, fields, data.batched), truth[worst], choice)


def _parameters(part: _Part) -> int:
    match part:
        case None:
            return 0
        case Norm():
            return part.gain.size + part.bias.size
        case Matrix():
            return part.shape[0] * part.shape[1]
        case _:
            return part.size


def _sublayers(body: Body) -> list[Attention | LinearAttention | Mlp]:
    found: list[Attention | LinearAttention | Mlp] = []
    for item in body:
        if isinstance(item, Repeated):
            found += _sublayers(item.body)
        elif not isinstance(item, Idle):
            found.append(item)
    return found
