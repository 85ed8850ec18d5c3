"""What values did on sample tasks: seen while the oracle runs them.

    before   a graph, and tasks in parts
    after    of each part the ends of every value, rows and peaks of factors, scores, ties

Parts of one length run side by side, and are seen as if each were alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.tokens import TokenData, output_rows
from numpy.typing import NDArray

from ..ir.graph import Attend, Graph, Value
from .chunks import joined, scanned_together, some_of, together
from .deciding import deciding
from .gathered import ROWS, Again, Draws, Ends, Seen, factors, peaks, times
from .oracle import evaluate
from .stretched import Stretched
from .stretched import observed as stretched

PASSES = 64
"""Of a longer scan as many rows as of so many passes, and ends by stretches."""
TIE = 1e-13
"""Of the largest: what is smaller is 0 but for float64's rounding."""
STRETCH = 64
"""So many tokens, or one task: one that is left out then costs no second run of all others."""


def side_by_side(graph: Graph, every: Sequence[TokenData]) -> Iterator[list[int]]:
    """The parts of tasks, by number, that are run together: those of one length, as many as there is room for, since
    few tasks take nearly as long as many, with a scan as long: each is seen as if it were alone. Not where scores are
    collected, over all that is run together."""
    scans = any(loop.kind is not None for loop in graph.loops())
    attends = any(isinstance(graph[value].op, Attend) for value in graph.values())
    lengths: dict[tuple[str, ...], list[int]] = {}
    for number, part in enumerate(every):
        lengths.setdefault(tuple(part.sequence.kinds), []).append(number)
    for numbers in lengths.values():
        first = every[numbers[0]]
        alone = attends or not (scans or _by_stretches(graph, first))
        most = 0 if alone else scanned_together(graph, first) if scans else together(graph, first)
        group: list[int] = []
        for number in numbers:
            if group and sum(every[k].batch for k in [*group, number]) > most:
                yield group
                group = []
            group.append(number)
        yield group


def observed(graph: Graph, some: Sequence[TokenData]) -> list[Looked] | list[Stretched]:
    """Of parts of one length, each as if it were alone."""
    return stretched(graph, some) if _by_stretches(graph, some[0]) else _together(graph, some)


def _by_stretches(graph: Graph, part: TokenData) -> bool:
    return not _longest(graph, part) and not _told(graph)


def _together(graph: Graph, some: Sequence[TokenData]) -> list[Looked]:
    looked = [Looked(graph, part, _stretches(graph, part)) for part in some]
    _look(graph, looked, joined(some))
    return looked


def _look(graph: Graph, looked: Sequence[Looked], data: TokenData) -> None:
    """`data`: all of theirs, one behind the other."""
    decide = deciding(graph)
    starts = np.cumsum([0, *(one.tasks for one in looked)]).tolist()
    stretches = np.concatenate([start + one.starts for start, one in zip(starts, looked, strict=False)])
    firsts = np.cumsum([0, *(one.starts.size for one in looked)]).tolist()
    parts = [
        (one, slice(start, start + one.tasks), slice(first, first + one.starts.size))
        for one, start, first in zip(looked, starts, firsts, strict=False)
    ]
    ends, far = Ends(graph, np.append(stretches, starts[-1]), decide), Again(graph, peaks)
    rows = factors(graph)

    def see(value: Value, array: Floats, like: Indices | None) -> None:
        if not array.size:
            return
        found = ends.add(value, array)
        if value in rows:
            reach = far.of(value, array)
            for one, tasks, _ in parts:
                one.factor(value, array[tasks], like, reach[tasks])
        if value in decide and found is not None:
            for one, tasks, its in parts:
                one.decides(value, array[tasks], np.maximum(-found[0][its], found[1][its]))

    evaluate(graph, data, reach=looked[0].scores, chunk=data.batch, look=see)
    low, high = ends.all()
    for one, _, its in parts:
        one.low, one.high = ({value: end[its] for value, end in side.items()} for side in (low, high))


