"""One call, and what stands beside it: the watches' findings and the interpreter's, gathered chunk by chunk.

before   outputs and excesses of each chunk of tasks, as a forward pass gives them
after    RangeWarning or RangeError, once the last chunk is through or, where the guard raises, at once
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import TokenData
from innerloop.compiler.interpreter.calibrate import some_of
from numpy.typing import NDArray

from .findings import Findings
from .guard import Guard
from .interpreted import Held, Interpreter


class Beside:
    """Of one call, which the user made so many frames (`depth`) above who calls `tell`."""

    def __init__(self, guard: Guard, interpreter: Interpreter, data: TokenData, depth: int) -> None:
        self._guard, self._interpreter, self._data, self._depth = guard, interpreter, data, depth
        self._findings = Findings(guard, set())
        self._held: list[Held | None] = []

    def chunk(
        self,
        start: int,
        outputs: NDArray[np.floating],
        worst: Mapping[int, NDArray[np.floating]],
        rerun: Callable[[int], NDArray[np.floating]],
    ) -> None:
        """outputs [tasks, rows, size] of tasks from `start` on, and for each time by how much values were out [tasks,
        values]; `rerun` as in `Findings.look`."""
        if self._guard.mode == "off":
            return
        part = some_of(self._data, slice(start, start + len(outputs)))

        def reached(task: int, name: str) -> tuple[Floats, Floats] | None:
            return self._interpreter.reached(some_of(part, slice(task, task + 1)), name)

        self._held.append(self._interpreter.hold(part, outputs))
        settled = self._guard.settled(self._held[-1])
        self._findings.look(dict(worst), start, self._data.sequence.kinds, rerun, settled, reached)

    def tell(self, outputs: NDArray[np.floating]) -> None:
        """Names all that was found; outputs [batch, rows, *shape]."""
        if self._guard.mode == "off":
            return
        depth = 4 + self._depth
        self._findings.tell(depth)
        known = Held.of(self._held)
        self._guard.inspect_outputs(outputs, known, self._data.fields, depth)
        if known is not None:
            self._guard.inspect_errors(known.errors, depth)
