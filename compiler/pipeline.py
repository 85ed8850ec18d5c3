"""The pipeline: the passes run in order, and which of a program's strategies a target gets.

A read becomes statistics or heads of linear attention, a loop's products are taken apart or not, and are carried or
not. Each combination that the target has is written down, and the best one stays:

    lsa, deltanet            heads, which are exact there and all there is
    optimize="depth"         fewest layers, then the most exact (statistics before heads), then the fewest slots;
                             heads, which are wide and not exact, must save a fifth of the layers and more than two,
                             or half of them, and comparisons in place of relus, which rounding can decide, a third (not
                             under a LayerNorm: what stock libraries leave of a mean decides them wrongly)
    optimize="heads"         as "depth"; moves of a code share heads, where that takes no layer more
    optimize="width"         fewest slots, then fewest layers, then the most exact
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from operator import attrgetter
from typing import TypeVar

from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import CompileError
from innerloop.artifact.words import Optimize, TargetName

from .architectures.targets import TARGETS, Target
from .ir.critical_path import critical_path
from .ir.graph import SCORED, Attend, Gather, Graph, Read
from .ir.verify import verify
from .lengths import positions
from .numerics.linear_by_softmax import HEADS
from .passes import PASSES, Pass, Setting, Strategy, left_out, nominal_schedule
from .schedule.allocate import allocate
from .transforms.canonicalize import ALL_LAWS
from .transforms.predicate import bends, compares

T = TypeVar("T")
Word = TypeVar("Word", bound=str)

BOTH = (False, True)
DEEP = tuple(
    Strategy(heads, True, carried, kept, switched)
    for switched, heads, carried, kept in product(BOTH, BOTH, BOTH, BOTH[::-1])
)
STRATEGIES: Mapping[Optimize, tuple[Strategy, ...]] = {
    "depth": DEEP,
    "width": tuple(Strategy(*flags) for flags in product(BOTH, BOTH, BOTH, BOTH[::-1])),
    "heads": DEEP,
}
SWITCHED = 2 / 3
"""Of the layers that there are without, what comparisons for relus must leave at most: rounding can decide them."""
LINEAR = (Strategy(True, False, False),)


@dataclass(frozen=True)
class Cost:
    """What a strategy costs."""

    layers: int
    quarters: int
    """Of layers, that it counts as where depth is asked for."""
    slots: int
    width: int
    """The slots, or what its widest head takes."""
    heads: bool
    switched: bool
    """Whether comparisons stand for relus, which costs attention heads and is no more exact."""
    multiplied: bool
    """Whether neurons multiply by comparisons: less exact than to keep."""


SHALLOWEST = attrgetter("quarters", "heads", "switched", "multiplied", "slots")
ORDERS: Mapping[Optimize, Callable[[Cost], tuple[int, ...]]] = {
    "depth": SHALLOWEST,
    "heads": SHALLOWEST,
    "width": attrgetter("width", "layers", "heads", "multiplied"),
}
"""What is compared first, second, …: the least is the best."""


@dataclass(frozen=True)
class Chosen:
    """The best strategy, and `steps`: the graph after each pass that it takes, by the pass's name, in order."""

    strategy: Strategy
    cost: Cost
    graph: Graph
    steps: Mapping[str, Graph]


def named(what: str, given: Word, known: Mapping[Word, T], graph: Graph) -> T:
    """known[given]. Raises CompileError where there is no such thing."""
    if given not in known:
        raise graph.signature.refusal(f"there is no {what} `{given}`", None, f"{what}s: {', '.join(known)}")
    return known[given]


def optimise(
    graph: Graph,
    target: TargetName = "gpt2",
    optimize: Optimize = "depth",
    without: Iterable[str] = (),
    dtype: Dtype = "float32",
    tokens: int | None = None,
) -> Graph:
    """The graph as the target's best strategy writes it down; the rest as in `choose`."""
    return choose(graph, target, optimize, without, dtype, tokens).graph


def choose(
    graph: Graph,
    target: TargetName = "gpt2",
    optimize: Optimize = "depth",
    without: Iterable[str] = (),
    dtype: Dtype = "float32",
    tokens: int | None = None,
) -> Chosen:
    """The strategy that suits the target best, verified after each pass; `without` names passes and laws to leave out,
    `dtype` is the precision of the weights, `tokens` as in `compile_program`.

    Raises CompileError for what the target has no construction for, and InnerloopError for names in `without` that
    cannot be left out."""
    architecture = named("target", target, TARGETS, graph)
    strategies = named("optimization", optimize, STRATEGIES, graph)
    if architecture.linear:
        _no_reads(graph, architecture)
        strategies = LINEAR
    out = left_out(without)
    setting = Setting(
        architecture, ALL_LAWS - out, dtype=dtype, positions=positions(graph, tokens), paired=optimize == "heads"
    )
    passes = [p for p in PASSES if p.name not in out]
    try:
        return _best(_Run(graph, setting, passes), strategies, optimize)
    except CompileError as refused:
        if architecture.linear:
            raise
        try:
            return _best(_Run(graph, replace(setting, weighed=True), passes), strategies, optimize)
        except CompileError:
            raise refused from None


