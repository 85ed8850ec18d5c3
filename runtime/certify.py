"""A certificate for these data: every prediction with its own error bound.

before   a transformer, and data
after    prediction  0.1042   0.0003
         bound       2.1e-5   9.0e-4          the second is smaller than what these weights resolve here

A bound is what the error model says of these very inputs (compiler/certify/call_bounds.py): of every operation what its
construction gives of these operands, and how it rounds, four times as large, in many runs; of comparisons and near ties
that rounding may turn over, either way. It is infinite where a value left the domain of a construction that the
prediction may rest on, and names the value. What it takes for granted is that the weights are what the program compiles
to, and that they run as this package runs them. Rounding is drawn there, and not bounded from above: so the float64
oracle is asked each time, too. Where the error is a few times the bound, the draws were lucky, and the bound is the
error; where it is more, the weights are not what they are taken for, and there is no certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.weights import Weights
from innerloop.compiler.certify.call_bounds import bounded
from innerloop.compiler.certify.predict import LUCK
from innerloop.compiler.compile import plan_of
from numpy.typing import ArrayLike, NDArray


class RunningModel(Protocol):
    """What is asked of a transformer."""

    weights: Weights
    dtype: np.dtype[Any]
    on_chunk: Callable[[int, int], None] | None

    def outputs_of(self, data: TokenData) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Certified:
    """Predictions, as a call gives them, [batch, rows, *shape] (without a batch dimension if the data had none); of
    several outputs these three are dicts, name to array.

    bound     how far each is from the program's exact output at most, in the output's own units; inf: nobody knows
    resolved  whether it is at least its bound; else it is smaller than what these weights resolve
    beyond    why bounds are infinite: the values that left what they are compiled for, each with a task and its range
    """

    prediction: Any
    bound: Any
    resolved: Any
    beyond: tuple[str, ...]


def certify(model: RunningModel, data: TokenData, calibration: Mapping[str, ArrayLike] | None = None) -> Certified:
    """`data` as `model` takes it, whose guard is off: the certificate says what it would.

    Raises DataError where the weights cannot be compiled again (see `plan_of`), InnerloopError where they are wrong."""
    weights = model.weights
    name = weights.signature.name
    if not np.isfinite(weights.report.predicted_error):
        raise DataError(f"{name} was trained, or changed, and not compiled: no error model says how far it may be off")
    if model.dtype.itemsize < np.dtype(weights.config.dtype).itemsize:
        raise DataError(
            f"{name} was compiled for {weights.config.dtype} and runs in {model.dtype.name}, for which there is no "
            f"error model: run it in {weights.config.dtype}, or compile it for {model.dtype.name}"
        )
    found = bounded(plan_of(weights, calibration), weights.report, data, model.on_chunk)
    prediction = model.outputs_of(data)
    error = np.abs(prediction.astype(np.float64) - found.exact)
    known = np.isfinite(found.exact)  # else the program itself has no answer there
    wrong = np.argwhere(known & ~(error <= LUCK * found.bound))
    if wrong.size:
        task, row = wrong[0][:2].tolist()
        place = tuple(wrong[0])
        raise InnerloopError(
            f"{name} is off by {error[place]:.3g} at task {task}, row {row}, where the error model allows "
            f"{found.bound[place]:.3g}: the weights are not what the program compiles to, or do not run as they "
            "should. `innerloop diff` says where they are wrong"
        )
    bound = np.where(known, np.maximum(found.bound, error), np.inf)
    named = [
        weights.output.named(side if data.batched else side[0])
        for side in (prediction, bound, np.abs(prediction) >= bound)
    ]
    return Certified(named[0], named[1], named[2], tuple(map(str, found.beyond)))
