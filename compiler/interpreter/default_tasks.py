"""Default tasks: what a program is calibrated and measured on where the caller gives no data.

    field                              core                                         beside it, families of (FAMILIES)
    scalar beside a vector x           y = w · x, w ~ N(0, I) for each task         noise, an outlier, labels of ±1
      … declared in [-a, a]            ±a by the sign of w · x                      noise on w · x
    other undeclared fields            N(0, 1)                                      correlated, uniform, whole numbers,
                                                                                    a first component of 1, scales
    declared `in [low, high]`          uniform                                      at its ends
    one-hot                            evenly

The core is the task of in-context regression. Of a label declared in [-a, a] only the short tasks have it uniform,
since what vanishes at both ends (1 − y²) must be seen between them. Which families a program's weights are made for is
decided in families.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.repetitions import at_most
from innerloop.artifact.signature import FieldSpec, ScanLimit, Signature
from innerloop.artifact.tokens import TokenData, read_data, sequence

from ..ir.graph import Block, Graph, Loop
from .chunks import some_of

TASKS, FEWEST_TASKS, FEWEST_LONG = 2048, 16, 2
"""The last of tasks longer than usual, whose reads take memory by the square of their length."""
EXAMPLES = 40
"""Groups of a task where no scan bounds them."""
SHORT, SHORT_TASKS = 2, 16384
"""With few examples in context the extremes are: a step of gradient descent that diverges on one long input, say."""
CORES = 0.5
"""The core's share of the tasks; its families share the rest."""
PRICED = 8
"""Tasks of the core that the price of a family is asked for on (families.py)."""
FIRST = 100  # of the seeds that families are drawn from
LARGE, FAMILY_TASKS = 0.05, 4
"""Programs that take so long to run that they get less than this share of the tasks have the core alone; a family has
four tasks at least."""
WILD = 1e-4
"""The share of tasks that a range need not hold for, where they reach far into a tail (calibrate.py)."""
MOST_WORK = 1e9
"""Numbers that the oracle may compute on whole tasks; larger programs are calibrated on fewer."""

Times = int | tuple[int, ...]
"""How often each group comes, or all of them."""
Change = Callable[[Floats, np.random.Generator], Floats]


@dataclass(frozen=True)
class Family:
    """What sets tasks apart from the core's, in words, and how: `inputs` [tasks, rows, *shape] are fields drawn from
    N(0, 1), `labels` [tasks, rows] are w · x, `declared` [tasks, rows, *shape] what comes with its range."""

    words: str
    inputs: Change | None = None
    vectors: Change | None = None
    """Of inputs, those that are vectors alone."""
    labels: Change | None = None
    ends: bool = False
    """Whether declared fields stand at the ends of their ranges."""

    def applies(self, signature: Signature) -> bool:
        """Whether it has such fields to change."""
        free = [f for f in signature.fields if f.low is None and not f.onehot]
        label = {f.name for f in signature.fields if not f.shape and _vectors(signature)}
        return bool(
            (self.inputs and any(f.name not in label for f in free))
            or (self.vectors and any(len(f.shape) == 1 for f in free))
            or (self.labels and any(f.low is None or _labels(f) for f in signature.fields if f.name in label))
            or (self.ends and any(f.low is not None and not _labels(f) for f in signature.fields))
        )


def _noise(*sizes: float) -> Change:
    def change(y: Floats, rng: np.random.Generator) -> Floats:
        return np.asarray(y + rng.choice(sizes, (len(y), 1)) * rng.standard_normal(y.shape))

    return change


def _outlier(y: Floats, rng: np.random.Generator) -> Floats:
    """One label of each task is as large as any of all tasks."""
    y = y.copy()
    if y.size:
        sign = rng.choice([-1.0, 1.0], len(y))
        y[np.arange(len(y)), rng.integers(y.shape[1], size=len(y))] = sign * np.abs(y).max()
    return y


def _signs(y: Floats, _: np.random.Generator) -> Floats:
    return np.where(y > 0, 1.0, -1.0)


def _correlated(share: float) -> Change:
    def change(x: Floats, rng: np.random.Generator) -> Floats:
        common = rng.standard_normal((*x.shape[:2], 1))
        return np.asarray(np.sqrt(share) * common + np.sqrt(1.0 - share) * x)

    return change


