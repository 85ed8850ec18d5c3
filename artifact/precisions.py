"""Precisions: what each resolves and holds, in which arrays its numbers stand, and how they are rounded to it.

    precision   one rounding   largest    computed in
    float64     2⁻⁵³           1.8e308    float64
    float32     2⁻²⁴           3.4e38     float32
    float16     2⁻¹¹           65504      float32, and every result rounded
    bfloat16    2⁻⁸            3.4e38     float32, and every result rounded

So PyTorch computes in 16 bits on every device: a product of matrices, a norm, a softmax is taken in float32, and what
comes out is rounded; so is every sum and product of a formula that is written out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Round = Callable[[NDArray[Any]], NDArray[Any]]
"""Numbers, rounded to a precision."""

UNIT = {"float32": 2.0**-24, "float64": 2.0**-53, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""The largest relative error of one rounding."""
LARGEST = {"float16": 65504.0, "bfloat16": 2.0**128 * (1.0 - 2.0**-8)}
"""What of 16 bits is the largest number."""
SHORT = ("bfloat16", "float16")
"""Those of 16 bits."""


def carrier(dtype: str) -> np.dtype[Any]:
    """That of the arrays in which numbers of this precision are computed with."""
    return np.dtype(np.float32 if dtype in SHORT else dtype)


def rounding(dtype: str) -> Round:
    """To 16 bits, in arrays of float32; others are as they are."""
    if dtype not in SHORT:
        return np.asarray
    short = np.dtype(dtype)

    def rounded(array: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(over="ignore"):  # infinite, as on every device
            return np.asarray(array.astype(short).astype(array.dtype))

    return rounded
