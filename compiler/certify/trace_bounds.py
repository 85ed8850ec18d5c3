"""Bounds: what every named value should be after every layer, and how far off it may be.

    scan y: w = w + …                layer   expected of w at y_i                          bound
      the pass of layers 4 and 5       4     what y_i began its pass with, for i ≤ pass    SAFETY · the largest change
                                       5     what it ended it with, for i ≤ pass           that the error model makes

layout.py says which value a name's slots hold when; the float64 oracle has that value for every pass of every loop,
and once more as the constructions make it (predict.py). In a scan every token repeats its own update, and only those
whose turn has come count: after pass p, from 1, the first p (one more where the first pass stands in front).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.precisions import UNIT
from innerloop.artifact.signature import Kinds
from innerloop.artifact.tokens import TokenData, output_rows

from ..emit.layout import Holding, holdings
from ..interpreter.chunks import together
from ..interpreter.oracle import evaluate
from ..ir.graph import Block, Carried, Graph, Loop, Value
from ..schedule.instructions import Atom, InstructionLoop
from ..schedule.instructions import Block as TaskBlock
from ..schedule.sublayers import LoopPlan, Schedule, SublayerPlan
from .plan import Plan
from .predict import SAFETY, apart, disturbed, repeated

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
    """All that is expected of a plan's weights on some tasks: of what is `held`, if not of every name."""

    def __init__(
        self, plan: Plan, data: TokenData, held: Sequence[Holding] | None = None, also: Iterable[Value] = ()
    ) -> None:
        """Raises DataError for more tokens than a scan is compiled for."""
        self._held = holdings(plan.schedule, plan.allocation) if held is None else held
        self.runs = runs(plan.schedule)
        self._states = dict(_carried(plan.schedule.instructions.block, plan.graph.loops()))
        self._unit = UNIT[plan.dtype]
        copies = max(2, ceil(DRAWS / data.batch))
        wanted = {*map(self.value, self._held), *also}
        self.record = Record(plan.graph, data, wanted)
        self.output: Floats = evaluate(plan.graph, data, self.record.observe)
        """All of them, [tasks, rows, *shape]."""
        self.changes = Changes(self.record, repeated(data, copies))
        found = disturbed(plan.model, data, plan.choice, copies, self.changes.observe)
        split = plan.graph.output.split
        parts = zip(split(self.output), split(apart(found - self.output)), strict=True)
        self.output_bounds = [self.bound(exact, change) for exact, change in parts]
        """Of each output."""

    def __iter__(self) -> Iterator[Expected]:
        """Every name after every layer that holds it, layer by layer."""
        for layer, (sublayer, passes) in enumerate(self.runs[1::2]):
            for index, held in enumerate(self._held):
                if held.first <= sublayer <= held.last:
                    tokens, exact, bound = self.expected(held, passes)
                    if exact.size:
                        yield Expected(index, layer, tokens, exact, bound)

    def value(self, held: Holding) -> Value:
        """The graph's, of a state what each pass ends with."""
        return held.variable.value if held.ended is None else self._states[held.ended].result

    def expected(self, held: Holding, passes: Passes) -> tuple[Indices, Floats, float]:
        """What is held in these passes: the tokens of its kinds at which it counts, its exact value there [tasks,
        tokens, size], and its bound."""
        tokens, array, change = self.taken(held, passes)
        return tokens, array, self.bound(array, change)

    def taken(self, held: Holding, passes: Passes, token: int | None = None) -> tuple[Indices, Floats, Floats]:
        """The same tokens and values, and by how much disturbing a task changes them at most [tasks, tokens]; of one
        `token` alone, if it is among them."""
        value = self.value(held)
        tokens, times = self.record.at(value, passes)
        one = slice(None)
        if token is not None:
            place = int(np.searchsorted(tokens, token)) if np.any(tokens == token) else tokens.size
            one = slice(place, place + 1)
            if len(times) > 1:  # of a scan's tokens each has its own
                times, one = times[one] or times[:1], slice(0, int(place < tokens.size))
            tokens = tokens[place : place + 1]
        array, change = self.record.taken(value, times)[:, one], self.changes.taken(value, times)[:, one]
        if held.ended is not None:
            matrix = held.variable.form.part(held.ended)
            assert matrix is not None
            array, change = matrix.apply(array), change * float(abs(matrix.csr).sum(axis=1).max())
        lives = np.isin(tokens, self.record.rows(held.variable.kinds))
        return tokens[lives], array[:, lives], change[:, lives]

    def bound(self, exact: Floats, change: Floats) -> float:
        """Of values that are disturbed by so much."""
        most = float(np.abs(exact).max(initial=0.0))
        return SAFETY * float(change.max(initial=0.0)) + STORED * self._unit * most


