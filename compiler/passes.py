"""The passes that write a program down, in order: from the graph as built to the graph that is lowered.

    before    reads, loops and products as the program says them (`show --stage built`)
    after     gathers and heads, and loops whose passes take as few layers as can be (`show --stage graph`)

`PASSES` is the contents page: what each pass is called, what it does, and for which strategies and targets it is run.
Each leaves what the program computes; its own file says how. pipeline.py runs them and looks for the best strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import InnerloopError, near

from .architectures.learned_positions import SAMPLE, log_counts
from .architectures.targets import Learned, Target
from .interpreter.calibrate import Crowd, Ranges
from .ir.critical_path import critical_path
from .ir.graph import GRAPHS, Graph, Read
from .lengths import TOKENS
from .schedule.lower import lower
from .schedule.schedule import schedule
from .schedule.sublayers import Schedule
from .transforms.canonicalize import ALL_LAWS, LAW_NAMES, Laws
from .transforms.constant_steps import constant_steps
from .transforms.delta_rule import delta_rules
from .transforms.guard_empty_divisors import guard_counts
from .transforms.hoist_divisors import quotients
from .transforms.legalise import legalise
from .transforms.matches import matches
from .transforms.pack_symmetric import pack_symmetric
from .transforms.pair_moves import pair_moves
from .transforms.peel_for_depth import tighten
from .transforms.peel_repeat import peel
from .transforms.peel_scan import head_start
from .transforms.predicate import keep_compared, keep_positive
from .transforms.rewriter import simplify
from .transforms.scalarize import components
from .transforms.separate_reads import divide_factor, invariant, separate_reads
from .transforms.strength_reduction import strengthen
from .transforms.unread_components import without_unread
from .transforms.unroll import unroll


@dataclass(frozen=True)
class Strategy:
    """How a program is written down."""

    heads: bool
    """Whether reads become heads of linear attention, and not statistics."""
    apart: bool
    """Whether deep products in loops are taken apart (`invariant`)."""
    carried: bool
    """Whether loops carry products (`strengthen`)."""
    kept: bool = True
    """Whether comparisons keep what is multiplied by them (`keep`), and not a one that it is multiplied by."""
    switched: bool = False
    """Whether relu is a comparison that keeps, in attention, and no neuron (`switch`)."""


@dataclass(frozen=True)
class Setting:
    """What all passes of a compilation are told."""

    target: Target
    laws: Laws = ALL_LAWS
    weighed: bool = False
    """Whether sums of what no token can count are heads that weigh all alike: where there is no strategy without."""
    dtype: Dtype = "float32"
    positions: int = 1 + TOKENS
    """Of the longest sequences, the rest token's included."""
    paired: bool = False
    """Whether moves of a code share heads."""


@dataclass(frozen=True)
class Pass:
    """`run` gives the graph after the pass, and raises CompileError for what the target has no construction for;
    `about` is what it does, in a line."""

    name: str
    about: str
    run: Callable[[Graph, Setting], Graph]
    applies: Callable[[Strategy, Target], bool] = lambda strategy, target: True
    needed: bool = False
    """Whether what comes after knows nothing of what this pass removes, so that it cannot be left out."""
    schedules: bool = False
    """Whether it schedules the graph again and again: it is run last, for a strategy that may yet be the best."""


def _softmax(_: Strategy, target: Target) -> bool:
    return not target.linear


