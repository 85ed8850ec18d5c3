"""What is gathered of the arrays that the oracle computes: ends, stretch by stretch of tasks; and rows, drawn.

before   arrays [tasks, tokens, size], value by value, pass by pass
after    least and largest of each component [stretches, size]; which rows medians and quantiles are taken over
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Generic, TypeVar

import numpy as np
from innerloop.artifact.arrays import Floats, Indices

from ..ir.graph import GRAPHS, Affine, Graph, Loop, Product, Value

ROWS = 100
"""Rows of each array that medians and quantiles are taken over."""
SHORT = 8
"""Of so few tokens each task's ends are made token by token: NumPy is slow on rows so short."""


Made = TypeVar("Made")


@dataclass(frozen=True)
class Seen:
    """What values did on some tasks, at the tokens where they live and in every pass of every loop: their ends; of
    factors some rows; the largest scores; what comparisons tie on."""

    low: dict[Value, Floats]
    high: dict[Value, Floats]
    rows: dict[Value, list[Floats]]
    scores: dict[Value, float]
    ties: set[Value]


def factors(graph: Graph) -> set[Value]:
    """The values of which rows are drawn."""
    return {o for v in graph.values() if isinstance(graph[v].op, Product) for o in graph[v].operands}


class Draws:
    """Rows of so many tasks, `most` of each array: the same ones, whichever of the tasks are looked at."""

    def __init__(self, tasks: int, most: int = ROWS) -> None:
        self.tasks, self.most = tasks, most
        self._rng = np.random.default_rng(0)  # equal steps would meet the same tokens of every task

    def rows(self, tokens: int) -> tuple[Indices, Indices]:
        """Task and token of each, of the array that is next."""
        count = self.tasks * tokens
        few = count <= self.most
        return np.divmod(np.arange(count) if few else self._rng.integers(count, size=self.most), tokens)


def times(peak: Floats, most: float) -> Floats:
    """How many times as far as `most` peaks are, though it be more than a number holds; NaN of what is none."""
    with np.errstate(over="ignore"):
        return np.where(np.isfinite(peak), peak / most, np.nan)


class Again(Generic[Made]):
    """What is made of values' arrays; of what a loop carries once: what a pass ends with the next begins with."""

    def __init__(self, graph: Graph, make: Callable[[Floats], Made]) -> None:
        self._make, self._before = make, _carried(graph)
        self._read = frozenset(self._before.values())
        self._last: dict[Value, tuple[Floats, Made]] = {}

    def of(self, value: Value, array: Floats) -> Made:
        last = self._last.get(self._before.get(value, value))
        made = last[1] if last is not None and last[0] is array else self._make(array)
        if value in self._read:
            self._last[value] = array, made
        return made


