"""Tasks that a compile runs its weights on, value by value (validate.py).

before   a plan, and the report's tasks
after    a few of the longest and of the shortest, and those on their way to corners of the fields' ranges, as far as
         all ranges hold; without those in which rounding decides a comparison
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.tokens import TokenData

from ..interpreter.chunks import some_of, together
from ..interpreter.oracle import evaluate
from ..ir.graph import Divide, Field, Function, Keep, Loop, Value
from .plan import Plan
from .predict import SAFETY
from .trace_bounds import Bounds

TASKS = 4
"""So many of the report's longest and shortest, and as many on their way to a corner."""
TOKENS = 648
"""So many of all of them together, about."""
NUMBERS = 2**25
"""So many numbers are kept of a run of the oracle, about."""
WAYS = (1.0, 0.7, 0.4, 0.2)
"""How far towards a corner: as far as all ranges hold."""


def sample_tasks(plan: Plan) -> Iterator[TokenData]:
    """Of the longest and of the shortest, those in which all values are in their ranges and all comparisons decided."""
    rng = np.random.default_rng(0)
    for data in plan.fresh[:1] + plan.fresh[1:][-1:]:
        tokens = len(data.sequence)
        count = min(TASKS, data.batch, max(1, TOKENS // (2 * tokens)), _affordable(plan, tokens))
        if count:
            yield from decided(plan, _towards_corners(plan, some_of(data, np.arange(count)), rng))


def _affordable(plan: Plan, tokens: int) -> int:
    """Of how many tasks all values can be kept."""

    def numbers(block: tuple[Value | Loop, ...]) -> int:
        loops = [item for item in block if isinstance(item, Loop)]
        own = sum(plan.graph[item].size for item in block if not isinstance(item, Loop))
        return own + sum((1 if loop.kind is not None else loop.count) * numbers(loop.body) for loop in loops)

    return NUMBERS // (2 * tokens * max(1, numbers(plan.graph.block)))


def _towards_corners(plan: Plan, base: TokenData, rng: np.random.Generator) -> TokenData:
    """The tasks, and each as far towards a corner of its fields' ranges as all values stay in theirs: those for which
    they do."""
    corners = {}
    for spec in plan.graph.signature.fields:
        array = base.fields[spec.name]
        value = next((v for v in plan.graph.values() if plan.graph[v].op == Field(spec.name)), None)
        if spec.onehot or value is None:
            corners[spec.name] = array
            continue
        corner = np.where(rng.random(array.shape) < 0.5, plan.ranges.low[value], plan.ranges.high[value])
        lives = np.array([kind in spec.kinds for kind in base.sequence.kinds])
        corners[spec.name] = np.where(lives[None, :, None], corner, array)
    ways = (0.0, *WAYS)
    fields = {n: np.concatenate([a + way * (corners[n] - a) for way in ways]) for n, a in base.fields.items()}
    all_ways = TokenData(base.sequence, len(ways) * base.batch, fields)
    inside = _inside(plan, all_ways).reshape(len(ways), base.batch)
    first = np.where(inside[1:].any(axis=0), inside[1:].argmax(axis=0) + 1, -1)
    taken = [task for task in range(base.batch) if inside[0, task]]
    taken += [int(way) * base.batch + task for task, way in enumerate(first) if way > 0]
    return some_of(all_ways, np.array(taken, dtype=np.int64))


def _inside(plan: Plan, data: TokenData) -> np.ndarray:
    """Whether all values of each task are in the ranges that the weights were made for [tasks]."""
    graph, ranges = plan.graph, plan.ranges
    divisors = {graph[v].operands[1] for v in graph.values() if isinstance(graph[v].op, Divide)}
    ends = {v: ranges.tight(v) if v in divisors else ranges[v] for v in graph.values()}
    for op, operand in ((graph[v].op, graph[v].operands) for v in graph.values()):
        if isinstance(op, Function):
            ends[operand[0]] = _both(ends[operand[0]], ranges.domain(op.name, operand[0]))
    good = np.ones(data.batch, dtype=bool)
    step = together(graph, data)
    for start in range(0, data.batch, step):
        tasks = np.arange(start, min(start + step, data.batch))

        def look(value: Value, array: Floats, _: Indices | None, tasks: Indices = tasks) -> None:
            low, high = ends[value]
            good[tasks] &= ((array >= low) & (array <= high)).all(axis=(1, 2))

        reach: dict[Value, float] = {}
        evaluate(graph, some_of(data, tasks), reach=reach, look=look)
        if any(found > ranges.reach(value) for value, found in reach.items()):
            good[tasks] &= tasks < data.batch // (1 + len(WAYS))  # whose scores these are is not said
    return good


def _both(one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    return np.maximum(one[0], other[0]), np.minimum(one[1], other[1])


def decided(plan: Plan, data: TokenData) -> Iterator[TokenData]:
    """The tasks, but those in which what decides a comparison is no further from 0 than it may be off. A 0 is decided
    where the weights were made for one, or nothing can be off."""
    graph = plan.graph
    decide = sorted({graph[v].operands[0] for v in graph.values() if isinstance(graph[v].op, Keep)})
    for safety in (1.0, SAFETY) if decide else ():  # those first that are turned over, and so shake all others
        if not data.batch:
            return
        bounds = Bounds(plan, data, [], decide)
        good = np.ones(data.batch, dtype=bool)
        for value in decide:
            for time in range(bounds.record.times(value)):
                distance = np.abs(bounds.record.time(value, time))
                change = safety * bounds.changes.taken(value, [time])
                off = change[..., None] if safety == 1.0 else change.max(initial=0.0)
                tie = (distance == 0.0) & ((off == 0.0) | (value in plan.ranges.ties))
                good &= ~((distance <= off) & ~tie).any(axis=(1, 2))
        data = some_of(data, np.flatnonzero(good))
    if data.batch:
        yield data