PASSES = (
    Pass("matches", "ratios of counts of what matches become heads",
         lambda graph, given: matches(graph, given.laws, given.dtype), _softmax),
    Pass("quotients", "a read's divisor of one side is divided by where that side is",
         lambda graph, given: quotients(graph, given.laws), _softmax),
    Pass("simplify", "the laws and nothing else",
         lambda graph, given: simplify(graph, given.laws)),
    Pass("counts", "a count is divided by as 1 where it is 0, and what it divides is",
         lambda graph, given: guard_counts(graph, given.laws), _softmax),
    Pass("statistics", "reads become statistics, gathered by uniform heads",
         lambda graph, given: separate_reads(graph, laws=given.laws),
         lambda strategy, _: not strategy.heads, needed=True),
    Pass("heads", "reads become heads of linear attention, where the number of tokens read is known",
         lambda graph, given: separate_reads(graph, _attends(graph, given.target), given.laws),
         lambda strategy, _: strategy.heads, needed=True),
    Pass("legalise", "sums become means times counts, where positions can count",
         lambda graph, given: legalise(graph, given.target, given.laws, given.weighed), _softmax, needed=True),
    Pass("components", "vectors are divided by, and softmax taken of components, by functions of one number",
         lambda graph, given: components(graph, given.laws), _softmax, needed=True),
    Pass("constant_steps", "a repeat whose passes differ by constants, or that holds a scan, is written out",
         lambda graph, given: constant_steps(graph, given.laws), needed=True),
    Pass("delta", "scans that are the delta rule become heads that write a matrix and read it",
         lambda graph, given: delta_rules(graph, given.laws), lambda _, target: target.delta, needed=True),
    Pass("peel", "a repeat's first pass stands in front of it, where constants make it less",
         lambda graph, given: peel(graph, given.laws)),
    Pass("unroll", "repeats that do more than add are written out",
         lambda graph, given: unroll(graph, given.laws), lambda _, target: target.linear, needed=True),
    Pass("unread", "components that nothing reads go",
         lambda graph, given: without_unread(graph, given.laws)),
    Pass("invariant", "deep products in loops are made linear in what changes, the rest in front of the loop",
         lambda graph, given: invariant(graph, given.laws),
         lambda strategy, target: strategy.apart and not target.linear),
    Pass("divide_factor", "a product's factor is divided instead of it, where the product comes later",
         lambda graph, given: divide_factor(graph, given.laws), _softmax),
    Pass("keep", "comparisons keep what is multiplied by them",
         lambda graph, given: keep_compared(graph, laws=given.laws),
         lambda strategy, target: strategy.kept and not target.linear, needed=True),
    Pass("compare", "comparisons keep a one, by which neurons multiply",
         lambda graph, given: keep_compared(graph, False, given.laws),
         lambda strategy, target: not strategy.kept and not target.linear, needed=True),
    Pass("switch", "relu becomes a comparison that keeps what is positive",
         lambda graph, given: keep_positive(graph, given.laws),
         lambda strategy, target: strategy.switched and target.norm != "layernorm" and not target.linear),
    Pass("strengthen", "loops carry products of what they carry, where that saves layers",
         lambda graph, given: strengthen(graph, given.laws),
         lambda strategy, target: strategy.carried and not target.linear),
    Pass("pack_symmetric", "loops carry symmetric matrices by half",
         lambda graph, given: pack_symmetric(graph, given.laws), _softmax),
    Pass("head_start", "a scan's first pass stands in front of it, where it starts from constants",
         lambda graph, given: head_start(graph, given.laws), _softmax),
    Pass("pair_moves", "moves of a code by three tokens and more share heads, two and two",
         lambda graph, given: pair_moves(graph, given.target, given.positions, given.laws, given.dtype)
         if given.paired else graph, _softmax),
    Pass("tighten", "a repeat's first or last pass stands by itself, where the schedule gets shorter",
         lambda graph, given: tightened(graph, given.target, given.laws), _softmax, schedules=True),
)  # fmt: skip
"""In the order in which they are run."""


def optional() -> tuple[str, ...]:
    """What can be left out of a compilation: laws, and passes that need not be."""
    return (*LAW_NAMES, *(p.name for p in PASSES if not p.needed))


def left_out(names: Iterable[str]) -> frozenset[str]:
    """The names, all of them `optional`. Raises InnerloopError for one that is not."""
    for name in names:
        if any(p.name == name and p.needed for p in PASSES):
            message = f"pass `{name}` cannot be left out: what comes after it has no way to do without"
            raise InnerloopError(f"{message}; what can be is {', '.join(optional())}")
        _require("pass or law", name, optional())
    return frozenset(names)


def pass_named(name: str) -> Pass:
    """Raises InnerloopError if there is no such pass."""
    _require("pass", name, [p.name for p in PASSES])
    return next(p for p in PASSES if p.name == name)


def _require(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        hint = near(name, known) or f"there are {', '.join(known)}"
        raise InnerloopError(f"there is no {what} `{name}`; {hint}")


def _attends(graph: Graph, target: Target) -> Callable[[Read], bool]:
    """Whether heads can compute a read: linear attention can; softmax heads must know how many tokens a mean is over,
    by their position alone."""
    signature = graph.signature

    def attends(read: Read) -> bool:
        counted = isinstance(target.positions, Learned) and log_counts(signature.pattern, read.over, SAMPLE) is not None
        return target.linear or read.how == "sum" or counted

    return attends


def tightened(graph: Graph, target: Target, laws: Laws = ALL_LAWS) -> Graph:
    """The graph with passes of repeats outside them where that saves a layer (peel_for_depth.py)."""
    return tighten(
        graph, lambda g: nominal_schedule(g, target).length // 2, critical_path(graph, target.parallel), laws
    )


@lru_cache(GRAPHS)
def nominal_schedule(graph: Graph, target: Target) -> Schedule:
    """Its schedule with every value between 1 and 2: what is placed where does not depend on it."""
    ones = {v: np.ones(graph[v].size) for v in graph.values()}
    crowd = {v: Crowd(np.zeros(n.size), n, n) for v, n in ones.items()}
    ranges = Ranges(ones, {v: 2.0 * n for v, n in ones.items()}, frozenset(), crowd, {})
    return schedule(lower(graph, ranges, target))