class Ends:
    """Least and largest of each component of every value, stretch by stretch of tasks [stretches, size]."""

    def __init__(self, graph: Graph, starts: Indices, told: Collection[Value] = ()) -> None:
        """`starts`: of each stretch, and the number of tasks. `told`: of which the ends of each array are asked for."""
        self._mapped = {v: single for v, single in _singles(graph).items() if v not in told}
        self._starts, self._of = starts, Again(graph, self._both)
        self._low, self._high = dict[Value, Floats](), dict[Value, Floats]()

    def add(self, value: Value, array: Floats) -> tuple[Floats, Floats] | None:
        """One array more, [tasks, tokens, size], that is not empty: its own ends, unless they are those of a map."""
        if value in self._mapped:
            return None
        low, high = self._of.of(value, array)
        self._low[value] = np.minimum(self._low[value], low) if value in self._low else low
        self._high[value] = np.maximum(self._high[value], high) if value in self._high else high
        return low, high

    def all(self) -> tuple[dict[Value, Floats], dict[Value, Floats]]:
        """Over all arrays."""
        for value, single in self._mapped.items():  # operands come first
            if single.operand in self._low:
                ends = single.of(self._low[single.operand], self._high[single.operand])
                self._low[value], self._high[value] = ends
        return self._low, self._high

    def _both(self, array: Floats) -> tuple[Floats, Floats]:
        flat = array.reshape(-1, array.shape[2])
        if flat.flags.f_contiguous:
            starts = self._starts[:-1] * array.shape[1]
            return np.minimum.reduceat(flat, starts, axis=0), np.maximum.reduceat(flat, starts, axis=0)
        array = np.ascontiguousarray(array)
        return self._by_rows(np.minimum, array), self._by_rows(np.maximum, array)

    def _by_rows(self, of_two: np.ufunc, array: Floats) -> Floats:
        """Where the components of a token stand side by side: of its tasks first, whose numbers are many."""
        tokens, size = array.shape[1:]
        found = np.empty((self._starts.size - 1, tokens, size))
        for first, last, each in self._alike:
            tasks = array[self._starts[first] : self._starts[last]]
            of_two.reduce(tasks.reshape(last - first, each, tokens, size), axis=1, out=found[first:last])
        if tokens > SHORT:
            return np.asarray(of_two.reduce(found, axis=1))
        whole = found[:, 0]
        for token in range(1, tokens):
            of_two(whole, found[:, token], out=whole)
        return whole

    @cached_property
    def _alike(self) -> list[tuple[int, int, int]]:
        """The first of neighbouring stretches of one size, the one behind them, and that size."""
        sizes = np.diff(self._starts)
        ends = np.flatnonzero(np.diff(sizes, prepend=0, append=0))
        return [(int(a), int(b), int(sizes[a])) for a, b in itertools.pairwise(ends)]


@lru_cache(GRAPHS)
def _carried(graph: Graph) -> dict[Value, Value]:
    """What loops begin a pass with, and leave, by what a pass ends with."""
    carried = [c for loop in graph.loops() for c in loop.carried]
    return {c.phi: c.result for c in carried} | {c.final: c.result for c in carried}


@dataclass(frozen=True)
class _Single:
    """An affine map of one operand that is computed whenever it is, a component of one component each: it takes ends
    to ends, for rounding keeps the order of numbers."""

    operand: Value
    offset: Floats
    rows: Indices
    columns: Indices
    entries: Floats

    def of(self, low: Floats, high: Floats) -> Floats:
        """Of these ends of the operand [stretches, size]: low and high."""
        one, other = (self.entries * end[:, self.columns] for end in (low, high))
        ends = np.empty((2, len(low), self.offset.size))
        ends[:] = self.offset
        ends[0][:, self.rows] += np.minimum(one, other)
        ends[1][:, self.rows] += np.maximum(one, other)
        return ends


@lru_cache(GRAPHS)
def _singles(graph: Graph) -> dict[Value, _Single]:
    """In order."""
    found: dict[Value, _Single] = {}
    for block in [graph.block, *(loop.body for loop in graph.loops())]:
        own = [item for item in block if not isinstance(item, Loop)]
        beside = {*own, *(c.final for item in block if isinstance(item, Loop) for c in item.carried)}
        beside |= {c.phi for loop in graph.loops() if loop.body is block for c in loop.carried}
        for value in own:
            single = _single(graph, value)
            if single is not None and single.operand in beside:
                found[value] = single
    return found


def _single(graph: Graph, value: Value) -> _Single | None:
    node = graph[value]
    if not isinstance(node.op, Affine) or len(node.operands) != 1 or graph[node.operands[0]].kinds != node.kinds:
        return None
    rows, columns, entries = node.op.matrices[0].entries
    if rows.size > np.unique(rows).size:
        return None
    return _Single(node.operands[0], node.op.offset.array.ravel(), rows, columns, entries)


def peaks(array: Floats) -> Floats:
    """How large it is in each task, at most [tasks]: of all components at once, which are slow one by one."""
    return np.asarray(np.maximum(array.max(axis=2).max(axis=1), -array.min(axis=2).min(axis=1)))
