"""A family on tasks: its answers at every prefix, and their slopes in the parameters, by one compiled function.

    θ [parameters], counts, x [tasks, n + 1, d], y [tasks, n]   →   answers [tasks, prefixes],
                                                                    slopes [tasks, prefixes, parameters]

θ are the real parameters, flattened, as unbounded numbers (`Range.free`). Counts are traced: one code for every number
of steps. A program of `(example)* query` answers a prefix by a mask of what is seen, not by tasks of another length. Of
one that continues sequences y is not used, and each component of the next state is an answer: [tasks, prefixes · size].
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.signature import Signature
from innerloop.artifact.tokens import sequence, sequence_of, visible
from innerloop.compiler.ir.graph import Graph, Move
from innerloop.runtime.differentiable import TOGETHER
from innerloop.runtime.differentiable.function import Differentiable
from innerloop.runtime.executables import Compiled, compiled
from innerloop.runtime.surroundings import settled

from .behaviour import CAUSAL, EXAMPLES, SHARED, STATES, tokens_of
from .families import Family, Range

Array = Any
Counts = Mapping[str, int]
FARTHEST = 300.0
MOST = 1e3
"""Answers larger than so many root mean squares of the labels are cut there: a rate that diverges stays a number."""


class Candidate:
    """Raises InnerloopError for a family of other tokens than regression's, CompileError for one that is not sound."""

    def __init__(self, family: Family, n: int, prefixes: tuple[int, ...]) -> None:
        self.family, self.n, self.prefixes = family, n, prefixes
        counts = tuple(family.whole)
        self.function = Differentiable(family.text, tuple(family.reals), counts, **family.given)
        self.tokens = tokens_of(self.signature)
        if self.tokens not in (CAUSAL, SHARED, EXAMPLES, STATES):
            raise InnerloopError(f"{family.name}: explain takes tokens `{CAUSAL}` or `{SHARED}`, not `{self.tokens}`")
        if self.tokens in (SHARED, EXAMPLES) and not _masked(self.function.program.graph):
            raise InnerloopError(f"{family.name}: explain takes a program of `{self.tokens}` without moves and scans")
        self.shapes = {name: np.shape(value) for name, value in self.function.start.items()}
        self.sizes = {name: int(np.prod(shape, dtype=int)) for name, shape in self.shapes.items()}

    @property
    def signature(self) -> Signature:
        return self.function.program.signature

    @property
    def name(self) -> str:
        return self.family.name

    @property
    def reals(self) -> int:
        """How many real numbers are fitted."""
        return sum(self.sizes.values())

    def starts(self) -> list[Floats]:
        """θ to begin with."""
        most = max((len(r.starts) for r in self.family.reals.values()), default=1)
        return [self.free({n: self._start(n, r, k) for n, r in self.family.reals.items()}) for k in range(most)]

    def _start(self, name: str, of: Range, number: int) -> Floats:
        value = of.starts[number % len(of.starts)]
        shape = self.shapes[name]
        return np.asarray(value * np.eye(*shape) if len(shape) == 2 else np.full(shape, value))

    def free(self, values: Mapping[str, Floats]) -> Floats:
        """Values of the parameters as θ."""
        parts = [of.free(np.asarray(values[name], np.float64)).ravel() for name, of in self.family.reals.items()]
        return np.concatenate(parts) if parts else np.zeros(0)

    def values(self, theta: Any) -> dict[str, Any]:
        """θ as values of the parameters: of NumPy's or of JAX's numbers."""
        found, done = {}, 0
        if isinstance(theta, np.ndarray):  # what a fit ran away to is finite
            theta = np.clip(theta, -FARTHEST, FARTHEST)
        for name, of in self.family.reals.items():
            part = theta[done : done + self.sizes[name]].reshape(self.shapes[name])
            library: Any = np if isinstance(theta, np.ndarray) else jnp
            match of.scale:
                case "logarithmic":
                    part = library.exp(part)
                case "share":
                    part = 1.0 / (1.0 + library.exp(-part))
            found[name] = part
            done += self.sizes[name]
        return found

    def tasks(self, theta: Array, counts: Mapping[str, Array], x: Array, y: Array) -> Array:
        """Answers [tasks, prefixes] of tasks x [tasks, n + 1, d], y [tasks, n]; traceable."""
        at = np.array(self.prefixes)
        if self.tokens == STATES:
            (field,) = self.signature.fields
            many = self.function.many(sequence_of(self.signature, {field.name: self.n + 1}))
            found = many(self.values(theta), {field.name: x}, counts)
            return found[:, at - (self.n + 1)].reshape(x.shape[0], -1)
        line = sequence(self.signature.pattern, self.n)
        many = self.function.many(line)
        if self.tokens == CAUSAL:
            return many(self.values(theta), {"x": x, "y": y[..., None]}, counts)[:, at]
        within = visible(line, self.signature.pattern)
        masks = np.stack([within & ((np.arange(self.n + 1) < k) | np.eye(self.n + 1, dtype=bool)) for k in at])

        def after(query: Array, seen: Array) -> Array:
            fields = {"x": jnp.concatenate([x[:, : self.n], query[:, None]], 1), "y": y[..., None]}
            return many(self.values(theta), fields, counts, seen)[:, -1]

        return jax.vmap(after, in_axes=(1, 0), out_axes=1)(x[:, at], jnp.asarray(masks))

    def _answers(self, theta: Array, counts: Any, x: Array, y: Array, most: Array) -> Array:
        found = self.tasks(theta, counts, x, y)
        return jnp.clip(jnp.where(jnp.isnan(found), most, found), -most, most)

    @cached_property
    def _both(self) -> Compiled[..., tuple[Array, Array]]:
        def both(theta: Array, counts: Any, x: Array, y: Array, most: Array) -> tuple[Array, Array]:
            def answers(at: Array) -> tuple[Array, Array]:
                found = self._answers(at, counts, x, y, most)
                return found, found

            if not self.reals:
                found, _ = answers(theta)
                return found, jnp.zeros((*found.shape, 0))
            slopes, found = jax.jacfwd(answers, has_aux=True)(theta)
            return found, slopes

        return compiled(both)

    def run(self, theta: Floats, counts: Counts, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Answers [tasks, prefixes] and their slopes [tasks, prefixes, parameters], which are finite."""
        most = MOST * max(1e-30, float(np.sqrt(np.mean(np.square(y)))))
        answers, slopes = [], []
        with settled("float64"):
            for start in range(0, len(x), TOGETHER):
                some = slice(start, start + TOGETHER)
                count = len(x[some])
                fill = [(0, TOGETHER - count)]
                here = [np.pad(v[some], [*fill, *[(0, 0)] * (v.ndim - 1)]) for v in (x, y)]
                found, slope = self._both(theta, dict(counts), *here, most)
                answers.append(np.asarray(found)[:count])
                slopes.append(np.nan_to_num(np.asarray(slope)[:count], nan=0.0, posinf=0.0, neginf=0.0))
        return np.concatenate(answers), np.concatenate(slopes)

    def answers(self, theta: Floats, counts: Counts, x: Floats, y: Floats) -> Floats:
        return self.run(theta, counts, x, y)[0]


def _masked(graph: Graph) -> bool:
    """Whether a token that is not seen does nothing: nothing is moved or scanned."""
    moves = any(isinstance(graph[v].op, Move) for v in graph.values())
    return not moves and all(loop.kind is None for loop in graph.loops())
