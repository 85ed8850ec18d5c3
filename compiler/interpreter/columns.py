"""Values component by component, as maps read them: kept of what a loop's passes read and do not change.

before   a loop, and the values known when it begins
after    for each of them that a map of its body reads, the same array, every component's numbers side by side
"""

from __future__ import annotations

from collections.abc import Mapping

from innerloop.artifact.arrays import Floats
from innerloop.artifact.sparse import columns

from ..ir.graph import Affine, Graph, Loop, Product, Value
from .places import Places


class Columns:
    """What maps read in every pass, once turned."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._turned: dict[Value, tuple[Floats, Floats]] = {}

    def keep(self, loop: Loop, known: Mapping[Value, tuple[Places, Floats]]) -> None:
        """What its body's maps read of what is known; a loop around this one may have made it anew."""
        body = [self._graph[item] for item in loop.body if not isinstance(item, Loop)]
        for value in {o for node in body if isinstance(node.op, Affine | Product) for o in node.operands}:
            if value in known:
                array = known[value][1]
                self._turned[value] = array, columns(array)

    def of(self, value: Value, array: Floats) -> Floats:
        """The array of this value, turned if that is kept."""
        was, turned = self._turned.get(value, (array, array))
        return turned if was is array else array
