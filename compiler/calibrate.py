"""Calibration: the range of every value, from running the oracle on sample data.

Ranges set the scales of products, functions, divisions and norms, as they do in quantisation. The
sample is the caller's, or drawn here: what a field declares (`in [low, high]`) uniformly; one-hot
fields evenly; other vectors and matrices from N(0, 1); and a scalar beside a vector as a linear
function of it, w ~ N(0, I) for each task, which is the task of in-context regression. Such a scalar
in a declared [-a, a] is a classifier's label, ±a by the sign of w · x; only the short tasks have it
uniform, since what vanishes at both ends (1 − y²) must be seen between them. Ranges are widened by
`MARGIN`, but for declared fields, which are what they say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .graph import Block, Field, FieldSpec, Graph, Keep, Loop, Move, Product, Signature, Value
from .oracle import evaluate
from .sparse import Floats
from .tasks import Ball
from .tokens import TokenData, read_data, sequence

MARGIN = 0.1
TASKS, FEWEST_TASKS = 2048, 16
EXAMPLES = 40
SHORT = 2
SHORT_TASKS = 16384
"""With few examples in context the extremes are: a step of gradient descent that diverges on one long input, say."""
ROWS = 100
"""Rows of each array that medians and quantiles are taken over."""
MOST_WORK = 1e9
"""Numbers that the oracle may compute on whole tasks; larger programs are calibrated on fewer."""
TAIL = 10.0
"""A range this far beyond 999 in 1,000 values is a tail, of which the sample need not hold the end: it is doubled."""

TIE = 1e-13
"""Of the largest: what is smaller is 0 but for float64's rounding."""


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
    """What comparisons decide by and is 0 somewhere on the sample."""

    def __getitem__(self, value: Value) -> tuple[Floats, Floats]:
        low, high = self.low[value], self.high[value]
        margin = 0.0 if value in self.declared else MARGIN
        return low - margin * np.abs(low), high + margin * np.abs(high)

    def ball(self, value: Value) -> Ball:
        """Centre and radius of each component, for products."""
        low, high = self[value]
        crowd = self.crowd[value]
        radius = np.maximum(high - crowd.centre, crowd.centre - low)
        radius = np.where(radius > TAIL * crowd.most, 2.0 * radius, radius)
        known = crowd.usual > 0
        return Ball(crowd.centre, radius, float(np.max(radius[known] / crowd.usual[known], initial=1.0)))

    def reach(self, value: Value) -> float:
        """The largest |query · key| of an `Attend`."""
        return (1.0 + MARGIN) * self.scores.get(value, 0.0)

    def domain(self, function: str, value: Value) -> tuple[Floats, Floats]:
        """Where a function of the graph takes this operand: 1/x never across 0."""
        return self.tight(value) if function == "reciprocal" else self[value]

    def tight(self, value: Value) -> tuple[Floats, Floats]:
        """Widened by a factor and never across 0: for divisors."""
        low, high = self.low[value], self.high[value]
        factor = 1.0 + MARGIN
        return np.where(low > 0, low / factor, low * factor), np.where(high > 0, high * factor, high / factor)


