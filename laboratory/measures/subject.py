"""Weights under study: what they predict, hold inside, and answer to a change of their input or of their stream.

    Weights, compiled or trained   →   predictions, gradients, the residual stream after each layer, patched predictions

Compiled and trained weights run on the same pass of the runtime. No guard: tasks may lie outside the compiled ranges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.errors import DataError
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.precisions import carrier
from innerloop.artifact.tokens import TokenData, output_rows, read_data
from innerloop.artifact.weights import Weights
from innerloop.runtime import Trace, Transformer
from innerloop.runtime.executables import compiled
from innerloop.runtime.forward import embed, forward, streams
from innerloop.runtime.packing.packed import Parameters
from innerloop.runtime.patching.patched import patched
from numpy.typing import NDArray

from .distance import Fields, Floats

CHUNK_BYTES = 2**27
"""About the largest stream that is held while its token is taken out."""


class Subject:
    """A predictor with an inside. `name` is what tables and plots call it; `rest`: whether a rest token stands before
    the data's, as in all weights of this project, or nothing does, as in other people's."""

    def __init__(self, weights: Weights, name: str, rest: bool = True) -> None:
        self.weights, self.name, self._first = weights, name, int(rest)
        self._transformer = Transformer(weights, guard="off")
        self._parameters = self._transformer.parameters

    @property
    def layers(self) -> int:
        return self.weights.config.n_layer

    def __call__(self, fields: Fields) -> NDArray[Any]:
        """All outputs side by side, [batch, rows, *shape]."""
        data = self.tokens(fields)
        if self._first:
            return self._transformer.outputs_of(data)
        rows = self._rows(data)
        with self._transformer.precision():
            found = [np.asarray(forward(self._parameters, given, rows, {})[0]) for given in self._chunks(data)]
        return np.concatenate(found).reshape(data.batch, rows.size, *self.weights.output.shape)

    def tokens(self, fields: Fields) -> TokenData:
        """The data as tokens. Raises DataError for data that does not fit."""
        return read_data(self.weights.signature, fields)

    def trace(self, fields: Fields) -> Trace:
        """Every named value after every layer; of weights without a layout, none."""
        return self._transformer.trace(**fields)

    def stream(self, fields: Fields, token: int | Sequence[int] | None = -1, every: int = 2) -> NDArray[Any]:
        """The residual stream at one token, [1 + layers, batch, d_model], or at several (None: every one of the data),
        [1 + layers, batch, tokens, d_model]: as embedded, and after each layer; with `every` 1 each sublayer."""
        slots = np.arange(self.weights.config.d_model, dtype=np.int32)
        data = self.tokens(fields)
        tokens = self._first + np.arange(len(data.sequence))
        chosen = tokens if token is None else tokens[np.atleast_1d(np.asarray(token))]
        with self._transformer.precision():
            parts = []
            for given in self._chunks(data):
                start = embed(self._parameters, given)[None]
                whole = jnp.concatenate([start, streams(self._parameters, given, slots, every=every)])
                parts.append(np.asarray(whole[:, :, chosen]))
        found = np.concatenate(parts, 1)
        return found[:, :, 0] if isinstance(token, int) else found

    def sensitivities(self, fields: Fields, field: str = "x", row: int = -1) -> Floats:
        """∂ŷ/∂`field` at the token of the output's `row`: [batch, *output shape, *field shape].

        Raises DataError where that token does not hold the field."""
        signature, data = self.weights.signature, self.tokens(fields)
        spec = next((f for f in signature.fields if f.name == field), None)
        if spec is None:
            raise DataError(f"{signature.name} has no field `{field}`")
        token = int(self._rows(data)[row])
        if data.sequence.kinds[token - self._first] not in spec.kinds:
            raise DataError(f"the token that predicts holds no `{field}`: there is nothing to be sensitive to")
        held, size = FeatureLayout.of(self.weights.signature).fields[field], prod(self.weights.output.shape)
        with self._transformer.precision():
            parts = [
                np.stack([np.asarray(_slope(self._parameters, given, token, c))[:, held] for c in range(size)], 1)
                for given in self._chunks(data)
            ]
        return np.concatenate(parts).astype(np.float64).reshape(-1, *self.weights.output.shape, *spec.shape)

    def patched(self, fields: Fields, layer: float, token: int, change: NDArray[Any]) -> Floats:
        """The output [batch, rows, *shape] where `change` [batch, d_model] is added to the stream of one token of the
        data after `layer` (0: to its embedding; k + ½: after the attention of layer k + 1)."""
        data = self.tokens(fields)
        rows, place, after = self._rows(data), self._first + token % len(data.sequence), np.int32(2 * layer)
        found, done = [], 0
        with self._transformer.precision():
            for given in self._chunks(data):
                here = np.asarray(change[done : done + len(given)], carrier(self._transformer.dtype.name))
                done += len(given)
                found.append(np.asarray(patched(self._parameters, given, rows, after, np.int32(place), here)))
        return np.concatenate(found).astype(np.float64).reshape(-1, rows.size, *self.weights.output.shape)

    def _rows(self, data: TokenData) -> NDArray[np.int64]:
        """The tokens that give the output, counted with the rest token, if there is one."""
        return np.asarray(output_rows(data.sequence, self.weights.output.kinds) + self._first)

    def _chunks(self, data: TokenData) -> Iterator[Any]:
        """Features [chunk, 1 + tokens, features], without the 1 where there is no rest token, some tasks at a time."""
        slots = self.layers * (len(data.sequence) + 1) * self.weights.config.d_model
        step = max(1, CHUNK_BYTES // (slots * carrier(self._transformer.dtype.name).itemsize))
        for start in range(0, data.batch, step):
            count = min(step, data.batch - start)
            yield self._transformer.features(data, start, count, count)[:, 1 - self._first :]


@compiled
def _slope(parameters: Parameters, features: Any, token: Any, component: Any) -> Any:
    """The derivative of one component of the prediction at `token` by the token's own features: [batch, features]."""

    def answer(given: Any) -> Any:
        found, _ = forward(parameters, given, jnp.array([token]), {})
        return found[:, 0, component].sum()

    return jax.grad(answer)(features)[:, token]
