"""The difference between what a transformer holds and what it should: trace against oracle, value by value.

before   weights, and data
after    sherman_morrison: s at layer 5: error 3.1, bound 2.4e-05       the first value beyond its bound

The weights are compiled again from their program, as far as ranges and layout, to know what each name should be after
each layer and how exact it can be (compiler/certify/trace_bounds.py). Their numbers take no part in that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from innerloop.artifact.displayed import Displayed, Sheet
from innerloop.artifact.tokens import TokenData, output_rows
from innerloop.artifact.weights import Weights
from innerloop.compiler.certify.trace_bounds import Bounds
from innerloop.compiler.compile import plan_of
from innerloop.compiler.interpreter.chunks import together
from numpy.typing import ArrayLike, NDArray

from .trace import Trace


class TracedModel(Protocol):
    """What is asked of a transformer."""

    @property
    def weights(self) -> Weights: ...

    def traceable(self, data: TokenData) -> int: ...

    def trace_of(self, data: TokenData) -> Trace: ...

    def outputs_of(self, data: TokenData) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Difference:
    """Of one name after one layer (counted from 0; None: the output): the largest error, the place of it, and the
    bound of the error on this data. Tasks and tokens count from 0, as the trace's do."""

    name: str
    layer: int | None
    error: float
    bound: float
    task: int
    token: int

    @property
    def exceeds(self) -> bool:
        return not self.error <= self.bound


@dataclass(frozen=True, repr=False)
class Diff(Displayed):
    """Every name after every layer that holds it, in the order in which they are computed, the output last."""

    differences: tuple[Difference, ...]

    @property
    def first(self) -> Difference | None:
        """The first value whose error exceeds its bound."""
        return next((d for d in self.differences if d.exceeds), None)

    def worst(self) -> dict[tuple[str, bool], Difference]:
        """Of each name (and whether it is the output), the layer after which its error is largest for its bound."""
        found: dict[tuple[str, bool], Difference] = {}
        for d in self.differences:
            key = d.name, d.layer is None
            if key not in found or _share(d) > _share(found[key]):
                found[key] = d
        return found

    def _sheet(self) -> Sheet:
        rows = tuple(
            (d.name, "output" if d.layer is None else str(d.layer), f"{d.error:.1e}", f"{d.bound:.1e}", str(d.task),
             str(d.token), "beyond" if d.exceeds else "")
            for d in self.worst().values()
        )  # fmt: skip
        title = (
            "every value is within its bound" if self.first is None else f"first beyond its bound: {self.first.name}"
        )
        header = ("value", "worst layer", "error", "bound", "task", "token", "")
        return Sheet(f"Diff: {title}", rows, header)

    def layers(self, name: str) -> list[int]:
        """The layers after which a name is held."""
        return [d.layer for d in self.differences if d.name == name and d.layer is not None]


def diff(model: TracedModel, data: TokenData, calibration: Mapping[str, ArrayLike] | None = None) -> Diff:
    """`data` as `model` takes it. Raises DataError where the weights cannot be compiled again (see `plan_of`)."""
    weights = model.weights
    plan = plan_of(weights, calibration)
    largest: dict[tuple[int, int], Difference] = {}
    rows = output_rows(data.sequence, weights.output.kinds)
    outputs = [(len(weights.layout) + k, weights.config.n_layer) for k in range(len(weights.output.each))]
    step = max(1, min(together(plan.graph, data), model.traceable(data)))
    for start in range(0, data.batch, step):
        part = _tasks(data, slice(start, start + step))
        trace, bounds = model.trace_of(part), Bounds(plan, part)
        for e in bounds:
            name, layer = weights.layout[e.placement].name, e.layer
            found = trace[name][layer][:, e.tokens].reshape(e.exact.shape)
            one = _compared(name, layer, found, e.exact, e.bound, start, e.tokens)
            _keep(largest, (e.placement, layer), one)
        sides = weights.output.split(model.outputs_of(part)), weights.output.split(bounds.output)
        for place, answer, found, exact, bound in zip(
            outputs, weights.output.each, *sides, bounds.output_bounds, strict=True
        ):
            found, exact = (side.reshape(part.batch, rows.size, -1) for side in (found, exact))
            _keep(largest, place, _compared(answer.name, None, found, exact, bound, start, rows))

    def order(place: tuple[int, int]) -> tuple[int, int, float]:
        placement, layer = place
        born = weights.layout[placement].first if place not in outputs else placement
        return layer, born, -_share(largest[place])

    return Diff(tuple(largest[place] for place in sorted(largest, key=order)))


def _compared(
    name: str,
    layer: int | None,
    found: NDArray[Any],
    exact: NDArray[np.float64],
    bound: float,
    first_task: int,
    tokens: NDArray[np.int64],
) -> Difference:
    """found, exact: [tasks, tokens, size]."""
    error = np.abs(found.astype(np.float64) - exact).max(2)
    error = np.where(np.isnan(error), np.inf, error)
    task, token = np.unravel_index(error.argmax(), error.shape)
    return Difference(name, layer, float(error[task, token]), bound, first_task + int(task), int(tokens[token]))


def _keep(largest: dict[tuple[int, int], Difference], place: tuple[int, int], one: Difference) -> None:
    """The error relative to the bound of its own part of the data is what counts."""
    if place not in largest or _share(one) > _share(largest[place]):
        largest[place] = one


def _share(d: Difference) -> float:
    return d.error / d.bound if d.bound else float(np.inf if d.error else 0.0)


def _tasks(data: TokenData, tasks: slice) -> TokenData:
    fields = {name: array[tasks] for name, array in data.fields.items()}
    return TokenData(data.sequence, len(range(*tasks.indices(data.batch))), fields, data.batched)
