"""What a caller gives as an array, as numbers: nothing that is missing becomes one.

[1.0, None, 2]   masked [1 -- 2]   pandas [1, <NA>, 2]     →   [1, NaN, 2], so that the place can be named
["1", "two"]     1 + 2j            [[1], [1, 2]]           →   an error
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import Any

import ml_dtypes  # noqa: F401 — what makes "bfloat16" a dtype of NumPy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DataError, shortened
from .words import Dtype as Dtype

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def numeric(name: str, given: ArrayLike) -> NDArray[Any]:
    """Booleans, whole or real numbers, NaN where one is missing. Raises DataError for all else, with its place."""
    try:
        array = np.asarray(given)
    except MemoryError:
        raise
    except Exception as error:  # whatever another library's array raises
        raise DataError(f"`{name}` {_unread(given, error)}") from None
    if array.dtype.name.startswith(("bfloat", "float8")):
        array = array.astype(np.float64)
    if array.dtype.kind in "OSUT":  # of [0.5, ""] NumPy makes text of both
        array = _unboxed(name, np.asarray(given if isinstance(given, list | tuple) else array, object))
    if array.dtype.kind not in "biuf":
        raise DataError(f"`{name}` holds {array.dtype} values; wanted numbers")
    if isinstance(given, np.ma.MaskedArray) and np.any(np.ma.getmaskarray(given)):
        array = np.where(np.ma.getmaskarray(given), np.nan, array)
    return array


def _unboxed(name: str, array: NDArray[Any]) -> NDArray[np.float64]:
    """Of Python objects: numbers, and what stands for a missing one."""
    found = np.full(array.shape, np.nan)
    for place in np.ndindex(array.shape):
        item = array[place]
        if (number := _number(item)) is not None:
            found[place] = number
        elif not _missing(item):
            where = f" at {list(place)}" if place else ""
            raise DataError(f"`{name}` holds {shortened(repr(item), 40)}{where}; wanted numbers")
    return found


def _number(item: object) -> float | None:
    if not isinstance(item, Number) or isinstance(item, complex | np.complexfloating):
        return None
    try:
        return float(item)  # type: ignore[arg-type]
    except (OverflowError, ValueError, TypeError):  # 10**400, say
        return None


def _unread(given: object, error: Exception) -> str:
    """Why something is no array."""
    if "Tracer" in type(error).__name__:
        return (
            "is traced by JAX (jit, grad, vmap), and a call computes numbers: call it outside, or take the pure "
            "function `apply` of innerloop.laboratory.training.model.Model.of(weights)"
        )
    if isinstance(given, list | tuple):
        return "is no array: its rows differ in length"
    reason = shortened(" ".join(str(error).split()) or type(error).__name__, 120)
    return f"is a {type(given).__module__.partition('.')[0]} {type(given).__name__} that NumPy cannot read: {reason}"


def _missing(item: object) -> bool:
    return item is None or item is np.ma.masked or type(item).__name__ in ("NAType", "NaTType")


def same_labels(data: Mapping[str, ArrayLike]) -> None:
    """That tables with labelled rows (a pandas index) have them in one order: rows are paired by their places alone.

    Raises DataError naming the first label that differs."""
    labelled = {name: list(index) for name, given in data.items() if (index := _index(given)) is not None}
    names = list(labelled)
    for name in names[1:]:
        for row, (one, other) in enumerate(zip(labelled[names[0]], labelled[name], strict=False)):
            if one != other:
                raise DataError(
                    f"row {row} of `{name}` is labelled {other!r}, and that of `{names[0]}` {one!r}: rows are paired "
                    f"in order, so give both in the same one (`.reset_index(drop=True)` drops the labels)"
                )


def _index(given: object) -> Any:
    """The labels of the rows of a table; a list's `index` is a method."""
    index = getattr(given, "index", None)
    return index if hasattr(given, "iloc") and index is not None else None
