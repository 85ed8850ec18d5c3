"""Records: frozen dataclasses as JSON and back, by their annotations, every fault with its place.

    InputRange("x", -4.0, 4.0)   ↔   {"name": "x", "low": -4.0, "high": 4.0}

Numbers come back bit for bit. Infinity and NaN, which JSON lacks, are the strings "inf", "-inf" and "nan".
A sparse matrix is its shape and its entries as three lists.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Collection
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from ..arrays import Floats
from ..sparse import Matrix

LARGEST_COUNT = 2**31
"""No size or count is larger; a corrupt one must not ask for memory."""


class Damage(Exception):
    """What is wrong with a record, and where: `layout[3].low: …`."""


def encode(value: Any) -> Any:
    """A value made of dataclasses, tuples, sets of strings, numbers, strings, arrays and matrices, as JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Matrix):
        entries = value.csr.tocoo()
        rows, columns = (coordinate.tolist() for coordinate in entries.coords)
        return {"shape": list(value.shape), "rows": rows, "columns": columns, "values": encode(entries.data)}
    if isinstance(value, np.ndarray | np.generic):
        return encode(value.tolist())
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def decode(kind: Any, value: Any, place: str) -> Any:
    """The value of type `kind` that `encode` wrote. Raises Fault naming the place."""
    if kind in _SIMPLE:
        return _SIMPLE[kind](value, place)
    if dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        return record(kind, value, place)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return chosen(value, arguments, place)
    if origin in (Union, types.UnionType):
        return None if value is None else decode(arguments[0], value, place)
    if origin in (tuple, frozenset):
        return origin(decode(arguments[0], item, f"{place}[{k}]") for k, item in enumerate(listed(value, place)))
    raise AssertionError(kind)


def record(kind: type[Any], value: Any, place: str, **known: Any) -> Any:
    """An instance of the dataclass `kind`; the fields in `known` are given, all others must be in `value`.

    But for those with a default: what was written before such a field came in has the default."""
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name not in known}
    defaults = [f.name for f in dataclasses.fields(kind) if f.default is not dataclasses.MISSING]
    entries = keyed(value, place, [name for name in hints if name not in defaults], defaults)
    found = {name: decode(hint, entries[name], f"{place}.{name}") for name, hint in hints.items() if name in entries}
    return kind(**known, **found)


def keyed(value: Any, place: str, names: Collection[str], optional: Collection[str] = ()) -> dict[str, Any]:
    """`value` as an object with exactly these entries, the optional ones or not."""
    if not isinstance(value, dict):
        raise Damage(f"{place} is {_short(value)}, not an object")
    if missing := [name for name in names if name not in value]:
        raise Damage(f"{place} lacks {', '.join(missing)}")
    if extra := [name for name in value if name not in (*names, *optional)]:
        raise Damage(f"{place} has an unknown entry {_short(extra[0])}")
    return value


def listed(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise Damage(f"{place} is {_short(value)}, not a list")
    return value


def whole(value: Any, place: str) -> int:
    if type(value) is not int or not -1 <= value <= LARGEST_COUNT:
        raise Damage(f"{place} is {_short(value)}, not a whole number from -1 to {LARGEST_COUNT}")
    return value


def text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise Damage(f"{place} is {_short(value)}, not a text")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Damage(f"{place} is {_short(value)}, which holds half a letter")
    return value


def chosen(value: Any, known: Collection[str], place: str) -> str:
    """One of these words."""
    if value not in known:
        raise Damage(f"{place} is {_short(value)}, not {' or '.join(map(repr, known))}")
    return text(value, place)


def _real(value: Any, place: str) -> float:
    if type(value) in (int, float) and abs(value) < 1e300:
        return float(value)
    if value in ("inf", "-inf", "nan"):
        return float(value)
    raise Damage(f"{place} is {_short(value)}, not a number")


def _flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise Damage(f"{place} is {_short(value)}, neither true nor false")
    return value


def _vector(value: Any, place: str) -> Floats:
    return np.array([_real(item, f"{place}[{k}]") for k, item in enumerate(listed(value, place))], np.float64)


def _matrix(value: Any, place: str) -> Matrix:
    entries = keyed(value, place, ("shape", "rows", "columns", "values"))
    shape = [whole(n, f"{place}.shape") for n in listed(entries["shape"], f"{place}.shape")]
    if len(shape) != 2 or min(shape) < 0:
        raise Damage(f"{place}.shape is {_short(entries['shape'])}, not two sizes")
    rows, columns = (
        [whole(n, f"{place}.{side}") for n in listed(entries[side], f"{place}.{side}")] for side in ("rows", "columns")
    )
    values = _vector(entries["values"], f"{place}.values")
    if not len(rows) == len(columns) == values.size or not np.isfinite(values).all():
        raise Damage(f"{place} does not hold as many rows and columns as finite values")
    for side, found, size in (("row", rows, shape[0]), ("column", columns, shape[1])):
        if found and not 0 <= min(found) <= max(found) < size:
            raise Damage(f"{place} has a {side} outside its shape {shape[0]} × {shape[1]}")
    return Matrix.of(rows, columns, values, (shape[0], shape[1]))


def parameters(value: Any, place: str) -> dict[str, object]:
    """Bound parameters: name → int, float, or an array as rows in rows."""
    if not isinstance(value, dict):
        raise Damage(f"{place} is {_short(value)}, not an object")
    return {name: _parameter(item, f"{place}.{name}") for name, item in value.items()}


def _parameter(value: Any, place: str) -> object:
    if type(value) is int:
        return whole(value, place)
    if not isinstance(value, list):
        return _real(value, place)
    items = [_parameter(item, place) for item in value]
    if len({np.asarray(item).shape for item in items}) != 1:
        raise Damage(f"{place} is not an array: its rows differ in length, or there are none")
    return np.array(items, np.float64)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}…"


_SIMPLE = {int: whole, float: _real, bool: _flag, str: text, Floats: _vector, Matrix: _matrix}