def _best(run: _Run, strategies: Sequence[Strategy], optimize: Optimize) -> Chosen:
    """Raises CompileError where there is none."""
    graph, architecture, order = run.built, run.setting.target, ORDERS[optimize]
    reads, compared, bent = any(isinstance(graph[v].op, Read) for v in graph.values()), compares(graph), bends(graph)
    refused: CompileError | None = None
    best: Chosen | None = None
    plain: int | None = None  # layers of the best strategy without heads and switches
    seen: list[Graph] = []
    for strategy in strategies:
        if (strategy.heads and not reads and not architecture.linear) or not (strategy.kept or compared):
            continue
        if strategy.switched and not bent:
            continue
        try:
            names = run.through(strategy, schedules=False)
            written = run.after[names]
            if any(_same(written, other) for other in seen):
                continue
            seen.append(written)
            least = critical_path(written, architecture.parallel)
            most = best.cost.quarters - (not strategy.switched) if best else 0
            if optimize != "width" and best and _quarters(least, strategy) > most:
                continue  # as many layers at least, and no other merit
            if strategy.switched and plain and least > SWITCHED * plain:
                continue
            names = run.through(strategy, schedules=True, names=names)
            found = run.after[names]
            cost = _cost(found, architecture, strategy)
        except CompileError as error:
            refused = refused or error
            continue
        if not strategy.heads and not strategy.switched:
            plain = min(plain or cost.layers, cost.layers)
        if strategy.switched and plain and cost.layers > SWITCHED * plain:
            continue
        if best is None or order(cost) < order(best.cost):
            best = Chosen(strategy, cost, found, run.steps(names))
    if best is None:
        assert refused is not None
        raise refused
    return best


@dataclass
class _Run:
    """The passes as run. `after`: graphs, by the names of the passes that made them, so that strategies that begin
    alike share what they begin with."""

    built: Graph
    setting: Setting
    passes: list[Pass]
    after: dict[tuple[str, ...], Graph] = field(init=False)

    def __post_init__(self) -> None:
        self.after = {(): self.built}

    def through(self, strategy: Strategy, schedules: bool, names: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Runs the passes that schedule, or those that do not, after `names`; all names then."""
        for p in self.passes:
            if p.schedules == schedules and p.applies(strategy, self.setting.target):
                before, names = names, (*names, p.name)
                if names not in self.after:
                    self.after[names] = verify(p.run(self.after[before], self.setting))
        return names

    def steps(self, names: tuple[str, ...]) -> dict[str, Graph]:
        return {name: self.after[names[: k + 1]] for k, name in enumerate(names)}


def _no_reads(graph: Graph, target: Target) -> None:
    """Raises CompileError for a softmax read, which linear attention has not, and for any where heads have none."""
    for node in map(graph.__getitem__, graph.values()):
        if isinstance(node.op, Read | Gather) and target.delta:
            message = f"target {target.name} has no {node.op.how} over tokens: its layers run scans, by the delta rule"
            hint = "write it as a scan, or compile for lsa, gpt2 or llama"
            raise graph.signature.refusal(message, node.span, hint)
        if isinstance(node.op, Read) and node.op.how in SCORED:
            message = f"target {target.name} has linear attention, and so no {node.op.how} of scores"
            hint = "its heads compute `mean[j in K](dot(a, b[j]) * c[j])`; gpt2, gelu and llama have a softmax"
            raise graph.signature.refusal(message, node.span, hint)


def _same(one: Graph, other: Graph) -> bool:
    return one.block == other.block and all(one[v] == other[v] for v in one.values())


# Costs -------------------------------------------------------------------------------------------


def _cost(graph: Graph, target: Target, strategy: Strategy) -> Cost:
    """By a run of the later passes with made-up ranges."""
    placed = nominal_schedule(graph, target)
    layers, slots = placed.length // 2, allocate(placed).used
    scored = [(node.op.how, graph[node.operands[0]].size) for node in map(graph.__getitem__, graph.values())
              if isinstance(node.op, Attend)]  # fmt: skip
    widest = max(((1 if how in SCORED else HEADS) * (size + 3) for how, size in scored), default=0)
    quarters = _quarters(layers, strategy)
    return Cost(layers, quarters, slots, max(slots, widest), strategy.heads, strategy.switched, not strategy.kept)


def _quarters(layers: int, strategy: Strategy) -> int:
    """Heads must save a fifth and more than two layers, or half: one for two, and not three for five."""
    return min(7 * layers, max(5 * layers, 4 * (layers + 2))) if strategy.heads else 4 * layers
