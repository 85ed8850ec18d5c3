"""A command's little data, run without JAX: importing it and compiling a pass takes seconds, and this milliseconds.

    before   Weights, and the program's fields, of few tasks
    after    the program's output, as `Transformer` gives it but for rounding

The pass is the one that the certificate was measured with (artifact/reference/forward.py), under the same guard, with
the interpreter beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from innerloop.artifact.arrays import Dtype, Indices
from innerloop.artifact.parts import Body, Idle, Repeated
from innerloop.artifact.places import turns
from innerloop.artifact.precisions import carrier
from innerloop.artifact.reference.forward import embedded, forward
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import TokenData, output_rows, read_data
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import GuardMode
from innerloop.compiler.interpreter.chunks import parts
from numpy.typing import ArrayLike, NDArray

from .calls.reading import read, verify
from .guard.beside import Beside, Worst, joined
from .guard.checks import GuardCheck, excess, nothing_yet
from .guard.guard import Guard
from .guard.interpreted import Interpreter

if TYPE_CHECKING:
    from .inspector.inspection import Inspection

LITTLE = 2**29
"""Multiplications that take about a second here; JAX takes twice that before its first."""
CHUNK = 2**13
"""Tokens that are run at once."""


class Unjitted:
    """A compiled transformer as a function of the program's fields; arguments and errors as `Transformer`'s, and the
    multiplications of a call, at `most`."""

    def __init__(
        self, weights: Weights, dtype: Dtype | None = None, guard: GuardMode = "warn", most: float = LITTLE
    ) -> None:
        verify(weights, dtype, guard)
        self._guard = Guard(weights, guard, np.dtype(dtype or weights.config.dtype))
        self._interpreter = Interpreter(weights)
        self._most = most
        self.weights = replace(weights, config=replace(weights.config, dtype=dtype or weights.config.dtype))

    def __call__(self, /, **fields: ArrayLike) -> Any:
        """As `Transformer` gives it; None where it would take more multiplications, so that JAX is done sooner."""
        data = read_data(self.weights.signature, fields)
        places = turns(self.weights.body, data.sequence.kinds)
        if data.batch * _work(self.weights.body, 1 + len(data.sequence), places) > self._most:
            return None
        outputs = self._outputs_of(read(self.weights, self._guard, fields))
        return self.weights.output.named(outputs if data.batched else outputs[0])

    def _outputs_of(self, data: TokenData) -> NDArray[Any]:
        """All outputs side by side, [batch, rows, *shape]."""
        output, line = self.weights.output, data.sequence
        rows, results = output_rows(line, output.kinds), []
        beside = Beside(self._guard, self._interpreter, data, self._looked, self.sublayers_of, 2)
        for part in self._parts(data):
            found, worst = self._pass(part, beside.blind)
            results.append(found[:, rows])
            beside.chunk(results[-1], worst)
        outputs = np.concatenate(results).reshape(data.batch, rows.size, *output.shape)
        beside.tell(outputs)
        return outputs

    def _parts(self, data: TokenData) -> Iterator[TokenData]:
        return parts(data, max(1, CHUNK // (1 + len(data.sequence))))

    def _pass(self, data: TokenData, checked: bool) -> tuple[NDArray[Any], dict[int, NDArray[Any]]]:
        """What the tokens end with, and by how much values were out at worst, if that is `checked`."""
        real = carrier(self.weights.config.dtype)
        look = _Look(self._guard.checks(data.sequence.kinds, real) if checked else {}, data.batch, real)
        with np.errstate(all="ignore"):
            return forward(self.weights, data, look=look), look.worst

    def _looked(self, data: TokenData) -> Worst:
        """By how much values are out at worst in these tasks."""
        return joined([self._pass(part, True)[1] for part in self._parts(data)])

    def sublayers_of(self, data: TokenData) -> NDArray[Any]:
        """The stream after every sublayer, as `Transformer.sublayers_of` gives it."""
        kept = [embedded(self.weights, data)]
        with np.errstate(all="ignore"):
            forward(self.weights, data, observe=kept.append)
        return np.stack(kept)[:, :, 0].transpose(0, 2, 1)

    def inspect(
        self, calibration: Mapping[str, ArrayLike] | None = None, /, *, task: int = 0, **fields: ArrayLike
    ) -> Inspection:
        """As `Transformer.inspect` has it."""
        from .inspector.inspection import inspect

        return inspect(self, read(self.weights, self._guard, fields) if fields else None, calibration, task)


class _Look:
    """Keeps by how much values were out at worst, as `looked` of steps.py does."""

    def __init__(self, checks: dict[int, GuardCheck], batch: int, dtype: np.dtype[Any]) -> None:
        self._checks = checks
        self.worst: dict[int, NDArray[Any]] = nothing_yet(checks, np.empty((batch, 0, 0), dtype))

    def __call__(self, time: int, stream: NDArray[Any], place: int | None) -> None:
        if time in self._checks:
            check = self._checks[time]
            if place is not None:
                check = check._replace(**check.at([place]))
            self.worst[time] = np.maximum(self.worst[time], excess(stream.transpose(1, 2, 0), check))


def _work(body: Body, tokens: int, places: dict[str, Indices]) -> int:
    """Multiplications of one task, where each sublayer runs at so many tokens."""
    total = 0
    for item in body:
        if isinstance(item, Repeated):
            own = places.get(item.turn or "")
            total += (
                item.count * _work(item.body, tokens, places) if own is None else own.size * _work(item.body, 1, {})
            )
        elif not isinstance(item, Idle):
            matrices = [part for part in vars(item).values() if isinstance(part, Matrix)]
            total += tokens * sum(matrix.nnz + tokens + matrix.shape[1] for matrix in matrices)
    return total
