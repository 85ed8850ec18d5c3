"""Depth: the earliest sublayer in which each value can be made, were there no limit on width.

Sublayers alternate, attention at even and MLP at odd times. A move, a gather and a division take an
attention sublayer, a product and a function an MLP sublayer, affine maps none. A pass of a loop waits for
what the pass before ended with, and of a scan for a head that carries it on; from the second on all take as long.
"""

from __future__ import annotations

from .graph import (
    Affine,
    Attend,
    Block,
    Constant,
    Count,
    Divide,
    Field,
    Gather,
    Graph,
    Loop,
    Merge,
    Move,
    Read,
    Value,
)


def levels(graph: Graph) -> dict[Value, int]:
    """The time after which each value is there, −1 from the start; of a loop's body, in its second pass."""
    level: dict[Value, int] = {}

    def block(items: Block) -> None:
        for item in items:
            if isinstance(item, Loop):
                loop(item)
                continue
            ready = max((level[o] for o in graph[item].operands), default=-1)
            match graph[item].op:
                case Affine() | Merge() | Field() | Constant() | Count():
                    level[item] = ready
                case Move() | Gather() | Attend() | Divide() | Read():
                    level[item] = following(ready, attention=True)
                case _:
                    level[item] = following(ready, attention=False)

    def loop(item: Loop) -> None:
        ends = [{c: level[c.initial if c.warm is None else c.warm] for c in item.carried}]
        for _ in range(min(2, item.passes)):
            for c in item.carried:
                level[c.phi] = ends[-1][c] if item.kind is None else following(ends[-1][c], attention=True)
            block(item.body)
            ends.append({c: level[c.result] for c in item.carried})
        last = ends[-1]
        period = max((last[c] - ends[-2][c] for c in item.carried), default=0) if item.passes > 1 else 0
        for c in item.carried:
            level[c.final] = last[c] + max(0, item.passes - 2) * (period + period % 2)

    block(graph.block)
    return level


def following(after: int, attention: bool) -> int:
    """The first sublayer of that sort later than `after`."""
    time = after + 1
    return time if (time % 2 == 0) == attention else time + 1
