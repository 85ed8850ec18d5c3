"""Streams of tasks that one figure alone has: drawn, and scored, as it says.

    draw(key, batch) → fields   ;   score(outputs, fields) → loss      →   a TaskDistribution that `train` takes

Fields may hold more than the program's: what the loss needs and no token does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.weights import Weights
from innerloop.runtime.surroundings import settled

from ...measures.distance import Floats
from ...measures.subject import Subject
from ...training.kinds import Array, Fields
from ...training.tasks import TaskDistribution


@dataclass(frozen=True, eq=False, kw_only=True)
class Stream(TaskDistribution):
    """Tasks as `draw` makes them; `score` is the loss of outputs [batch, rows, *shape]. `parameters` say what they are:
    a killed run goes on only with the same."""

    draw: Callable[[Array, int], Fields]
    score: Callable[[Array, Fields], Array]

    def sample(
        self,
        key: Array,
        batch: int,
        points: int | None = None,
        dimensions: Array | None = None,
        *,
        dtype: Dtype = "float32",
        jit: bool = True,
    ) -> Fields:
        """So many tasks. Neither points nor dimensions grow here."""
        with settled(dtype), jax.disable_jit(not jit):
            return self._jitted(key, batch)

    def loss(self, outputs: Array, fields: Fields) -> Array:
        return self.score(outputs, fields)

    def verify(self, weights: Weights) -> None:
        """Drawn for the figure's own program."""

    @cached_property
    def _jitted(self) -> Callable[[Array, int], Fields]:
        return jax.jit(self.draw, static_argnums=1)


def answers(weights: Weights, fields: Mapping[str, Any]) -> Floats:
    """The outputs [tasks, rows, *shape] on those of the fields that the program has."""
    own = {field.name: fields[field.name] for field in weights.signature.fields}
    return np.asarray(Subject(weights, "")(own), np.float64)


def squared(truth: str) -> Callable[[Array, Fields], Array]:
    """The mean squared error of the outputs against the field of this name."""
    return lambda outputs, fields: jnp.mean(jnp.square(outputs - fields[truth]))


def cross_entropy(truth: str) -> Callable[[Array, Fields], Array]:
    """−log softmax(outputs) at the one-hot symbols of the field of this name, nats, mean over rows."""

    def score(outputs: Any, fields: Fields) -> Array:
        return -jnp.mean(jnp.sum(jax.nn.log_softmax(outputs) * fields[truth], -1))

    return score
