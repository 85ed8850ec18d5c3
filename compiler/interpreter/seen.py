"""What values did on sample tasks: seen while the oracle runs them.

    before   a graph, and tasks in parts
    after    of each part the ends of every value, rows and peaks of factors, scores, ties

Parts of one length run side by side, and are seen as if each were alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.tokens import TokenData, output_rows
from numpy.typing import NDArray

from ..ir.graph import Attend, Graph, Product, Value
from .chunks import scanned_together, some_of, together
from .deciding import deciding
from .oracle import evaluate

ROWS = 100
"""Rows of each array that medians and quantiles are taken over."""
PASSES = 64
"""Of a longer scan as many rows as of so many passes, and ends by stretches."""
TIE = 1e-13
"""Of the largest: what is smaller is 0 but for float64's rounding."""
STRETCH = 64
"""So many tokens, or one task: one that is left out then costs no second run of all others."""
STRETCH_BYTES = 2**25
"""About how much the values of a stretch take where there is no scan: they stay near the processor over its passes."""
FEW = 32
"""So many stretches are gone over one by one."""


@dataclass(frozen=True)
class Seen:
    """What values did on some tasks, at the tokens where they live and in every pass of every loop: their ends; of
    factors some rows; the largest scores; what comparisons tie on."""

    low: dict[Value, Floats]
    high: dict[Value, Floats]
    rows: dict[Value, list[Floats]]
    scores: dict[Value, float]
    ties: set[Value]


def side_by_side(graph: Graph, every: Sequence[TokenData]) -> Iterator[list[int]]:
    """The parts of tasks, by number, that are run together: with a scan those of one length, as many as there is room
    for, since it takes as long for few tasks as for many: each is seen as if it were alone. Not where scores are
    collected, over all that is run together."""
    alone = not any(loop.kind is not None for loop in graph.loops())
    alone = alone or any(isinstance(graph[value].op, Attend) for value in graph.values())
    lengths: dict[tuple[str, ...], list[int]] = {}
    for number, part in enumerate(every):
        lengths.setdefault(tuple(part.sequence.kinds), []).append(number)
    for numbers in lengths.values():
        most = scanned_together(graph, every[numbers[0]])
        group: list[int] = []
        for number in numbers:
            if group and (alone or sum(every[k].batch for k in [*group, number]) > most):
                yield group
                group = []
            group.append(number)
        yield group


def observed(graph: Graph, some: Sequence[TokenData]) -> list[Looked]:
    """Of parts of one length, each by itself."""
    factors = {o for v in graph.values() if isinstance(graph[v].op, Product) for o in graph[v].operands}
    most = ROWS * PASSES // max(PASSES, _longest(graph, some[0]))
    looked = [Looked(factors, part, _stretches(graph, part), most) for part in some]
    if len(some) == 1 and not _longest(graph, some[0]):
        (one,) = looked
        for number, (start, stop) in enumerate(itertools.pairwise([*one.starts.tolist(), one.tasks])):
            one.begin(slice(start, stop), slice(number, number + 1))
            _look(graph, looked, factors, some_of(one.part, slice(start, stop)))
        return looked
    fields = {name: np.concatenate([part.fields[name] for part in some]) for name in some[0].fields}
    batch = sum(part.batch for part in some)
    _look(graph, looked, factors, TokenData(some[0].sequence, batch, fields, some[0].batched))
    return looked


def _look(graph: Graph, looked: Sequence[Looked], factors: set[Value], data: TokenData) -> None:
    """`data`: what of each is looked at now, one behind the other."""
    decide = deciding(graph)
    starts = np.cumsum([0, *(one.here for one in looked)]).tolist()
    stretches = np.concatenate([start + one.starts_here for start, one in zip(starts, looked, strict=False)])
    ends = _Ends(graph, factors, np.append(stretches, starts[-1]))
    firsts = np.cumsum([0, *(one.starts_here.size for one in looked)]).tolist()

    def see(value: Value, array: Floats, like: Indices | None) -> None:
        if array.size:
            least, greatest, peaks = ends.of(value, array)
            for one, start, first in zip(looked, starts, firsts, strict=False):
                tasks, its = slice(start, start + one.here), slice(first, first + one.starts_here.size)
                one.see(value, array[tasks], like, (least[its], greatest[its], peaks[tasks]), value in decide)

    evaluate(graph, data, reach=looked[0].scores, chunk=data.batch, look=see)


