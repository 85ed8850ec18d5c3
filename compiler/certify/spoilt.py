"""Spoilt outputs: what rests on a value that left the domain that it was compiled for, of which nothing is known.

    token 3   y reached 300 in task 2         no output of task 2 at a token that sees token 3 has a bound
    token 3   the product reached 1e9 times   nor has any output of that task: what overflows reaches all tokens,
              its range                       since 0 · ∞ is no number

Of what the stream holds all slots of its token suffer, by the norm; of what an operation reads only its result does,
and what rests on that (copies.py follows it).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.tokens import Sequence, output_rows, visible
from numpy.typing import NDArray

from ..emit.domains import expression
from ..ir.graph import Graph, Value
from .validity import Limit

Mask = NDArray[np.bool_]

HUGE = 2.0**16
"""Times its range: from there on a value may overflow in what is made of it."""


@dataclass(frozen=True)
class Beyond:
    """A value that left the domain that it is compiled for, and the place where it is furthest out. Tasks count from
    0."""

    what: str
    task: int
    reached: float
    low: float
    high: float

    def __str__(self) -> str:
        ends = f"[{self.low:.4g}, {self.high:.4g}]"
        return f"{self.what} reached {self.reached:.4g} in task {self.task}; the error model holds in {ends}"


class Spoilt:
    """What was found so far, in some tasks of one length."""

    def __init__(self, graph: Graph, line: Sequence, tasks: int) -> None:
        self._graph, self._line, self._tasks = graph, line, tasks
        self._tokens: Mask = np.zeros((tasks, len(line)), bool)
        self._found: dict[tuple[Value, Limit], tuple[Floats, Floats]] = {}

    def look(self, value: Value, limit: Limit, seen: Floats, tokens: Indices) -> Mask:
        """Where what is limited, seen [copies, tasks, tokens, …], is beyond in any copy [tasks, tokens]."""
        out = ~((seen >= limit.low) & (seen <= limit.high))
        wrong: Mask = out.max((0, -1))
        if wrong.any():
            if limit.operand is None:
                self._tokens[:, tokens] |= wrong
            self._note(value, limit, seen)
            huge = ~(np.abs(seen) <= HUGE * np.maximum(np.abs(limit.low), np.abs(limit.high)))
            self._tokens |= huge.max((0, 2, 3))[:, None]
        return wrong

    def _note(self, value: Value, limit: Limit, seen: Floats) -> None:
        """Keeps, for each task, the value that is furthest out: by how much, and what it is."""
        far = np.maximum(seen - limit.high, limit.low - seen)
        far = np.where(np.isnan(far), np.inf, far).swapaxes(0, 1).reshape(self._tasks, -1)
        flat = seen.swapaxes(0, 1).reshape(self._tasks, -1)
        at = (np.arange(self._tasks), far.argmax(1))
        so_far, reached = self._found.get((value, limit), (np.zeros(self._tasks), np.zeros(self._tasks)))
        self._found[value, limit] = np.maximum(far[at], so_far), np.where(far[at] > so_far, flat[at], reached)

    def outputs(self) -> Mask:
        """Which outputs [tasks, rows] see a token that is spoilt."""
        graph = self._graph
        rows = output_rows(self._line, graph.output.kinds)
        seen = visible(self._line, graph.signature.pattern)[rows]
        return np.asarray(self._tokens.astype(np.float64) @ seen.T.astype(np.float64) > 0.0)

    def told(self, unknown: Mask) -> Iterator[Beyond]:
        """What was furthest beyond its domain, in the first of the tasks of whose outputs something is `unknown`."""
        for (value, limit), (out, reached) in self._found.items():
            tasks = np.flatnonzero(unknown & (out > 0.0))
            if tasks.size:
                low, high = float(limit.low.min()), float(limit.high.max())
                yield Beyond(self._worded(value, limit), int(tasks[0]), float(reached[tasks[0]]), low, high)

    def _worded(self, value: Value, limit: Limit) -> str:
        """The value's name, or its expression and place in the program."""
        node = self._graph[value if limit.operand is None else self._graph[value].operands[limit.operand]]
        if node.name is not None and not limit.scored:
            return node.name
        span = node.span or self._graph[value].span
        if span is None:
            return "a value"
        return ("a score of " if limit.scored else "") + expression(self._graph.signature, span)
