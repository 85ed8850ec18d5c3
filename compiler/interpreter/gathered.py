"""What is gathered of the arrays that the oracle computes: ends, stretch by stretch of tasks; and rows, drawn.

before   arrays [tasks, tokens, size], value by value, pass by pass
after    least and largest of each component [stretches, size]; which rows medians and quantiles are taken over
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats, Indices

from ..ir.graph import Affine, Graph, Product, Value

ROWS = 100
"""Rows of each array that medians and quantiles are taken over."""
FEW = 32
"""So many stretches are gone over one by one."""
SHORT = 8
"""Of so few tokens each task's ends are made token by token: NumPy is slow on rows so short."""

Found = tuple[Floats, Floats, Floats]
"""Least and largest of each component [stretches, size], and how large a factor is in each task [tasks]."""


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


class Ends:
    """Of what a loop carries they are looked for once: what a pass ends with the next begins with. A map that has one
    operand, and at most one entry a row, takes ends to ends: rounding keeps the order of numbers."""

    def __init__(self, graph: Graph, peaked: set[Value], starts: Indices) -> None:
        """`peaked`: of which it is asked how large they are in each task. `starts`: of each stretch, and the number of
        tasks."""
        carried = [c for loop in graph.loops() for c in loop.carried]
        self._before = {c.phi: c.result for c in carried} | {c.final: c.result for c in carried}
        self._peaked = peaked | {c.result for c in carried if peaked & {c.phi, c.final}}
        self._single = {v: single for v in graph.values() if (single := _single(graph, v)) is not None}
        self._read = {*(single.operand for single in self._single.values()), *self._before.values()}
        self._last: dict[Value, tuple[Floats, Found]] = {}
        self._starts = starts

    def of(self, value: Value, array: Floats) -> Found:
        before = self._last.get(self._before.get(value, value))
        if before is not None and before[0] is array:
            found = before[1]
        else:
            least, largest = self._mapped(value, array) or (
                self._of_two(np.minimum, array),
                self._of_two(np.maximum, array),
            )
            found = least, largest, _peaks(array, value in self._peaked)
        if value in self._read:
            self._last[value] = array, found
        return found

    def _mapped(self, value: Value, array: Floats) -> tuple[Floats, Floats] | None:
        """From the ends of what it is made of, at the same tokens."""
        single = self._single.get(value)
        of = None if single is None else self._last.get(single.operand)
        if single is None or of is None or of[0].shape[:2] != array.shape[:2]:
            return None
        one, other = (single.entries * end[:, single.columns] for end in of[1][:2])
        ends = np.empty((2, len(one), array.shape[2]))
        ends[:] = single.offset
        ends[0][:, single.rows] += np.minimum(one, other)
        ends[1][:, single.rows] += np.maximum(one, other)
        return ends[0], ends[1]

    def _of_two(self, of_two: np.ufunc, array: Floats) -> Floats:
        """Of each stretch [stretches, size]."""
        tasks, tokens, size = array.shape
        count = self._starts.size - 1
        if count == 1:  # of all components at once, too: components stand side by side, and tasks within them
            return np.asarray(of_two.reduce(array, axis=(0, 1)))[None]
        if count == tasks:
            found = np.array(array[:, 0])
            if tokens > SHORT:
                return np.asarray(of_two.reduce(array, axis=1))
            for token in range(1, tokens):
                of_two(found, array[:, token], out=found)
            return found
        if count <= FEW and not array.reshape(-1, size).flags.f_contiguous:
            return np.stack([of_two.reduce(array[a:b], axis=(0, 1)) for a, b in itertools.pairwise(self._starts)])
        return np.asarray(of_two.reduceat(array.reshape(-1, size), self._starts[:-1] * tokens, axis=0))


@dataclass(frozen=True)
class _Single:
    """An affine map of one operand that lives where it does, a component of one component each."""

    operand: Value
    offset: Floats
    rows: Indices
    columns: Indices
    entries: Floats


def _single(graph: Graph, value: Value) -> _Single | None:
    node = graph[value]
    if not isinstance(node.op, Affine) or len(node.operands) != 1 or graph[node.operands[0]].kinds != node.kinds:
        return None
    rows, columns, entries = node.op.matrices[0].entries
    if rows.size > np.unique(rows).size:
        return None
    return _Single(node.operands[0], node.op.offset.array.ravel(), rows, columns, entries)


def _peaks(array: Floats, peaked: bool) -> Floats:
    # Of all components at once, which are slow one by one.
    found = np.zeros(len(array))
    if peaked:
        np.maximum(array.max(axis=2).max(axis=1), -array.min(axis=2).min(axis=1), out=found)
    return found
