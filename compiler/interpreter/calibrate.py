"""Calibration: the range of every value, from running the oracle on sample data.

    before    a graph, and samples: the caller's data, or default tasks family by family (default_tasks.py)
    after     low, high of every value over them; where factors crowd; the largest scores; what comparisons tie on

Ranges set the scales of products, functions, divisions and norms, as they do in quantisation. They are widened by
`MARGIN`, but for declared fields, which are what they say. What is seen of each family is kept apart (`Seen`), so that
families.py may choose between them; where values crowd is what the first of them, the core, says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.progress import each
from innerloop.artifact.sparse import blocks
from innerloop.artifact.tokens import TokenData
from numpy.typing import NDArray

from ..ir.graph import Field, Function, Graph, Move, Value
from ..ir.operation_classes import Positional
from ..numerics.functions import POINTWISE
from .ball import Ball
from .chunks import parts, together
from .deciding import equalities
from .gathered import Seen
from .seen import Looked, observed, side_by_side
from .stretched import Stretched, closer

MARGIN = 0.1
NEARER = 2.0
"""So many times nearer to 0 than the sample's least are numbers that logs, roots and 1/x as a curve are built for."""
FURTHER = NEARER / (1.0 + MARGIN)
TAIL = 10.0
"""A range this far beyond 999 in 1,000 values is a tail, of which no sample need hold the end: it is doubled. Of
default tasks, which are many, the wildest is left out beside, lest its luck decide."""


@dataclass(frozen=True)
class Crowd:
    """Where a factor's components crowd, if not about 0, and how far from there half and 999 in 1,000 of them stay."""

    centre: Floats
    usual: Floats
    most: Floats


@dataclass(frozen=True)
class Ranges:
    """low, high [size] of every value, as measured; indexing widens them."""

    low: dict[Value, Floats]
    high: dict[Value, Floats]
    declared: frozenset[Value]
    crowd: dict[Value, Crowd]
    scores: dict[Value, float]
    """Of each `Attend`, the largest |query · key|, as measured."""
    ties: frozenset[Value] = frozenset()
    """What comparisons decide by, is 0 somewhere on the sample or asked for equality, and may be more or less by
    rounding."""

    def __getitem__(self, value: Value) -> tuple[Floats, Floats]:
        """With a margin, and further where a tail is long: no sample holds its end, nor both ends alike."""
        low, high = self._seen(value)
        if value not in self.crowd or value in self.declared:
            return low, high
        crowd = self.crowd[value]
        radius = np.maximum(high - crowd.centre, crowd.centre - low)
        long = radius > TAIL * crowd.most
        ends = crowd.centre - 2.0 * radius, crowd.centre + 2.0 * radius
        return np.where(long & (low < 0.0), ends[0], low), np.where(long & (high > 0.0), ends[1], high)

    def _seen(self, value: Value) -> tuple[Floats, Floats]:
        low, high = self.low[value], self.high[value]
        margin = 0.0 if value in self.declared else MARGIN
        return low - margin * np.abs(low), high + margin * np.abs(high)

    def ball(self, value: Value) -> Ball:
        """Centre and radius of each component, for products."""
        low, high = self[value]
        crowd = self.crowd[value]
        radius = np.maximum(high - crowd.centre, crowd.centre - low)
        known = crowd.usual > 0
        return Ball(crowd.centre, radius, float(np.max(radius[known] / crowd.usual[known], initial=1.0)))

    def reach(self, value: Value) -> float:
        """The largest |query · key| of an `Attend`."""
        return (1.0 + MARGIN) * self.scores.get(value, 0.0)

    def domain(self, function: str, value: Value) -> tuple[Floats, Floats]:
        """Where a function of the graph takes this operand: 1/x never across 0, and no root of 0 alone. Logs, roots and
        1/x are steep near 0, where no sample holds the least: they are built for less than it."""
        takes = POINTWISE[function].takes
        if takes == "all numbers":
            return self._seen(value)
        low, high = self.tight(value) if takes == "numbers of one sign" else self._seen(value)
        if value not in self.declared:
            low = np.where(self.low[value] > 0.0, self.low[value] / NEARER, low)
            high = np.where(self.high[value] < 0.0, self.high[value] / NEARER, high)
        if takes == "numbers that are not negative" and high.max() == 0.0:
            # What is 0 on all data has no size of its own.
            high = np.ones_like(high)
        return low, high

    def tight(self, value: Value) -> tuple[Floats, Floats]:
        """Widened by a factor and never across 0: for divisors."""
        low, high = self.low[value], self.high[value]
        factor = 1.0 + MARGIN
        return np.where(low > 0, low / factor, low * factor), np.where(high > 0, high * factor, high / factor)


