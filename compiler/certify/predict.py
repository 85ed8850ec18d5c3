"""Prediction: how far the output can be off, to first order, from the errors of the constructions alone.

The float64 oracle runs the graph again, and every operation gives what its construction makes of its operands
instead of what is exact (error_model.py). The largest change of the output, times `SAFETY`, is the prediction; with one
operation disturbed at a time it is that operation's contribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import TokenData

from ..interpreter.oracle import evaluate
from ..interpreter.places import Observe, Place
from ..ir.graph import Graph, Keep, Value
from ..schedule.constructions import Choice, Construction
from .error_model import ErrorModel
from .inexact import Inexact, Operand

SAFETY = 4.0
"""For rounding is drawn once, and what really rounds may be coherent."""

LUCK = 10.0
"""So many times its bound an error may be where the few draws behind it were lucky; beyond, it is another error."""

COPIES = 4
"""So often the tasks are run, each time disturbed anew."""


def predict(model: ErrorModel, data: TokenData, truth: Floats, choice: Choice) -> Floats:
    """The largest error of each output that is to be expected on this data, whose exact outputs are `truth`: infinite
    where the constructions may leave no number."""
    found = disturbed(model, data, choice, COPIES)
    return SAFETY * np.array([apart(part).max() for part in model.graph.output.split(found - truth)])


def apart(difference: Floats) -> Floats:
    """How far apart: any distance, where one of the two is no number."""
    size = np.abs(difference)
    return np.where(np.isnan(size), np.inf, size)


def disturbed(
    model: ErrorModel, data: TokenData, choice: Choice, copies: int, observe: Observe | None = None
) -> Floats:
    """The outputs [copies, tasks, rows, *shape] as the constructions make them, rounding drawn anew for each copy of
    the data, and for all but the first how far fits are off, too: where errors grow on their way, the first alone can
    be lucky. `observe` sees the values of copies · tasks, as `evaluate`'s does."""
    first, others = ({v: model.of(v, choice.get(v), drawn) for v in model.graph.values()} for drawn in (False, True))
    return _run(model.graph, data, [first.get, *[others.get] * (copies - 1)], observe)


def contributions(
    model: ErrorModel,
    data: TokenData,
    truth: Floats,
    choices: Mapping[Value, Sequence[Construction | None]],
) -> dict[Value, list[float]]:
    """The largest change of the output when one operation alone is built by each of its `choices` (None: by default),
    and all others are exact; but a comparison always decides at its threshold, which is what keeps ties."""
    keeps = {v: model.of(v) for v in model.graph.values() if isinstance(model.graph[v].op, Keep)}
    variants = [{**keeps, value: model.of(value, chosen)}.get for value, some in choices.items() for chosen in some]
    if not variants:
        return {}
    found = apart(_run(model.graph, data, variants) - truth)
    largest = iter(found.reshape(len(variants), -1).max(axis=1).tolist())
    return {value: [next(largest) for _ in some] for value, some in choices.items()}


def repeated(data: TokenData, count: int) -> TokenData:
    """The tasks so many times over."""
    fields = {name: np.tile(array, (count, *[1] * (array.ndim - 1))) for name, array in data.fields.items()}
    return TokenData(data.sequence, count * data.batch, fields, data.batched)


def _run(
    graph: Graph,
    data: TokenData,
    variants: Sequence[Callable[[Value], Inexact | None]],
    observe: Observe | None = None,
) -> Floats:
    """The outputs [variants, tasks, rows, *shape], each variant with its own models of operations."""
    count, tasks = len(variants), data.batch
    everything = repeated(data, count)
    rng = np.random.default_rng(0)

    def disturb(value: Value, array: Floats, operand: Operand, place: Place) -> Floats:
        chunk = place.tasks
        found = array
        for first, last, model in _groups(variants, value):
            start, stop = max(first * tasks, chunk.start) - chunk.start, min(last * tasks, chunk.stop) - chunk.start
            if model is None or start >= stop:
                continue
            if start == 0 and stop == len(array):
                return model(array, operand, rng)
            found = np.array(array) if found is array else found
            found[start:stop] = model(array[start:stop], _part(operand, slice(start, stop)), rng)
        return found

    found = evaluate(graph, everything, observe, disturb)
    return found.reshape(count, tasks, *found.shape[1:])


def _part(operand: Operand, tasks: slice) -> Operand:
    return lambda index: operand(index)[tasks]


def _groups(
    variants: Sequence[Callable[[Value], Inexact | None]], value: Value
) -> list[tuple[int, int, Inexact | None]]:
    """Neighbouring variants with the same model of this value, as (first, last + 1, model)."""
    groups: list[tuple[int, int, Inexact | None]] = []
    for index, variant in enumerate(variants):
        model = variant(value)
        if groups and groups[-1][2] is model:
            groups[-1] = (groups[-1][0], index + 1, model)
        else:
            groups.append((index, index + 1, model))
    return groups
