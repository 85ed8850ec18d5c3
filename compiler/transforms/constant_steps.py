"""Steps: a repeat whose passes differ by what is known when compiling is written out, and costs no depth for it; and so
is a repeat that holds a scan, since a scan has a start of its own in every pass.

before                                          after
t = 1; w = 0; repeat 3                          w₁ = g(0)
    w = w + 1 / t * g(w)                 →      w₂ = w₁ + 0.5 g(w₁)
    t = t + 1                                   w₃ = w₂ + 0.333 g(w₂)

Known is a carried name that starts from constants and is made of constants and known names alone: the number of the
pass, a rate that decays, Nesterov's t, βᵗ. A pass in which nothing else reads such a name is as any other pass, and the
repeat stays one.
"""

from __future__ import annotations

from ..ir.graph import Affine, Block, Carried, Constant, Divide, Function, Graph, Loop, Product, Softmax, Value
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, copy_block, copy_loop, prune
from .unroll import write_out

MOST = 20_000
"""Operations that repeats are written out to."""


def constant_steps(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """The graph without such repeats, up to `MOST` operations for each. Raises CompileError for scans beyond it."""
    r = Rewriter(laws)
    names: dict[Value, Value] = {}
    copy_block(r, graph, graph.block, names, None, _loop)
    return prune(r.finish(tuple(names[v] for v in graph.results), graph.signature))


def _loop(r: Rewriter, graph: Graph, loop: Loop, names: dict[Value, Value]) -> None:
    few, scans = loop.count * _size(loop.body) <= MOST, any(inner.kind is not None for inner in graph.loops(loop.body))
    if loop.kind is None and scans and not few:
        message = f"this repeat writes out a scan {loop.count} times, to more than {MOST:,} operations"
        raise graph.signature.refusal(message, loop.span, "fewer passes")
    if loop.kind is None and few and (scans or _differ(r, graph, loop, names)):
        write_out(r, graph, loop, names, _loop)
    else:
        copy_loop(r, graph, loop, names, None, _loop)


def _size(block: Block) -> int:
    return sum(max(1, item.count) * _size(item.body) if isinstance(item, Loop) else 1 for item in block)


def _differ(r: Rewriter, graph: Graph, loop: Loop, names: dict[Value, Value]) -> bool:
    """Whether passes differ by what is known: some value that is not reads one that is and changes, or all is known."""
    carried = [c for c in loop.carried if isinstance(r[names[c.initial]].op, Constant)]
    while True:
        found = _Known({c.phi for c in carried})
        found.block(graph, loop.body)
        kept = [c for c in carried if found.knows(graph, c.result)]
        if len(kept) == len(carried):
            return bool(carried) and (found.read or len(carried) == len(loop.carried))
        carried = kept


class _Known:
    """What is known in a pass, given the phis that are: `changing` differs from pass to pass. `read`: whether some
    value reads what changes and is known, and is not known itself."""

    def __init__(self, phis: set[Value]) -> None:
        self.changing, self.alike, self.read = phis, set[Value](), False

    def knows(self, graph: Graph, value: Value) -> bool:
        return value in self.changing or value in self.alike or isinstance(graph[value].op, Constant)

    def block(self, graph: Graph, block: Block) -> None:
        for item in block:
            if isinstance(item, Loop):
                self.loop(graph, item)
                continue
            node = graph[item]
            folds = isinstance(node.op, Affine | Product | Divide | Function | Softmax)
            if folds and all(self.knows(graph, o) for o in node.operands):
                (self.alike if self.changing.isdisjoint(node.operands) else self.changing).add(item)
            elif not self.changing.isdisjoint(node.operands):
                self.read = True

    def loop(self, graph: Graph, loop: Loop) -> None:
        """An inner loop knows what starts and goes on from what is known."""
        carried: tuple[Carried, ...] = loop.carried if loop.kind is None else ()
        carried = tuple(c for c in carried if self.knows(graph, c.initial))
        while True:
            inner = _Known(self.changing | {c.phi for c in carried})
            inner.alike = set(self.alike)
            inner.block(graph, loop.body)
            kept = tuple(c for c in carried if inner.knows(graph, c.result))
            if len(kept) == len(carried):
                break
            carried = kept
        self.changing |= {c.final for c in carried}
        starts = {c.initial for c in loop.carried if c not in carried}
        self.read = self.read or inner.read or not self.changing.isdisjoint(starts)
