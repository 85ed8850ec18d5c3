"""A trained baseline under study: what it predicts, and answers to a change of its input. It has no residual stream.

Baseline, what it was trained on   →   Network, beside Weights in a comparison   →   Untraced, beside Subjects
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from innerloop.artifact.errors import DataError
from innerloop.artifact.outputs import OutputSpec
from innerloop.artifact.signature import Signature
from innerloop.artifact.tokens import read_data
from innerloop.artifact.weights import Weights
from numpy.typing import NDArray

from .measures.distance import Fields, Floats
from .measures.subject import Subject
from .training.baselines import Baseline, is_baseline

TOGETHER = 1000
"""Tasks that run at once."""


@dataclass(frozen=True, eq=False)
class Network:
    """`trained`: on what, in words."""

    model: Baseline
    trained: str

    @property
    def signature(self) -> Signature:
        """The tokens and fields that it takes."""
        return self.model.signature

    @property
    def output(self) -> OutputSpec:
        return self.model.template.output

    def numbers(self) -> tuple[int, int]:
        """How many parameters it has, and how many of them are not 0."""
        values = self.model.parameters.values()
        return sum(value.size for value in values), sum(int(np.count_nonzero(value)) for value in values)


Known = Weights | Network
"""What can be compared."""


def known(folder: Path) -> Known:
    """What a folder holds. Raises DataError, with the reason, for one that is not whole and sound."""
    return Network(*Baseline.load(folder)) if is_baseline(folder) else Weights.load(folder)


def trained_on(model: Known) -> str:
    """In words; of compiled weights nothing."""
    return model.trained if isinstance(model, Network) else model.report.trained


class Untraced(Subject):
    """A predictor without an inside, of a Network."""

    def __init__(self, network: Network, name: str) -> None:
        self.weights, self.name, self._first = network.model.template, name, 1
        self._model = network.model

    @property
    def layers(self) -> int:
        return self._model.layers

    def __call__(self, fields: Fields) -> NDArray[Any]:
        """All outputs side by side, [batch, rows, *shape]. Raises DataError for data that does not fit."""
        read_data(self.weights.signature, fields)
        with self._model.precision():
            found = [np.asarray(self._answers(self._model.parameters, part)) for part in self._parts(fields)]
        return np.concatenate(found)

    def stream(self, fields: Fields, token: int | Sequence[int] | None = -1, every: int = 2) -> NDArray[Any]:
        """Raises DataError: it has none."""
        raise DataError(f"{self.name} is a baseline, {self._model.variant}: it has no residual stream")

    def sensitivities(self, fields: Fields, field: str = "x", row: int = -1) -> Floats:
        """As a Subject's, of an output that is one number: ∂ŷ/∂`field` [batch, *field shape] where it is held last."""

        def answer(moving: Any, rest: Any) -> Any:
            return self._model.apply(self._model.parameters, {**rest, field: moving})[:, row].sum()

        slope = jax.jit(jax.grad(answer))
        with self._model.precision():
            parts = [np.asarray(slope(part[field], part)) for part in self._parts(fields)]
        return np.concatenate(parts).astype(np.float64)[:, row]

    @cached_property
    def _answers(self) -> Any:
        return jax.jit(self._model.apply)

    def _parts(self, fields: Fields) -> list[dict[str, NDArray[Any]]]:
        taken = {f.name: np.asarray(fields[f.name], self._model.config.dtype) for f in self.weights.signature.fields}
        count = len(next(iter(taken.values())))
        return [{name: v[at : at + TOGETHER] for name, v in taken.items()} for at in range(0, count, TOGETHER)]


def subject(model: Known, name: str) -> Subject:
    """What is asked of it, by this name."""
    return Untraced(model, name) if isinstance(model, Network) else Subject(model, name)
