"""Values as maps read them: kept of what a loop's passes read and do not change.

before   a loop, and the values known when it begins
after    for each of them that a map of its body reads, the same array, every component's numbers side by side; for a
         product whose one operand it is, its factors, block by block; of a sum that begins with such terms, their sum
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.sparse import columns

from ..ir.graph import Affine, Graph, Loop, Node, Product, Value
from .places import Places


class Columns:
    """What maps read in every pass, once turned."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._turned: dict[Value, tuple[Floats, Floats]] = {}
        self._taken: dict[tuple[Value, int], tuple[Floats, list[Floats]]] = {}
        """By the product and which of its operands stays."""
        self._begun: dict[Value, tuple[list[Floats], Floats]] = {}
        """Of affine maps: their first operands, and the sum of these terms."""

    def keep(self, loop: Loop, known: Mapping[Value, tuple[Places, Floats]]) -> None:
        """What its body's maps read of what is known; a loop around this one may have made it anew."""
        body = {item: self._graph[item] for item in loop.body if not isinstance(item, Loop)}
        maps = {value: node for value, node in body.items() if isinstance(node.op, Affine | Product)}
        changing = {*self._graph.values(loop.body), *(c.phi for c in loop.carried)}
        fixed = known.keys() - changing
        for value in {o for node in maps.values() for o in node.operands} & fixed:
            array = known[value][1]
            self._turned[value] = array, columns(array)
        for value, node in maps.items():
            if isinstance(node.op, Affine):
                first = _at_the_same([known[o] for o in takewhile(fixed.__contains__, node.operands)])
                if 0 < len(first) < len(node.operands):
                    self._begun[value] = first, self._sum(node, first)
            if isinstance(node.op, Product) and len(stays := [k for k in (0, 1) if node.operands[k] in fixed]) == 1:
                array = known[node.operands[stays[0]]][1]
                taken = node.op.form.taken(stays[0], self.of(node.operands[stays[0]], array))
                if taken is not None:
                    self._taken[value, stays[0]] = array, taken

    def of(self, value: Value, array: Floats) -> Floats:
        """The array of this value, turned if that is kept."""
        was, turned = self._turned.get(value, (array, array))
        return turned if was is array else array

    def product(self, value: Value, node: Node, a: Floats, b: Floats) -> Floats:
        """The product of its operands' arrays."""
        assert isinstance(node.op, Product)
        for side, (stays, other) in enumerate(((a, b), (b, a))):
            was, taken = self._taken.get((value, side), (None, []))
            if was is stays and other.shape[:-1] == stays.shape[:-1]:
                return node.op.form.apply_taken(side, taken, other)
        return node.op.form.apply(self.of(node.operands[0], a), self.of(node.operands[1], b))

    def affine(self, value: Value, node: Node, given: Sequence[Floats]) -> Floats:
        """The affine map of its operands' arrays, of which it has some."""
        first, begun = self._begun.get(value, ([], None))
        same = begun is not None and all(a is b for a, b in zip(first, given, strict=False))
        return self._sum(node, given, len(first), begun) if same else self._sum(node, given)

    def _sum(self, node: Node, given: Sequence[Floats], first: int = 0, begun: Floats | None = None) -> Floats:
        """The offset and the terms, one by one; `begun`: what the first terms come to."""
        assert isinstance(node.op, Affine)
        total, own = node.op.offset.array if begun is None else begun, False
        for matrix, operand, array in zip(node.op.matrices[first:], node.operands[first:], given[first:], strict=False):
            turned = self.of(operand, array)
            term = matrix.apply(turned)
            if own:
                total += term
            else:  # into the term, unless it is the operand itself
                total = np.add(total, term, out=None if term is turned else term)
                own = True
        return total


def _at_the_same(values: Sequence[tuple[Places, Floats]]) -> list[Floats]:
    """Arrays of the first values, as long as they stand at the same tokens."""
    return [array for _, array in takewhile(lambda one: values[0][0].same(one[0]), values)]