def observe(graph: Graph, samples: Sequence[TokenData], wild: float = 0.0) -> Seen:
    """`observe_each` of one group."""
    (seen,) = observe_each(graph, [samples], wild)
    return seen


def observe_each(graph: Graph, groups: Sequence[Sequence[TokenData]], wild: float = 0.0) -> list[Seen]:
    """Of each group of tasks, of every value that the oracle computes, on all tasks but those that reach furthest into
    a tail: of these at most a share of `wild` is left out. Where values crowd is asked of the first group alone."""
    every: list[TokenData] = []
    of: list[int] = []
    for group, some in enumerate(groups):
        for data in some:
            every += parts(data, together(graph, data))
        of += [group] * (len(every) - len(of))
    looked: dict[int, Looked | Stretched] = {}
    for numbers in each("looking at sample tasks", list(side_by_side(graph, every))):
        looked |= zip(numbers, observed(graph, [every[k] for k in numbers]), strict=True)
    grouped = [[looked[k] for k in range(len(every)) if of[k] == group] for group in range(len(groups))]
    usual = [_usual(its) if wild else {} for its in grouped]
    with_usual = list(zip(grouped, usual, strict=True))
    closer([(one, most) for its, most in with_usual for one in its if isinstance(one, Stretched)], TAIL)
    found = []
    for group, (its, most) in enumerate(with_usual):
        kept = _tame(its, most, wild) if wild else [np.ones(one.tasks, bool) for one in its]
        seen = [one.seen(keep, group == 0) for one, keep in zip(its, kept, strict=True) if keep.any()]
        found.append(_all(graph, seen))
    return found


def _usual(looked: Sequence[Looked | Stretched]) -> dict[Value, float]:
    """How far 999 in 1,000 of each factor's numbers reach."""
    most = dict[Value, float]()
    for value in looked[0].factors:
        numbers = np.concatenate([row for one in looked for row in one.rows(value)] or [np.zeros((1, 1))], axis=None)
        np.abs(numbers, out=numbers)  # of a long scan it is large: there is one copy of it
        reach = float(np.quantile(numbers, 0.999, overwrite_input=True))
        if reach > 0.0:
            most[value] = reach
    return most


def _tame(looked: Sequence[Looked | Stretched], most: Mapping[Value, float], wild: float) -> list[NDArray[np.bool_]]:
    """Which tasks of each part are kept: not of each part any, where parts are of few tasks, but some."""
    sizes = [one.tasks for one in looked]
    leave = min(sum(sizes) - 1, max(1, round(wild * sum(sizes))))
    far = np.concatenate([one.far(most) for one in looked])
    left = np.argsort(-far, kind="stable")[:leave]
    kept = np.ones(far.size, bool)
    kept[left[far[left] > TAIL]] = False
    return np.split(kept, np.cumsum(sizes)[:-1])


