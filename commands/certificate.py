"""What `run --certify` adds to predictions: columns, and warnings.

before   y [tasks, rows]
after    y, y_bound, y_resolved; `warning: 2 of 8 predictions are smaller than what these weights resolve`
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from innerloop.artifact.errors import counted

if TYPE_CHECKING:
    from innerloop.artifact.outputs import OutputSpec
    from innerloop.runtime import Transformer
    from numpy.typing import NDArray

MOST = 3
"""Values out of range that are named: what went wrong first is the cause."""


def certified(
    model: Transformer,
    fields: Mapping[str, NDArray[Any]],
    calibration: Mapping[str, NDArray[Any]] | None,
    kept: NDArray[Any] | None = None,
) -> dict[str, NDArray[Any]]:
    """The model's outputs, the bounds of each and whether it is above them, of all rows or those that are `kept`; warns
    of what is not."""
    found, output = model.certify(calibration, **fields), model.weights.output
    predictions, bounds, resolved = (
        {name: array if kept is None else array[:, kept] for name, array in by_name(output, side).items()}
        for side in (found.prediction, found.bound, found.resolved)
    )
    size = sum(bound.size for bound in bounds.values())
    unknown = sum(int(np.isinf(bound).sum()) for bound in bounds.values())
    small = sum(int((~resolved[name] & np.isfinite(bound)).sum()) for name, bound in bounds.items())
    for said in found.beyond[:MOST]:
        warnings.warn(said, UserWarning, stacklevel=2)
    if unknown:
        warnings.warn(f"nothing is known of {unknown} of {counted(size, 'prediction')}", UserWarning, stacklevel=2)
    if small:
        what = f"{small} of {counted(size, 'prediction')}"
        warnings.warn(f"{what}: smaller than what these weights resolve", UserWarning, stacklevel=2)
    result: dict[str, NDArray[Any]] = {}
    for name, prediction in predictions.items():
        beside = rounded_up(bounds[name]), resolved[name].astype(np.int8)
        result |= {name: prediction, f"{name}_bound": beside[0], f"{name}_resolved": beside[1]}
    return result


def by_name(output: OutputSpec, given: Any) -> dict[str, NDArray[Any]]:
    """What a call gives as columns: the one output under its name, several as they are."""
    return dict(given) if output.answers else {output.name: given}


def rounded_up(bound: NDArray[Any]) -> NDArray[np.float64]:
    """To three digits, upwards."""
    found: NDArray[np.float64] = np.vectorize(lambda value: float(f"{1.005 * value:.2e}"), otypes=[np.float64])(bound)
    return found
