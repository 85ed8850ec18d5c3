"""Depth: the earliest sublayer in which each value can be made, were there no limit on width.

Sublayers alternate, attention at even and MLP at odd times. A move, a gather, a comparison and a division take an
attention sublayer, a product and a function an MLP sublayer, affine maps none. Where a layer's attention and MLP read
the same (`parallel`), what a layer makes is there for the next. A pass of a loop waits for
what the pass before ended with, and of a scan for a head that carries it on; from the third on all take as long.
"""

from __future__ import annotations

from typing import assert_never

from .graph import (
    Affine,
    Block,
    Divide,
    Graph,
    Keep,
    Loop,
    Value,
)
from .operation_classes import Local, Reads, Source, Structural

STEADY = 3
"""The pass from which on a loop takes as long as any later pass does."""


def levels(graph: Graph, parallel: bool = False) -> dict[Value, int]:
    """The time after which each value is there, −1 from the start; of a loop's body, in its third pass."""
    level: dict[Value, int] = {}

    def block(items: Block) -> None:
        for item in items:
            if isinstance(item, Loop):
                loop(item)
                continue
            ready = max((level[o] for o in graph[item].operands), default=-1)
            match graph[item].op:
                case Source() | Affine() | Structural():
                    level[item] = ready
                case Reads() | Keep() | Divide():
                    level[item] = following(ready, True, parallel)
                case Local():
                    level[item] = following(ready, False, parallel)
                case other:
                    assert_never(other)

    def loop(item: Loop) -> None:
        ends = [{c: level[c.initial if c.warm is None else c.warm] for c in item.carried}]
        for _ in range(min(STEADY, item.passes)):
            for c in item.carried:
                level[c.phi] = ends[-1][c] if item.kind is None else following(ends[-1][c], True, parallel)
            block(item.body)
            ends.append({c: level[c.result] for c in item.carried})
        last = ends[-1]
        period = max((last[c] - ends[-2][c] for c in item.carried), default=0) if item.passes > STEADY else 0
        for c in item.carried:
            level[c.final] = last[c] + max(0, item.passes - STEADY) * (period + period % 2)

    block(graph.block)
    return level


def graph_depth(graph: Graph, parallel: bool = False) -> int:
    """The time after which all results are there."""
    level = levels(graph, parallel)
    return max(level[r] for r in graph.results)


def critical_path(graph: Graph, parallel: bool = False) -> int:
    """Layers that no schedule goes below."""
    return (graph_depth(graph, parallel) + 2) // 2


def following(after: int, attention: bool, parallel: bool = False) -> int:
    """The first sublayer of that sort that sees what is made at `after`."""
    time = after - after % 2 + 2 if parallel else after + 1
    return time if (time % 2 == 0) == attention else time + 1
