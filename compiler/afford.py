"""What compiling a graph takes, before anything of it is spent.

    repeat 100000 { repeat 100000 { … } }     →   error: these loops make 10,000,000,000 passes …
    vector[1024], matrix[1024, 1024], …       →   error: … need about 31.0 GB of memory, 22.0 GB are free: …

Counted are, of the graph as it is read, the sample tasks and the values of one task at all of its tokens, which the
oracle holds together; of the graph as it is rewritten what tasks that are run together hold, and what the error model
makes of their products (two steps of gradient descent for d = 128: 1.5 GB, measured).
"""

from __future__ import annotations

from math import prod

from innerloop.artifact.limits import MOST_LAYERS
from innerloop.artifact.memory import spend
from innerloop.artifact.tokens import Sequence, TokenData, output_rows, sequence

from .interpreter.chunks import together
from .interpreter.default_tasks import FEWEST_TASKS, repetitions
from .ir.graph import Block, Constant, Graph, Loop, Product

COPIES = 4
"""Of the sample data: as drawn, as tokens, and twice while one becomes the other."""
TERMS = 9
"""Arrays of all terms of a product that the error model has at once."""


def afford(graph: Graph, tokens: int | None = None) -> Graph:
    """The graph, if it can be compiled, for so many tokens. Raises CompileError for loops that would not end, and
    MemoryLimitError."""
    signature = graph.signature
    if (passes := _passes(graph.block)) > MOST_LAYERS:
        hint = f"loops inside each other make at most {MOST_LAYERS:,} passes: take smaller counts"
        raise signature.refusal(f"the loops of this program make {passes:,} passes", None, hint)
    line = sequence(signature.pattern, repetitions(graph, tokens))
    fields = len(line) * sum(prod(field.shape) for field in signature.fields)
    _spend(graph, 8 * (_numbers(graph, line) + COPIES * FEWEST_TASKS * fields))
    return graph


def afford_samples(graph: Graph, core: TokenData, copies: int) -> None:
    """What the rewritten graph takes on sample tasks, the core's so many times over among them. Raises
    MemoryLimitError."""
    terms = 0
    for node in map(graph.__getitem__, graph.values()):
        if isinstance(node.op, Product):
            terms = max(terms, node.op.form.out.size * int(output_rows(core.sequence, node.kinds).size))
    tasks = min(copies * core.batch, together(graph, core))
    _spend(graph, 8 * tasks * (_numbers(graph, core.sequence) + TERMS * terms))


def _spend(graph: Graph, count: int) -> None:
    name = graph.signature.name
    spend(count, f"the values of {name} on sample tasks", f"compile {name} with smaller sizes")


def _numbers(graph: Graph, line: Sequence) -> int:
    """Of a task, in all values at all of their tokens."""
    nodes = [graph[value] for value in graph.values() if not isinstance(graph[value].op, Constant)]
    rows = {kinds: output_rows(line, kinds).size for kinds in {node.kinds for node in nodes}}
    return sum(int(rows[node.kinds]) * node.size for node in nodes)


def _passes(block: Block) -> int:
    """Of the loops inside each other that make the most."""
    loops = [item for item in block if isinstance(item, Loop)]
    return max((max(1, loop.count) * _passes(loop.body) for loop in loops), default=1)
