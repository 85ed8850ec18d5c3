"""Bounds: what every named value should be after every layer, and how far off it may be.

    scan y: w = w + …                layer   expected of w at y_i                          bound
      the pass of layers 4 and 5       4     what y_i began its pass with, for i ≤ pass    SAFETY · the largest change
                                       5     what it ended it with, for i ≤ pass           that the error model makes

layout.py says which value a name's slots hold when; the float64 oracle has that value for every pass of every loop,
and once more as the constructions make it (predict.py). In a scan every token repeats its own update, and only those
whose turn has come count: after pass p, from 1, the first p (one more where the first pass stands in front).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

import numpy as np

from .compile import Plan
from .graph import Block, Carried, Graph, Loop, Value
from .layout import Holding, holdings
from .oracle import evaluate, together
from .predict import SAFETY, disturbed, repeated
from .sparse import Floats, Indices
from .squares import UNIT
from .sublayers import LoopStage, Schedule, Stage
from .tasks import Atom, LoopTask
from .tasks import Block as TaskBlock
from .tokens import TokenData, output_rows

DRAWS = 32
"""Tasks that rounding is drawn for at least: fewer are repeated."""
STORED = 4.0
"""Units of a value that rounding it into the stream, and its constants into weights, costs; the latter alike in every
pass."""

Passes = Mapping[int, int]
"""The loops that a sublayer runs in, by their number in order of appearance, and which pass of each it is, from 0."""


@dataclass(frozen=True)
class Expected:
    """A named value after a layer, at the `tokens` at which it counts: exact [tasks, tokens, size].

    `placement` is its place in `Weights.layout`."""

    placement: int
    layer: int
    tokens: Indices
    exact: Floats
    bound: float


class Bounds:
    """All that is expected of a plan's weights on some tasks."""

    def __init__(self, plan: Plan, data: TokenData) -> None:
        """Raises DataError for more tokens than a scan is compiled for."""
        self._held = holdings(plan.schedule, plan.allocation)
        self._layers = _layers(plan.schedule)
        self._states = dict(_carried(plan.schedule.tasks.block, plan.graph.loops()))
        self._unit = UNIT[plan.dtype]
        copies = max(2, ceil(DRAWS / data.batch))
        wanted = {h.variable.value for h in self._held} | {c.result for c in self._states.values()}
        self._exact, self._inexact = (
            _Record(plan.graph, data, wanted),
            _Record(plan.graph, repeated(data, copies), wanted),
        )
        self.output: Floats = evaluate(plan.graph, data, self._exact.observe)
        """[tasks, rows, *shape]"""
        found = disturbed(plan.model, data, plan.choice, copies, self._inexact.observe)
        self.output_bound = self._bound(self.output, found)

    def __iter__(self) -> Iterator[Expected]:
        """Every name after every layer that holds it, layer by layer."""
        for layer, (stage, passes) in enumerate(self._layers):
            for index, held in enumerate(self._held):
                if held.first <= stage <= held.last:
                    tokens, exact = self._value(self._exact, held, passes)
                    if exact.size:
                        bound = self._bound(exact, self._value(self._inexact, held, passes)[1])
                        yield Expected(index, layer, tokens, exact, bound)

    def _value(self, record: _Record, held: Holding, passes: Passes) -> tuple[Indices, Floats]:
        """What is held, at those tokens of its kinds where it counts."""
        if held.ended is None:
            tokens, array = record.at(held.variable.value, passes)
        else:
            tokens, array = record.at(self._states[held.ended].result, passes)
            matrix = held.variable.form.part(held.ended)
            assert matrix is not None
            array = matrix.apply(array)
        lives = np.isin(tokens, output_rows(record.data.sequence, held.variable.kinds))
        return tokens[lives], array[:, lives]

    def _bound(self, exact: Floats, found: Floats) -> float:
        """`found` holds the tasks of `exact` several times over."""
        change = float(np.abs(found.reshape(-1, *exact.shape) - exact).max(initial=0.0))
        return SAFETY * change + STORED * self._unit * float(np.abs(exact).max(initial=0.0))