def _intercept(x: Floats, _: np.random.Generator) -> Floats:
    x = x.copy()
    x[..., 0] = 1.0
    return x


def _uniform(x: Floats, rng: np.random.Generator) -> Floats:
    return rng.uniform(-2.0, 2.0, x.shape)


def _whole(x: Floats, rng: np.random.Generator) -> Floats:
    """Small whole numbers, with rows that are 0 and rows that come twice."""
    x = np.clip(np.round(x), -2.0, 2.0)
    if x.shape[1]:
        x[rng.random(x.shape[:2]) < 0.1] = 0.0
        again = rng.integers(x.shape[1], size=x.shape[:2])
        twice = rng.random(x.shape[:2]) < 0.2
        x = np.where(twice.reshape(*twice.shape, *(1,) * (x.ndim - 2)), x[np.arange(len(x))[:, None], again], x)
    return x


def _scaled(low: float, high: float) -> Change:
    def change(x: Floats, rng: np.random.Generator) -> Floats:
        scale = np.exp(rng.uniform(np.log(low), np.log(high), len(x)))
        return np.asarray(x * scale.reshape(-1, *(1,) * (x.ndim - 1)))

    return change


CORE = Family("")
FAMILIES = (
    Family("label noise of 0.1 to 1", labels=_noise(0.1, 0.5, 1.0)),
    Family("label noise of 3", labels=_noise(3.0)),
    Family("an outlier among the labels", labels=_outlier),
    Family("labels of ±1", labels=_signs),
    Family("a first component of 1", vectors=_intercept),
    Family("uniform inputs", inputs=_uniform),
    Family("small whole numbers, zeros and repeated rows", inputs=_whole),
    Family("scales of 0.001 to 1", inputs=_scaled(1e-3, 1.0)),
    Family("inputs correlated by 0.95", vectors=_correlated(0.95)),
    Family("inputs correlated by 0.999", vectors=_correlated(0.999)),
    Family("declared fields at the ends of their ranges", ends=True),
)


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
        tasks, least_long = part * share * fewer * TASKS, least if fewer == 1.0 else FEWEST_LONG
        numbers = [(of, max(least_long, int(some * tasks))) for of, some in lengths]
        longer = (draw(signature, of, some, seed, family=family) for of, some in numbers)
        few = max(least, int(part * share * SHORT_TASKS))
        short = draw(signature, _few(longest), few, seed + 1, labels=False, family=family)
        return Sample(family, tuple(read_data(signature, fields) for fields in (*longer, short)))

    core = drawn(CORE, CORES if families else 1.0, 0, FEWEST_TASKS)
    return [core, *(drawn(family, each, FIRST + 2 * FAMILIES.index(family), FAMILY_TASKS) for family in families)]


def _longer(longest: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every group as often as it may come; of several also each in turn, beside few of the others."""
    few = _few(longest)
    return [longest, *((*few[:k], most, *few[k + 1 :]) for k, most in enumerate(longest) if len(longest) > 1)]


def _few(longest: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(min(most, SHORT) for most in longest)


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
    for spec in (f for f in signature.fields if labels and _labels(f)):
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


def _labels(spec: FieldSpec) -> bool:
    """Whether a field is declared as a scalar in [-a, a]."""
    return not spec.shape and spec.high is not None and spec.low == -spec.high


def _vectors(signature: Signature) -> list[FieldSpec]:
    return [f for f in signature.fields if len(f.shape) == 1 and not f.onehot]


def _beside(signature: Signature, scalar: FieldSpec, rows: Mapping[str, int]) -> FieldSpec | None:
    """The vector that a scalar is a linear function of."""
    return next((v for v in _vectors(signature) if rows[v.name] >= rows[scalar.name]), None)


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
        if beside is not None and _labels(spec):
            return f"{spec.name} = {spec.high:g} or {spec.low:g} by the sign of w · {beside.name}"
        if spec.low is not None and spec.high is not None:
            return f"{spec.name} uniform in [{spec.low:g}, {spec.high:g}]"
        return f"{spec.name} from N(0, 1)" if beside is None else f"{spec.name} = w · {beside.name} with w from N(0, I)"

    return ", ".join(one(spec) for spec in signature.fields)
