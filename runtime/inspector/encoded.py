"""Arrays as JSON: their bytes in base64, little-endian, with type and shape.

[[1, 2]] of float32   →   {"type": "f4", "shape": [1, 2], "data": "AACAPwAAAEA="}
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Dtype
from numpy.typing import NDArray

Json = dict[str, Any]


def encoded(array: NDArray[Any], kind: str | None = None) -> Json:
    """`kind`: f4, f8, i1, u2 or i4, as page/decode.js knows them; None: the smaller of u2 and i4 that holds these whole
    numbers."""
    if kind is None:
        whole = array.size == 0 or (array.min() >= 0 and array.max() < 2**16)
        kind = "u2" if whole else "i4"
    data = np.ascontiguousarray(array, dtype=f"<{kind}")
    return {"type": kind, "shape": list(array.shape), "data": b64encode(data.tobytes()).decode()}


def sparse(csr: Any, dtype: Dtype) -> Json:
    """A sparse matrix, row by row (SciPy has no types)."""
    return {
        "shape": list(csr.shape),
        "ends": encoded(csr.indptr),
        "at": encoded(csr.indices),
        "values": encoded(csr.data, real(dtype)),
    }


def finite(value: float) -> float | None:
    """JSON has no other numbers: null stands for infinity, and for what is no number."""
    return float(value) if np.isfinite(value) else None


def real(dtype: Dtype) -> str:
    return "f4" if dtype == "float32" else "f8"
