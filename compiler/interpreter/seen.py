"""What values did on sample tasks: seen while the oracle runs them.

    before   a graph, and tasks in parts
    after    of each part the ends of every value, rows and peaks of factors, scores, ties

Parts of a scan's tasks run side by side, and are seen as if each were alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import TokenData

from ..ir.graph import Attend, Graph, Product, Value
from .chunks import scanned_together
from .deciding import deciding
from .oracle import evaluate

ROWS = 100
"""Rows of each array that medians and quantiles are taken over."""
TIE = 1e-13
"""Of the largest: what is smaller is 0 but for float64's rounding."""


@dataclass(frozen=True)
class Seen:
    """What values did on some tasks, at the tokens where they live and in every pass of every loop: their ends; of
    factors some rows, and how large each is in each task; the largest scores; what comparisons tie on."""

    low: dict[Value, Floats]
    high: dict[Value, Floats]
    rows: dict[Value, list[Floats]]
    peaks: dict[Value, Floats]
    scores: dict[Value, float]
    ties: set[Value]


def side_by_side(graph: Graph, every: Sequence[TokenData]) -> Iterator[Sequence[TokenData]]:
    """Neighbouring parts of tasks of one length that are run together, since a scan takes as long for few tasks as for
    many: each is seen as if it were alone. Not where scores are collected, over all that is run together."""
    alone = not any(loop.kind is not None for loop in graph.loops())
    alone = alone or any(isinstance(graph[value].op, Attend) for value in graph.values())
    group: list[TokenData] = []
    for part in every:
        tasks = sum(one.batch for one in group) + part.batch
        if group and (alone or group[0].sequence != part.sequence or tasks > scanned_together(graph, part)):
            yield group
            group = []
        group.append(part)
    yield group


def observed(graph: Graph, some: Sequence[TokenData]) -> list[Seen]:
    """Of parts of one length, each by itself."""
    factors = {o for v in graph.values() if isinstance(graph[v].op, Product) for o in graph[v].operands}
    decide = deciding(graph)
    looks = [_Looks(factors, part.batch) for part in some]
    starts = np.cumsum([0, *(part.batch for part in some)]).tolist()
    ends = _Ends(graph, factors, starts)

    def see(value: Value, array: Floats) -> None:
        if array.size:
            for look, start, found in zip(looks, starts, ends.of(value, array), strict=False):
                look.see(value, array[start : start + look.tasks], found, value in decide)

    fields = {name: np.concatenate([part.fields[name] for part in some]) for name in some[0].fields}
    data = TokenData(some[0].sequence, starts[-1], fields, some[0].batched)
    evaluate(graph, data, see, reach=looks[0].seen.scores, chunk=data.batch, looks=True)
    return [look.seen for look in looks]


class _Looks:
    """What is seen of some tasks, gathered."""

    def __init__(self, factors: set[Value], tasks: int) -> None:
        self.tasks = tasks
        self.seen = Seen({}, {}, {v: [] for v in factors}, {v: np.zeros(tasks) for v in factors}, {}, set())
        self._rng = np.random.default_rng(0)  # equal steps would meet the same tokens of every task

    def see(self, value: Value, array: Floats, ends: Ends, decides: bool) -> None:
        least, most, peaks = ends
        seen, low, high = self.seen, self.seen.low, self.seen.high
        if value in seen.rows:
            flat = array.reshape(-1, array.shape[-1])
            seen.rows[value].append(flat if len(flat) <= ROWS else flat[self._rng.integers(len(flat), size=ROWS)])
            np.maximum(seen.peaks[value], peaks, out=seen.peaks[value])
        if decides and np.any(np.abs(array) <= TIE * np.maximum(-least, most).max(initial=0.0)):
            seen.ties.add(value)
        low[value] = np.minimum(low[value], least) if value in low else least
        high[value] = np.maximum(high[value], most) if value in high else most


Ends = tuple[Floats, Floats, Floats]
"""Least and largest of each component [size], and how large a factor is in each task [tasks]."""


class _Ends:
    """Of what a loop carries they are looked for once: what a pass ends with the next begins with."""

    def __init__(self, graph: Graph, factors: set[Value], starts: Sequence[int]) -> None:
        carried = [c for loop in graph.loops() for c in loop.carried]
        self._before = {c.phi: c.result for c in carried} | {c.final: c.result for c in carried}
        self._peaked = factors | {c.result for c in carried if factors & {c.phi, c.final}}
        self._last: dict[Value, tuple[Floats, list[Ends]]] = {}
        self._starts = starts

    def of(self, value: Value, array: Floats) -> list[Ends]:
        """Of each part of the tasks."""
        before = self._last.get(self._before.get(value, value))
        if before is not None and before[0] is array:
            return before[1]
        found = [_ends(array[start:stop], value in self._peaked) for start, stop in itertools.pairwise(self._starts)]
        if value in self._before.values():
            self._last[value] = array, found
        return found


def _ends(array: Floats, peaked: bool) -> Ends:
    # Of all tasks at once, and of all components at once: components stand side by side, and tasks within them.
    found = array.min(axis=(0, 1)), array.max(axis=(0, 1)), np.zeros(len(array))
    if peaked:
        np.maximum(array.max(axis=2).max(axis=1), -array.min(axis=2).min(axis=1), out=found[2])
    return found
