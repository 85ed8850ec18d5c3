"""How many tasks are run together, as many as the memory of one chunk holds; and parts of tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from innerloop.artifact.tokens import TokenData, output_rows
from numpy.typing import NDArray

from ..ir.graph import Constant, Graph

CHUNK_BYTES = 2**27
"""About how much the values of the tasks that are run together take."""


def together(graph: Graph, data: TokenData, room: int | None = None) -> int:
    """How many tasks are run together, in so many bytes or those of a chunk: what is observed comes by so many."""
    nodes = [graph[value] for value in graph.values()]
    rows = {kinds: output_rows(data.sequence, kinds).size for kinds in {node.kinds for node in nodes}}
    task_bytes = 1 + 8 * sum(rows[node.kinds] * node.size for node in nodes if not isinstance(node.op, Constant))
    return max(1, (room or CHUNK_BYTES) // task_bytes)


def scanned_together(graph: Graph, data: TokenData) -> int:
    """The same of scans, which hold what their passes compute at one token, and what they carry at all."""
    passing = {v for loop in graph.loops() if loop.kind is not None for v in graph.values(loop.body)}
    carried = {c.result for loop in graph.loops() for c in loop.carried}
    numbers = 0
    for value in graph.values():
        node = graph[value]
        rows = 1 if value in passing - carried else output_rows(data.sequence, node.kinds).size
        numbers += 0 if isinstance(node.op, Constant) else rows * node.size
    return max(1, CHUNK_BYTES // (1 + 8 * numbers))


def parts(data: TokenData, size: int) -> Iterator[TokenData]:
    """Tasks by so many."""
    for start in range(0, data.batch, size):
        yield some_of(data, np.arange(start, min(start + size, data.batch)))


def some_of(data: TokenData, tasks: NDArray[Any] | slice) -> TokenData:
    fields = {name: array[tasks] for name, array in data.fields.items()}
    return TokenData(data.sequence, len(next(iter(fields.values()))), fields, data.batched)


def joined(some: Sequence[TokenData]) -> TokenData:
    """The tasks of parts of one length, one part behind the other."""
    fields = {name: np.concatenate([part.fields[name] for part in some]) for name in some[0].fields}
    return TokenData(some[0].sequence, sum(part.batch for part in some), fields, some[0].batched)


def chunk_size(tasks: int, most: int) -> int:
    """Tasks of each of the fewest chunks of at most `most` that hold so many, up to one of few sizes, for each of which
    a pass is compiled: 1, 2, 4, 8, and four for each doubling from there."""
    even = -(-tasks // -(-tasks // most))
    return min(most, of_few(even, 3 if even > 8 else 1))


def of_few(number: int, bits: int) -> int:
    """The next number of so many leading bits, of which there are 2^(bits − 1) for each doubling."""
    step = 1 << max(0, (number - 1).bit_length() - bits)
    return -(-number // step) * step