def _told(graph: Graph) -> bool:
    """Whether ties and scores are told, which are of all tasks."""
    return bool(deciding(graph)) or any(isinstance(graph[value].op, Attend) for value in graph.values())


def _stretches(graph: Graph, part: TokenData) -> Indices:
    """The first task of each stretch: of a long scan; else there is one."""
    if _told(graph) or _longest(graph, part) <= PASSES:
        return np.zeros(1, np.int64)
    return np.arange(0, part.batch, max(1, STRETCH // max(1, len(part.sequence))))


def _longest(graph: Graph, part: TokenData) -> int:
    """Of how many passes the longest scan is."""
    passes = (output_rows(part.sequence, {loop.kind}).size for loop in graph.loops() if loop.kind is not None)
    return max(passes, default=0)


class Looked:
    """What is seen of some tasks, gathered: ends stretch by stretch [stretches, size], and how large a factor is in
    each task [tasks]."""

    def __init__(self, graph: Graph, part: TokenData, starts: Indices) -> None:
        self.graph, self.part, self.tasks, self.starts = graph, part, part.batch, starts
        self.low, self.high = dict[Value, Floats](), dict[Value, Floats]()
        self.peaks: dict[Value, Floats] = {v: np.zeros(part.batch) for v in factors(graph)}
        self.scores: dict[Value, float] = {}
        self._rows: dict[Value, list[tuple[Indices, Floats]]] = {v: [] for v in self.peaks}
        self._ties: set[Value] = set()
        self._draws = Draws(part.batch, ROWS * PASSES // max(PASSES, _longest(graph, part)))

    def factor(self, value: Value, array: Floats, like: Indices | None, reach: Floats) -> None:
        """Rows of a factor, and how large it is in each task."""
        tasks, tokens = self._draws.rows(array.shape[1] if like is None else like.size)
        self._rows[value].append((tasks, array[tasks, tokens if like is None else like[tokens]]))
        np.maximum(self.peaks[value], reach, out=self.peaks[value])

    def decides(self, value: Value, array: Floats, most: Floats) -> None:
        """What a comparison decides by, which goes so far."""
        if np.any(np.abs(array) <= TIE * most.max(initial=0.0)):
            self._ties.add(value)

    @property
    def factors(self) -> Iterable[Value]:
        return self.peaks

    def rows(self, value: Value) -> list[Floats]:
        return [rows for _, rows in self._rows[value]]

    def far(self, most: Mapping[Value, float]) -> Floats:
        """How many times as far as `most` the factors of each task reach, at the furthest."""
        reach = [times(self.peaks[v], size) for v, size in most.items()]
        return np.asarray(np.fmax.reduce(reach or [np.zeros(self.tasks)], axis=0, initial=0.0))

    def seen(self, kept: NDArray[np.bool_], crowds: bool = True) -> Seen:
        """Of the tasks that are kept: stretches with one that is not are run once more. Where it is asked where values
        crowd, and there is no scan, rows are drawn of those tasks alone."""
        whole = np.logical_and.reduceat(kept, self.starts)
        if not whole.any() or (crowds and not whole.all() and not _longest(self.graph, self.part)):
            return _together(self.graph, [some_of(self.part, kept)])[0].seen(kept[kept])
        low = {value: ends[whole].min(axis=0) for value, ends in self.low.items()}
        high = {value: ends[whole].max(axis=0) for value, ends in self.high.items()}
        again = np.repeat(~whole, np.diff(np.append(self.starts, self.tasks))) & kept
        if again.any():
            (others,) = _together(self.graph, [some_of(self.part, again)])
            low = {value: np.minimum(ends, others.low[value].min(axis=0)) for value, ends in low.items()}
            high = {value: np.maximum(ends, others.high[value].max(axis=0)) for value, ends in high.items()}
        rows = {value: [rows[kept[tasks]] for tasks, rows in some] for value, some in self._rows.items()}
        return Seen(low, high, rows, self.scores, self._ties)
