"""Data files to arrays and back.

    task,x_0,x_1,y          x [2, 2, 2], y [2, 1]: two tasks of one example and a query each,
    a,0.5,1.0,2.0      →    a field's n-th value (of one cell, or a cell for each component) in a task
    a,1.5,0.2,              is its n-th row; only where the pattern of tokens lets a task end
    b,0.1,0.4,1.0           without it may a value be missing
    b,0.3,0.3,

A value is missing where its cells are empty or hold NA, NaN, null, None, - or ?; what stands in csv_cells.py is what
numbers, delimiters and encodings are read, and in pairing.py which rows are which tokens. An NPZ file holds an array
for each field, by its name, and is read as it stands.
"""

from __future__ import annotations

import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from innerloop.artifact.errors import DataError, DataWarning, counted, shortened
from innerloop.artifact.memory import spend
from numpy.typing import NDArray

from ..whole import replace
from .columns import apart
from .csv_cells import CsvTable, Numbers
from .pairing import TokenLine, gap
from .sources import cells

Arrays = dict[str, NDArray[Any]]
TASK = "task"


def read(path: Path, tokens: TokenLine, ignore: Sequence[str] = ()) -> Arrays:
    """field → [tasks, rows, *shape], from a file of any kind that sources.py reads, without the columns or arrays of
    `ignore`.

    Raises DataError for anything in the file that does not fit, with its place, and OSError if it cannot be read.
    """
    if path.suffix == ".npz":
        return _read_npz(path, tokens.shapes, ignore)
    return _read_csv(
        cells(path, lambda name: name == TASK or _component(name, tokens.shapes)[0] is not None), tokens, ignore
    )


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
    return shortened(str(error) or type(error).__name__, 120)


def _read_npz(path: Path, fields: Collection[str], ignore: Sequence[str]) -> Arrays:
    with path.open("rb") as stream:
        archived = zipfile.is_zipfile(stream)
    if not archived:
        raise DataError(f"{path}: not an .npz file, or not a whole one: write it with numpy.savez")
    try:
        with zipfile.ZipFile(path) as members:
            size = sum(member.file_size for member in members.infolist() if member.filename[:-4] not in ignore)
    except _UNREADABLE as error:
        raise DataError(f"{path}: cannot be read as arrays of numbers ({_short(error)})") from None
    spend(2 * size, f"the arrays of {path}", "give fewer tasks")
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = [name for name in archive.files if name not in ignore]
            arrays = {name: archive[name] for name in names}
    except _UNREADABLE as error:
        raise DataError(f"{path}: cannot be read as arrays of numbers ({_short(error)})") from None
    if len(arrays) < len(names):
        raise DataError(f"{path}: `{max(names, key=names.count)}` stands twice")
    for name in arrays:
        if name not in fields:
            raise DataError(f"{path}: `{name}` is no field of the program; {_mend(name, fields)}")
        if arrays[name].dtype.kind not in "iufb":
            raise DataError(f"{path}: `{name}` holds no numbers, but {arrays[name].dtype}")
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


_Value = list[float] | None
"""The components of a field in one row; None if it is missing there."""


def _read_csv(table: CsvTable, tokens: TokenLine, ignore: Sequence[str]) -> Arrays:
    fields, path, ignore = tokens.shapes, table.name, apart(ignore, table.header)
    header = ["" if name in ignore else name for name in table.header]
    columns = _columns(path, header, table, fields)
    numbers = Numbers(table, [place for column in columns for place in column.places])
    task_column = header.index(TASK) if TASK in header and TASK not in fields else None
    tasks: dict[str, dict[str, list[list[float]]]] = {}
    for label, lines in groupby(_labelled(table, task_column), lambda row: row[0]):
        rows: list[dict[str, _Value]] = []
        places: list[int] = []
        for _, line, row in lines:
            places.append(line)
            rows.append({c.field: None if row is None else _value(numbers, c, line, row) for c in columns})
        if label in tasks:
            raise DataError(
                f"{path}:{places[0]}: task {shortened(label)} goes on after task {shortened(list(tasks)[-1])}: the "
                f"rows of a task stand together, so sort the file by `{TASK}`"
            )
        filled = [frozenset(name for name, value in row.items() if value is not None) for row in rows]
        if (found := gap(tokens, filled)) is not None:
            column = "" if found.field is None else f" column `{found.field}`:"
            raise DataError(f"{path}:{places[found.row]}:{column} {found.why}")
        tasks[label] = {name: [value for row in rows if (value := row[name]) is not None] for name in fields}
    return {column.field: _stack(path, column, tasks) for column in columns}


def _labelled(cells: CsvTable, column: int | None) -> Iterable[tuple[str, int, list[str] | None]]:
    """(task, line, cells) of each row; one without any value is of the task before it. A blank line is passed over,
    but in a file of one column: there it is a value that is missing."""
    label = ""
    for line, row in cells.rows:
        if row is None and len(cells.header) > 1:
            continue
        if column is not None and row is not None and any(row):
            label = row[column]
            if not label:
                raise DataError(f"{cells.name}:{line}: column `{TASK}`: is empty; every row says its task")
        yield label, line, row


