"""How many tasks are run together: as many as the memory of one chunk holds."""

from __future__ import annotations

from typing import Any

from innerloop.artifact.tokens import TokenData, output_rows
from numpy.typing import NDArray

from ..ir.graph import Constant, Graph

CHUNK_BYTES, SCAN_BYTES = 2**26, 2**27
"""About how much the values of the tasks that are run together take: what stays near the processor; with a scan, whose
passes are many, and each at one token."""


def together(graph: Graph, data: TokenData) -> int:
    """How many tasks are run together: what is observed comes by so many."""
    nodes = [graph[value] for value in graph.values()]
    rows = {kinds: output_rows(data.sequence, kinds).size for kinds in {node.kinds for node in nodes}}
    task_bytes = 1 + 8 * sum(rows[node.kinds] * node.size for node in nodes if not isinstance(node.op, Constant))
    return max(1, (SCAN_BYTES if _scans(graph) else CHUNK_BYTES) // task_bytes)


def room(graph: Graph, data: TokenData) -> int:
    """How many tasks are run together where nothing that is observed is kept."""
    return _scanned(graph, data) if _scans(graph) else together(graph, data)


def _scans(graph: Graph) -> bool:
    return any(loop.kind is not None for loop in graph.loops())


def _scanned(graph: Graph, data: TokenData) -> int:
    """Of a scan, which holds what its passes compute at one token, and what they carry at all."""
    passing = {v for loop in graph.loops() if loop.kind is not None for v in graph.values(loop.body)}
    carried = {c.result for loop in graph.loops() for c in loop.carried}
    numbers = 0
    for value in graph.values():
        node = graph[value]
        rows = 1 if value in passing - carried else output_rows(data.sequence, node.kinds).size
        numbers += 0 if isinstance(node.op, Constant) else rows * node.size
    return max(1, SCAN_BYTES // (1 + 8 * numbers))


def some_of(data: TokenData, tasks: NDArray[Any] | slice) -> TokenData:
    fields = {name: array[tasks] for name, array in data.fields.items()}
    return TokenData(data.sequence, len(next(iter(fields.values()))), fields, data.batched)
