"""Values as maps read them: kept of what a loop's passes read and do not change.

before   a loop, and the values known when it begins
after    for each of them that a map of its body reads, the same array, every component's numbers side by side; for a
         product whose one operand it is, its factors, block by block; of a sum that begins with such terms, their sum
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import takewhile

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.sparse import columns

from ..ir.bilinear import Bilinear
from ..ir.graph import GRAPHS, Affine, Graph, Loop, Node, Product, Value
from .places import Places

Given = tuple[Value, Floats]


class Sum:
    """An affine map as a sum: of its offset and of its operands' terms, one by one."""

    def __init__(self, value: Value, node: Node) -> None:
        assert isinstance(node.op, Affine)
        self.value, self.operands = value, node.operands
        self._offset = node.op.offset.array
        self._matrices = [(matrix, matrix.scalar()) for matrix in node.op.matrices]
        self._bare = not self._offset.any()
        self._laid = _laid(node.op)

    def of(self, given: Sequence[Floats], first: int = 0, begun: Floats | None = None) -> Floats:
        """`begun`: what the first terms come to."""
        if self._laid is not None and len(given) == len(self.operands):
            return self._laid(given)
        total, own = self._offset if begun is None else begun, False
        for (matrix, scale), array in zip(self._matrices[first:], given[first:], strict=False):
            term = matrix.apply(array) if scale is None else array if scale == 1.0 else scale * array
            if own:
                total += term
            elif scale is None and begun is None and self._bare:  # a sum that begins at 0 holds no −0
                total = term
            else:  # into the term, unless it is the operand itself
                total = np.add(total, term, out=None if term is array else term)
            own, begun = True, total
        return total


@lru_cache(GRAPHS)
def sums(graph: Graph) -> dict[Value, Sum]:
    """Of each affine map that reads anything."""
    maps = {value: graph[value] for value in graph.values() if isinstance(graph[value].op, Affine)}
    return {value: Sum(value, node) for value, node in maps.items() if node.operands}


Laid = Callable[[Sequence[Floats]], Floats]


def _laid(op: Affine) -> Laid | None:
    """A map that lays its operands' components side by side, and beside numbers: neighbours to neighbours, each its
    own, none scaled."""
    offset, sides = op.offset.array, list[tuple[slice, slice]]()
    for matrix in op.matrices:
        rows, at, entries = matrix.entries
        if not rows.size or np.any(entries != 1.0):
            return None
        place, taken = (slice(found[0], found[0] + rows.size) for found in (rows, at))
        if not all(np.array_equal(found, np.arange(s.start, s.stop)) for found, s in ((rows, place), (at, taken))):
            return None
        sides.append((place, taken))
    count = np.bincount([row for place, _ in sides for row in range(place.start, place.stop)], minlength=offset.size)
    if count.max() > 1:
        return None
    alone = np.flatnonzero(count == 0)

    def laid(given: Sequence[Floats]) -> Floats:
        flat = [array.reshape(-1, array.shape[-1]).T for array in given]
        found = np.empty((offset.size, flat[0].shape[1]))
        found[alone] = offset[alone, None]
        for (place, taken), one in zip(sides, flat, strict=True):
            np.add(one[taken], offset[place, None], out=found[place])
        return found.T.reshape(*given[0].shape[:-1], offset.size)

    return laid


class Columns:
    """What maps read in every pass, once turned."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._sums = graph, sums(graph)
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
                    self._begun[value] = first, self._sum(self._sums[value], first)
            if isinstance(node.op, Product) and len(stays := [k for k in (0, 1) if node.operands[k] in fixed]) == 1:
                array = known[node.operands[stays[0]]][1]
                taken = node.op.form.taken(stays[0], self._of(node.operands[stays[0]], array))
                if taken is not None:
                    self._taken[value, stays[0]] = array, taken

    def _of(self, value: Value, array: Floats) -> Floats:
        """The array of this value, turned if that is kept."""
        kept = self._turned.get(value)
        return kept[1] if kept is not None and kept[0] is array else array

    def product(self, value: Value, form: Bilinear, left: Given, right: Given) -> Floats:
        """The product of its operands."""
        for side, ((_, stays), (_, other)) in enumerate(((left, right), (right, left))):
            kept = self._taken.get((value, side))
            if kept is not None and kept[0] is stays and other.shape[:-1] == stays.shape[:-1]:
                return form.apply_taken(side, kept[1], other)
        return form.apply(self._of(*left), self._of(*right))

    def affine(self, terms: Sum, given: Sequence[Floats]) -> Floats:
        """The affine map of its operands' arrays, of which it has some."""
        begun = self._begun.get(terms.value)
        if begun is not None and all(a is b for a, b in zip(begun[0], given, strict=False)):
            return self._sum(terms, given, len(begun[0]), begun[1])
        return self._sum(terms, given)

    def _sum(self, terms: Sum, given: Sequence[Floats], first: int = 0, begun: Floats | None = None) -> Floats:
        turned = [self._of(value, array) for value, array in zip(terms.operands, given, strict=False)]
        return terms.of(turned, first, begun)


def _at_the_same(values: Sequence[tuple[Places, Floats]]) -> list[Floats]:
    """Arrays of the first values, as long as they stand at the same tokens."""
    return [array for _, array in takewhile(lambda one: values[0][0].same(one[0]), values)]