def _stretches(graph: Graph, part: TokenData) -> Indices:
    """The first task of each stretch: of a long scan, and where there is none. Where ties and scores are told, which
    are of all tasks, and of a short scan, there is one."""
    told = deciding(graph) or any(isinstance(graph[value].op, Attend) for value in graph.values())
    longest = _longest(graph, part)
    if told or 0 < longest <= PASSES:
        return np.zeros(1, np.int64)
    if longest:
        return np.arange(0, part.batch, max(1, STRETCH // max(1, len(part.sequence))))
    number = -(-part.batch // together(graph, part, STRETCH_BYTES))
    return np.arange(0, part.batch, max(1, -(-part.batch // max(1, number))))


def _longest(graph: Graph, part: TokenData) -> int:
    """Of how many passes the longest scan is."""
    passes = (output_rows(part.sequence, {loop.kind}).size for loop in graph.loops() if loop.kind is not None)
    return max(passes, default=0)


class Looked:
    """What is seen of some tasks, gathered: ends stretch by stretch [stretches, size], and how large a factor is in
    each task [tasks]."""

    def __init__(self, factors: set[Value], part: TokenData, starts: Indices, most: int) -> None:
        self.part, self.tasks, self.starts = part, part.batch, starts
        self.low, self.high = dict[Value, Floats](), dict[Value, Floats]()
        self.peaks: dict[Value, Floats] = {v: np.zeros(part.batch) for v in factors}
        self.scores: dict[Value, float] = {}
        self._rows: dict[Value, list[tuple[Indices, Floats]]] = {v: [] for v in factors}
        self._ties: set[Value] = set()
        self._most = most
        self.begin(slice(0, part.batch), slice(0, starts.size))

    def begin(self, tasks: slice, stretches: slice) -> None:
        """Of these of its tasks and stretches."""
        self._now, self._its = tasks, stretches
        self._rng = np.random.default_rng(0)  # equal steps would meet the same tokens of every task

    @property
    def here(self) -> int:
        """How many tasks are looked at now."""
        return int(self._now.stop - self._now.start)

    @property
    def starts_here(self) -> Indices:
        """The first of each stretch, counted from the first of them."""
        found: Indices = self.starts[self._its] - self._now.start
        return found

    def see(self, value: Value, array: Floats, like: Indices | None, ends: Ends, decides: bool) -> None:
        """Rows are those of all its tasks, of which these may be a stretch."""
        least, greatest, peaks = ends
        if value in self._rows:
            length = array.shape[1] if like is None else like.size
            count = self.tasks * length
            few = count <= self._most
            tasks, tokens = np.divmod(np.arange(count) if few else self._rng.integers(count, size=self._most), length)
            now = (tasks >= self._now.start) & (tasks < self._now.stop)
            tasks, tokens = tasks[now], tokens[now]
            self._rows[value].append((tasks, array[tasks - self._now.start, tokens if like is None else like[tokens]]))
            np.maximum(self.peaks[value][self._now], peaks, out=self.peaks[value][self._now])
        if decides and np.any(np.abs(array) <= TIE * np.maximum(-least, greatest).max(initial=0.0)):
            self._ties.add(value)
        for of_two, found, end, none in (
            (np.minimum, self.low, least, np.inf),
            (np.maximum, self.high, greatest, -np.inf),
        ):
            if value not in found:
                found[value] = np.full((self.starts.size, array.shape[2]), none)
            of_two(found[value][self._its], end, out=found[value][self._its])

    def rows(self, value: Value) -> list[Floats]:
        return [rows for _, rows in self._rows[value]]

    def seen(self, graph: Graph, kept: NDArray[np.bool_], crowds: bool = True) -> Seen:
        """Of the tasks that are kept: stretches with one that is not are run once more. Where it is asked where values
        crowd, and there is no scan, rows are drawn of those tasks alone."""
        whole = np.logical_and.reduceat(kept, self.starts)
        if not whole.any() or (crowds and not whole.all() and not _longest(graph, self.part)):
            return observed(graph, [some_of(self.part, kept)])[0].seen(graph, kept[kept])
        low = {value: ends[whole].min(axis=0) for value, ends in self.low.items()}
        high = {value: ends[whole].max(axis=0) for value, ends in self.high.items()}
        again = np.repeat(~whole, np.diff(np.append(self.starts, self.tasks))) & kept
        if again.any():
            (others,) = observed(graph, [some_of(self.part, again)])
            low = {value: np.minimum(ends, others.low[value].min(axis=0)) for value, ends in low.items()}
            high = {value: np.maximum(ends, others.high[value].max(axis=0)) for value, ends in high.items()}
        rows = {value: [rows[kept[tasks]] for tasks, rows in some] for value, some in self._rows.items()}
        return Seen(low, high, rows, self.scores, self._ties)


Ends = tuple[Floats, Floats, Floats]
"""Least and largest of each component [stretches, size], and how large a factor is in each task [tasks]."""


class _Ends:
    """Of what a loop carries they are looked for once: what a pass ends with the next begins with."""

    def __init__(self, graph: Graph, factors: set[Value], starts: Indices) -> None:
        """`starts`: of each stretch, and the number of tasks."""
        carried = [c for loop in graph.loops() for c in loop.carried]
        self._before = {c.phi: c.result for c in carried} | {c.final: c.result for c in carried}
        self._peaked = factors | {c.result for c in carried if factors & {c.phi, c.final}}
        self._last: dict[Value, tuple[Floats, Ends]] = {}
        self._starts = starts

    def of(self, value: Value, array: Floats) -> Ends:
        before = self._last.get(self._before.get(value, value))
        if before is not None and before[0] is array:
            return before[1]
        found = self._least(np.minimum, array), self._least(np.maximum, array), _peaks(array, value in self._peaked)
        if value in self._before.values():
            self._last[value] = array, found
        return found

    def _least(self, of_two: np.ufunc, array: Floats) -> Floats:
        """Of each stretch [stretches, size]."""
        tasks, tokens, size = array.shape
        count = self._starts.size - 1
        if count == 1:  # of all components at once, too: components stand side by side, and tasks within them
            return np.asarray(of_two.reduce(array, axis=(0, 1)))[None]
        if count == tasks:
            return np.array(array[:, 0]) if tokens == 1 else np.asarray(of_two.reduce(array, axis=1))
        if count <= FEW and not array.reshape(-1, size).flags.f_contiguous:
            return np.stack([of_two.reduce(array[a:b], axis=(0, 1)) for a, b in itertools.pairwise(self._starts)])
        return np.asarray(of_two.reduceat(array.reshape(-1, size), self._starts[:-1] * tokens, axis=0))


def _peaks(array: Floats, peaked: bool) -> Floats:
    # Of all components at once, which are slow one by one.
    found = np.zeros(len(array))
    if peaked:
        np.maximum(array.max(axis=2).max(axis=1), -array.min(axis=2).min(axis=1), out=found)
    return found
