"""Tasks to learn in context: infinite seeded streams, drawn on the device, in the token layouts of the programs.

    task("noisy_linear", d=5, n=10, noise=0.5).sample(key, 64)   →   {"x": [64, 11, 5], "y": [64, 11]}

A regression task has n examples and a query; the query's label comes with the data, and no token holds it: a model
never sees it, and the loss does. An autoregressive task is a sequence of n states, each to be predicted from those
before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.tokens import sequence_of, verify_length
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import Rows
from innerloop.runtime.surroundings import key, settled

from .kinds import DRAWS, Array, Fields, pooled
from .settings import TASKS, Values, fitting, task_settings


@dataclass(frozen=True, eq=False)
class TaskDistribution:
    """A stream of tasks; `task` makes it. `rows`: the outputs that the loss looks at, "all" or the "query" alone."""

    name: str
    parameters: Values
    rows: Rows = "all"

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
        """So many tasks, field → [batch, rows, *shape]. For a curriculum: `points` in place of n, and inputs that are 0
        but in their first `dimensions` components. The same key gives the same tasks, to each dtype its own.

        A jitted function; `jit` False for tasks that are drawn once: compiling takes longer than drawing."""
        n = self.parameters["n"] if points is None else points
        with settled(dtype), jax.disable_jit(not jit):
            return self._draw(key, batch, n, self.inputs if dimensions is None else dimensions)

    def drawn(self, count: int, seed: int, *, jit: bool = True) -> dict[str, Floats]:
        """So many tasks to measure on, as NumPy has them. A training run of the same seed does not see them."""
        found = self.sample(key(seed), count, jit=jit)
        return {name: np.asarray(value, np.float64) for name, value in found.items()}

    def loss(self, outputs: Array, fields: Fields) -> Array:
        """The mean squared error of outputs [batch, rows, …], over the rows that have a truth in the data."""
        found, truth = self.compared(outputs, fields)
        return jnp.mean(jnp.square(found - truth))

    def compared(self, outputs: Array, fields: Fields) -> tuple[Array, Array]:
        """The outputs that the loss looks at, and their truths, each [batch, rows, …]: of a regression the last labels,
        one for each output; of a sequence the states that follow, which the last output has none of."""
        if self.sequence:
            states = fields[self.parameters["field"]]
            found, truth = outputs[:, :-1], states[:, 1 + states.shape[1] - outputs.shape[1] :]
        else:
            found, truth = outputs, fields["y"][:, -outputs.shape[1] :]
        return (found[:, -1:], truth[:, -1:]) if self.rows == "query" else (found, truth)

    def pool(self) -> Array:
        """The weights [tasks, d] that a discrete_linear task draws from."""
        if "tasks" not in self.parameters:
            raise InnerloopError(f"task {self.name} has no finite pool of tasks; discrete_linear has one")
        with settled("float32"):
            return pooled(self.parameters, jnp.arange(self.parameters["tasks"]))

    def verify(self, weights: Weights) -> None:
        """Raises InnerloopError unless the program of `weights` takes these fields and so many tokens, and gives what
        is to be learnt."""
        drawn = jax.eval_shape(lambda: self.sample(key(0), 1))
        shapes = {name: tuple(field.shape[2:]) for name, field in drawn.items()}
        taken = {field.name: field.shape for field in weights.signature.fields}
        if shapes != taken:
            raise InnerloopError(
                f"task {self.name} gives {_described(shapes)}; {weights.signature.name} takes {_described(taken)}: "
                f"give both the same sizes, or take another task"
            )
        try:
            line = sequence_of(weights.signature, {name: field.shape[1] for name, field in drawn.items()})
            verify_length(line, weights.signature, weights.config.n_positions)
        except DataError as error:
            raise InnerloopError(f"task {self.name}, n={self.parameters['n']}: {error}") from None
        truth = shapes[self.parameters["field"]] if self.sequence else ()
        if weights.output.answers:
            listed = ", ".join(answer.name for answer in weights.output.answers)
            raise InnerloopError(f"task {self.name} teaches one output; {weights.signature.name} has several: {listed}")
        if weights.output.shape != truth:
            raise InnerloopError(
                f"task {self.name} teaches values of shape {list(truth)}; the output of {weights.signature.name} has "
                f"shape {list(weights.output.shape)}"
            )

    @property
    def sequence(self) -> bool:
        """Whether it is the states of a sequence, each the last one's answer, and no regression."""
        return self.name == "autoregressive"

    @property
    def inputs(self) -> int:
        """The components of an input."""
        d: int = self.parameters.get("d", 1)
        return d

    @cached_property
    def _draw(self) -> Callable[..., Fields]:
        draw = DRAWS[self.name]

        def fields(key: Array, batch: int, n: int, dimensions: Array) -> Fields:
            return draw(key, batch, n, dimensions, self.parameters)

        return jax.jit(fields, static_argnums=(1, 2))


def task(name: str, /, *, rows: Rows = "all", **parameters: Any) -> TaskDistribution:
    """The task `name` with these parameters, others as `defaults(name)` has them. Raises InnerloopError."""
    return TaskDistribution(name, task_settings(name, rows, parameters), rows)


def fitted(name: str, d: int | None, given: Values, rows: Rows = "all") -> TaskDistribution:
    """The task `name` with the parameters `given`; its d, if it has one and none is given, is the model's, if that is
    known. Raises InnerloopError."""
    return task(name, **{"rows": rows, **fitting(name, d, given)})


def names() -> list[str]:
    """The tasks that there are."""
    return list(TASKS)


def _described(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" if shape else name for name, shape in shapes.items())
