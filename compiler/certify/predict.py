"""Prediction: how far the output can be off, to first order, from the errors of the constructions alone.

The float64 oracle runs the graph again, and every operation gives what its construction makes of its operands
instead of what is exact (error_model.py). The largest change of the output, times `SAFETY`, is the prediction; with one
operation disturbed at a time it is that operation's contribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.sparse import columns
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

KEPT = 2**26
"""Bytes of what is drawn for several predictions."""


class Same:
    """Draws that begin anew for each prediction, and are the same: what was drawn once is kept, up to a size."""

    def __init__(self, most: int = KEPT) -> None:
        self._rng, self._room = np.random.default_rng(0), most
        self._kept: list[tuple[str, tuple[int, ...], Floats]] = []
        self._states = [self._rng.bit_generator.state]
        """Before each of them, and after the last."""
        self._next: int | None = 0
        """Of what is kept; None: beyond it."""

    def anew(self) -> Same:
        self._next = 0
        return self

    def standard_normal(self, shape: tuple[int, ...], /) -> Floats:
        return self._draw("standard_normal", shape)

    def random(self, shape: tuple[int, ...], /) -> Floats:
        return self._draw("random", shape)

    def _draw(self, how: str, shape: tuple[int, ...]) -> Floats:
        if self._next is not None and self._next < len(self._kept):
            was, of, array = self._kept[self._next]
            if (was, of) == (how, shape):
                self._next += 1
                return array
            self._room += sum(array.nbytes for _, _, array in self._kept[self._next :])
            del self._kept[self._next :], self._states[self._next + 1 :]
        if self._next is not None:
            self._rng.bit_generator.state = self._states[-1]
        found = columns(getattr(self._rng, how)(shape))
        found.setflags(write=False)
        if self._next is not None and found.nbytes <= self._room:
            self._room -= found.nbytes
            self._kept.append((how, shape, found))
            self._states.append(self._rng.bit_generator.state)
            self._next += 1
        else:
            self._next = None
        return found


def predict(model: ErrorModel, data: TokenData, truth: Floats, choice: Choice, draws: Same | None = None) -> Floats:
    """The largest error of each output that is to be expected on this data, whose exact outputs are `truth`: infinite
    where the constructions may leave no number. `draws`: of several predictions."""
    found = disturbed(model, data, choice, COPIES, draws=draws)
    return SAFETY * np.array([apart(part).max() for part in model.graph.output.split(found - truth)])


def apart(difference: Floats) -> Floats:
    """How far apart: any distance, where one of the two is no number."""
    size = np.abs(difference)
    return np.where(np.isnan(size), np.inf, size)


def disturbed(
    model: ErrorModel,
    data: TokenData,
    choice: Choice,
    copies: int,
    observe: Observe | None = None,
    draws: Same | None = None,
) -> Floats:
    """The outputs [copies, tasks, rows, *shape] as the constructions make them, rounding drawn anew for each copy of
    the data, and for all but the first how far fits are off, too: where errors grow on their way, the first alone can
    be lucky. `observe` sees the values of copies · tasks, as `evaluate`'s does."""
    first, others = ({v: model.of(v, choice.get(v), drawn) for v in model.graph.values()} for drawn in (False, True))
    return _run(model.graph, data, [first.get, *[others.get] * (copies - 1)], observe, draws)


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
    draws: Same | None = None,
) -> Floats:
    """The outputs [variants, tasks, rows, *shape], each variant with its own models of operations."""
    count, tasks = len(variants), data.batch
    everything = repeated(data, count)
    rng = np.random.default_rng(0) if draws is None else draws.anew()
    parts: dict[tuple[Value, int, int], tuple[Floats, Floats]] = {}

    def disturb(value: Value, array: Floats, operand: Operand, place: Place) -> Floats:
        chunk = place.tasks
        found = array
        for first, last, model in _groups(variants, value):
            start, stop = max(first * tasks, chunk.start) - chunk.start, min(last * tasks, chunk.stop) - chunk.start
            if model is None or start >= stop:
                continue
            if start == 0 and stop == len(array):
                return model(array, operand, rng)

            def part(index: int, some: slice = slice(start, stop)) -> Floats:
                """Of what stays the same array, the same array."""
                whole, key = operand(index), (value, index, some.start)
                if key not in parts or parts[key][0] is not whole:
                    parts[key] = whole, whole[some]
                return parts[key][1]

            found = np.array(array) if found is array else found
            found[start:stop] = model(array[start:stop], part, rng)
        return found

    found = evaluate(graph, everything, observe, disturb)
    return found.reshape(count, tasks, *found.shape[1:])


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
