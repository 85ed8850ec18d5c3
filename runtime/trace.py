"""The trace: every named value, at every layer and token, decoded from the residual stream.

before   the stream after each layer, on the slots that named values use
after    trace["w"] → [layers, batch, tokens, *shape]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from innerloop.artifact.claims import Placement, shape
from innerloop.artifact.displayed import Displayed, Sheet
from innerloop.artifact.errors import DataError, InnerloopError, counted
from innerloop.artifact.weights import Weights
from numpy.typing import NDArray

TRACE_BYTES = 2**31
"""The largest trace that is kept."""


class UnknownName(InnerloopError, KeyError):
    """A name that the compiled program does not hold in its stream."""

    def __str__(self) -> str:  # KeyError would print the message quoted
        return str(self.args[0])


def ends(weights: Weights) -> list[int]:
    """The stored number of the MLP sublayer that ends each layer."""
    return [number for number, _ in weights.unrolled()][1::2]


class Trace(Displayed, Mapping[str, NDArray[Any]]):
    """name → [layers, batch, tokens, *shape], as it stands after each layer; loops unrolled.

    NaN stands where the stream does not hold the name: before it is computed, after its last use,
    and at tokens of a kind at which it does not live. A name is decoded when it is asked for.
    """

    def __init__(self, weights: Weights, slots: NDArray[Any], stream: NDArray[Any], kinds: tuple[str, ...]) -> None:
        """stream: [layers, batch, tokens, slots] on the listed slots, without the rest token."""
        self._placements: dict[str, list[Placement]] = {}
        for placement in sorted(weights.layout, key=lambda p: p.first):
            self._placements.setdefault(placement.name, []).append(placement)
        self._slots = slots
        self._stream = stream
        self._kinds = kinds
        self._ends = ends(weights)
        self._decoded: dict[str, NDArray[Any]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names that can be asked for, in order of appearance."""
        return tuple(self._placements)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each token."""
        return self._kinds

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._placements:
            known = ", ".join(self.names) or "none"
            raise UnknownName(f"the trace holds no `{name}`; its names are: {known}")
        if name not in self._decoded:
            self._decoded[name] = self._decode(name)
        return self._decoded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._placements

    def __iter__(self) -> Iterator[str]:
        return iter(self._placements)

    def __len__(self) -> int:
        return len(self._placements)

    def _sheet(self) -> Sheet:
        layers, batch, tokens, _ = self._stream.shape
        rows = []
        for name, placements in self._placements.items():
            held = [k for k, end in enumerate(self._ends) if any(p.first <= end <= p.last for p in placements)]
            where = f"layers {held[0]} to {held[-1]}" if held else "within a layer only"
            kinds = ", ".join(sorted(frozenset().union(*(p.kinds for p in placements))))
            rows.append((name, shape(placements[0].shape), f"at {kinds}", where))
        of = f"{counted(layers, 'layer')}, {counted(batch, 'task')}, {counted(tokens, 'token')}"
        return Sheet(f"Trace of {of}", tuple(rows))

    def _decode(self, name: str) -> NDArray[Any]:
        placements = self._placements[name]
        layers, batch, tokens, _ = self._stream.shape
        size = placements[0].matrix.shape[1]
        result = np.full((layers, batch, tokens, size), np.nan, self._stream.dtype)
        for placement in placements:
            matrix = placement.matrix.csr.toarray()[self._slots]
            used = np.flatnonzero(matrix.any(1))
            held = np.flatnonzero([kind in placement.kinds for kind in self._kinds])
            for layer, end in enumerate(self._ends):
                if placement.first <= end <= placement.last:
                    stream = self._stream[layer][:, held][..., used].astype(np.float64)
                    result[layer][:, held] = stream @ matrix[used]
        return result.reshape(layers, batch, tokens, *placements[0].shape)


def tasks_at_most(weights: Weights, tokens: int, itemsize: int) -> int:
    """How many tasks of so many tokens a trace holds."""
    return TRACE_BYTES // (weights.config.n_layer * tokens * max(1, traced(weights).size) * itemsize)


def too_large(weights: Weights, tasks: int, most: int) -> DataError:
    """What to raise for a trace of more tasks than `most`."""
    return DataError(
        f"a trace of {tasks} tasks over {weights.config.n_layer} layers takes more than {TRACE_BYTES / 2**30:.1f} GiB: "
        f"trace at most {most} tasks at a time"
    )


def traced(weights: Weights) -> NDArray[np.int64]:
    """The slots that named values use."""
    slots = [placement.matrix.csr.tocoo().coords[0] for placement in weights.layout]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *slots]))