def calibrate(graph: Graph, samples: Sequence[TokenData]) -> Ranges:
    """The range of every value over all samples, the tokens where it lives and every pass of every loop."""
    low: dict[Value, Floats] = {}
    high: dict[Value, Floats] = {}
    factors = {o for v in graph.values() if isinstance(graph[v].op, Product) for o in graph[v].operands}
    some: dict[Value, list[Floats]] = {v: [] for v in factors}
    decide = {graph[v].operands[0] for v in graph.values() if isinstance(graph[v].op, Keep)}
    ties: set[Value] = set()

    def observe(value: Value, array: Floats) -> None:
        if array.size == 0:
            return
        flat = array.reshape(-1, array.shape[-1])
        if value in factors:
            some[value].append(flat[:: 1 + len(flat) // ROWS])
        if value in decide and np.any(np.abs(flat) <= TIE * np.abs(flat).max(initial=0.0)):
            ties.add(value)
        least, most = flat.min(axis=0), flat.max(axis=0)
        low[value] = np.minimum(low[value], least) if value in low else least
        high[value] = np.maximum(high[value], most) if value in high else most

    scores: dict[Value, float] = {}
    for data in samples:
        evaluate(graph, data, observe, reach=scores)
    specs = {f.name: f for f in graph.signature.fields} if graph.signature else {}
    declared = set()
    for value in graph.values():
        node = graph[value]
        low.setdefault(value, np.zeros(node.size))
        high.setdefault(value, np.zeros(node.size))
        if isinstance(node.op, Field):
            spec = specs[node.op.name]
            if spec.low is not None and spec.high is not None:
                declared.add(value)
                low[value], high[value] = np.full(node.size, spec.low), np.full(node.size, spec.high)
        if isinstance(node.op, Field | Move):  # one component's luck is no property of it
            low[value], high[value] = np.full(node.size, low[value].min()), np.full(node.size, high[value].max())
    nothing = np.zeros((1, 1))
    crowd = {v: _crowd(np.concatenate(rows) if rows else nothing.repeat(graph[v].size, 1)) for v, rows in some.items()}
    return Ranges(low, high, frozenset(declared), crowd, scores, frozenset(ties))


def _crowd(rows: Floats) -> Crowd:
    """The centre is the median, where that is well away from 0 for its spread."""
    middle = np.median(rows, axis=0)
    away = np.median(np.abs(rows - middle), axis=0) < 0.7 * np.median(np.abs(rows), axis=0)
    centre = np.where(away, middle, 0.0)
    distance = np.abs(rows - centre)
    return Crowd(centre, np.median(distance, axis=0), np.quantile(distance, 0.999, axis=0))


def samples(graph: Graph, given: Mapping[str, ArrayLike] | None) -> list[TokenData]:
    """The caller's data; or tasks drawn as the module says, as long as the program scans, and many more short ones."""
    signature = graph.signature
    assert signature is not None
    if given is not None:
        return [read_data(signature, given)]
    length = repetitions(graph)
    share = min(1.0, MOST_WORK / (TASKS * length * len(signature.pattern.group) * _work(graph, graph.block)))
    whole = draw(signature, length, max(FEWEST_TASKS, int(share * TASKS)), 0)
    short = draw(signature, min(length, SHORT), max(FEWEST_TASKS, int(share * SHORT_TASKS)), 1, labels=False)
    return [read_data(signature, whole), read_data(signature, short)]


def _work(graph: Graph, block: Block) -> int:
    """Components that the oracle computes at one token, all passes of all loops."""
    once = [item for item in block if not isinstance(item, Loop)]
    loops = [item for item in block if isinstance(item, Loop)]
    passes = [(1 if loop.kind is not None else loop.count) * _work(graph, loop.body) for loop in loops]
    return sum(graph[value].size for value in once) + sum(passes)


def repetitions(graph: Graph) -> int:
    """As many groups as the tightest scan allows, or EXAMPLES."""
    assert graph.signature is not None
    pattern = graph.signature.pattern
    limits = []
    for loop in graph.loops():
        if loop.kind is not None and loop.kind in pattern.group:
            fixed = (pattern.prefix + pattern.suffix).count(loop.kind)
            limits.append((loop.count - fixed) // pattern.group.count(loop.kind))
    return max(1, min(limits, default=EXAMPLES))


def draw(signature: Signature, groups: int, tasks: int, seed: int, labels: bool = True) -> dict[str, Floats]:
    """Sample data for a program: field name → [tasks, rows, *shape]; without `labels`, declared scalars are uniform."""
    rng = np.random.default_rng(seed)
    kinds = sequence(signature.pattern, groups).kinds
    rows = {f.name: sum(k in f.kinds for k in kinds) for f in signature.fields}
    drawn: dict[str, Floats] = {}
    for spec in (f for f in signature.fields if f.shape or f.low is not None):
        drawn[spec.name] = _independent(spec, (tasks, rows[spec.name]), rng)
    for spec in (f for f in signature.fields if f.name not in drawn):
        beside = _beside(signature, spec, rows)
        if beside is None:
            drawn[spec.name] = rng.standard_normal((tasks, rows[spec.name]))
        else:
            drawn[spec.name] = _linear(drawn[beside.name][:, : rows[spec.name]], rng)
    for spec in (f for f in signature.fields if labels and _labels(f)):
        beside = _beside(signature, spec, rows)
        if beside is not None:
            above = _linear(drawn[beside.name][:, : rows[spec.name]], rng) > 0
            drawn[spec.name] = (spec.high or 0.0) * np.where(above, 1.0, -1.0)
    return drawn


def _linear(x: Floats, rng: np.random.Generator) -> Floats:
    """w · x [tasks, rows] of x [tasks, rows, size], w ~ N(0, I) for each task."""
    return np.asarray((x @ rng.standard_normal((x.shape[0], x.shape[2], 1)))[..., 0])


def _labels(spec: FieldSpec) -> bool:
    """Whether a field is declared as a scalar in [-a, a]."""
    return not spec.shape and spec.high is not None and spec.low == -spec.high


def _beside(signature: Signature, scalar: FieldSpec, rows: Mapping[str, int]) -> FieldSpec | None:
    """The vector that a scalar is a linear function of."""
    vectors = [f for f in signature.fields if len(f.shape) == 1 and not f.onehot]
    return next((v for v in vectors if rows[v.name] >= rows[scalar.name]), None)


def describe(signature: Signature, groups: int) -> str:
    """What `draw` draws, in words: "x from N(0, 1), y = w · x with w from N(0, I)"."""
    kinds = sequence(signature.pattern, groups).kinds
    rows = {f.name: sum(k in f.kinds for k in kinds) for f in signature.fields}

    def one(spec: FieldSpec) -> str:
        if spec.onehot:
            return f"{spec.name} one-hot"
        beside = None if spec.shape else _beside(signature, spec, rows)
        if beside is not None and _labels(spec):
            return f"{spec.name} = {spec.high:g} or {spec.low:g} by the sign of w · {beside.name}"
        if spec.low is not None and spec.high is not None:
            return f"{spec.name} uniform in [{spec.low:g}, {spec.high:g}]"
        return f"{spec.name} from N(0, 1)" if beside is None else f"{spec.name} = w · {beside.name} with w from N(0, I)"

    return ", ".join(one(spec) for spec in signature.fields)


def _independent(spec: FieldSpec, leading: tuple[int, int], rng: np.random.Generator) -> Floats:
    if spec.onehot:
        return np.eye(spec.shape[0])[rng.integers(spec.shape[0], size=leading)]
    if spec.low is not None and spec.high is not None:
        return rng.uniform(spec.low, spec.high, (*leading, *spec.shape))
    return rng.standard_normal((*leading, *spec.shape))
