"""How outputs change with the data, for who takes gradients of a stock model to hold them against.

before   weights, and tasks within their ranges
after    tensors of tasks.safetensors: `direction.FIELD`, drawn from N(0, 1), for each field of numbers, in the shape of
         `field.FIELD`; `slope` [tasks], of the last output (of its components' sum) along all of them, by central
         differences of the float64 interpreter

Symbols have no direction. A stock model computes in the weights' precision, and where a program divides what rounding
left by what rounding left, as conjugate gradients do once they have converged, no gradient of it is the program's,
however it is taken: that shows here, whichever program it is.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import TokenData, output_rows
from innerloop.artifact.weights import Weights
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of

from ..tensors import Tensor

STEP, SEED = 1e-6, 11


def slopes(weights: Weights, data: TokenData) -> list[Tensor]:
    """None where all fields are symbols, or no token gives output."""
    signature = weights.signature
    fields = [field for field in signature.fields if not field.onehot]
    if not fields or not output_rows(data.sequence, weights.output.kinds).size:
        return []
    rng = np.random.default_rng(SEED)
    rows = {field.name: output_rows(data.sequence, field.kinds) for field in fields}
    directions = {name: rng.standard_normal(data.fields[name][:, at].shape) for name, at in rows.items()}
    graph = graph_of(signature.text, signature.parameters, signature.source)

    def last(step: float) -> Floats:
        moved = {name: array.copy() for name, array in data.fields.items()}
        for name, at in rows.items():
            moved[name][:, at] += step * directions[name]
        with np.errstate(all="ignore"):
            return np.asarray(evaluate(graph, replace(data, fields=moved))[:, -1].reshape(data.batch, -1).sum(axis=1))

    found = {f"direction.{name}": array for name, array in directions.items()}
    found["slope"] = (last(STEP) - last(-STEP)) / (2.0 * STEP)
    return [Tensor(name, array.shape, partial(np.asarray, array)) for name, array in found.items()]
