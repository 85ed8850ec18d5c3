"""Choosing: the rewriting passes in order, and which of a program's forms a target gets.

A read becomes statistics or heads of linear attention, a loop's products are taken apart or not, and are carried or
not. Each combination that the target has is written down, and the best one stays:

    lsa                      heads, which are exact there and all there is
    optimize="depth"         fewest layers, then the most exact (statistics before heads), then the fewest slots;
                             heads, which are wide and not exact, must save a tenth of the layers
    optimize="width"         fewest slots, then fewest layers, then the most exact
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
from innerloop.artifact.errors import CompileError
from innerloop.artifact.signature import Pattern
from innerloop.compiler.architectures.learned_positions import SAMPLE, log_counts
from innerloop.compiler.architectures.targets import TARGETS, Learned, Target
from innerloop.compiler.interpreter.calibrate import Crowd, Ranges
from innerloop.compiler.ir.critical_path import critical_path
from innerloop.compiler.ir.graph import Attend, Graph, Read
from innerloop.compiler.ir.verify import verify
from innerloop.compiler.numerics.linear_by_softmax import HEADS
from innerloop.compiler.schedule.allocate import allocate
from innerloop.compiler.schedule.lower import lower
from innerloop.compiler.schedule.schedule import schedule
from innerloop.compiler.transforms.canonicalize import LAW_NAMES
from innerloop.compiler.transforms.hoist_divisors import quotients
from innerloop.compiler.transforms.legalise import legalise
from innerloop.compiler.transforms.pack_symmetric import pack_symmetric
from innerloop.compiler.transforms.peel_for_depth import tighten
from innerloop.compiler.transforms.peel_repeat import peel
from innerloop.compiler.transforms.peel_scan import head_start
from innerloop.compiler.transforms.predicate import compares, keep_compared
from innerloop.compiler.transforms.rewriter import simplify, without_laws
from innerloop.compiler.transforms.scalarize import components
from innerloop.compiler.transforms.separate_reads import divide_factor, invariant, separate_reads
from innerloop.compiler.transforms.strength_reduction import strengthen
from innerloop.compiler.transforms.unroll import unroll

T = TypeVar("T")
Passes = Mapping[str, Callable[[Graph], Graph]]


@dataclass(frozen=True)
class Strategy:
    """How a program is written down."""

    heads: bool
    apart: bool
    """Whether deep products in loops are taken apart (`invariant`)."""
    carried: bool
    """Whether loops carry products (`strengthen`)."""
    kept: bool = True
    """Whether comparisons keep what is multiplied by them (`keep_compared`)."""


BOTH = (False, True)
STRATEGIES = {
    "depth": tuple(Strategy(heads, True, carried, kept) for heads, carried, kept in product(BOTH, BOTH, BOTH[::-1])),
    "width": tuple(Strategy(*flags) for flags in product(BOTH, BOTH, BOTH, BOTH[::-1])),
}
LINEAR = (Strategy(True, False, False),)


def named(what: str, given: str, known: Mapping[str, T], graph: Graph) -> T:
    """known[given]. Raises CompileError where there is no such thing."""
    if given not in known:
        assert graph.signature is not None
        raise graph.signature.refusal(f"there is no {what} `{given}`", None, f"{what}s: {', '.join(known)}")
    return known[given]


REWRITES = (
    *LAW_NAMES, "peel", "invariant", "divide_factor", "strengthen", "pack_symmetric", "head_start", "tighten"
)  # fmt: skip
"""What `without` can leave out of a compilation: the laws of rewriter.py, and passes that need not be."""


def optimise(graph: Graph, target: str = "gpt2", optimize: str = "depth", without: Iterable[str] = ()) -> Graph:
    """The graph in the form that suits the target best, verified after each pass; `without` names some of `REWRITES`
    to leave out. Raises CompileError for what the target has no construction for."""
    architecture = named("target", target, TARGETS, graph)
    forms = named("optimization", optimize, STRATEGIES, graph)
    if architecture.linear:
        forms = LINEAR
    reads = any(isinstance(graph[v].op, Read) for v in graph.values())
    refused: CompileError | None = None
    best: tuple[tuple[int, ...], Graph] | None = None
    seen: list[Graph] = []
    begun: dict[tuple[bool, ...], Graph] = {}
    compared = compares(graph)
    with without_laws(frozenset(without) & frozenset(LAW_NAMES)):
        for form in forms:
            if (form.heads and not reads and not architecture.linear) or not (form.kept or compared):
                continue
            try:
                written = rewritten(graph, architecture, form, frozenset(without), begun)
                if any(_same(written, other) for other in seen):
                    continue
                seen.append(written)
                if optimize == "depth" and best is not None and _paid(critical_path(written), form) >= best[0][0]:
                    continue  # as many layers at least, and no other merit
                found = tightened(written, architecture) if "tighten" not in without else written
                cost = _cost(found, architecture, form, optimize)
            except CompileError as error:
                refused = refused or error
                continue
            if best is None or cost < best[0]:
                best = cost, found
    if best is None:
        assert refused is not None
        raise refused
    return best[1]


def rewritten(
    graph: Graph, target: Target, form: Strategy, without: frozenset[str], begun: dict[tuple[bool, ...], Graph]
) -> Graph:
    """The graph in this form, verified after each pass; `tighten` comes when the form is chosen. `begun` keeps what
    forms that carry products share with those that do not."""
    signature = graph.signature
    assert signature is not None

    def attends(read: Read) -> bool:
        counted = isinstance(target.positions, Learned) and _counted(signature.pattern, read.over)
        return form.heads and (target.linear or read.how == "sum" or counted)

    if target.linear:
        _no_softmax(graph, target)
        return _run(graph, {"simplify": simplify, "separate": lambda g: separate_reads(g, attends), "peel": peel,
                            "unroll": unroll}, without)  # fmt: skip
    key = form.heads, form.apart, form.kept
    if key not in begun:
        first: Passes = {
            "quotients": quotients,
            "simplify": simplify,
            "separate": lambda g: separate_reads(g, attends),
            "legalise": lambda g: legalise(g, target),
            "components": components,
            "peel": peel,
            "invariant": invariant if form.apart else lambda g: g,
            "divide_factor": divide_factor,
            "keep": lambda g: keep_compared(g, form.kept),
        }
        begun[key] = _run(graph, first, without)
    last: Passes = {
        "strengthen": strengthen if form.carried else lambda g: g,
        "pack_symmetric": pack_symmetric,
        "head_start": head_start,
    }
    return _run(begun[key], last, without)


def _no_softmax(graph: Graph, target: Target) -> None:
    """Raises CompileError for a softmax read, which linear attention has not."""
    for node in map(graph.__getitem__, graph.values()):
        if isinstance(node.op, Read) and node.op.how == "softmax":
            assert graph.signature is not None
            message = f"target {target.name} has linear attention, and so no softmax"
            hint = "its heads compute `mean[j in K](dot(a, b[j]) * c[j])`; gpt2, gelu and llama have a softmax"
            raise graph.signature.refusal(message, node.span, hint)


def _run(graph: Graph, passes: Passes, without: frozenset[str]) -> Graph:
    for name, step in passes.items():
        if name not in without:
            graph = verify(step(graph))
    return graph


def tightened(graph: Graph, target: Target) -> Graph:
    """The graph with passes of repeats outside them where that saves a layer, verified (peel_for_depth.py)."""
    if target.linear:
        return graph
    return verify(tighten(graph, lambda g: schedule(lower(g, _nominal(g), target)).length // 2, critical_path(graph)))


def _counted(pattern: Pattern, kind: str) -> bool:
    """Whether a token's position alone says how many tokens of that kind it sees."""
    return log_counts(pattern, kind, SAMPLE) is not None


