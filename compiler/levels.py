"""Depth: the earliest sublayer in which each value can be made, were there no limit on width.

Sublayers alternate, attention at even and MLP at odd times. A move, a gather and a division take an
attention sublayer, a product and a function an MLP sublayer, affine maps none. What a loop carries
is there when its pass begins, at time −1 of the loop's own clock.
"""

from __future__ import annotations

from .graph import (
    Affine,
    Block,
    Constant,
    Count,
    Divide,
    Field,
    Final,
    Gather,
    Graph,
    Loop,
    Merge,
    Move,
    Phi,
    Read,
    Value,
)


def levels(graph: Graph) -> dict[Value, int]:
    """The time after which each value is there; −1 from the start. A loop's body is timed from its own beginning."""
    level: dict[Value, int] = {}

    def block(items: Block) -> int:
        mine: set[Value] = set()  # the rest was there before this block began
        end = -1
        for item in items:
            if isinstance(item, Loop):
                for c in item.carried:
                    level[c.phi] = -1 if item.kind is None else 0
                length = block(item.body) + 1
                before = max(end, 0) if item.kind is None else end + 1 - end % 2  # a scan begins with attention
                last = before + item.passes * (length + length % 2)
                for c in item.carried:
                    level[c.final] = last
                    mine.add(c.final)
                end = last
                continue
            node = graph[item]
            ready = max((level[o] for o in node.operands if o in mine or isinstance(graph[o].op, Phi)), default=-1)
            match node.op:
                case Affine() | Merge() | Field() | Constant() | Count() | Phi() | Final():
                    level[item] = ready
                case Move() | Gather() | Divide() | Read():
                    level[item] = following(ready, attention=True)
                case _:
                    level[item] = following(ready, attention=False)
            mine.add(item)
            end = max(end, level[item])
        return end

    block(graph.block)
    return level


def following(after: int, attention: bool) -> int:
    """The first sublayer of that sort later than `after`."""
    time = after + 1
    return time if (time % 2 == 0) == attention else time + 1
