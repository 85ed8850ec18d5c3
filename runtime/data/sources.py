"""Where data come from: a file, standard input, or a table in memory, to cells.

    path.csv  path.tsv  path.txt        text, whatever separates its columns (csv_cells.py)
    path.csv.gz  …                      the same, packed
    path.parquet                        with pyarrow
    -                                   standard input: any of these, told by its first bytes
    a frame of pandas or polars, a table of pyarrow

A cell of a table in memory is written as text that reads back as the same float64. Its rows count from 1.
"""

from __future__ import annotations

import gzip
import io
import math
import sys
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from innerloop.artifact.errors import DataError, shortened
from innerloop.artifact.memory import spend

from .csv_cells import CELLS, CsvTable, table

STDIN = Path("-")
TEXT = (".csv", ".tsv", ".txt")
SUFFIXES = (*TEXT, *(f"{suffix}.gz" for suffix in TEXT), ".parquet")
PIECE = 2**20
"""Bytes that are unpacked at a time."""


def cells(source: object, known: Callable[[str], bool]) -> CsvTable:
    """The cells of a path, of standard input (`-`) or of a table in memory; `known`: whether a column has a name that
    is wanted, which tells the delimiter.

    Raises DataError for what is none of these or cannot be read, and OSError for a file that cannot be opened."""
    if isinstance(source, str):
        source = Path(source)
    if not isinstance(source, Path):
        return _of_frame(source)
    if source == STDIN:
        return _of_bytes("standard input", sys.stdin.buffer.read(), known)
    if not source.name.lower().endswith(SUFFIXES):
        raise DataError(
            f"{source}: data is read from {', '.join(SUFFIXES)} and .npz files, and from `-`, standard input"
        )
    return _of_bytes(str(source), source.read_bytes(), known)


def _of_bytes(name: str, content: bytes, known: Callable[[str], bool]) -> CsvTable:
    if content.startswith(b"PAR1"):
        return _of_parquet(name, content)
    if content.startswith(b"\x1f\x8b"):
        content = _unpacked(name, content)
    return table(name, content, known)


def _unpacked(name: str, content: bytes) -> bytes:
    """Bit by bit, since a small file may hold a large one."""
    found = bytearray()
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            while piece := stream.read(PIECE):
                found += piece
                spend(CELLS * len(found), f"the cells of {name}", "give fewer tasks, or the same data as .npz")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{name}: cannot be unpacked ({error})") from None
    return bytes(found)


def _of_parquet(name: str, content: bytes) -> CsvTable:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(f"{name}: reading .parquet takes pyarrow: pip install 'innerloop[data]'") from None
    try:
        held = parquet.read_table(io.BytesIO(content))
    except Exception as error:  # whatever pyarrow raises
        raise DataError(f"{name}: cannot be read as .parquet ({shortened(str(error), 120)})") from None
    return _of_frame(held, name)


def _of_frame(frame: Any, name: str = "table") -> CsvTable:
    """A table of named columns: pyarrow has `column_names`, pandas and polars `columns`; an index is no column."""
    names = getattr(frame, "column_names", None)
    names = list(getattr(frame, "columns", ()) if names is None else names)
    if not names:
        raise DataError(f"{name}: wanted a path or a table with named columns, not {type(frame).__name__}")
    spend(CELLS * 8 * len(names) * len(frame), f"the cells of {name}", "give fewer rows")
    held = [[_text(value) for value in _values(frame, column)] for column in names]
    if not held[0]:
        raise DataError(f"{name}: needs at least one row")
    rows: list[tuple[int, list[str] | None]] = [(k, list(row)) for k, row in enumerate(zip(*held, strict=True), 1)]
    return CsvTable(name, ",", 0, [str(column) for column in names], rows)


def _values(frame: Any, column: object) -> Iterable[object]:
    held = frame[column]
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(held, method):
            found: Iterable[object] = getattr(held, method)()
            return found
    raise DataError(f"column `{column}`: a {type(held).__name__} has no list of values; does its name stand twice?")


def _text(value: object) -> str:
    """Empty where a value is missing; a float in as many digits as it takes."""
    if (
        value is None
        or type(value).__name__ in ("NAType", "NaTType")
        or (isinstance(value, float) and math.isnan(value))
    ):
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value).strip()
