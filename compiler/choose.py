"""Choosing: the rewriting passes in order, and which of a program's forms a target gets.

A read becomes statistics or heads of linear attention, and a loop's products are taken apart or not. Each
combination that the target has is written down, and the best one stays:

    lsa                      heads, which are exact there and all there is
    optimize="depth"         fewest layers, then the most exact (statistics before heads), then the fewest slots
    optimize="width"         fewest slots, then fewest layers, then the most exact
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .allocate import allocate
from .calibrate import Crowd, Ranges
from .errors import CompileError
from .graph import Attend, Graph, Pattern, Read
from .head_start import head_start
from .legalise import legalise
from .levels import levels
from .lower import lower
from .peel import peel
from .positions import SAMPLE, log_counts
from .rewrite import simplify
from .schedule import schedule
from .separate import divide_factor, invariant, separate_reads
from .softmax_scores import HEADS
from .strength import strengthen
from .symmetry import pack_symmetric
from .targets import TARGETS, Target
from .unroll import unroll
from .verify import verify

T = TypeVar("T")


@dataclass(frozen=True)
class Form:
    """How a program is written down; the first of those that cost the same is taken."""

    heads: bool
    apart: bool
    """Whether deep products in loops are taken apart (`invariant`)."""


FORMS = {
    "depth": (Form(False, True), Form(True, True)),
    "width": (Form(False, True), Form(False, False), Form(True, True), Form(True, False)),
}
LINEAR = (Form(True, False),)


def named(what: str, given: str, known: Mapping[str, T], graph: Graph) -> T:
    """known[given]. Raises CompileError where there is no such thing."""
    if given not in known:
        assert graph.signature is not None
        raise graph.signature.refusal(f"there is no {what} `{given}`", None, f"{what}s: {', '.join(known)}")
    return known[given]


def optimise(graph: Graph, target: str = "gpt2", optimize: str = "depth", without: Iterable[str] = ()) -> Graph:
    """The graph in the form that suits the target best, verified after each pass; passes named in `without` are left
    out. Raises CompileError for what the target has no construction for."""
    architecture = named("target", target, TARGETS, graph)
    forms = named("optimization", optimize, FORMS, graph) if not architecture.linear else LINEAR
    reads = any(isinstance(graph[v].op, Read) for v in graph.values())
    found: list[Graph] = []
    refused: CompileError | None = None
    for form in forms:
        if form.heads and not reads and not architecture.linear:
            continue
        try:
            written = rewritten(graph, architecture, form, frozenset(without))
        except CompileError as error:
            refused = refused or error
            continue
        if not any(_same(written, other) for other in found):
            found.append(written)
    if not found:
        assert refused is not None
        raise refused
    if len(found) == 1:
        return found[0]
    cost = _layers if optimize == "depth" else _slots
    return min(found, key=lambda g: cost(g, architecture))


def rewritten(graph: Graph, target: Target, form: Form, without: frozenset[str] = frozenset()) -> Graph:
    """The passes, each with its own verification."""
    signature = graph.signature
    assert signature is not None

    def attends(read: Read) -> bool:
        counted = not target.rotary and _counted(signature.pattern, read.over)
        return form.heads and (target.linear or read.how == "sum" or counted)

    passes: dict[str, Callable[[Graph], Graph]] = {
        "simplify": simplify,
        "separate": lambda g: separate_reads(g, attends),
        "legalise": lambda g: legalise(g, target),
        "peel": peel,
        "invariant": invariant if form.apart else lambda g: g,
        "divide_factor": divide_factor,
        "strengthen": strengthen,
        "pack_symmetric": pack_symmetric,
        "head_start": head_start,
    }
    if target.linear:
        passes = {name: passes[name] for name in ("simplify", "separate", "peel")} | {"unroll": unroll}
    for name, step in passes.items():
        if name not in without:
            graph = verify(step(graph))
    return graph


def _counted(pattern: Pattern, kind: str) -> bool:
    """Whether a token's position alone says how many tokens of that kind it sees."""
    return log_counts(pattern, kind, SAMPLE) is not None


def _same(one: Graph, other: Graph) -> bool:
    return one.block == other.block and all(one[v] == other[v] for v in one.values())


# Costs -------------------------------------------------------------------------------------------


def _layers(graph: Graph, target: Target) -> tuple[int, int]:
    """Layers on the critical path."""
    level = levels(graph)
    return (max(level[r] for r in graph.results) + 2) // 2, 0


def _slots(graph: Graph, target: Target) -> tuple[int, int]:
    """Slots that the values and the heads take, and layers, from a run of the later passes with made-up ranges."""
    placed = schedule(lower(graph, _nominal(graph), target))
    scored = [graph[v].operands[0] for v in graph.values() if isinstance(graph[v].op, Attend)]
    heads = max((HEADS * (graph[query].size + 3) for query in scored), default=0)
    return max(allocate(placed).used, heads), placed.length // 2


def _nominal(graph: Graph) -> Ranges:
    """Every value between 1 and 2: what is placed where does not depend on it."""
    ones = {v: np.ones(graph[v].size) for v in graph.values()}
    crowd = {v: Crowd(np.zeros(n.size), n, n) for v, n in ones.items()}
    return Ranges(ones, {v: 2.0 * n for v, n in ones.items()}, frozenset(), crowd, {})
