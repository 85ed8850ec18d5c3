"""Default tasks: what a program is calibrated and measured on where the caller gives no data.

    field                              core                                         beside it (task_families.py)
    scalar beside a vector x           y = w · x, w ~ N(0, I) for each task         noise, an outlier, labels of ±1
      … declared in [-a, a]            ±a by the sign of w · x                      noise on w · x
    other undeclared fields            N(0, 1)                                      correlated, uniform, whole numbers,
                                                                                    a first component of 1, scales
    declared `in [low, high]`          uniform                                      at its ends
    one-hot                            evenly

The core is the task of in-context regression. Of a label declared in [-a, a] only the short tasks have it uniform,
since what vanishes at both ends (1 − y²) must be seen between them. Under a visible context one family is of other
lengths. Which families a program's weights are made for is decided in families.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.repetitions import at_most
from innerloop.artifact.signature import FieldSpec, ScanLimit, Signature
from innerloop.artifact.tokens import TokenData, read_data, sequence

from ..ir.graph import Block, Graph, Loop
from .chunks import some_of
from .task_families import CORE, FAMILIES, Change, Family, is_label, vectors_of

TASKS, FEWEST_TASKS = 2048, 16
FEWEST_LONG = 2
"""Of tasks longer than usual, whose reads take memory by the square of their length."""
EXAMPLES = 40
"""Groups of a task where no scan bounds them."""
SHORT = 2
SHORT_TASKS = 16384
"""With few examples in context the extremes are: a step of gradient descent that diverges on one long input, say."""
CORES = 0.5
"""The core's share of the tasks; its families share the rest."""
PRICED = 8
"""Tasks of the core that the price of a family is asked for on (families.py)."""
FIRST = 100
"""The first of the seeds that families are drawn from."""
LARGE, FAMILY_TASKS = 0.05, 4
"""Programs that take so long to run that they get less than this share of the tasks have the core alone; a family has
four tasks at least."""
WILD = 1e-4
"""The share of tasks that a range need not hold for, where they reach far into a tail (calibrate.py)."""
MOST_WORK = 1e9
"""Numbers that the oracle may compute on whole tasks; larger programs are calibrated on fewer."""

Times = int | tuple[int, ...]
"""How often each group comes, or all of them."""


@dataclass(frozen=True)
class Sample:
    """Tasks of a family, of several lengths."""

    family: Family
    data: tuple[TokenData, ...]


def samples(graph: Graph, tokens: int | None = None) -> list[Sample]:
    """The core's tasks, as long as the program scans or `tokens` hold, and many more short ones; then those of each
    family that has something to change. Programs that take long to run get fewer, and `tokens` beyond the usual fewer
    tasks. Of a scan beyond `EXAMPLES` fewer come whole, which have as many examples as the usual tasks, and these
    come, too: their passes are its first ones."""
    signature = graph.signature
    longest = repetitions(graph, tokens)
    fewer = 1.0 if tokens is None else min(1.0, (EXAMPLES / max(1, *longest)) ** 2)
    usual = tuple(min(times, EXAMPLES) if tokens is None else times for times in longest)
    repeated = sum(len(group) * times for group, times in zip(signature.pattern.groups, usual, strict=True))
    share = min(1.0, MOST_WORK / (TASKS * max(1, repeated) * _work(graph, graph.block)))
    families = [family for family in FAMILIES if family.applies(signature) and share >= LARGE]
    each = (1.0 - CORES) / max(1, len(families))
    lengths = [(of, min(1.0, EXAMPLES / max(of))) for of in _longer(longest) if usual != longest]
    lengths += [(of, 1.0) for of in _longer(usual)]

    def drawn(family: Family, part: float, seed: int, least: int) -> Sample:
        longer, few = lengths, _few(longest)
        if family.lengths:
            longer, few = [(_between(longest), 1.0)], tuple(min(1, most) for most in longest)
        tasks, least_long = part * share * fewer * TASKS, least if fewer == 1.0 else FEWEST_LONG
        found = [draw(signature, of, max(least_long, int(some * tasks)), seed, family=family) for of, some in longer]
        short = max(least, int(part * share * SHORT_TASKS))
        found.append(draw(signature, few, short, seed + 1, labels=False, family=family))
        return Sample(family, tuple(read_data(signature, some) for some in found))

    core = drawn(CORE, CORES if families else 1.0, 0, FEWEST_TASKS)
    return [core, *(drawn(family, each, FIRST + 2 * FAMILIES.index(family), FAMILY_TASKS) for family in families)]