class Record:
    """The values of a run of the oracle that are wanted, as they were observed: time by time, as loops go."""

    def __init__(self, graph: Graph, data: TokenData, wanted: Iterable[Value]) -> None:
        self.data = data
        self.graph = graph
        self._seen: dict[Value, list[Floats]] = {value: [] for value in wanted}
        self._whole: dict[tuple[Value, int], Floats] = {}
        self._beside = _Beside(self.time)
        self._rows: dict[Kinds, Indices] = {}
        self.chunk = together(graph, data)
        self._chunks = ceil(data.batch / self.chunk)

    def observe(self, value: Value, array: Floats) -> None:
        if value in self._seen:
            self._seen[value].append(array)

    def times(self, value: Value) -> int:
        """How often it was computed for each task; 0 for a value that is not wanted."""
        return len(self._seen.get(value, ())) // self._chunks

    def time(self, value: Value, number: int) -> Floats:
        """What was computed at that time [tasks, tokens, size]."""
        if (value, number) not in self._whole:
            arrays, each = self._seen[value], self.times(value)
            self._whole[value, number] = np.concatenate([arrays[c * each + number] for c in range(self._chunks)])
        return self._whole[value, number]

    def taken(self, value: Value, times: Sequence[int]) -> Floats:
        """These times side by side."""
        return self._beside.taken(value, times, self.times(value))

    @cached_property
    def _paths(self) -> dict[Value, tuple[int, ...]]:
        """The loops around each value, outermost first."""
        return dict(_paths(self.graph.block, (), iter(range(len(self._loops)))))

    @cached_property
    def _loops(self) -> tuple[Loop, ...]:
        return tuple(self.graph.loops())

    def at(self, value: Value, passes: Passes) -> tuple[Indices, list[int]]:
        """The tokens at which a value counts in these passes, and the times at which it is computed for them."""
        path = self._paths[value]
        scans = [k for k, number in enumerate(path) if self._loops[number].kind is not None]
        if not scans or self.times(value) != prod(self._counts[number] for number in path):
            # what does not change in a scan is computed once, wherever it lives
            outside = path[: scans[0]] if scans else path
            everywhere = self.rows(self.graph[value].kinds)
            return everywhere, self._times(outside, passes, None)
        scan = path[scans[0]]
        loop = self._loops[scan]
        tokens = self.rows(frozenset({str(loop.kind)}))[:: -1 if loop.backwards else 1]
        counts = passes.get(scan, tokens.size) + 1 + any(c.warm is not None for c in loop.carried)
        return tokens[:counts], self._times(path, passes, scan)[:counts]

    @cached_property
    def _counts(self) -> list[int]:
        """How often the oracle runs each loop's body."""
        return [loop.count if loop.kind is None else self.rows(frozenset({loop.kind})).size for loop in self._loops]

    def rows(self, kinds: Kinds) -> Indices:
        """The tokens of these kinds: looked for once, asked for by every name in every pass."""
        if kinds not in self._rows:
            self._rows[kinds] = output_rows(self.data.sequence, kinds)
        return self._rows[kinds]

    def _times(self, path: tuple[int, ...], passes: Passes, scan: int | None) -> list[int]:
        """When these passes of the loops of `path` come, a scan's tokens one after another."""
        indices = [0]
        for number in path:
            count = self._counts[number]
            here = range(count) if number == scan else [min(passes.get(number, 0), count - 1)]
            indices = [index * count + k for index in indices for k in here]
        return indices


class Changes:
    """How far disturbed copies of the tasks of a record come from it: the largest change of a component, by time."""

    def __init__(self, record: Record, copies: TokenData) -> None:
        self._record, self._batch, self._chunk = record, copies.batch, together(record.graph, copies)
        self._observed: dict[Value, int] = {}
        self._largest: dict[tuple[Value, int], Floats] = {}
        self._beside = _Beside(lambda value, number: self._largest[value, number])

    def observe(self, value: Value, array: Floats) -> None:
        each = self._record.times(value)
        if not each:
            return
        chunk, number = divmod(self._observed.get(value, 0), each)
        self._observed[value] = chunk * each + number + 1
        exact = self._record.time(value, number)
        tasks = (chunk * self._chunk + np.arange(len(array))) % len(exact)
        change = apart(array - exact[tasks]).max(axis=2, initial=0.0)
        largest = self._largest.setdefault((value, number), np.zeros(exact.shape[:2]))
        np.maximum.at(largest, tasks, change)

    def taken(self, value: Value, times: Sequence[int]) -> Floats:
        """[tasks, tokens], these times side by side."""
        return self._beside.taken(value, times, self._record.times(value))


class _Beside:
    """What was computed at some times side by side. Of a scan's tokens, which come one by one, every pass asks for all
    so far: they are put side by side once."""

    def __init__(self, time: Callable[[Value, int], Floats]) -> None:
        self._time = time
        self._every: dict[Value, Floats] = {}

    def taken(self, value: Value, times: Sequence[int], count: int) -> Floats:
        """[tasks, tokens, …], of `count` times in all."""
        if len(times) < 2 or [*times] != [*range(times[0], times[-1] + 1)] or self._time(value, times[0]).shape[1] != 1:
            return np.concatenate([self._time(value, number) for number in times], axis=1)
        if value not in self._every:
            self._every[value] = np.concatenate([self._time(value, number) for number in range(count)], axis=1)
        return self._every[value][:, times[0] : times[-1] + 1]


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
        if isinstance(item, InstructionLoop):
            yield from ((s.atom, c) for s, c in zip(item.states, next(loops).carried, strict=True))
            yield from _carried(item.body, loops)


def runs(schedule: Schedule) -> list[tuple[int, Passes]]:
    """Every sublayer that runs, in order: its number among the stored ones, and the passes that it runs in."""
    return _runs(schedule.body, 0, 0)[0]


def _runs(items: list[SublayerPlan | LoopPlan], sublayer: int, loop: int) -> tuple[list[tuple[int, Passes]], int, int]:
    """The same of some sublayers; and the sublayers and loops so far."""
    found: list[tuple[int, Passes]] = []
    for item in items:
        if isinstance(item, LoopPlan):
            number = loop
            once, sublayer, loop = _runs(item.body, sublayer, loop + 1)
            found += [(k, {number: turn, **inner}) for turn in range(item.count) for k, inner in once]
        else:
            found.append((sublayer, {}))
            sublayer += 1
    return found, sublayer, loop
