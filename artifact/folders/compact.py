"""Arrays on disk by what is not zero in them, where that takes fewer bytes: a compiled layer is more than 95 % zeros.

    name  [[0 0 7] [0 0 0] [5 0 0]]   →   name.shape   3 3
                                          name.gaps    3 4     from the place before, row by row; the first from −1
                                          name.values  7 5

Gaps are whole numbers from 1 on, of the fewest bytes that hold the largest: whatever they are, no place can stand
twice, and none is outside of the shape if their sum is not. Nothing dense is made of a `Matrix`, before or after.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Indices
from ..sparse import Matrix
from .serialize import Damage

Tensors = dict[str, NDArray[Any]]

SHAPE, GAPS, VALUES = ENDS = ".shape", ".gaps", ".values"
_UNSIGNED = (np.uint8, np.uint16, np.uint32, np.uint64)


def stored(name: str, part: Matrix | NDArray[Any], dtype: np.dtype[Any]) -> Tensors:
    """The tensors that say it, in `dtype`: one of its own shape, or three. Of a Matrix zeros have no sign; an array
    comes back bit for bit."""
    if isinstance(part, Matrix):
        rows, columns, values = part.entries
        values = values.astype(dtype)
        there = values != 0
        places, values = (rows * part.shape[1] + columns)[there], values[there]
    else:
        flat = np.ascontiguousarray(part, dtype).reshape(-1)
        places = np.flatnonzero(flat.view(f"u{dtype.itemsize}"))  # the bits of −0 are not all 0
        values = flat[places]
    gaps = np.diff(places, prepend=-1)
    kind = next(np.dtype(k) for k in _UNSIGNED if gaps.max(initial=0) <= np.iinfo(k).max)
    if values.size * (dtype.itemsize + kind.itemsize) < prod(part.shape) * dtype.itemsize:
        return {name + SHAPE: np.array(part.shape), name + GAPS: gaps.astype(kind), name + VALUES: values}
    return {name: dense(part, dtype)}


def most(part: Matrix | NDArray[Any], dtype: np.dtype[Any]) -> int:
    """Bytes that `stored` makes of it at most."""
    whole = prod(part.shape) * dtype.itemsize
    return min(whole, part.nnz * (dtype.itemsize + 8)) if isinstance(part, Matrix) else whole


def dense(part: Matrix | NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """As one array of its own shape."""
    return part.csr.toarray().astype(dtype) if isinstance(part, Matrix) else np.ascontiguousarray(part, dtype)


def take_matrix(tensors: Tensors, name: str, shape: tuple[int, int]) -> Matrix:
    """Takes what `stored` made of a matrix out of `tensors`. Raises Damage."""
    if _whole(tensors, name):
        return Matrix(_take(tensors, name, shape))
    places, values = _take_places(tensors, name, shape)
    rows, columns = np.divmod(places, max(1, shape[1]))
    return Matrix.of(rows, columns, values, shape)


def take_array(tensors: Tensors, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The same of an array."""
    if _whole(tensors, name):
        return _take(tensors, name, shape)
    places, values = _take_places(tensors, name, shape)
    found = np.zeros(prod(shape))
    found[places] = values
    return found.reshape(shape)


def _whole(tensors: Tensors, name: str) -> bool:
    if name in tensors:
        return True
    there = [name + end in tensors for end in ENDS]
    if not any(there):
        raise Damage(f"the tensor {name} is missing")
    if not all(there):
        raise Damage(f"the tensor {name}{ENDS[there.index(False)]} is missing")
    return False


def _take(tensors: Tensors, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    tensor = tensors.pop(name)
    if tensor.shape != shape:
        raise Damage(f"{name} has shape {list(tensor.shape)}, not {list(shape)}")
    return tensor.astype(np.float64)


def _take_places(tensors: Tensors, name: str, shape: tuple[int, ...]) -> tuple[Indices, NDArray[np.float64]]:
    """The places, in order, row by row, and what stands there."""
    said, gaps, values = (tensors.pop(name + end) for end in ENDS)
    if said.tolist() != list(shape):
        raise Damage(f"{name}{SHAPE} is {str(said.tolist())[:40]}, not {list(shape)}")
    if gaps.ndim != 1 or gaps.shape != values.shape:
        shapes = f"{list(gaps.shape)}, and {name}{VALUES} {list(values.shape)}"
        raise Damage(f"{name}{GAPS} has shape {shapes}: not a list each, of one length")
    if not gaps.all():
        raise Damage(f"{name}{GAPS} holds 0: two numbers in one place")
    if gaps.sum(dtype=np.float64) > 2.0**62 or gaps.sum(dtype=np.int64) > prod(shape):
        raise Damage(f"{name}{GAPS} leads out of the shape {list(shape)}")
    return np.cumsum(gaps, dtype=np.int64) - 1, values.astype(np.float64)


def verify_kind(name: str, tensor: NDArray[Any], dtype: str) -> None:
    """Raises Damage for a tensor of another type than its name says, and for NaN and infinity."""
    if name.endswith((SHAPE, GAPS)):
        if tensor.dtype not in (_UNSIGNED if name.endswith(GAPS) else (np.int64,)):
            raise Damage(f"{name} is {tensor.dtype}; shapes are of int64, gaps whole numbers without a sign")
    elif tensor.dtype != dtype:
        raise Damage(f"{name} is {tensor.dtype}; the weights are {dtype}")
    elif not np.isfinite(tensor).all():
        raise Damage(f"{name} holds NaN or infinity")
