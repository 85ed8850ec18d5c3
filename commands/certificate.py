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
    from innerloop.runtime import Transformer
    from numpy.typing import NDArray

MOST = 3
"""Values out of range that are named: what went wrong first is the cause."""


def certified(
    model: Transformer, fields: Mapping[str, NDArray[Any]], calibration: Mapping[str, NDArray[Any]] | None
) -> dict[str, NDArray[Any]]:
    """The model's output, its bounds and whether it is above them; warns of what is not."""
    found = model.certify(calibration, **fields)
    name, size = model.weights.output.name, found.bound.size
    unknown, small = int(np.isinf(found.bound).sum()), int((~found.resolved & np.isfinite(found.bound)).sum())
    for said in found.beyond[:MOST]:
        warnings.warn(said, UserWarning, stacklevel=2)
    if unknown:
        warnings.warn(f"nothing is known of {unknown} of {counted(size, 'prediction')}", UserWarning, stacklevel=2)
    if small:
        what = f"{small} of {counted(size, 'prediction')}"
        warnings.warn(f"{what}: smaller than what these weights resolve", UserWarning, stacklevel=2)
    bound = np.vectorize(_rounded, otypes=[np.float64])(found.bound)
    return {name: found.prediction, f"{name}_bound": bound, f"{name}_resolved": found.resolved.astype(np.int8)}


def _rounded(bound: float) -> float:
    """To three digits, upwards."""
    return float(f"{1.005 * bound:.2e}")
