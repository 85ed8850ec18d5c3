"""Data files to arrays and back.

    task,x_0,x_1,y          x [2, 2, 2], y [2, 1]: two tasks of one example and a query each,
    a,0.5,1.0,2.0      →    a field's n-th filled cell (or cells, one a component) in a task
    a,1.5,0.2,              is its n-th value; empty cells are skipped
    b,0.1,0.4,1.0
    b,0.3,0.3,

An NPZ file holds an array for each field, by its name, and is read as it stands.
"""

from __future__ import annotations

import csv
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.errors import DataError, counted
from .whole import replace

Arrays = dict[str, NDArray[Any]]
TASK = "task"


def read(path: Path, fields: Mapping[str, tuple[int, ...] | None]) -> Arrays:
    """field → [tasks, rows, *shape], from a .csv or .npz file; a shape of None is taken from the columns.

    Raises DataError for anything in the file that does not fit, with its place, and OSError if it cannot be read.
    """
    if path.suffix == ".npz":
        return _read_npz(path, fields)
    if path.suffix == ".csv":
        return _read_csv(path, fields)
    raise DataError(f"{path}: data is read from .csv and .npz files")


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes outputs, name → [tasks, rows, *shape], to a .csv or .npz file, whole or not at all."""
    if path.suffix == ".npz":
        named: dict[str, Any] = dict(arrays)
        replace(path, lambda stream: np.savez(stream, **named))
    else:
        text = "".join(",".join(cells) + "\n" for cells in rows(arrays))
        replace(path, lambda stream: stream.write(text.encode()))


def rows(arrays: Mapping[str, NDArray[Any]]) -> Iterable[list[str]]:
    """The header, then a line for each task and row; tasks and rows count from 0. Arrays of one length share lines."""
    columns = [(name, array, index) for name, array in arrays.items() for index in np.ndindex(array.shape[2:])]
    yield [TASK, "row", *("_".join([name, *map(str, index)]) for name, _, index in columns)]
    tasks = max((a.shape[0] for a in arrays.values()), default=0)
    length = max((a.shape[1] for a in arrays.values()), default=0)
    for task in range(tasks):
        for row in range(length):
            cells = (str(a[(task, row, *i)]) if row < a.shape[1] else "" for _, a, i in columns)
            yield [str(task), str(row), *cells]


# NPZ ---------------------------------------------------------------------------------------------


_UNREADABLE = (
    ValueError, EOFError, NotImplementedError, RuntimeError, TypeError, KeyError, OverflowError, MemoryError, OSError,
    SyntaxError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy and zipfile raise for bytes that are no archive of arrays."""


