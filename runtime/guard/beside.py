"""One call, and what stands beside it: the watches' findings and the interpreter's, gathered chunk by chunk.

The interpreter takes several chunks at once: what it costs to go through a program's operations, a scan's token by
token, is then shared by more tasks (`TOGETHER`), and is a third to a sixth of what it is chunk by chunk.

before   outputs and excesses of each chunk of tasks, as a forward pass gives them
after    RangeWarning or RangeError, once the last chunk is through or, where the guard raises, at once
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import TokenData
from innerloop.compiler.interpreter.chunks import some_of
from numpy.typing import NDArray

from .findings import Findings
from .guard import Guard
from .interpreted import Held, Interpreter

TOGETHER = 512
"""So many tasks are interpreted at once, if there are as many."""


class _Chunk(NamedTuple):
    """What `Beside.chunk` was given."""

    start: int
    outputs: NDArray[np.floating]
    worst: Mapping[int, NDArray[np.floating]]
    rerun: Callable[[int], NDArray[np.floating]]


class Beside:
    """Of one call, which the user made so many frames (`depth`) above who calls `tell`."""

    def __init__(self, guard: Guard, interpreter: Interpreter, data: TokenData, depth: int) -> None:
        self._guard, self._interpreter, self._data, self._depth = guard, interpreter, data, depth
        self._findings = Findings(guard, set())
        self._waiting: list[_Chunk] = []
        self._held: list[Held | None] = []

    def chunk(
        self,
        start: int,
        outputs: NDArray[np.floating],
        worst: Mapping[int, NDArray[np.floating]],
        rerun: Callable[[int], NDArray[np.floating]],
    ) -> None:
        """outputs [tasks, rows, size] of tasks from `start` on, and for each time by how much values were out [tasks,
        values]; `rerun` as in `Findings.look`. Chunks come in order."""
        if self._guard.mode == "off":
            return
        self._waiting.append(_Chunk(start, outputs, worst, rerun))
        if start + len(outputs) - self._waiting[0].start >= TOGETHER:
            self._look()

    def _look(self) -> None:
        """At the chunks that wait."""
        chunks, self._waiting = self._waiting, []
        if not chunks:
            return
        first, outputs = chunks[0].start, np.concatenate([chunk.outputs for chunk in chunks])
        held = self._interpreter.hold(some_of(self._data, slice(first, first + len(outputs))), outputs)
        self._held.append(held)
        settled = self._guard.settled(held)
        for start, found, worst, rerun in chunks:
            own = slice(start - first, start - first + len(found))
            reached = partial(self._reached, start)
            self._findings.look(dict(worst), start, self._data.sequence.kinds, rerun, settled[own], reached)

    def _reached(self, start: int, task: int, name: str) -> tuple[Floats, Floats] | None:
        return self._interpreter.reached(some_of(self._data, slice(start + task, start + task + 1)), name)

    def tell(self, outputs: NDArray[np.floating]) -> None:
        """Names all that was found; outputs [batch, rows, *shape]."""
        if self._guard.mode == "off":
            return
        self._look()
        depth = 4 + self._depth
        self._findings.tell(depth)
        known = Held.of(self._held)
        self._guard.inspect_outputs(outputs, known, self._data.fields, depth)
        if known is not None:
            self._guard.inspect_errors(known.errors, depth)
