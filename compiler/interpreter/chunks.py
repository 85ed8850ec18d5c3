"""How many tasks are run together: as many as the memory of one chunk holds."""

from __future__ import annotations

from innerloop.artifact.tokens import TokenData, output_rows

from ..ir.graph import Constant, Graph

CHUNK_BYTES = 2**27
"""About how much the values of the tasks that are run together take."""


def together(graph: Graph, data: TokenData) -> int:
    """How many tasks are run together: what is observed comes by so many."""
    nodes = [graph[value] for value in graph.values()]
    rows = {kinds: output_rows(data.sequence, kinds).size for kinds in {node.kinds for node in nodes}}
    task_bytes = 1 + 8 * sum(rows[node.kinds] * node.size for node in nodes if not isinstance(node.op, Constant))
    return max(1, CHUNK_BYTES // task_bytes)
