"""The interpreter in JAX, which says what is certainly right; NumPy's decides what is not.

    before   a call's data, and what the weights made of them
    after    what interpreted.py says of them, in a tenth of its time

NumPy's goes through a program operation by operation, a scan's token by token. The same in JAX is one function. It is
compiled for a sequence when NumPy's has taken as long for that as compiling does, so that a first call waits for
nothing. A task that it finds right with room to spare, its named values inside their ranges by more than rounding, is
clear; the others are NumPy's, which alone is what the guard quotes. So what the guard says does not depend on which of
the two ran, but for near ties that JAX rounds as the weights do. When it is made, both are asked: where it finds clear
what NumPy's does not, it is not used.

Reads in a loop are computed as statistics, gathered in front of it (transforms/separate_reads.py), where that leaves
every value that has a name: gradient descent of 40 examples multiplies a tenth as often.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from time import thread_time
from typing import Any

import jax.numpy as jnp
import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.signature import Kinds
from innerloop.artifact.tokens import Sequence, TokenData, output_rows
from innerloop.artifact.weights import Weights
from innerloop.compiler.interpreter.chunks import CHUNK_BYTES, chunk_size, parts, some_of, together
from innerloop.compiler.ir.graph import SCORED, Graph, Read
from innerloop.compiler.transforms.separate_reads import separate_reads
from numpy.typing import ArrayLike, NDArray

from ..differentiable import TOGETHER
from ..differentiable.needed import needed
from ..differentiable.opened import Opened
from ..executables import Compiled, compiled
from ..surroundings import concrete
from .guard import Guard
from .interpreted import Held, Interpreter, Ranges

BEGUN, EACH = 0.25, 0.01
"""CPU seconds that compiling takes, and that it takes for each value of the program beside."""
INSIDE = 1e-6
"""Of a range's magnitude, by how much what is clearly inside is."""


@dataclass
class _Chunks:
    """So many tasks of one sequence.

    spent     CPU seconds of NumPy's
    trusted   whether JAX's finds nothing clear that NumPy's does not
    """

    spent: float = 0.0
    trusted: bool = False


@dataclass
class _Line:
    """One sequence.

    rows       of each field the tokens that hold it
    most       tasks of a chunk, at most
    chunks     by their tasks
    function   JAX's, when it is made
    """

    rows: dict[str, Indices]
    most: int
    chunks: dict[int, _Chunks] = field(default_factory=dict)
    function: Compiled[..., Any] | None = None


class Jitted(Interpreter):
    """Of the program that weights were compiled from, beside the guard of one model. `runs`: how often JAX's has
    run."""

    def __init__(self, weights: Weights, guard: Guard) -> None:
        super().__init__(weights)
        self._guard = guard
        self._lines: dict[Sequence, _Line] = {}
        self._program: tuple[Opened, Ranges] | None = None
        self._useless = False
        self.runs = 0

    def hold(self, data: TokenData, outputs: ArrayLike, ranges: Ranges) -> Held | None:
        graph = self.graph
        if graph is None or self._useless or not self.knows(ranges):
            return super().hold(data, outputs, ranges)
        if (line := self._lines.get(data.sequence)) is None:
            line = self._lines.setdefault(data.sequence, _line(graph, data))
        size = chunk_size(data.batch, line.most)
        chunks = line.chunks.setdefault(size, _Chunks())
        if chunks.spent < BEGUN + EACH * len(graph.data):
            start = thread_time()
            held = super().hold(data, outputs, ranges)
            chunks.spent += thread_time() - start
            return held
        try:
            found = self.compared(outputs, *self._jitted(graph, data, line, size, ranges))
        except Exception:  # of JAX's, whose devices may be full, or know no float64: a call does not end by it
            self._useless = True
            return super().hold(data, outputs, ranges)
        clear = self._guard.clear(found, np.asarray(outputs))
        if not chunks.trusted:
            exact = super().hold(data, outputs, ranges)
            assert exact is not None
            if (clear & (exact.beyond | ~self._guard.settled(exact))).any():
                self._useless = True
            chunks.trusted = True
            return exact
        unclear = np.flatnonzero(~clear)
        if unclear.size:
            exact = super().hold(some_of(data, unclear), np.asarray(outputs)[unclear], ranges)
            assert exact is not None
            for every, those in zip(found, exact, strict=True):
                every[unclear] = those
        return found

    def _jitted(
        self, graph: Graph, data: TokenData, line: _Line, size: int, ranges: Ranges
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """As `Interpreter._run`."""
        if self._program is None:
            self._program = _program(graph, ranges)
        if line.function is None:
            line.function = _function(*self._program, data.sequence)
        exact, beyond = list[Floats](), list[NDArray[np.bool_]]()
        with concrete("float64"):
            for part in parts(data, size):
                fields = {name: part.fields[name][:, rows] for name, rows in line.rows.items()}
                if part.batch < size:
                    fields = {
                        name: np.pad(rows, [(0, size - part.batch), (0, 0), (0, 0)], "edge")
                        for name, rows in fields.items()
                    }
                found, out = line.function(fields)
                exact.append(np.asarray(found)[: part.batch])
                beyond.append(np.asarray(out)[: part.batch])
        self.runs += 1
        whole = np.concatenate(exact)
        return whole.reshape(*whole.shape[:2], *graph.output.shape), np.concatenate(beyond)


def _line(graph: Graph, data: TokenData) -> _Line:
    """What is known of the data's sequence before anything of it has run."""
    pairs = max(1, CHUNK_BYTES // (8 * len(data.sequence) ** 2))
    rows = {f.name: output_rows(data.sequence, f.kinds) for f in graph.signature.fields}
    return _Line(rows, max(1, min(TOGETHER, pairs, together(graph, data))))


def _function(program: Opened, ranges: Ranges, line: Sequence) -> Compiled[..., Any]:
    """Fields [tasks, rows, size] → outputs [tasks, rows, size], and in which tasks a value leaves its range."""
    from ..differentiable.evaluate import evaluate_within  # a first call needs it not

    graph = program.graph
    held = {v: ranges[name] for v in graph.values() if (name := graph[v].name) in ranges and name is not None}

    def function(fields: dict[str, Any]) -> tuple[Any, Any]:
        last = {name: jnp.moveaxis(rows, 0, -1) for name, rows in fields.items()}
        outputs, beyond = evaluate_within(program, line, last, held)
        return jnp.moveaxis(outputs, -1, 0), beyond

    return compiled(function)


def _program(graph: Graph, ranges: Ranges) -> tuple[Opened, Ranges]:
    """What is run, and the ranges without what may be outside by rounding."""
    room = {name: INSIDE * np.maximum(np.abs(low), np.abs(high)) for name, (low, high) in ranges.items()}
    inside = {name: (low + room[name], high - room[name]) for name, (low, high) in ranges.items()}
    inner = (graph[value].op for loop in graph.loops() for value in graph.values(loop.body))
    if any(isinstance(op, Read) and op.how not in SCORED for op in inner):
        try:
            separated = separate_reads(graph)
        except InnerloopError:
            return Opened.of(graph), inside
        if _names(separated, ranges) == _names(graph, ranges):
            return Opened.of(separated), inside
    return Opened.of(graph), inside


def _names(graph: Graph, ranges: Ranges) -> Counter[tuple[str, Kinds]]:
    """How many values have a name, at the tokens at which they are needed."""
    asked = needed(graph)
    return Counter((name, asked[v]) for v in graph.values() if (name := graph[v].name) is not None and name in ranges)