def _longer(longest: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every group as often as it may come; of several also each in turn, beside few of the others."""
    few = _few(longest)
    return [longest, *((*few[:k], most, *few[k + 1 :]) for k, most in enumerate(longest) if len(longest) > 1)]


def _few(longest: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(min(most, SHORT) for most in longest)


def _between(longest: tuple[int, ...]) -> tuple[int, ...]:
    """As many times more than the fewest as less than the most."""
    return tuple(round((min(most, SHORT) * most) ** 0.5) for most in longest)


def core_tasks(samples: Sequence[Sample]) -> TokenData:
    """A few of the core's whole tasks, for prices."""
    return some_of(samples[0].data[0], slice(PRICED))


def _work(graph: Graph, block: Block) -> int:
    """Components that the oracle computes at one token, all passes of all loops."""
    once = [item for item in block if not isinstance(item, Loop)]
    loops = [item for item in block if isinstance(item, Loop)]
    passes = [(1 if loop.kind is not None else loop.count) * _work(graph, loop.body) for loop in loops]
    return sum(graph[value].size for value in once) + sum(passes)


def repetitions(graph: Graph, tokens: int | None = None) -> tuple[int, ...]:
    """As many of each group as the tightest scan over it and `tokens` allow; EXAMPLES where neither says."""
    return at_most(graph.signature.pattern, scans(graph), EXAMPLES if tokens is None else tokens, tokens)


def scans(graph: Graph) -> tuple[ScanLimit, ...]:
    """What bounds the groups: of several what the program's scans said, whatever a rewrite made of them; of one, where
    the number of tokens says it after a rewrite, the scans that are left."""
    if len(graph.signature.pattern.groups) > 1:
        return graph.signature.scans
    return tuple(ScanLimit(loop.kind, loop.count) for loop in graph.loops() if loop.kind is not None)


def draw(
    signature: Signature, groups: Times, tasks: int, seed: int, labels: bool = True, family: Family = CORE
) -> dict[str, Floats]:
    """Sample data for a program with its groups so often: field name → [tasks, rows, *shape]; without `labels`,
    declared scalars are uniform."""
    rng = np.random.default_rng(seed)
    kinds = sequence(signature.pattern, groups).kinds
    rows = {f.name: sum(k in f.kinds for k in kinds) for f in signature.fields}
    drawn: dict[str, Floats] = {}
    for spec in (f for f in signature.fields if f.shape or f.low is not None):
        drawn[spec.name] = _independent(spec, (tasks, rows[spec.name]), rng, family)
    for spec in (f for f in signature.fields if f.name not in drawn):
        beside = _beside(signature, spec, rows)
        if beside is None:
            drawn[spec.name] = _changed(rng.standard_normal((tasks, rows[spec.name])), rng, family.inputs)
        else:
            found = _linear(drawn[beside.name][:, : rows[spec.name]], rng)
            drawn[spec.name] = _changed(found, rng, family.labels)
    for spec in (f for f in signature.fields if labels and is_label(f)):
        beside = _beside(signature, spec, rows)
        if beside is not None:
            found = _changed(_linear(drawn[beside.name][:, : rows[spec.name]], rng), rng, family.labels)
            drawn[spec.name] = (spec.high or 0.0) * np.where(found > 0, 1.0, -1.0)
    return drawn


def _changed(array: Floats, rng: np.random.Generator, *changes: Change | None) -> Floats:
    for change in changes:
        array = array if change is None else change(array, rng)
    return array


def _linear(x: Floats, rng: np.random.Generator) -> Floats:
    """w · x [tasks, rows] of x [tasks, rows, size], w ~ N(0, I) for each task."""
    return np.asarray((x @ rng.standard_normal((x.shape[0], x.shape[2], 1)))[..., 0])


def _beside(signature: Signature, scalar: FieldSpec, rows: Mapping[str, int]) -> FieldSpec | None:
    """The vector that a scalar is a linear function of."""
    return next((v for v in vectors_of(signature) if rows[v.name] >= rows[scalar.name]), None)


def _independent(spec: FieldSpec, leading: tuple[int, int], rng: np.random.Generator, family: Family) -> Floats:
    if spec.onehot:
        return np.eye(spec.shape[0])[rng.integers(spec.shape[0], size=leading)]
    if spec.low is not None and spec.high is not None:
        found = rng.uniform(spec.low, spec.high, (*leading, *spec.shape))
        return np.where(found > 0.5 * (spec.low + spec.high), spec.high, spec.low) if family.ends else found
    vectors = family.vectors if len(spec.shape) == 1 else None
    return _changed(rng.standard_normal((*leading, *spec.shape)), rng, family.inputs, vectors)


def describe(signature: Signature, groups: Times) -> str:
    """What the core of `draw` is, in words: "x from N(0, 1), y = w · x with w from N(0, I)"."""
    kinds = sequence(signature.pattern, groups).kinds
    rows = {f.name: sum(k in f.kinds for k in kinds) for f in signature.fields}

    def one(spec: FieldSpec) -> str:
        if spec.onehot:
            return f"{spec.name} one-hot"
        beside = None if spec.shape else _beside(signature, spec, rows)
        if beside is not None and is_label(spec):
            return f"{spec.name} = {spec.high:g} or {spec.low:g} by the sign of w · {beside.name}"
        if spec.low is not None and spec.high is not None:
            return f"{spec.name} uniform in [{spec.low:g}, {spec.high:g}]"
        return f"{spec.name} from N(0, 1)" if beside is None else f"{spec.name} = w · {beside.name} with w from N(0, I)"

    return ", ".join(one(spec) for spec in signature.fields)
