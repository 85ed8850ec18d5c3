"""What a scan's pass does to what it carries, as far as it is affine in that, at random points.

    before   w.2 = w.1 + rate * (y - dot(w.1, u)) * u / (epsilon + dot(u, u))
    after    at each point: u and y drawn, w.2 for w.1 = 0, and what is added to that for each of two w.1 drawn

A pass is affine where what is carried meets sums, and products with and quotients by what is free of it, and nothing
else. Two such passes that agree at random points are the same: they are rational functions of what is drawn, and those
differ almost nowhere or almost everywhere (Schwartz 1980; Zippel 1979).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import CompileError
from innerloop.artifact.span import Span

from ...ir.graph import Affine, Carried, Constant, Divide, Function, Graph, Keep, Loop, Node, Phi, Product, Value
from ...ir.operation_classes import Local, Reads, Source, Structural
from ...numerics.operations import divide

MORE = 16
"""Points beyond what a linear function has numbers."""
CLOSE = 1e-9
"""How far, as a share of what is there, rounding may take things apart that are the same."""
SEED = 20210222


def refused(graph: Graph, span: Span | None, why: str, hint: str | None = None) -> CompileError:
    rule = "S ← α S (I − β k kᵀ) + β v kᵀ"
    return graph.signature.refusal(f"target deltanet runs a scan as the delta rule, {rule}, and this {why}", span, hint)


def verify_affine(graph: Graph, loop: Loop) -> None:
    """Raises CompileError, with the place, for a body that is not affine in what the scan carries, or that mixes two
    names that it carries."""
    of: dict[Value, frozenset[Carried]] = {c.phi: frozenset({c}) for c in loop.carried}
    for item in loop.body:
        if isinstance(item, Loop):
            raise refused(graph, item.span, "one has a loop in it", "write the loop's passes out")
        node = graph[item]
        met = [of.get(o, frozenset[Carried]()) for o in node.operands]
        if not any(met):
            continue
        of[item] = frozenset().union(*met)
        said = _not_affine(node, [bool(m) for m in met])
        if said is not None:
            raise refused(graph, node.span, f"one {said}", "what is carried may be scaled and added to, and no more")
    for c in loop.carried:
        if others := of.get(c.result, frozenset()) - {c}:
            names = " and ".join(f"`{graph[o.phi].name}`" for o in others)
            why = f"one makes `{graph[c.phi].name}` of {names} as the token before left it"
            raise refused(
                graph, graph[c.result].span or loop.span, why, "let each name that is carried change by itself"
            )


def _not_affine(node: Node, carried: list[bool]) -> str | None:
    match node.op:
        case Affine():
            return None
        case Product():
            return "multiplies what it carries by itself" if all(carried) else None
        case Divide():
            return "divides by what it carries" if carried[1] else None
        case Function("positive" | "nonnegative") | Keep():
            return "compares what it carries"
        case Function(name):
            return f"takes {name} of what it carries"
        case Source() | Local() | Reads() | Structural():
            return f"takes a {type(node.op).__name__.lower()} of what it carries"
        case other:
            assert_never(other)


@dataclass
class Points:
    """A pass over random points. `leaves`: what the body is a rational function of, besides what is carried, and
    `drawn` [points, size] of each; `values`: all that is free of what is carried."""

    graph: Graph
    loop: Loop
    carried: Carried
    leaves: tuple[Value, ...] = ()
    drawn: dict[Value, Floats] = field(default_factory=dict)
    values: dict[Value, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        needed = set(self._needed(self.carried.result))
        self._order = [v for v in self.graph.values() if v in needed]
        self.leaves = tuple(v for v in self._order if self._leaf(v))
        self.count = MORE + 2 + sum(self.graph[v].size for v in self.leaves)
        rng = np.random.default_rng(SEED)
        self.drawn = {v: rng.standard_normal((self.count, self.graph[v].size)) for v in self.leaves}
        size = self.graph[self.carried.phi].size
        self.states = rng.standard_normal((2, self.count, size))
        self.added, self.values = self._run(np.zeros((self.count, size)))
        self.moved = np.stack([self._run(state)[0] - self.added for state in self.states])
        ones = np.ones((self.count, 1))
        self.design = np.concatenate([*(self.drawn[v] for v in self.leaves), ones], axis=1)

    def linear(self, target: Floats, least: float = 0.0) -> Floats | None:
        """The numbers [leaves' components + 1, n] of the affine function that is `target` [points, n] at all points;
        None if there is none. `least`: the size of what it was taken from."""
        return fitted(self.design, target, least)

    def _leaf(self, value: Value) -> bool:
        return value != self.carried.phi and not isinstance(self.graph[value].op, Affine | Product | Divide | Constant)

    def _needed(self, value: Value) -> Iterator[Value]:
        seen, stack = set[Value](), [value]
        while stack:
            one = stack.pop()
            if one in seen:
                continue
            seen.add(one)
            yield one
            if not isinstance(self.graph[one].op, Phi) and not self._leaf(one):
                stack.extend(self.graph[one].operands)

    def _run(self, state: Floats) -> tuple[Floats, dict[Value, Floats]]:
        """What the pass leaves, and what is free of what is carried."""
        found: dict[Value, Floats] = {**self.drawn, self.carried.phi: state}
        touched = {self.carried.phi}
        for value in self._order:
            node = self.graph[value]
            if value not in found:
                found[value] = _made(node, [found[o] for o in node.operands], self.count)
            if not self._leaf(value) and touched.intersection(node.operands):
                touched.add(value)
        return found[self.carried.result], {v: a for v, a in found.items() if v not in touched}


def fitted(design: Floats, target: Floats, least: float = 0.0) -> Floats | None:
    """The numbers by which `design` gives `target`, of this size at least; None where it does not."""
    scale = float(np.abs(target).max(initial=least))
    if not np.isfinite(scale):
        return None
    numbers = np.asarray(np.linalg.lstsq(design, target, rcond=None)[0], np.float64)
    if np.abs(design @ numbers - target).max(initial=0.0) > CLOSE * scale:
        return None
    return _whole(numbers, scale)


def _whole(numbers: Floats, scale: float) -> Floats:
    """Without what rounding left: 0 for what is next to nothing, and short numbers as they are written."""
    numbers = np.where(np.abs(numbers) <= CLOSE * scale, 0.0, numbers)
    for digits, close in ((9, 1e-3 * CLOSE), (4, CLOSE)):
        short = np.array([float(f"{x:.{digits}g}") for x in numbers.ravel()]).reshape(numbers.shape)
        numbers = np.where(np.abs(short - numbers) <= close * np.abs(numbers), short, numbers)
    return numbers


def same(one: Floats, other: Floats) -> bool:
    """Whether they agree, but for rounding."""
    scale = max(float(np.abs(one).max(initial=0.0)), float(np.abs(other).max(initial=0.0)))
    return bool(np.abs(one - other).max(initial=0.0) <= CLOSE * scale)


def _made(node: Node, operands: list[Floats], count: int) -> Floats:
    match node.op:
        case Constant(values):
            return np.broadcast_to(values.array.ravel(), (count, node.size))
        case Affine(matrices, offset):
            total: Floats = np.broadcast_to(offset.array, (count, node.size))
            for matrix, operand in zip(matrices, operands, strict=True):
                total = total + matrix.apply(operand)
            return total
        case Product(_, form):
            return form.apply(*operands)
        case Divide():
            return divide(*operands)
        case Source() | Local() | Reads() | Structural():
            raise AssertionError(node)
        case other:
            assert_never(other)
