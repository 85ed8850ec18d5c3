"""What does not change in a loop.

before   a loop's body, and what is carried in it
after    the values of the body that are the same in every pass
"""

from __future__ import annotations

from .graph import Block, Graph, Loop, Value


def invariant(graph: Graph, block: Block, changing: set[Value]) -> list[Value]:
    """The values of a loop's body that do not change in it, in order, if those of `changing` do, which collects the
    others."""
    found: list[Value] = []
    for item in block:
        if isinstance(item, Loop):
            changing.update(c.phi for c in item.carried)
            found += invariant(graph, item.body, changing)
            changing.update(c.final for c in item.carried)
        elif changing.isdisjoint(graph[item].operands):
            found.append(item)
        else:
            changing.add(item)
    return found
