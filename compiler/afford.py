"""What compiling a graph takes, before anything of it is spent.

    repeat 100000 { repeat 100000 { … } }     →   error: these loops make 10,000,000,000 passes …
    vector[1024], matrix[1024, 1024], …       →   error: … need about 31.0 GB of memory, 22.0 GB are free: …

Counted are the sample tasks and the values of one task at all of its tokens, which the oracle holds together.
"""

from __future__ import annotations

from math import prod

from innerloop.artifact.limits import MOST_LAYERS
from innerloop.artifact.memory import spend
from innerloop.artifact.tokens import output_rows, sequence

from .interpreter.default_tasks import FEWEST_TASKS, repetitions
from .ir.graph import Block, Constant, Graph, Loop

COPIES = 4
"""Of the sample data: as drawn, as tokens, and twice while one becomes the other."""


def afford(graph: Graph, tokens: int | None = None) -> Graph:
    """The graph, if it can be compiled, for so many tokens. Raises CompileError for loops that would not end, and
    MemoryLimitError."""
    signature = graph.signature
    if (passes := _passes(graph.block)) > MOST_LAYERS:
        hint = f"loops inside each other make at most {MOST_LAYERS:,} passes: take smaller counts"
        raise signature.refusal(f"the loops of this program make {passes:,} passes", None, hint)
    line = sequence(signature.pattern, repetitions(graph, tokens))
    nodes = [graph[value] for value in graph.values() if not isinstance(graph[value].op, Constant)]
    rows = {kinds: output_rows(line, kinds).size for kinds in {node.kinds for node in nodes}}
    values = sum(rows[node.kinds] * node.size for node in nodes)
    fields = len(line) * sum(prod(field.shape) for field in signature.fields)
    mend = f"compile {signature.name} with smaller sizes"
    spend(8 * (values + COPIES * FEWEST_TASKS * fields), f"the values of {signature.name} on sample tasks", mend)
    return graph


def _passes(block: Block) -> int:
    """Of the loops inside each other that make the most."""
    loops = [item for item in block if isinstance(item, Loop)]
    return max((max(1, loop.count) * _passes(loop.body) for loop in loops), default=1)
