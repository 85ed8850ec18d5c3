"""What values do on a part of default tasks where no scan is, and no comparison: stretch by stretch of tasks.

    before   tasks of one length
    after    rows and ends; of the tasks that reach furthest into a tail, which may be left out, each alone

How far a task reaches is asked where some task of its stretch reaches far, and nowhere else: those stretches are run
once more, task by task. Tasks of large data are mostly the ones, and are a stretch of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.tokens import TokenData
from numpy.typing import NDArray

from ..ir.graph import Graph, Value
from .chunks import some_of, together
from .gathered import Draws, Ends, Seen, factors, times
from .oracle import evaluate

STRETCH_BYTES = 2**23
"""About how much the values of tasks take that are run together: they stay near the processor over their passes."""
LARGE = 32
"""Of so many tasks one is of the largest, by the data of each field."""


@dataclass(frozen=True)
class _Stretches:
    """Tasks, by number, and the ends of each component of every value over each stretch of them [stretches, size]."""

    tasks: list[Indices]
    low: dict[Value, Floats]
    high: dict[Value, Floats]

    def some(self, which: Indices) -> _Stretches:
        tasks = [self.tasks[k] for k in which]
        low, high = ({v: end[which] for v, end in ends.items()} for ends in (self.low, self.high))
        return _Stretches(tasks, low, high)

    def whole(self) -> _Stretches:
        """As one."""
        low = {v: end.min(axis=0, keepdims=True) for v, end in self.low.items()}
        high = {v: end.max(axis=0, keepdims=True) for v, end in self.high.items()}
        return _Stretches([np.sort(np.concatenate(self.tasks))], low, high)

    def far(self, most: Mapping[Value, float]) -> Floats:
        """How many times as far as `most` each value reaches [values, stretches]; NaN where that is no number."""
        ends = {v: np.maximum(-self.low[v], self.high[v]).max(axis=1) for v in most if v in self.low}
        found = [times(end, most[v]) for v, end in ends.items()]
        return np.array(found or [np.zeros(len(self.tasks))])


class _Drawn:
    """Rows of tasks of these numbers: the same, whichever of them are run."""

    def __init__(self, numbers: Indices) -> None:
        self.numbers, self.lengths = numbers, list[int]()
        self._draws, self._found = Draws(numbers.size), list[tuple[Indices, Indices]]()

    def of(self, array: int, tokens: int) -> tuple[Indices, Indices]:
        """Task and token of each, of the array that comes so many after the first."""
        if array == len(self._found):
            places, at = self._draws.rows(tokens)
            self._found.append((self.numbers[places], at))
            self.lengths.append(tokens)
        return self._found[array]


class Stretched:
    """What is seen of a part of tasks: the ends of its stretches; and rows that are drawn, with the tasks that they are
    of."""

    def __init__(self, graph: Graph, part: TokenData) -> None:
        self.graph, self.part, self.tasks = graph, part, part.batch
        self._rows: dict[Value, list[tuple[Indices, Floats]]] = {v: [] for v in factors(graph)}
        self._seen: list[_Stretches] = []
        self._drawn = _Drawn(np.arange(part.batch))
        large = _large(part)
        order = np.concatenate([np.flatnonzero(large), np.flatnonzero(~large)])
        number = -(-part.batch // together(graph, part, STRETCH_BYTES))
        step = max(1, -(-part.batch // max(1, number)))
        for start in range(0, part.batch, step):
            tasks = order[start : start + step]
            split = int(np.clip(large.sum() - start, 0, tasks.size))
            starts = np.unique([0, split, tasks.size])
            self._seen.append(self._run(tasks, starts, self._drawn))

    def _run(self, tasks: Indices, starts: Indices, drawn: _Drawn | None = None) -> _Stretches:
        """Runs these tasks, of which each stretch starts there, the last of `starts` being their number. `drawn`: rows
        of these tasks and others, of which theirs are kept."""
        at = np.full(self.tasks, -1)
        at[tasks] = np.arange(tasks.size)
        ends = Ends(self.graph, set(), starts)
        low, high, arrays = dict[Value, Floats](), dict[Value, Floats](), itertools.count()

        def see(value: Value, array: Floats, like: Indices | None) -> None:
            if not array.size:
                return
            least, largest, _ = ends.of(value, array)
            low[value] = np.minimum(low[value], least) if value in low else least
            high[value] = np.maximum(high[value], largest) if value in high else largest
            if drawn is not None and value in self._rows:
                numbers, tokens = drawn.of(next(arrays), array.shape[1] if like is None else like.size)
                here = at[numbers] >= 0
                if here.any():
                    numbers, tokens = numbers[here], tokens[here]
                    self._rows[value].append((numbers, array[at[numbers], tokens if like is None else like[tokens]]))

        evaluate(self.graph, some_of(self.part, tasks), chunk=tasks.size, look=see)
        return _Stretches(np.split(tasks, starts[1:-1]), low, high)

    def rows(self, value: Value) -> list[Floats]:
        return [rows for _, rows in self._rows[value]]

    @property
    def factors(self) -> Iterable[Value]:
        return self._rows

    def far(self, most: Mapping[Value, float], beyond: float, leave: int) -> Floats:
        """How many times as far as `most` the factors of each task reach, at the furthest; 0 of tasks of which none
        reaches beyond that. Those that reach furthest, as many as may be left out, are then each a stretch."""
        far, found = np.zeros(self.tasks), list[_Stretches]()
        for seen in self._seen:
            near = (seen.far(most) <= beyond).all(axis=0)
            found.append(seen.some(np.flatnonzero(near)))
            for tasks in (seen.tasks[k] for k in np.flatnonzero(~near)):
                alone = self._run(tasks, np.arange(tasks.size + 1))
                far[tasks] = np.fmax.reduce(alone.far(most), axis=0, initial=0.0)
                order = np.argsort(-far[tasks], kind="stable")
                found.append(alone.some(order[:leave]))
                if order.size > leave:
                    found.append(alone.some(order[leave:]).whole())
        self._seen = [one for one in found if one.tasks]
        return far

    def seen(self, kept: NDArray[np.bool_], crowds: bool = True) -> Seen:
        """Of the tasks that are kept; rows, where it is asked where values crowd, as drawn of those alone."""
        low, high = dict[Value, Floats](), dict[Value, Floats]()
        for one in self._seen:
            whole = np.flatnonzero([kept[tasks].all() for tasks in one.tasks])
            if not whole.size:
                continue
            ends = one.some(whole).whole()
            low |= {v: np.minimum(low.get(v, end[0]), end[0]) for v, end in ends.low.items()}
            high |= {v: np.maximum(high.get(v, end[0]), end[0]) for v, end in ends.high.items()}
        if crowds and not kept.all():
            self._draw_again(np.flatnonzero(kept))
        return Seen(
            low, high, {v: [rows[kept[tasks]] for tasks, rows in some] for v, some in self._rows.items()}, {}, set()
        )

    def _draw_again(self, kept: Indices) -> None:
        """Rows, of these tasks alone: those that they are of are run once more."""
        draws, rows = Draws(kept.size), _Drawn(kept)
        drawn = np.unique(np.concatenate([draws.rows(tokens)[0] for tokens in self._drawn.lengths]))
        self._rows = {v: [] for v in self._rows}
        step = together(self.graph, self.part, STRETCH_BYTES)
        for start in range(0, drawn.size, step):
            tasks = kept[drawn[start : start + step]]
            self._run(tasks, np.array([0, tasks.size]), rows)


def _large(part: TokenData) -> NDArray[np.bool_]:
    """Which tasks are of large data, by a row of one of the fields: they reach furthest, more often than not."""
    found, few = np.zeros(part.batch, bool), -(-part.batch // LARGE)
    if part.batch < 2 * LARGE:
        return found
    for array in part.fields.values():
        if array.size:
            size = np.einsum("ijk,ijk->ij", array, array).max(axis=1)
            found[np.argpartition(-size, few)[:few]] = True
    return found