class _Record:
    """The values of a run of the oracle that are wanted, as they were observed."""

    def __init__(self, graph: Graph, data: TokenData, wanted: set[Value]) -> None:
        self.data = data
        self._graph = graph
        self._seen: dict[Value, list[Floats]] = {value: [] for value in wanted}
        self._whole: dict[tuple[Value, int], Floats] = {}
        self._chunks = ceil(data.batch / together(graph, data))

    def observe(self, value: Value, array: Floats) -> None:
        if value in self._seen:
            self._seen[value].append(array)

    @cached_property
    def _paths(self) -> dict[Value, tuple[int, ...]]:
        """The loops around each value, outermost first."""
        return dict(_paths(self._graph.block, (), iter(range(len(self._loops)))))

    @cached_property
    def _loops(self) -> tuple[Loop, ...]:
        return tuple(self._graph.loops())

    def at(self, value: Value, passes: Passes) -> tuple[Indices, Floats]:
        """The tokens at which a value counts in these passes, and the value there [tasks, tokens, size]."""
        path = self._paths[value]
        scans = [k for k, number in enumerate(path) if self._loops[number].kind is not None]
        observed = len(self._seen[value]) // self._chunks
        if not scans or observed != prod(self._count(number) for number in path):
            # what does not change in a scan is computed once, wherever it lives
            outside = path[: scans[0]] if scans else path
            return output_rows(self.data.sequence, self._graph[value].kinds), self._repeats(
                value, outside, passes, None
            )
        scan = path[scans[0]]
        loop = self._loops[scan]
        tokens = output_rows(self.data.sequence, {str(loop.kind)})
        counts = passes.get(scan, tokens.size) + 1 + any(c.warm is not None for c in loop.carried)
        return tokens[:counts], self._repeats(value, path, passes, scan)[:, :counts]

    def _count(self, number: int) -> int:
        """How often the oracle runs a loop's body."""
        loop = self._loops[number]
        return loop.count if loop.kind is None else output_rows(self.data.sequence, {loop.kind}).size

    def _repeats(self, value: Value, path: tuple[int, ...], passes: Passes, scan: int | None) -> Floats:
        """What was observed in these passes of the loops of `path`, a scan's tokens side by side."""
        indices = [0]
        for number in path:
            here = (
                range(self._count(number)) if number == scan else [min(passes.get(number, 0), self._count(number) - 1)]
            )
            indices = [index * self._count(number) + k for index in indices for k in here]
        key = (value, indices[0] if indices else -1)
        if key not in self._whole:
            arrays = self._seen[value]
            each = len(arrays) // self._chunks
            chunks = [[arrays[chunk * each + k] for k in indices] for chunk in range(self._chunks)]
            self._whole[key] = np.concatenate([np.concatenate(tokens, 1) for tokens in chunks])
        return self._whole[key]


# Loops -------------------------------------------------------------------------------------------


def _paths(block: Block, path: tuple[int, ...], numbers: Iterator[int]) -> Iterator[tuple[Value, tuple[int, ...]]]:
    for item in block:
        if isinstance(item, Loop):
            inside = (*path, next(numbers))
            yield from ((c.phi, inside) for c in item.carried)
            yield from _paths(item.body, inside, numbers)
            yield from ((c.final, path) for c in item.carried)
        else:
            yield item, path


def _carried(block: TaskBlock, loops: Iterator[Loop]) -> Iterator[tuple[Atom, Carried]]:
    """The states of lowered loops, and what each of them carries; loops in order of appearance."""
    for item in block:
        if isinstance(item, LoopTask):
            yield from ((s.atom, c) for s, c in zip(item.states, next(loops).carried, strict=True))
            yield from _carried(item.body, loops)


def _layers(schedule: Schedule) -> list[tuple[int, Passes]]:
    """The stage that ends each layer, by its number among the stored ones, and the passes that it runs in."""
    return _runs(schedule.stages, 0, 0)[0][1::2]


def _runs(items: list[Stage | LoopStage], stage: int, loop: int) -> tuple[list[tuple[int, Passes]], int, int]:
    """Every sublayer that runs, in order; and the stages and loops so far."""
    runs: list[tuple[int, Passes]] = []
    for item in items:
        if isinstance(item, LoopStage):
            number = loop
            once, stage, loop = _runs(item.body, stage, loop + 1)
            runs += [(k, {number: turn, **inner}) for turn in range(item.count) for k, inner in once]
        else:
            runs.append((stage, {}))
            stage += 1
    return runs, stage, loop
