"""The interpreter beside the weights: how far off the outputs of a call really are.

    before   a call's data, and what the weights made of them
    after    of each task the largest error of its outputs, against the float64 interpreter of the program, and whether
             a value that has a name leaves its range where an output comes of it

Watches (watches.py) say where a construction left its domain, and which value did. How errors grow on their way they
cannot see: a divisor near the end of its range, a near tie between what rounding has touched, rates of a long recursion
that add up, all inside the ranges. So every task of a call is held against it (what that costs: benchmarks/guard.py).
What it finds to be right soon, in JAX, is no other: jitted.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import CompileError, DataError
from innerloop.artifact.signature import Kinds
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.weights import Weights
from innerloop.compiler.interpreter.chunks import parts, together
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Graph, Value
from numpy.typing import ArrayLike, NDArray

from ..differentiable.needed import needed

UNITS = 64.0
"""So many units in the last place of the largest output the interpreter's own rounding may be."""
TOKENS = 64
"""So many tokens of a scan are held against a range together."""

Ranges = Mapping[str, tuple[Floats, Floats]]
"""Of what has a name, the least and the largest of each component."""


class Held(NamedTuple):
    """errors: the largest error of each task, [batch, outputs], beyond the interpreter's own rounding; NaN where the
    program itself gives no finite number. largest: the largest magnitude of its outputs there, [batch, outputs].
    beyond: [batch], whether what has a name leaves a range that is held of it. clear: [batch], whether it is known that
    nothing is to be said of the task (jitted.py)."""

    errors: Floats
    largest: Floats
    beyond: NDArray[np.bool_]
    clear: NDArray[np.bool_]

    @staticmethod
    def of(chunks: Sequence[Held | None]) -> Held | None:
        """Of all chunks of a call."""
        known = [chunk for chunk in chunks if chunk is not None]
        return Held(*map(np.concatenate, zip(*known, strict=True))) if known else None


def off(outputs: Any, exact: Any, numpy: Any) -> Any:
    """The errors of outputs, as `Held` says, by NumPy or what is like it."""
    error = numpy.abs(outputs - exact)
    rounded = UNITS * np.finfo(np.float64).eps * numpy.abs(exact)
    found = numpy.where(numpy.isnan(error), np.inf, numpy.maximum(error - rounded, 0.0))
    return numpy.where(numpy.isfinite(exact), found, np.nan)


class Interpreter:
    """Of the program that weights were compiled from."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    @cached_property
    def graph(self) -> Graph | None:
        """None for weights that no program stands behind: trained, changed, or put together by hand.

        Raises DataError where the program is another than that of the weights."""
        signature, output = self._weights.signature, self._weights.output
        if not np.isfinite(self._weights.report.predicted_error):
            return None
        try:
            graph = graph_of(signature.text, signature.parameters, signature.source)
        except CompileError:
            return None
        found = graph.signature.pattern, graph.signature.fields, graph.output.each, graph.output.kinds
        if found != (signature.pattern, signature.fields, output.each, output.kinds):
            raise DataError(
                f"the program of {signature.name} has other fields, tokens or outputs than its weights: they are of "
                "another program, or their folder was changed. Compile it again"
            )
        return graph

    @cached_property
    def _needed(self) -> Mapping[Value, Kinds]:
        return {} if self.graph is None else needed(self.graph)

    @cached_property
    def named(self) -> Mapping[str, tuple[Value, ...]]:
        """The program's values by their names; without a program none."""
        found: dict[str, tuple[Value, ...]] = {}
        graph = self.graph
        for value in graph.values() if graph is not None else ():
            if graph is not None and (name := graph[value].name) is not None:
                found[name] = (*found.get(name, ()), value)
        return found

    def knows(self, ranges: Ranges) -> bool:
        """Whether it can say what leaves these ranges."""
        graph, named = self.graph, self.named
        return graph is not None and all(
            name in named and all(graph[value].size == low.size for value in named[name])
            for name, (low, _) in ranges.items()
        )

    def hold(self, data: TokenData, outputs: ArrayLike, ranges: Ranges) -> Held | None:
        """Outputs [batch, rows, *shape] against the interpreter's, and what has a name against its ranges; None without
        a program."""
        if self.graph is None:
            return None
        with np.errstate(all="ignore"):
            exact, beyond = self._run(self.graph, data, ranges)
            errors = off(np.asarray(outputs, np.float64).reshape(exact.shape), exact, np)
            return Held(self._largest(errors), self._largest(np.abs(exact)), beyond, np.zeros(data.batch, bool))

    def _run(self, graph: Graph, data: TokenData, ranges: Ranges) -> tuple[Floats, NDArray[np.bool_]]:
        """The outputs, and in which tasks a value was beyond a range."""
        held = {value: ends for name, ends in ranges.items() for value in self.named.get(name, ())}
        rows = {value: self._rows(value, data) for value in held}
        exact, beyond = list[Floats](), list[NDArray[np.bool_]]()
        for part in parts(data, together(graph, data)):
            beyond.append(np.zeros(part.batch, bool))
            tokens: dict[Value, list[Floats]] = {}

            def observe(value: Value, array: Floats, kept: dict[Value, list[Floats]] = tokens) -> None:
                array = _of(array, rows[value])
                kept.setdefault(value, []).append(array)  # of a scan token by token, and looked at together
                if array.shape[1] > 1 or len(kept[value]) == TOKENS:
                    look(value, kept.pop(value))

            def look(value: Value, arrays: list[Floats], out: NDArray[np.bool_] = beyond[-1]) -> None:
                (low, high), array = held[value], np.concatenate(arrays, 1)
                out |= ~((array >= low) & (array <= high)).all((1, 2))

            exact.append(evaluate(graph, part, observe, chunk=part.batch, looks=True, only=held))
            for value, arrays in tokens.items():
                look(value, arrays)
        return np.concatenate(exact), np.concatenate(beyond)

    def _rows(self, value: Value, data: TokenData) -> NDArray[np.bool_]:
        """Of the tokens at which a value lives, which it is needed at."""
        assert self.graph is not None
        kinds = [kind for kind in data.sequence.kinds if kind in self.graph[value].kinds]
        return np.array([kind in self._needed[value] for kind in kinds], bool)

    def reached(self, data: TokenData, name: str) -> tuple[Floats, Floats] | None:
        """The least and the largest of each component of what has this name, over passes and the tokens at which it is
        needed, or all where it is at none; None without a program, or where it has no such name."""
        graph, ends = self.graph, list[tuple[Floats, Floats]]()
        if graph is None:
            return None
        rows = {value: self._rows(value, data) for value in self.named.get(name, ())}

        def see(value: Value, array: Floats) -> None:
            if rows[value].any():
                array = _of(array, rows[value])
            if array.size:
                flat = array.reshape(-1, array.shape[-1])
                ends.append((flat.min(0), flat.max(0)))

        with np.errstate(all="ignore"):
            evaluate(graph, data, see, looks=True, only=rows)
        if not ends:
            return None
        return np.min([low for low, _ in ends], 0), np.max([high for _, high in ends], 0)

    def _largest(self, packed: Floats) -> Floats:
        """Of each output in each task, [batch, outputs]; NaN where it has one."""
        parts = self._weights.output.split(packed)
        return np.stack([part.reshape(len(part), -1).max(1, initial=0.0) for part in parts], 1)


def _of(array: Floats, rows: NDArray[np.bool_]) -> Floats:
    """The tokens among all at which a value lives; a scan gives it at one."""
    return array[:, rows] if len(rows) == array.shape[1] else array
