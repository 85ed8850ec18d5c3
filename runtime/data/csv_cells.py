"""The cells of a CSV file: its encoding, its delimiter and its numbers.

    ;x0;x1;y                       header   x0 x1 y
    0;0,5;1,25;2             →     rows     (2, [0.5, 1.25, 2.0])        line, then a number or None a column
    1;1,5;NA;1                              (3, [1.5, None, 1.0])

The delimiter is the one of `,` `;` tab and blanks under which the header has most of the names that are wanted. Where
it is not a comma, numbers may have a decimal comma; one file has one decimal sign. Separators of thousands are refused.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from innerloop.artifact.errors import DataError, counted, shortened
from innerloop.artifact.memory import spend

MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "nil", "-", "--", "?", "."})
"""What stands for a value that is not there, in any case of letters."""

CELLS = 20
"""Bytes of memory for each of the file: text, cells and numbers as Python has them."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?([0-9]+,[0-9]*|,[0-9]+)([eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}([,.' ][0-9]{3})+([.,][0-9]*)?")


@dataclass(frozen=True)
class CsvTable:
    """A header and its line, and the rows after it with the number of theirs; blank lines are None. `name` is what
    errors call it."""

    name: str
    delimiter: str
    line: int
    header: list[str]
    rows: list[tuple[int, list[str] | None]]


def table(name: str, content: bytes, known: Callable[[str], bool]) -> CsvTable:
    """The cells of a text; `known`: whether a column has a name that is wanted."""
    spend(CELLS * len(content), f"the cells of {name}", "give fewer tasks, or the same data as .npz")
    text = decoded(name, content)
    head = next((line for line in io.StringIO(text, newline="") if line.strip(" \t\r\n,;")), "")
    signs = ",;\t" if any(sign in head for sign in ",;\t") else ", "
    delimiter = max(signs, key=lambda sign: _fit(head, sign, known))
    if delimiter == " ":
        text = "".join(line.strip() + "\n" for line in io.StringIO(text, newline=None))
    rows: list[tuple[int, list[str] | None]] = []
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=delimiter == " ", strict=True
    )
    try:
        for cells in reader:
            blank = not any(cell.strip() for cell in cells) and len(cells) < 2
            rows.append((reader.line_num, None if blank else [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise DataError(f"{name}:{reader.line_num}: not a CSV file ({error})") from None
    while rows and rows[-1][1] is None:
        rows.pop()
    filled = iter(rows)
    first, header = next(((line, row) for line, row in filled if row is not None), (0, None))
    below = list(filled)
    if header is None or not below:
        raise DataError(f"{name}: needs a header and at least one row")
    for line, row in below:
        if row is not None and len(row) != len(header):
            raise DataError(f"{name}:{line}: has {counted(len(row), 'cell')}; the header has {len(header)}")
    return CsvTable(name, delimiter, first, header, below)


def _fit(head: str, delimiter: str, known: Callable[[str], bool]) -> tuple[int, int]:
    """How many columns of the header a delimiter gives that are wanted, and how many in all."""
    try:
        cells = next(csv.reader([head.strip(" ")], delimiter=delimiter, skipinitialspace=delimiter == " "), [])
    except csv.Error:
        return 0, 0
    return sum(known(cell.strip()) for cell in cells), len(cells)


def decoded(name: str | Path, content: bytes) -> str:
    """UTF-8 with or without a byte-order mark, or UTF-16 with one."""
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        what = "UTF-16" if encoding == "utf-16" else "UTF-8"
        raise DataError(f"{name}: not a text file (byte {error.start} is not {what})") from None
    if "\0" in text:
        raise DataError(f"{name}: not a text file (it holds zero bytes: save it as UTF-8)")
    return text


def like_a_number(text: str) -> bool:
    """Whether a cell is one, or is meant as one: `1.234,5` and `inf` too."""
    patterns = (_NUMBER, _DECIMAL_COMMA, _THOUSANDS)
    return text.lower().lstrip("+-") in ("inf", "infinity") or any(p.fullmatch(text) for p in patterns)


def exact(text: str, delimiter: str) -> Decimal | None:
    """The number of a cell to its last digit, with a decimal comma where the delimiter is another sign; None for what
    is no number."""
    plain = text.replace(",", ".") if delimiter != "," and _DECIMAL_COMMA.fullmatch(text) else text
    try:
        return Decimal(plain) if _NUMBER.fullmatch(plain) else None
    except InvalidOperation:
        return None


def spelt_once(cells: Sequence[str], delimiter: str) -> list[str]:
    """Cells with one spelling for each number, the shortest of theirs: `1`, `1.0`, `2.50` → `1`, `1`, `2.50`."""
    shortest: dict[Decimal, str] = {}
    spelt = {}
    for cell in sorted(set(cells), key=lambda cell: (len(cell), cell)):
        number = exact(cell, delimiter)
        spelt[cell] = cell if number is None else shortest.setdefault(number, cell)
    return [spelt[cell] for cell in cells]


class Numbers:
    """Cells to numbers, with one decimal sign in all of a file."""

    def __init__(self, table: CsvTable, columns: list[int]) -> None:
        self.name, self.header = table.name, table.header
        self.commas = False
        if table.delimiter == ",":
            return
        cells = [(line, place, row[place]) for line, row in table.rows if row is not None for place in columns]
        commas = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell[2])]
        points = [cell for cell in cells if "." in cell[2] and _NUMBER.fullmatch(cell[2])]
        if commas and points:
            line, place, text = max(commas[0], points[0])
            other = min(commas[0], points[0])[2]
            raise self._fault(line, place, f"`{text}`, and `{other}` before it: one of `.` and `,` is the decimal sign")
        if commas and all(_THOUSANDS.fullmatch(text) for _, _, text in commas):
            line, place, text = commas[0]
            plain = text.replace(",", "")
            raise self._fault(line, place, f"`{text}` may be {text.replace(',', '.')} or {plain}: write it with a `.`, "
                                           f"or without separators")  # fmt: skip
        self.commas = bool(commas)

    def of(self, line: int, place: int, text: str) -> float | None:
        """The number of a cell; None if it is missing."""
        if text.lower() in MISSING:
            return None
        plain = text.replace(",", ".") if self.commas and _DECIMAL_COMMA.fullmatch(text) else text
        if not _NUMBER.fullmatch(plain):
            raise self._fault(line, place, self._no_number(text))
        value = float(plain)
        if not math.isfinite(value):
            raise self._fault(line, place, f"`{text}` is not a finite number")
        return value

    def _no_number(self, text: str) -> str:
        shown = shortened(text if text.isprintable() else repr(text))
        if text.lower().lstrip("+-") in ("inf", "infinity"):
            return f"`{shown}` is not a finite number"
        if _THOUSANDS.fullmatch(text):
            return f"`{shown}` is not a number: write it without separators of thousands"
        if _DECIMAL_COMMA.fullmatch(text):
            return f"`{shown}` is not a number: a decimal comma is read where `;` or a tab separates the columns"
        return f"`{shown}` is not a number"

    def _fault(self, line: int, place: int, what: str) -> DataError:
        return DataError(f"{self.name}:{line}: column `{shortened(self.header[place])}`: {what}")