def _short(error: BaseException) -> str:
    """Without the bytes of the file that such messages print whole."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else f"{text[:119]}…"


def _read_npz(path: Path, fields: Collection[str]) -> Arrays:
    with path.open("rb") as stream:
        archived = zipfile.is_zipfile(stream)
    if not archived:
        raise DataError(f"{path}: not an .npz file, or not a whole one: write it with numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except _UNREADABLE as error:
        raise DataError(f"{path}: cannot be read as arrays of numbers ({_short(error)})") from None
    for name in arrays:
        if name not in fields:
            raise DataError(f"{path}: `{name}` is no field of the program; its fields are {_listed(fields)}")
        if arrays[name].dtype.kind not in "iufb":
            raise DataError(f"{path}: `{name}` holds no numbers")
    for name in fields:
        if name not in arrays:
            raise DataError(f"{path}: no array `{name}`; the file holds {_listed(arrays)}")
    return arrays


# CSV ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """The components of one field: which column of the file holds which."""

    field: str
    shape: tuple[int, ...]
    places: tuple[int, ...]


def _read_csv(path: Path, fields: Mapping[str, tuple[int, ...] | None]) -> Arrays:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = [(n, cells) for n, cells in enumerate(csv.reader(stream), 1) if any(c.strip() for c in cells)]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file (byte {error.start} is not UTF-8)") from None
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file ({error})") from None
    if len(lines) < 2:
        raise DataError(f"{path}: needs a header and at least one row")
    header = [cell.strip() for cell in lines[0][1]]
    columns = _columns(path, header, fields)
    task_column = header.index(TASK) if TASK in header and TASK not in fields else None
    tasks: dict[str, dict[str, list[list[float]]]] = {}
    for line, cells in lines[1:]:
        if len(cells) != len(header):
            raise DataError(f"{path}:{line}: has {counted(len(cells), 'cell')}; the header has {len(header)}")
        label = "" if task_column is None else cells[task_column].strip()
        task = tasks.setdefault(label, {name: [] for name in fields})
        for column in columns:
            values = [cells[place].strip() for place in column.places]
            if any(values):
                task[column.field].append(
                    [
                        _cell(path, line, header[place], value)
                        for place, value in zip(column.places, values, strict=True)
                    ]
                )
    return {column.field: _stack(path, column, tasks) for column in columns}


def _columns(path: Path, header: list[str], fields: Mapping[str, tuple[int, ...] | None]) -> list[_Column]:
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"{path}:1: column `{name}` stands twice")
    found: dict[str, dict[tuple[int, ...], int]] = {name: {} for name in fields}
    for place, name in enumerate(header):
        field, index = _component(name, fields)
        if field is not None:
            if index in found[field]:
                raise DataError(f"{path}:1: column `{name}` stands twice, as `{header[found[field][index]]}` too")
            found[field][index] = place
        elif name != TASK:
            raise DataError(f"{path}:1: column `{name}` is no field of the program; its fields are {_listed(fields)}")
    return [_field_columns(path, field, places, fields[field]) for field, places in found.items()]


def _component(column: str, fields: Collection[str]) -> tuple[str | None, tuple[int, ...]]:
    """`x_0` or `x0` → ("x", (0,)); `W_0_1` → ("W", (0, 1)); a field's own name comes first."""
    if column in fields:
        return column, ()
    for field in fields:
        rest = column.removeprefix(field) if column.startswith(field) else ""
        if re.fullmatch(r"\d+|(_\d+)+", rest):
            return field, tuple(int(part) for part in rest.strip("_").split("_"))
    return None, ()


def _field_columns(
    path: Path, field: str, places: Mapping[tuple[int, ...], int], shape: tuple[int, ...] | None
) -> _Column:
    if not places:
        raise DataError(f"{path}:1: no column for the field `{field}`")
    if shape is None:
        shape = tuple(max(part) + 1 for part in zip(*places, strict=False))
    wanted = [()] if shape in {(), (1,)} and set(places) == {()} else list(np.ndindex(shape))
    missing = [index for index in wanted if index not in places]
    surplus = [index for index in places if index not in wanted]
    if missing or surplus:
        names = ["_".join([field, *map(str, index)]) for index in (missing or surplus)]
        what = f"no column `{names[0]}`" if missing else f"column `{names[0]}` is too much"
        raise DataError(f"{path}:1: {what}; `{field}` has shape {shape}, which takes {len(wanted)} columns")
    return _Column(field, shape, tuple(places[index] for index in wanted))


def _cell(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        shown = text if text.isprintable() else repr(text)
        what = f"`{shown}` is not a number" if text else "is empty, and other components of its field are not"
        raise DataError(f"{path}:{line}: column `{column}`: {what}") from None
    if not math.isfinite(value):
        raise DataError(f"{path}:{line}: column `{column}`: `{text}` is not a finite number")
    return value


def _stack(path: Path, column: _Column, tasks: Mapping[str, Mapping[str, list[list[float]]]]) -> NDArray[Any]:
    lengths = {label: len(task[column.field]) for label, task in tasks.items()}
    first, length = next(iter(lengths.items()))
    for label, other in lengths.items():
        if other != length:
            raise DataError(
                f"{path}: task {label} has {counted(other, 'value')} of `{column.field}`, task {first} has {length}; "
                f"tasks of one file are of one length"
            )
    values = np.array([task[column.field] for task in tasks.values()], dtype=np.float64)
    return values.reshape(len(tasks), length, *column.shape)


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
