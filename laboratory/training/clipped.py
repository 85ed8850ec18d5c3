"""Models whose tokens stay within a bound, so that layers of linear attention cannot run away.

    Model, bound   →   Clipped: every number of the stream is cut at ± bound after each layer, in training and after it

A layer of linear attention is of third order in its tokens: a task whose inputs are somewhat larger than usual grows
without limit over five layers, 10³⁰ and more, and its gradient with it. von Oswald et al. 2022 cut tokens at ±10 in
models of more than two layers. What never comes to the bound is what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.weights import Weights
from innerloop.runtime.arrays import matmul
from innerloop.runtime.forward import embed, over_all
from innerloop.runtime.layers.functions import normed
from innerloop.runtime.layers.steps import Pass, run
from innerloop.runtime.packing.packed import LoopStep, Parameters
from innerloop.runtime.surroundings import promoting

from .model import Array, Model, Tree


@dataclass(frozen=True, eq=False)
class Clipped(Model):
    """`bound`: the largest number in the stream after a layer."""

    bound: float

    @staticmethod
    def around(model: Model | Weights, bound: float) -> Clipped:
        """The same numbers, compiled or trained. Raises InnerloopError for a bound that is not above 0."""
        if not bound > 0:
            raise InnerloopError(f"bound={bound:g}: must be above 0")
        whole = model if isinstance(model, Model) else Model.of(model)
        return Clipped(whole.template, whole.parameters, whole.constants, bound)

    @property
    def variant(self) -> str:
        return f"clipped at {self.bound:g}"

    def apply(self, parameters: Tree, fields: Mapping[str, Array]) -> Array:
        """As a Model's."""
        with promoting():
            rows, features = self._features(fields)
            packed = self.packed(parameters)
            last = normed(self._run(packed, features)[:, rows], packed.final_norm, packed.short)
            found = matmul(last, packed.readout) + packed.readout_bias
            return found.reshape(*found.shape[:2], *self.template.output.shape)

    def _run(self, packed: Parameters, features: Array) -> Array:
        """The stream after the last layer: layers are pairs of sublayers, in a loop and out of it."""
        of = Pass({}, lambda *_: None, over_all(packed, features.shape[1]))
        stream, layer = embed(packed, features), []
        steps = [one for step in packed.steps
                 for one in (step.steps * step.count if isinstance(step, LoopStep) else (step,))]  # fmt: skip
        for step in steps:
            layer.append(step)
            if len(layer) == 2:
                (stream, _), _, _ = run(tuple(layer), (stream, {}), None, of)
                stream, layer = jnp.clip(stream, -self.bound, self.bound), []
        return stream
