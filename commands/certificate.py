"""What `run --certify` adds to predictions: columns, and warnings.

before   y [tasks, rows]
after    y, y_bound, y_resolved; `warning: 2 of 8 predictions are smaller than what these weights resolve`
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from innerloop.artifact.errors import counted

if TYPE_CHECKING:
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
    """The model's output, its bounds and whether it is above them, of all rows or those that are `kept`; warns of what
    is not."""
    found = model.certify(calibration, **fields)
    if kept is not None:
        found = replace(found, prediction=found.prediction[:, kept], bound=found.bound[:, kept])
    name, size = model.weights.output.name, found.bound.size
    unknown, small = int(np.isinf(found.bound).sum()), int((~found.resolved & np.isfinite(found.bound)).sum())
    for said in found.beyond[:MOST]:
        warnings.warn(said, UserWarning, stacklevel=2)
    if unknown:
        warnings.warn(f"nothing is known of {unknown} of {counted(size, 'prediction')}", UserWarning, stacklevel=2)
    if small:
        what = f"{small} of {counted(size, 'prediction')}"
        warnings.warn(f"{what}: smaller than what these weights resolve", UserWarning, stacklevel=2)
    return {
        name: found.prediction,
        f"{name}_bound": rounded_up(found.bound),
        f"{name}_resolved": found.resolved.astype(np.int8),
    }


def rounded_up(bound: NDArray[Any]) -> NDArray[np.float64]:
    """To three digits, upwards."""
    found: NDArray[np.float64] = np.vectorize(lambda value: float(f"{1.005 * value:.2e}"), otypes=[np.float64])(bound)
    return found
