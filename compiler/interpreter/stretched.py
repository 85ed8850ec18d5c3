"""What values do on parts of default tasks where no scan is, and no comparison: stretch by stretch of tasks.

    before   parts, each of tasks of one length
    after    rows and ends of each; of tasks that reach far into a tail, which may be left out, each alone

Stretches of all parts of one length are run side by side. How far a task reaches is asked where some task of its
stretch reaches far, and nowhere else: those stretches are run once more, task by task.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.tokens import TokenData
from numpy.typing import NDArray

from ..ir.graph import Graph, Value
from .chunks import joined, some_of, together
from .gathered import Draws, Ends, Seen, factors, times
from .oracle import evaluate

NEAR_BYTES = 2**24
"""About how much the values of tasks take that are run together."""
STRETCHES, TOKENS = 64, 256
"""In so many stretches they come, each of so many tokens at least: NumPy is slow on shorter ones."""


@dataclass(frozen=True)
class _Stretches:
    """Tasks, by number, the first place of each stretch among them, and the ends of each component of every value over
    each stretch [stretches, size]."""

    tasks: Indices
    starts: Indices
    low: dict[Value, Floats]
    high: dict[Value, Floats]

    @property
    def alone(self) -> bool:
        """Whether each is a task."""
        return self.starts.size == self.tasks.size

    def some(self, which: NDArray[np.bool_]) -> _Stretches:
        sizes = np.diff(np.append(self.starts, self.tasks.size))
        low, high = ({v: end[which] for v, end in ends.items()} for ends in (self.low, self.high))
        return _Stretches(self.tasks[np.repeat(which, sizes)], _starts(sizes[which])[:-1], low, high)

    def far(self, most: Mapping[Value, float]) -> Floats:
        """How many times as far as `most` each value reaches [values, stretches]; NaN where that is no number."""
        ends = {v: np.maximum(-self.low[v], self.high[v]).max(axis=1) for v in most if v in self.low}
        found = [times(end, most[v]) for v, end in ends.items()]
        return np.array(found or [np.zeros(self.starts.size)])


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
        self.drawn = _Drawn(np.arange(part.batch))
        self.drew: dict[Value, list[tuple[Indices, Floats]]] = {v: [] for v in factors(graph)}
        self.saw: list[_Stretches] = []

    def rows(self, value: Value) -> list[Floats]:
        return [rows for _, rows in self.drew[value]]

    @property
    def factors(self) -> Iterable[Value]:
        return self.drew

    def reaching(self, most: Mapping[Value, float], beyond: float) -> list[Indices]:
        """The tasks of stretches that reach beyond so many times as far as `most`, each alone: what was seen of them
        is forgotten, and to be seen again."""
        saw, found = self.saw, list[Indices]()
        self.saw = []
        while saw:  # each is dropped where its near stretches are kept: together they are large
            one = saw.pop()
            near = np.asarray(one.alone | (one.far(most) <= beyond).all(axis=0))
            if near.any():
                self.saw.append(one if near.all() else one.some(near))
            if not near.all():
                found.append(one.some(~near).tasks[:, None])
        return found

    def far(self, most: Mapping[Value, float]) -> Floats:
        """How many times as far as `most` the factors of each task reach that was seen alone, at the furthest."""
        far = np.zeros(self.tasks)
        for one in self.saw:
            if one.alone:
                far[one.tasks] = np.fmax.reduce(one.far(most), axis=0, initial=0.0)
        return far

    def seen(self, kept: NDArray[np.bool_], crowds: bool = True) -> Seen:
        """Of the tasks that are kept; rows, where it is asked where values crowd, as drawn of those alone."""
        low, high = dict[Value, Floats](), dict[Value, Floats]()
        for one in self.saw:
            whole = np.logical_and.reduceat(kept[one.tasks], one.starts)
            for v in one.low if whole.any() else ():
                least, largest = np.min(one.low[v][whole], axis=0), np.max(one.high[v][whole], axis=0)
                low[v] = np.minimum(low[v], least) if v in low else least
                high[v] = np.maximum(high[v], largest) if v in high else largest
        if crowds and not kept.all():
            self._draw_again(np.flatnonzero(kept))
        rows = {v: [rows[kept[tasks]] for tasks, rows in some] for v, some in self.drew.items()}
        return Seen(low, high, rows, {}, set())

    def _draw_again(self, kept: Indices) -> None:
        """Rows, of these tasks alone: those that they are of are run once more."""
        draws = Draws(kept.size)
        drawn = np.unique(np.concatenate([draws.rows(tokens)[0] for tokens in self.drawn.lengths]))
        self.drew, self.drawn = {v: [] for v in self.drew}, _Drawn(kept)
        _look([(self, tasks) for tasks in _split(self, kept[drawn])], ends=False)


Piece = tuple[Stretched, Indices]
"""A stretch: of a part some tasks, by number."""


def observed(graph: Graph, parts: Sequence[TokenData]) -> list[Stretched]:
    """What is seen of parts of one length."""
    found = [Stretched(graph, part) for part in parts]
    _look([(one, tasks) for one in found for tasks in _split(one, np.arange(one.tasks))])
    return found


def closer(looked: Sequence[tuple[Stretched, Mapping[Value, float]]], beyond: float) -> None:
    """Each task by itself of the stretches that reach beyond so many times as far as their `most`."""
    pieces: dict[tuple[str, ...], list[Piece]] = {}
    for one, most in looked:
        alone = [task for tasks in one.reaching(most, beyond) for task in tasks]
        pieces.setdefault(one.part.sequence.kinds, []).extend((one, task) for task in alone)
    for some in pieces.values():
        _look(some, rows=False)


def _split(one: Stretched, tasks: Indices) -> list[Indices]:
    most, least = together(one.graph, one.part, NEAR_BYTES), TOKENS // max(1, len(one.part.sequence))
    step = min(most, max(1, least, most // STRETCHES))
    return [tasks[start : start + step] for start in range(0, tasks.size, step)]


def _look(pieces: Sequence[Piece], ends: bool = True, rows: bool = True) -> None:
    """Runs stretches of one length, as many side by side as stay near the processor."""
    some: list[Piece] = []
    room = 0
    for piece in pieces:
        if some and piece[1].size > room:
            _Chunk(some).run(ends, rows)
            some = []
        if not some:
            room = together(piece[0].graph, piece[0].part, NEAR_BYTES)
        some.append(piece)
        room -= piece[1].size
    if some:
        _Chunk(some).run(ends, rows)


class _Chunk:
    """Stretches that are run side by side: those of each part one behind the other."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.graph = pieces[0][0].graph
        sizes = [tasks.size for _, tasks in pieces]
        self.starts, first = _starts(sizes), 0
        self.parts: list[tuple[Stretched, Indices, slice, Indices]] = []
        """Each with its tasks, its stretches among all, and where each of its tasks is among all, or −1."""
        for one, its in itertools.groupby(pieces, key=lambda piece: piece[0]):
            tasks = [tasks for _, tasks in its]
            every, at = np.concatenate(tasks), np.full(one.tasks, -1)
            at[every] = self.starts[first] + np.arange(every.size)
            self.parts.append((one, every, slice(first, first + len(tasks)), at))
            first += len(tasks)

    def run(self, ends: bool, rows: bool) -> None:
        """To see ends, and rows that were drawn."""
        of, arrays = Ends(self.graph, self.starts), itertools.count()
        drawn = factors(self.graph) if rows else set()

        def see(value: Value, array: Floats, like: Indices | None) -> None:
            if not array.size:
                return
            if ends:
                of.add(value, array)
            if value in drawn:
                self._draw(value, array, like, next(arrays))

        data = joined([some_of(one.part, tasks) for one, tasks, _, _ in self.parts])
        evaluate(self.graph, data, chunk=data.batch, look=see)
        low, high = of.all()
        for one, tasks, its, _ in self.parts if ends else ():
            starts = self.starts[its] - self.starts[its.start]
            sides = ({v: end[its] for v, end in side.items()} for side in (low, high))
            one.saw.append(_Stretches(tasks, starts, *sides))

    def _draw(self, value: Value, array: Floats, like: Indices | None, number: int) -> None:
        """The rows that were drawn of the array of this number."""
        for one, _, _, at in self.parts:
            tasks, tokens = one.drawn.of(number, array.shape[1] if like is None else like.size)
            places = at[tasks]
            here = places >= 0
            if here.any():
                tokens = tokens[here] if like is None else like[tokens[here]]
                one.drew[value].append((tasks[here], array[places[here], tokens]))


def _starts(sizes: Sequence[int] | Indices) -> Indices:
    """Where each begins, and the last ends."""
    return np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64))])