def _same(one: Graph, other: Graph) -> bool:
    return one.block == other.block and all(one[v] == other[v] for v in one.values())


# Costs -------------------------------------------------------------------------------------------


def _cost(graph: Graph, target: Target, form: Strategy, optimize: str) -> tuple[int, ...]:
    """What is compared, by a run of the later passes with made-up ranges."""
    placed = schedule(lower(graph, _nominal(graph), target))
    layers = placed.length // 2
    if optimize == "depth":
        return _paid(layers, form), form.heads, not form.kept, allocate(placed).used
    scored = [(node.op.how, graph[node.operands[0]].size) for node in map(graph.__getitem__, graph.values())
              if isinstance(node.op, Attend)]  # fmt: skip
    heads = max(((1 if how == "softmax" else HEADS) * (size + 3) for how, size in scored), default=0)
    return max(allocate(placed).used, heads), layers, form.heads, not form.kept


def _paid(layers: int, form: Strategy) -> int:
    """Tenths of layers that a form counts as where depth is what is asked for."""
    return layers * (11 if form.heads else 10)


def _nominal(graph: Graph) -> Ranges:
    """Every value between 1 and 2: what is placed where does not depend on it."""
    ones = {v: np.ones(graph[v].size) for v in graph.values()}
    crowd = {v: Crowd(np.zeros(n.size), n, n) for v, n in ones.items()}
    return Ranges(ones, {v: 2.0 * n for v, n in ones.items()}, frozenset(), crowd, {})
