"""A sparse matrix as the fewest outer products, found by elimination.

    before   {(row, column): coefficient}
    after    Σ left rightᵀ, as many as its rank, each with what of it is not 0

Pivot by pivot, the largest that is left first, the topmost and leftmost of equals. Entries that share no row and no
column, however indirectly, do not meet in elimination: each block of such is eliminated by itself, so that memory goes
by the blocks and not by rows times columns.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.memory import spend

SMALL = 1e-12
"""Of the largest coefficient: what elimination leaves below this is rounding."""
COPIES = 4
"""Of the blocks, that elimination has at once."""

Place = tuple[int, int]


@dataclass(frozen=True)
class Sparse:
    """`values` at `at`, ascending; 0 elsewhere."""

    at: Indices
    values: Floats

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self.at.tolist(), self.values.tolist(), strict=True)


Pair = tuple[Sparse, Sparse]
"""What its rows and its columns are multiplied by."""


def outer_products(entries: Mapping[Place, float], most: float = np.inf) -> list[Pair]:
    """Of the matrix with these entries; no more than the first `most` of them. Raises MemoryLimitError."""
    bound = SMALL * max(map(abs, entries.values()), default=0.0)
    blocks = [_Block(some, bound) for some in _apart({place: c for place, c in entries.items() if abs(c) > bound})]
    if not blocks:
        return []
    widest = max(blocks, key=lambda block: block.size)
    what = f"the products of a read, {widest.rows.size:,} by {widest.columns.size:,} of them,"
    spend(8 * COPIES * sum(block.size for block in blocks), what, "give its vectors and matrices smaller sizes")
    waiting = [(*block.pivot, number) for number, block in enumerate(blocks)]
    heapq.heapify(waiting)
    found: list[Pair] = []
    while waiting and len(found) < most:
        number = waiting[0][-1]
        found.append(blocks[number].eliminated())
        if blocks[number].left.any():
            heapq.heapreplace(waiting, (*blocks[number].pivot, number))
        else:
            heapq.heappop(waiting)
    return found


def _apart(entries: Mapping[Place, float]) -> list[dict[Place, float]]:
    """The entries by what shares rows or columns."""
    over: dict[tuple[str, int], tuple[str, int]] = {}

    def top(node: tuple[str, int]) -> tuple[str, int]:
        while (above := over.setdefault(node, node)) != node:
            over[node] = node = over[above]
        return node

    for row, column in entries:
        over[top(("row", row))] = top(("column", column))
    found: dict[tuple[str, int], dict[Place, float]] = {}
    for place, c in entries.items():
        found.setdefault(top(("row", place[0])), {})[place] = c
    return list(found.values())


class _Block:
    """Entries that elimination mixes, as a matrix of their rows and columns."""

    def __init__(self, entries: Mapping[Place, float], bound: float) -> None:
        self._entries, self._bound = entries, bound
        self.rows, self.columns = (np.array(sorted(set(numbers))) for numbers in zip(*entries, strict=True))
        self.size = self.rows.size * self.columns.size
        self._left: Floats | None = None
        first = min(entries, key=lambda place: (-abs(entries[place]), place))
        self.pivot = -abs(entries[first]), *first

    @property
    def left(self) -> Floats:
        """[rows, columns]; made when it is first asked for."""
        if self._left is None:
            places = np.array(list(self._entries))
            self._left = np.zeros((self.rows.size, self.columns.size))
            at = np.searchsorted(self.rows, places[:, 0]), np.searchsorted(self.columns, places[:, 1])
            self._left[at] = list(self._entries.values())
        return self._left

    def eliminated(self) -> Pair:
        """The pair of its pivot, which is taken off."""
        left = self.left
        row, column = np.searchsorted(self.rows, self.pivot[1]), np.searchsorted(self.columns, self.pivot[2])
        one, other = left[:, column] / left[row, column], left[row].copy()
        left -= np.outer(one, other)
        left[np.abs(left) <= self._bound] = 0.0
        place = np.unravel_index(np.argmax(np.abs(left)), left.shape)
        self.pivot = -abs(float(left[place])), int(self.rows[place[0]]), int(self.columns[place[1]])
        return _kept(self.rows, one), _kept(self.columns, other)


def _kept(at: Indices, values: Floats) -> Sparse:
    here = np.flatnonzero(values)
    return Sparse(at[here], values[here])
