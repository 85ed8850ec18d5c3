"""Writing a graph: nodes in order, each value once, in nested blocks.

before   g = GraphBuilder(); a = g.node(…); g.open(); …; g.close("y", 40, carried)
after    g.finish((a,), signature)   the `Graph`; g.finish_body((a,))   the `BodyGraph` of a read
"""

from __future__ import annotations

from innerloop.artifact.signature import Signature
from innerloop.artifact.span import Span

from .graph import Block, BodyGraph, Carried, Graph, Loop, Node, Value


class GraphBuilder:
    """Adds nodes in order. Passes read one graph and write another through this."""

    def __init__(self) -> None:
        self.data: dict[Value, Node] = {}
        self._blocks: list[list[Value | Loop]] = [[]]

    def node(self, node: Node, *, place: bool = True) -> Value:
        """Adds `node`; phis and finals stand in their loop and not in the block (`place=False`)."""
        value: Value = len(self.data)
        self.data[value] = node
        if place:
            self._blocks[-1].append(value)
        return value

    def __getitem__(self, value: Value) -> Node:
        return self.data[value]

    @property
    def depth(self) -> int:
        """How many loops are open."""
        return len(self._blocks) - 1

    def within(self, node: Node, depth: int) -> Value:
        """Adds a node at the end, so far, of the body of the loop that is the `depth`-th open (0: in front of all)."""
        value = self.node(node, place=False)
        self._blocks[depth].append(value)
        return value

    def open(self) -> None:
        """Begins the body of a loop."""
        self._blocks.append([])

    def close(
        self,
        kind: str | None,
        count: int,
        carried: tuple[Carried, ...],
        span: Span | None = None,
        backwards: bool = False,
    ) -> Loop:
        """Ends it; `carried` holds phis, results and finals already added."""
        loop = Loop(kind, count, carried, self._end(), span, backwards)
        self._blocks[-1].append(loop)
        return loop

    def drop(self) -> None:
        """Ends the body of a loop that turned out empty of effect, and forgets its order."""
        self._end()

    def _end(self) -> Block:
        """The body that is open."""
        return tuple(self._blocks.pop())

    def finish(self, results: tuple[Value, ...], signature: Signature) -> Graph:
        if len(self._blocks) != 1:
            raise ValueError("finish inside a loop")
        return Graph(self.data, tuple(self._blocks[0]), results, signature)

    def finish_body(self, results: tuple[Value, ...]) -> BodyGraph:
        """Ends the body of a read. Raises ValueError where a loop stands in it."""
        values = tuple(item for item in self._blocks[0] if not isinstance(item, Loop))
        if len(self._blocks) != 1 or len(values) != len(self._blocks[0]):
            raise ValueError("a loop in the body of a read")
        return BodyGraph(self.data, values, results)
