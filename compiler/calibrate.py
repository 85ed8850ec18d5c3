"""Calibration: the range of every value, from running the oracle on sample data.

Ranges set the scales of products, functions, divisions and norms, as they do in quantisation. The
sample is the caller's, or drawn here: what a field declares (`in [low, high]`) uniformly; one-hot
fields evenly; other vectors and matrices from N(0, 1); and a scalar beside a vector as a linear
function of it, w ~ N(0, I) for each task, which is the task of in-context regression. Ranges are
widened by `MARGIN`, but for declared fields, which are what they say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .graph import Field, FieldSpec, Graph, Loop, Product, Signature, Value
from .oracle import evaluate
from .sparse import Floats
from .tasks import Ball
from .tokens import TokenData, read_data, sequence

MARGIN = 0.1
TASKS = 2048
EXAMPLES = 40
SHORT = 2
SHORT_TASKS = 16384
"""With few examples in context the extremes are: a step of gradient descent that diverges on one long input, say."""
ROWS = 500
"""Rows of each array that the medians are taken over."""


@dataclass(frozen=True)
class Ranges:
    """low, high [size] of every value, as measured; indexing widens them."""

    low: dict[Value, Floats]
    high: dict[Value, Floats]
    declared: frozenset[Value]
    centre: dict[Value, Floats]
    """Where components crowd, if not about 0."""

    def __getitem__(self, value: Value) -> tuple[Floats, Floats]:
        low, high = self.low[value], self.high[value]
        margin = 0.0 if value in self.declared else MARGIN
        return low - margin * np.abs(low), high + margin * np.abs(high)

    def ball(self, value: Value) -> Ball:
        """Centre and radius of each component, for products."""
        low, high = self[value]
        centre = self.centre.get(value, np.zeros_like(low))
        return Ball(centre, np.maximum(high - centre, centre - low))

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

    def observe(value: Value, array: Floats) -> None:
        if array.size == 0:
            return
        flat = array.reshape(-1, array.shape[-1])
        if value in factors:
            some[value].append(flat[:: 1 + len(flat) // ROWS])
        least, most = flat.min(axis=0), flat.max(axis=0)
        low[value] = np.minimum(low[value], least) if value in low else least
        high[value] = np.maximum(high[value], most) if value in high else most

    for data in samples:
        evaluate(graph, data, observe)
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
    return Ranges(low, high, frozenset(declared), {v: _crowd(np.concatenate(rows)) for v, rows in some.items() if rows})


def _crowd(rows: Floats) -> Floats:
    """Each component's median, where that is well away from 0 for its spread; else 0."""
    middle = np.median(rows, axis=0)
    return np.where(np.median(np.abs(rows - middle), axis=0) < 0.7 * np.median(np.abs(rows), axis=0), middle, 0.0)


def samples(graph: Graph, given: Mapping[str, ArrayLike] | None) -> list[TokenData]:
    """The caller's data; or tasks drawn as the module says, of the length that the program scans, and many more short ones."""
    signature = graph.signature
    assert signature is not None
    if given is not None:
        return [read_data(signature, given)]
    length = repetitions(graph)
    sizes = [(length, TASKS, 0), (min(length, SHORT), SHORT_TASKS, 1)]
    return [read_data(signature, draw(signature, groups, tasks, seed)) for groups, tasks, seed in sizes]


def repetitions(graph: Graph) -> int:
    """As many groups as the tightest scan allows, or EXAMPLES."""
    assert graph.signature is not None
    pattern = graph.signature.pattern
    most = EXAMPLES
    for loop in graph.loops():
        if isinstance(loop, Loop) and loop.kind is not None:
            fixed = (pattern.prefix + pattern.suffix).count(loop.kind)
            each = pattern.group.count(loop.kind)
            most = (loop.count - fixed) // each if each else most
    return max(most, 1)


def draw(signature: Signature, groups: int, tasks: int, seed: int) -> dict[str, Floats]:
    """Sample data for a program: field name → [tasks, rows, *shape]."""
    rng = np.random.default_rng(seed)
    kinds = sequence(signature.pattern, groups).kinds
    rows = {f.name: sum(k in f.kinds for k in kinds) for f in signature.fields}
    drawn: dict[str, Floats] = {}
    vectors = [f for f in signature.fields if len(f.shape) == 1 and not f.onehot]
    for spec in (f for f in signature.fields if f.shape or f.low is not None):
        drawn[spec.name] = _independent(spec, (tasks, rows[spec.name]), rng)
    for spec in (f for f in signature.fields if f.name not in drawn):
        beside = next((v for v in vectors if rows[v.name] >= rows[spec.name]), None)
        if beside is None:
            drawn[spec.name] = rng.standard_normal((tasks, rows[spec.name]))
        else:
            weights = rng.standard_normal((tasks, beside.shape[0], 1))
            drawn[spec.name] = (drawn[beside.name][:, : rows[spec.name]] @ weights)[..., 0]
    return drawn


def _independent(spec: FieldSpec, leading: tuple[int, int], rng: np.random.Generator) -> Floats:
    if spec.onehot:
        return np.eye(spec.shape[0])[rng.integers(spec.shape[0], size=leading)]
    if spec.low is not None and spec.high is not None:
        return rng.uniform(spec.low, spec.high, (*leading, *spec.shape))
    return rng.standard_normal((*leading, *spec.shape))
