"""A program as a function of its parameters and of tasks: for arrays with a batch, jitted, in float64.

f = Differentiable(load("gradient_descent"), free=("rate",), d=3)
f(x=x, y=y)                                      [batch, rows]: what `interpret` gives, many times as fast
f(x=x, y=y, parameters={"rate": 0.2})            the same code, another rate
f.one(line)(parameters, fields)                  one task [rows, *shape], traceable: jax.grad, jax.jacfwd, jax.vmap
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import Sequence, TokenData, output_rows, read_data
from innerloop.compiler.syntax.nodes import Program
from numpy.typing import ArrayLike

from ..executables import Compiled, compiled
from ..surroundings import settled
from . import TOGETHER
from .evaluate import evaluate
from .opened import opened

Array = Any


class Differentiable:
    """`free`: the parameters that are given with each call, else as they were here; `counts`: those of repeats.

    Raises CompileError for a program or parameters that are not sound, or a name that cannot be free."""

    def __init__(
        self, program: str | Program, free: Collection[str] = (), counts: Collection[str] = (), **given: object
    ) -> None:
        self.program = opened(program, tuple(free), tuple(counts), given)
        self.start: Mapping[str, Floats] = self.program.free
        self._batches: dict[Sequence, Compiled[..., Array]] = {}

    def __call__(
        self,
        *,
        parameters: Mapping[str, ArrayLike] | None = None,
        counts: Mapping[str, int] | None = None,
        **fields: ArrayLike,
    ) -> Any:
        """The output [batch, rows, *shape] in float64, several in a dict by their names. Raises DataError for data that
        do not fit."""
        data = read_data(self.program.signature, fields)
        rows = self.rows(data)
        values = dict(self.start) | {n: np.asarray(v, np.float64) for n, v in (parameters or {}).items()}
        with settled("float64"):
            found = np.asarray(self.batch(data.sequence)(values, rows, dict(counts or {})), np.float64)
        return self.program.graph.output.named(found if data.batched else found[0])

    def rows(self, data: TokenData) -> dict[str, Floats]:
        """Fields [batch, rows, size], a row for each token that holds the field."""
        return {
            spec.name: data.fields[spec.name][:, output_rows(data.sequence, spec.kinds)]
            for spec in self.program.signature.fields
        }

    def many(self, line: Sequence) -> Callable[..., Array]:
        """(parameters, fields [batch, rows, size], counts = {}, seen = None) → the output [batch, rows, *shape], or all
        side by side."""
        program = self.program
        shape = program.graph.output.shape

        def function(
            parameters: Mapping[str, Array],
            fields: Mapping[str, Array],
            counts: Mapping[str, Array] = {},
            seen: Array | None = None,
        ) -> Array:
            last = {name: jnp.moveaxis(jnp.asarray(rows, float), 0, -1) for name, rows in fields.items()}
            found = jnp.moveaxis(evaluate(program, line, parameters, last, counts, seen), -1, 0)
            return found.reshape(*found.shape[:2], *shape)

        return function

    def one(self, line: Sequence) -> Callable[..., Array]:
        """The same of one task: fields [rows, size] → [rows, *shape]."""
        many = self.many(line)

        def function(parameters: Mapping[str, Array], fields: Mapping[str, Array], *more: Any) -> Array:
            return many(parameters, {name: jnp.asarray(rows)[None] for name, rows in fields.items()}, *more)[0]

        return function

    def batch(self, line: Sequence) -> Compiled[..., Array]:
        """`many`, compiled, for any number of tasks: some at a time."""
        if line not in self._batches:
            many = self.many(line)

            def every(
                parameters: Mapping[str, Array], fields: Mapping[str, Array], counts: Mapping[str, Array] = {}
            ) -> Array:
                tasks = next(iter(fields.values())).shape[0]
                if tasks <= TOGETHER:
                    return many(parameters, fields, counts)
                parts = -(-tasks // TOGETHER)
                split = {
                    name: jnp.pad(rows, [(0, parts * TOGETHER - tasks), (0, 0), (0, 0)]).reshape(
                        parts, TOGETHER, *rows.shape[1:]
                    )
                    for name, rows in fields.items()
                }
                found = jax.lax.map(lambda part: many(parameters, part, counts), split)
                return found.reshape(parts * TOGETHER, *found.shape[2:])[:tasks]

            self._batches[line] = compiled(every)
        return self._batches[line]
