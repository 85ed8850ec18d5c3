"""Rounding: the weights as numbers of the precision that they are compiled for.

What is saved and run is what was compiled and measured, bit for bit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.parts import (
    Attention,
    Body,
    DeltaAttention,
    Idle,
    LinearAttention,
    Mlp,
    Norm,
    Repeated,
    Sublayer,
)
from innerloop.artifact.sparse import Matrix


def rounded_array(array: Floats, dtype: Dtype) -> Floats:
    """Raises OverflowError where a number is larger than the precision holds."""
    with np.errstate(over="ignore"):
        found = np.asarray(array.astype(dtype).astype(np.float64))
    lost = np.isinf(found) & np.isfinite(array)
    if lost.any():
        raise OverflowError(f"a weight would be {array[lost].flat[0]:.2g}, which is beyond {dtype}")
    return found


def rounded(matrix: Matrix, dtype: Dtype) -> Matrix:
    csr = matrix.csr.copy()
    csr.data = rounded_array(csr.data, dtype)
    return Matrix(csr)


def rounded_body(body: Body, dtype: Dtype) -> Body:
    """Every sublayer's."""

    def exact(part: Any) -> Any:
        if part is None:
            return None
        if isinstance(part, Norm):
            return Norm(rounded_array(part.gain, dtype), rounded_array(part.bias, dtype))
        return rounded(part, dtype) if isinstance(part, Matrix) else rounded_array(part, dtype)

    def one(item: Sublayer | Repeated) -> Sublayer | Repeated:
        match item:
            case Repeated():
                return replace(item, body=rounded_body(item.body, dtype))
            case Idle():
                return item
            case Attention() | LinearAttention() | DeltaAttention() | Mlp():
                return replace(item, **{n: exact(v) for n, v in vars(item).items()})

    return tuple(one(item) for item in body)
