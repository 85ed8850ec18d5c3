"""The program's variables in one run: what the stream holds of each after every sublayer, and what it should hold.

before   the stream after each sublayer; the oracle's values and the error model's bounds (trace_bounds.py)
after    for each name its distinct values [rows, size], the oracle's, and which of them stand where [times, tokens]

Time 0 is the embedding, time k + 1 the k-th sublayer that runs; −1 stands where a name is not held, and in the oracle's
table also where a scan's turn has not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from innerloop.artifact.claims import Placement
from innerloop.artifact.reference.arithmetic import OWN, normalise
from innerloop.artifact.weights import Weights
from innerloop.compiler.certify.trace_bounds import Bounds
from innerloop.compiler.emit.layout import Holding
from innerloop.compiler.ir.graph import Field, Graph
from numpy.typing import NDArray

from .encoded import Json, encoded, finite, real


@dataclass
class _Rows:
    """Values by time and token, equal ones once."""

    times: int
    tokens: int
    kind: str
    rows: list[NDArray[Any]] = field(default_factory=list)
    known: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.at = np.full((self.times, self.tokens), -1, np.int64)

    def put(self, time: int, token: int, value: NDArray[Any]) -> None:
        number = self.known.setdefault(value.tobytes(), len(self.rows))
        if number == len(self.rows):
            self.rows.append(value)
        self.at[time, token] = number

    def json(self, size: int) -> Json:
        rows = np.array(self.rows).reshape(len(self.rows), size)
        return {"rows": encoded(rows, self.kind), "at": encoded(self.at, "i4")}


def variables(
    weights: Weights, graph: Graph, held: Sequence[Holding], bounds: Bounds, stream: NDArray[Any], kinds: Sequence[str]
) -> list[Json]:
    """stream: [1 + sublayers run, tokens, d_model] of one task, without the rest token. Names in the order in which the
    program makes them."""
    names: dict[str, list[int]] = {}
    for number in sorted(range(len(held)), key=lambda k: held[k].variable.value):
        names.setdefault(held[number].variable.name, []).append(number)
    return [_one(weights, graph, held, bounds, stream, kinds, numbers) for numbers in names.values()]


def _one(
    weights: Weights,
    graph: Graph,
    held: Sequence[Holding],
    bounds: Bounds,
    stream: NDArray[Any],
    kinds: Sequence[str],
    numbers: list[int],
) -> Json:
    first, config = weights.layout[numbers[0]], weights.config
    found = _Rows(len(stream), len(kinds), real(config.dtype))
    exact = _Rows(len(stream), len(kinds), "f8")
    bound: list[float | None] = [None] * len(stream)
    for time, (sublayer, passes) in enumerate([(0, {}), *bounds.runs]):
        for number in numbers:
            placement = weights.layout[number]
            here = placement.first <= sublayer <= placement.last
            if not here or (time == 0 and not isinstance(graph[held[number].variable.value].op, Field)):
                continue
            for token, value in _decoded(placement, stream[time], kinds):
                found.put(time, token, value)
            tokens, wanted, most = bounds.expected(held[number], passes)
            for k, token in enumerate(tokens.tolist()):
                exact.put(time, token, wanted[0, k])
            bound[time] = finite(most) if tokens.size else None
    size = first.matrix.shape[1]
    return {
        "name": first.name,
        "shape": list(first.shape),
        "low": finite(min(weights.layout[k].low.min() for k in numbers)),
        "high": finite(max(weights.layout[k].high.max() for k in numbers)),
        "found": found.json(size),
        "exact": exact.json(size),
        "bound": bound,
    }


def _decoded(placement: Placement, stream: NDArray[Any], kinds: Sequence[str]) -> list[tuple[int, NDArray[Any]]]:
    """What a stream [tokens, d_model] holds at each token of the placement's kinds, as a trace has it."""
    matrix = placement.matrix.csr
    used = np.flatnonzero(np.diff(matrix.indptr))
    tokens = np.flatnonzero([kind in placement.kinds for kind in kinds])
    values = (stream[tokens][:, used].astype(np.float64) @ matrix[used].toarray()).astype(stream.dtype)
    return list(zip(tokens.tolist(), values, strict=True))


def outputs(weights: Weights, bounds: Bounds, stream: NDArray[Any], tokens: NDArray[np.int64]) -> Json:
    """stream: [tokens, d_model] after the last sublayer; the output is given at these tokens."""
    size, every = int(np.prod(weights.output.shape)), weights.output.each
    several = len(every) > 1
    labels, beyond = list[str](), list[float | None]()
    for one, bound in zip(every, bounds.output_bounds, strict=True):
        of, count = f" {one.name}" * several, int(np.prod(one.shape))
        labels += [of if count == 1 else f"{of}[{k}]" for k in range(count)]
        beyond += [finite(bound)] * count
    last = normalise(stream[tokens].T, weights.final_norm, weights.config, OWN)
    found = last.T @ weights.readout.csr.toarray().astype(stream.dtype) + weights.readout_bias.astype(stream.dtype)
    return {
        "name": weights.output.name,
        "shape": list(weights.output.shape),
        "tokens": tokens.tolist(),
        "found": [[finite(x) for x in row] for row in found],
        "exact": [[finite(x) for x in row] for row in bounds.output[0].reshape(tokens.size, size)],
        "labels": labels,
        "bounds": beyond,
    }