def _all(graph: Graph, seen: Sequence[Seen]) -> Seen:
    whole = Seen({}, {}, {v: [] for v in seen[0].rows}, {}, set())
    for s in seen:
        for value in s.low:
            whole.low[value] = np.minimum(whole.low.get(value, s.low[value]), s.low[value])
            whole.high[value] = np.maximum(whole.high.get(value, s.high[value]), s.high[value])
        for value, rows in s.rows.items():
            whole.rows[value].extend(rows)
        for value, reach in s.scores.items():
            whole.scores[value] = max(reach, whole.scores.get(value, 0.0))
        whole.ties.update(s.ties)
    for value, low in whole.low.items():
        if isinstance(graph[value].op, Field | Move):  # one component's luck is no property of it
            whole.low[value] = np.full_like(low, low.min())
            whole.high[value] = np.full_like(low, whole.high[value].max())
        if graph[value].op == Function("reciprocal"):  # what is divided by may be nearer to 0: `domain`
            high = whole.high[value]
            whole.low[value] = np.where(low < 0.0, FURTHER * low, low)
            whole.high[value] = np.where(high > 0.0, FURTHER * high, high)
    return whole


def calibrate(graph: Graph, samples: Sequence[TokenData]) -> Ranges:
    """The range of every value over all samples."""
    return ranges_of(graph, observe(graph, samples))


def ranges_of(graph: Graph, seen: Seen) -> Ranges:
    """The ranges that hold for what was seen; 0 for what was not."""
    specs = {f.name: f for f in graph.signature.fields}
    low = {v: seen.low.get(v, np.zeros(graph[v].size)) for v in graph.values()}
    high = {v: seen.high.get(v, np.zeros(graph[v].size)) for v in graph.values()}
    declared = set()
    for value in graph.values():
        op = graph[value].op
        if isinstance(op, Field) and (spec := specs[op.name]).low is not None and spec.high is not None:
            declared.add(value)
            low[value], high[value] = np.full(graph[value].size, spec.low), np.full(graph[value].size, spec.high)
        if isinstance(op, Positional) and op.bounds is not None:
            declared.add(value)
            low[value], high[value] = (np.full(graph[value].size, end) for end in op.bounds)
    crowd = {v: _crowd(rows, graph[v].size) for v, rows in seen.rows.items()}
    ties = frozenset(seen.ties) | equalities(graph)
    return Ranges(low, high, frozenset(declared), crowd, dict(seen.scores), ties)


def joined(ranges: Ranges, seen: Seen) -> Ranges:
    """The ranges that hold for what was seen, too; where values crowd stays as it is."""
    low = ranges.low | {v: np.minimum(ranges.low[v], ends) for v, ends in seen.low.items()}
    high = ranges.high | {v: np.maximum(ranges.high[v], ends) for v, ends in seen.high.items()}
    scores = ranges.scores | {v: max(reach, ranges.scores.get(v, 0.0)) for v, reach in seen.scores.items()}
    return replace(ranges, low=low, high=high, scores=scores, ties=ranges.ties | seen.ties)


def _crowd(rows: Sequence[Floats], size: int) -> Crowd:
    """The centre is the median, where that is well away from 0 for its spread."""
    rows, found = rows or [np.zeros((1, size))], [np.empty((3, 0))]
    for some in blocks(size, sum(map(len, rows))):  # of a long scan rows are many: no copy of all components is made
        found.append(_components(np.concatenate([row[:, some].T for row in rows], axis=1)))
    centre, usual, most = np.concatenate(found, axis=1)
    return Crowd(centre, usual, most)


def _components(numbers: Floats) -> Floats:
    """The same of some components [components, rows]: centre, usual and most of each."""
    middle = np.median(numbers, axis=1)
    spread, size = np.median(np.abs(numbers - middle[:, None]), axis=1), np.median(np.abs(numbers), axis=1)
    away = spread < 0.7 * size
    centre = np.where(away, middle, 0.0)
    most = np.quantile(np.abs(numbers - centre[:, None]), 0.999, axis=1)
    return np.array([centre, np.where(away, spread, size), most])