def _value(numbers: Numbers, column: _Column, line: int, row: list[str]) -> _Value:
    found = [numbers.of(line, place, row[place]) for place in column.places]
    if None not in found:
        return found  # type: ignore[return-value]
    if all(value is None for value in found):
        return None
    place = column.places[found.index(None)]
    shown = f"holds no number (`{row[place]}`)" if row[place] else "is empty"
    raise DataError(f"{numbers.name}:{line}: column `{numbers.header[place]}`: {shown}, and other components of its "
                    f"field do not lack theirs")  # fmt: skip


def _columns(
    path: str, header: list[str], cells: CsvTable, fields: Mapping[str, tuple[int, ...] | None]
) -> list[_Column]:
    """The columns of the fields; those to be ignored have no name in `header`."""
    where = f"{path}:{cells.line}"
    found: dict[str, dict[tuple[int, ...], int]] = {name: {} for name in fields}
    seen: set[str] = set()
    for place, name in enumerate(header):
        if name and name in seen:
            raise DataError(f"{where}: column `{name}` stands twice")
        seen.add(name)
        field, index = _component(name, fields)
        if field is not None:
            if index in found[field]:
                raise DataError(f"{where}: column `{name}` stands twice, as `{header[found[field][index]]}` too")
            found[field][index] = place
        elif not cells.header[place]:
            _unnamed(where, place, cells)
        elif name not in ("", TASK):
            said = f"column `{shortened(name)}` is no field of the program"
            raise DataError(f"{where}: {said}; {_mend(name, fields, cells)}")
    return [_field_columns(where, field, places, fields[field]) for field, places in found.items()]


def _unnamed(where: str, place: int, cells: CsvTable) -> None:
    """A column without a name: the first may number the rows, and any may be empty."""
    values = [row[place] for _, row in cells.rows if row is not None]
    if not any(values):
        return
    if place:
        raise DataError(f"{where}: column {place + 1} has no name, and holds `{next(filter(None, values))}`: name it")
    shown = ", ".join(values[:3]) + (" …" if len(values) > 3 else "")
    warnings.warn(f"{where}: the first column has no name and is left out ({shown})", DataWarning, stacklevel=2)


def _mend(name: str, fields: Collection[str], cells: CsvTable | None = None) -> str:
    """What to do about a name that is no field."""
    listed = f"its fields are {_listed(fields)}"
    if cells is None:
        return listed
    if re.fullmatch(r"[-+0-9.,eE]*[0-9][-+0-9.,eE]*", name):
        return f"{listed}: the first line is a header with the names of the columns"
    if re.search(r"[|\s:]", name) and len(cells.header) == 1:
        return f"{listed}: columns are separated by `,`, `;`, a tab or blanks"
    return f"{listed}; `--ignore {quote(shortened(name))}` leaves it out, and `--y COLUMN` says which is the target"


def _component(column: str, fields: Collection[str]) -> tuple[str | None, tuple[int, ...]]:
    """`x_0` or `x0` → ("x", (0,)); `W_0_1` → ("W", (0, 1)); a field's own name comes first."""
    if column in fields:
        return column, ()
    for field in fields:
        rest = column.removeprefix(field) if column.startswith(field) else ""
        if re.fullmatch(r"[0-9]{1,9}|(_[0-9]{1,9})+", rest):
            return field, tuple(int(part) for part in rest.strip("_").split("_"))
    return None, ()


def _index(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The component at a place in row-major order; shapes that a file claims may be too large for NumPy."""
    found: list[int] = []
    for size in reversed(shape):
        place, rest = divmod(place, size)
        found.append(rest)
    return tuple(reversed(found))


def _field_columns(
    where: str, field: str, places: Mapping[tuple[int, ...], int], shape: tuple[int, ...] | None
) -> _Column:
    if not places:
        raise DataError(f"{where}: no column for the field `{field}`")
    if shape is None:
        shape = tuple(max(part) + 1 for part in zip(*places, strict=False))
    one = shape in {(), (1,)} and set(places) == {()}
    wanted = [()] if one else [_index(k, shape) for k in range(min(prod(shape), len(places) + 1))]
    missing = [index for index in wanted if index not in places]
    surplus = sorted(set(places) - set(wanted))
    if missing or surplus:
        names = ["_".join([field, *map(str, index)]) for index in (missing or surplus)]
        what = f"no column `{names[0]}`" if missing else f"column `{names[0]}` is too much"
        first = "; components count from 0" if missing and 0 in missing[0] and places else ""
        raise DataError(f"{where}: {what}; `{field}` has shape {shape}, which takes {prod(shape)} columns{first}")
    return _Column(field, shape, tuple(places[index] for index in wanted))


def _stack(path: str, column: _Column, tasks: Mapping[str, Mapping[str, list[list[float]]]]) -> NDArray[Any]:
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
