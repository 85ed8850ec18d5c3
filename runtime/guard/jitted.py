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
from functools import partial
from math import prod
from time import thread_time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import sliced
from innerloop.artifact.tokens import Sequence, TokenData, output_rows
from innerloop.artifact.weights import Weights
from innerloop.compiler.interpreter.chunks import CHUNK_BYTES, chunk_size, some_of, together
from innerloop.compiler.ir.graph import SCORED, Graph, Read
from innerloop.compiler.transforms.separate_reads import separate_reads
from numpy.typing import ArrayLike, NDArray

from ..differentiable import TOGETHER
from ..differentiable.needed import needed
from ..differentiable.opened import Opened
from ..executables import Compiled, compiled
from ..surroundings import concrete
from .guard import Guard
from .interpreted import Held, Interpreter, Ranges, off

BEGUN, EACH = 0.25, 0.01
"""CPU seconds that compiling takes, and that it takes for each value of the program beside."""
CLEAR = 0.9
"""Of what outputs may be off, what is clearly less: how the interpreter rounds does not decide it."""
KEPT = 64
"""Sequences of which anything is kept."""
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

    rows: dict[str, Indices | slice]
    most: int
    chunks: dict[int, _Chunks] = field(default_factory=dict)
    function: Compiled[..., Any] | None = None


class Jitted(Interpreter):
    """Of the program that weights were compiled from, beside the guard of one model. `runs`: how often JAX's has
    run."""

    def __init__(self, weights: Weights, guard: Guard, device: Any = None) -> None:
        """`device`: where JAX's runs (None: where JAX runs anything at the time)."""
        super().__init__(weights)
        self._guard, self._device = guard, device
        self._lines: dict[Sequence, _Line] = {}
        self._program: tuple[Opened, Ranges] | None = None
        self._useless = False
        self.runs = 0

    def hold(self, data: TokenData, outputs: ArrayLike, ranges: Ranges) -> Held | None:
        graph = self.graph
        if graph is None or self._useless or not self.knows(ranges):
            return super().hold(data, outputs, ranges)
        if (line := self._lines.get(data.sequence)) is None:
            for oldest in list(self._lines)[: max(0, len(self._lines) + 1 - KEPT)]:
                self._lines.pop(oldest, None)
            line = self._lines.setdefault(data.sequence, _line(graph, data))
        size = chunk_size(data.batch, line.most)
        chunks = line.chunks.setdefault(size, _Chunks())
        if chunks.spent < BEGUN + EACH * len(graph.data):
            start = thread_time()
            held = super().hold(data, outputs, ranges)
            chunks.spent += thread_time() - start
            return held
        try:
            found = self._jitted(graph, data, np.asarray(outputs), line, size, ranges)
        except Exception:  # of JAX's, whose devices may be full, or know no float64: a call does not end by it
            self._useless = True
            return super().hold(data, outputs, ranges)
        if not chunks.trusted:
            exact = super().hold(data, outputs, ranges)
            assert exact is not None
            if (found.clear & (exact.beyond | ~self._guard.settled(exact))).any():
                self._useless = True
            chunks.trusted = True
            return exact
        if not found.clear.all():
            unclear = np.flatnonzero(~found.clear)
            exact = super().hold(some_of(data, unclear), np.asarray(outputs)[unclear], ranges)
            assert exact is not None
            for every, those in zip(found, exact, strict=True):
                every[unclear] = those
        return found

    def _jitted(
        self, graph: Graph, data: TokenData, outputs: NDArray[Any], line: _Line, size: int, ranges: Ranges
    ) -> Held:
        """What JAX's finds."""
        if self._program is None:
            self._program = _program(graph, ranges)
        if line.function is None:
            line.function = _function(*self._program, data.sequence, self._guard)
        packed = list[Floats]()
        outputs = outputs.reshape(*outputs.shape[:2], prod(graph.output.shape))
        settings = partial(concrete, "float64")
        with (
            jax.default_device(self._device), jax.enable_x64(True), jax.transfer_guard("allow"), jax.debug_nans(False)
        ):  # fmt: skip
            for start in range(0, data.batch, size):
                some = slice(start, start + size)
                fields = {name: data.fields[name][some, rows] for name, rows in line.rows.items()}
                tasks = _whole((fields, outputs[some]), size)
                found = line.function.settled(size, settings, *tasks)(*tasks)
                packed.append(np.array(found)[: data.batch - start])
        self.runs += 1
        every = np.concatenate(packed) if len(packed) > 1 else packed[0]
        errors, largest = every[:, :-2].reshape(data.batch, 2, -1).transpose(1, 0, 2)
        return Held(errors, largest, every[:, -2] > 0, every[:, -1] > 0)


def _line(graph: Graph, data: TokenData) -> _Line:
    """What is known of the data's sequence before anything of it has run."""
    pairs = max(1, CHUNK_BYTES // (8 * len(data.sequence) ** 2))
    rows = {f.name: sliced(output_rows(data.sequence, f.kinds)) for f in graph.signature.fields}
    return _Line(rows, max(1, min(TOGETHER, pairs, together(graph, data))))


def _whole(tasks: Any, size: int) -> Any:
    """Arrays of tasks with the last one again until there are so many."""

    def filled(array: NDArray[Any]) -> NDArray[Any]:
        lacking = [(0, size - len(array)), *[(0, 0)] * (array.ndim - 1)]
        return np.pad(array, lacking, "edge") if len(array) < size else array

    return jax.tree.map(filled, tasks)


def _function(program: Opened, ranges: Ranges, line: Sequence, guard: Guard) -> Compiled[..., Any]:
    """Fields and outputs [tasks, rows, size] → of each task its errors and its largest outputs, whether a value leaves
    its range, and whether nothing is to be said of it: [tasks, 2 outputs + 2]."""
    from ..differentiable.evaluate import evaluate_within  # a first call needs it not

    graph = program.graph
    held = {v: ranges[name] for v in graph.values() if (name := graph[v].name) in ranges and name is not None}
    columns = guard.weights.output.columns
    resolved = np.where(np.isfinite(guard.resolved), guard.resolved, 0.0)

    def largest(array: Any) -> Any:
        """Of each output [tasks, outputs], for [rows, size, tasks]."""
        return jnp.stack([array[:, at].max((0, 1), initial=0.0) for at in columns], 1)

    def function(fields: dict[str, Any], outputs: Any) -> Any:
        given = {name: jnp.moveaxis(rows, 0, -1) for name, rows in fields.items()}
        exact, beyond = evaluate_within(program, line, given, held)
        made = jnp.moveaxis(outputs.astype(float), 0, -1)
        errors, size = largest(off(made, exact, jnp)), largest(jnp.abs(exact))
        small = largest(jnp.abs(made)) < resolved
        clear = ~beyond & ((errors <= CLEAR * guard.certain) & ~small).all(1)
        return jnp.concatenate([errors, size, beyond[:, None], clear[:, None]], 1)

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
