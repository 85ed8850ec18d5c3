"""One call, and what stands beside it: the interpreter's findings, and the watches' where they have something to say.

The interpreter says which tasks' outputs are right and in which a value that has a name leaves its range. Only the
others run once more, with the checks of all watches in the pass, which find where they went wrong: a call in which
nothing is wrong does not pay for them.

The interpreter takes several chunks at once: what it costs to go through a program's operations, a scan's token by
token, is then shared by more tasks (`TOGETHER`), and is a third to a sixth of what it is chunk by chunk.

before   outputs of each chunk of tasks, as a forward pass gives them
after    RangeWarning or RangeError, once the last chunk is through or, where the guard raises, at once
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from innerloop.artifact.tokens import TokenData
from innerloop.compiler.interpreter.chunks import some_of
from numpy.typing import NDArray

from .findings import Findings
from .guard import Guard
from .interpreted import Held, Interpreter

TOGETHER = 512
"""So many tasks are interpreted at once, if there are as many."""


Worst = Mapping[int, NDArray[np.floating]]
"""For each time by how much values were out at worst, [tasks, values]."""


def joined(parts: Sequence[Worst]) -> Worst:
    """Of neighbouring parts of the tasks."""
    return {time: np.concatenate([worst[time] for worst in parts]) for time in parts[0]}


class _Chunk(NamedTuple):
    """What `Beside.chunk` was given."""

    outputs: NDArray[np.floating]
    worst: Worst


class Beside:
    """Of one call. `look(tasks)` runs the pass once more, with the guard's checks; `stream(task)` gives the stream
    [1 + sublayers run, 1 + tokens, d_model] of one task, the embedding and the rest token first; `depth`: so many
    frames above who calls `tell` the user made the call.

    blind   whether the pass itself has to take the checks with it: no interpreter says which tasks are to be looked at
    """

    def __init__(
        self,
        guard: Guard,
        interpreter: Interpreter,
        data: TokenData,
        look: Callable[[TokenData], Worst],
        stream: Callable[[TokenData], NDArray[np.floating]],
        depth: int,
    ) -> None:
        self._guard, self._interpreter, self._data, self._depth = guard, interpreter, data, depth
        self._checked, self._stream = look, stream
        self._findings = Findings(guard, set())
        self._first = 0
        self._waiting: list[_Chunk] = []
        self._held: list[Held | None] = []
        self.blind = guard.mode != "off" and not interpreter.knows(guard.ranges)

    def chunk(self, outputs: NDArray[np.floating], worst: Worst) -> None:
        """outputs [tasks, rows, size] of the tasks that are next, and, where the call is `blind`, what its checks
        gave."""
        if self._guard.mode == "off":
            return
        self._waiting.append(_Chunk(outputs, worst))
        if sum(len(chunk.outputs) for chunk in self._waiting) >= TOGETHER:
            self._look()

    def _look(self) -> None:
        """At the chunks that wait: with the checks at the tasks whose outputs are not known to be right, and those in
        which something that has a name leaves its range."""
        chunks, self._waiting = self._waiting, []
        if not chunks:
            return
        outputs = np.concatenate([chunk.outputs for chunk in chunks])
        first, self._first = self._first, self._first + len(outputs)
        part = some_of(self._data, slice(first, self._first))
        held = self._interpreter.hold(part, outputs, self._guard.ranges)
        self._held.append(held)
        settled = self._guard.settled(held)
        suspects = np.arange(len(outputs))
        if self.blind:
            worst = joined([chunk.worst for chunk in chunks])
        else:
            assert held is not None
            suspects = np.flatnonzero(~settled | held.beyond)
            if not suspects.size:
                return
            settled, worst = settled[suspects], self._checked(some_of(part, suspects))

        def alone(index: int) -> TokenData:
            task = int(suspects[index])
            return some_of(part, slice(task, task + 1))

        self._findings.look(
            worst,
            first + suspects,
            self._data.sequence.kinds,
            lambda index: self._stream(alone(index))[:, 1:],
            settled,
            lambda index, name: self._interpreter.reached(alone(index), name),
        )

    def tell(self, outputs: NDArray[np.floating]) -> None:
        """Names all that was found; outputs [batch, rows, *shape]."""
        if self._guard.mode == "off":
            return
        self._look()
        known = Held.of(self._held)
        if known is not None and known.clear.all():
            return
        depth = 4 + self._depth
        self._findings.tell(depth)
        self._guard.inspect_outputs(outputs, known, self._data.fields, depth)
        if known is not None:
            self._guard.inspect_errors(known.errors, depth)
