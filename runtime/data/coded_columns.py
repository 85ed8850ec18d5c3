"""The columns of a table as a program's input and label, coded as numbers.

    sex,age,group,bp,name         --y bp     x = sex (f −1, m 1), age, group=a, group=b, group=c
    f,59,a,101,Ann                           y = bp
    m,48,c,87,Bob                            name left out (another in every row)
    …

A column is numbers or words. Words of two sorts are −1 and 1, of more sorts a column of 0 and 1 each. A column with
both is an error at the first word, and a value that is missing one at its place. Numbers that are names are one by
their value: `1` and `1.0` are the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import DataError, counted, shortened

from .columns import Columns, Roles, apart
from .csv_cells import MISSING, CsvTable, Numbers, exact, like_a_number, spelt_once

TASK = "task"
MOST_WORDS = 64
"""Sorts of words that one column may hold as input."""


@dataclass(frozen=True)
class Feature:
    """One component of the input: its values by row (NaN: missing), and whether they are measured and not coded."""

    name: str
    values: Floats
    measured: bool


@dataclass(frozen=True)
class Label:
    """The target by row (NaN: missing); `measured`: whether it is standardised where that is asked for."""

    name: str
    values: Floats
    measured: bool


@dataclass(frozen=True)
class Chosen:
    """What a table gives a program, its rows without blank ones; `said` are words for each column."""

    table: CsvTable
    lines: tuple[int, ...]
    features: tuple[Feature, ...]
    label: Label | None
    tasks: tuple[str, ...]
    said: tuple[str, ...]


def chosen(table: CsvTable, roles: Roles, columns: Columns, ends: tuple[float, float] | None) -> Chosen:
    """`ends`: the declared range of the label. Raises DataError, with the place, for what does not fit."""
    return _Table(table).chosen(roles, columns, ends)


class _Table:
    def __init__(self, table: CsvTable) -> None:
        self.table = table
        self.where = f"{table.name}:{table.line}" if table.line else table.name
        filled = [(line, row) for line, row in table.rows if row is not None and any(row)]
        self.lines = tuple(line for line, _ in filled)
        self.rows = [row for _, row in filled]
        self.cells = [spelt_once([row[k] for row in self.rows], table.delimiter) for k in range(len(table.header))]
        for name in table.header:
            if name and table.header.count(name) > 1:
                raise DataError(f"{self.where}: column `{name}` stands twice")

    def chosen(self, roles: Roles, columns: Columns, ends: tuple[float, float] | None) -> Chosen:
        y, value = self._target(columns, roles)
        header = self.table.header
        x, ignore, category = (apart(names, header) for names in (columns.x, columns.ignore, columns.category))
        task = columns.task or (TASK if TASK in header and TASK not in (*x, *ignore) else None)
        at = None if task is None else self._place(task)
        spoken = {self._place(name) for name in (*ignore, *filter(None, [task]))}
        by_name = {name for name in category if self._place(name) >= 0}
        inputs = [self._place(name) for name in x]
        for place in inputs:
            if inputs.count(place) > 1:
                raise DataError(f"{self.where}: column `{header[place]}` stands twice in --x")
            if place in spoken or place == y:
                raise DataError(
                    f"{self.where}: column `{self.table.header[place]}` is an input and something else, too"
                )
        left = [f"{self.table.header[place]} left out" for place in sorted(spoken) if place != at]
        if not inputs:
            for place, name in enumerate(self.table.header):
                if place in spoken or place == y:
                    continue
                if (why := self._useless(place, name in by_name)) is not None:
                    left.append(f"{name or 'the column without a name'} left out ({why})")
                else:
                    inputs.append(place)
            inputs = self._by_component(inputs, roles.input)
        found = [feature for place in inputs for feature in self._features(place, self.table.header[place] in by_name)]
        features = [feature for feature, _ in found]
        if columns.intercept:
            features.append(Feature("1", np.ones(len(self.rows)), measured=False))
        if not features:
            raise DataError(f"{self.where}: no column is left for `{roles.input}`")
        said = [f"{roles.input} = {', '.join([*(word for _, word in found if word), *['1'] * columns.intercept])}"]
        label = None
        if y is not None:
            label, word = self._label(y, value, self.table.header[y] in by_name, columns, ends, roles)
            said.append(f"{roles.label} = {word}")
        tasks = [""] * len(self.rows) if at is None else self.cells[at]
        for line, task in zip(self.lines, tasks, strict=True):
            if at is not None and task.lower() in MISSING:
                raise self._fault(line, at, "is empty; every row says its task")
        return Chosen(self.table, self.lines, tuple(features), label, tuple(tasks), (*said, *left))

    def _by_component(self, places: list[int], field: str) -> list[int]:
        """In the order of their numbers where all are named as components of the field, `x_0` or `x0`."""
        found = [re.fullmatch(rf"{field}_?([0-9]+)", self.table.header[place]) for place in places]
        numbers = [int(match[1]) for match in found if match is not None]
        return [place for _, place in sorted(zip(numbers, places, strict=True))] if all(found) else places

    def _target(self, columns: Columns, roles: Roles) -> tuple[int | None, str | None]:
        """The column of the label, and the value of `column=value`."""
        if roles.label is None:
            if columns.y is not None:
                raise DataError(f"the program has no label: `{roles.input}` is all that it takes, so leave out --y")
            return None, None
        given = columns.y or roles.label
        if given in self.table.header or columns.y is None:
            if given not in self.table.header:
                listed = _listed(self.table.header)
                raise DataError(f"{self.where}: which column is the target? Say --y COLUMN; there are {listed}")
            return self.table.header.index(given), None
        name, equals, value = given.rpartition("=")
        return self._place(name.strip() if equals else given), value.strip() if equals else None

    def _place(self, name: str) -> int:
        if name not in self.table.header:
            raise DataError(
                f"{self.where}: there is no column `{shortened(name)}`; there are {_listed(self.table.header)}"
            )
        return self.table.header.index(name)

    def _words(self, place: int) -> list[str]:
        """The values of a column that are not missing, each once, sorted."""
        return sorted({cell for cell in self.cells[place] if cell.lower() not in MISSING})

    def _named(self, place: int, by_name: bool) -> bool:
        """Whether a column holds names, and not numbers."""
        return by_name or not any(map(like_a_number, self._words(place)))

    def _useless(self, place: int, by_name: bool) -> str | None:
        """Why a column that nobody spoke of is no input."""
        words = self._words(place)
        if not self.table.header[place]:
            return "it has no name"
        if not words:
            return "empty"
        if self._named(place, by_name):
            if len(words) == 1:
                return f"always {shortened(words[0], 20)}"
            if len(words) == len(self.rows) > 2:
                return "another in every row"
        return None

    def _features(self, place: int, by_name: bool) -> list[tuple[Feature, str | None]]:
        """Of one column, each with words for it; the words of several stand at the first."""
        name, words = self.table.header[place], self._words(place)
        if not self._named(place, by_name):
            return [(Feature(name, self._numbers(place), measured=True), name)]
        if not words:
            raise DataError(f"{self.where}: column `{name}` is empty")
        if not 2 <= len(words) <= MOST_WORDS:
            held = (
                f"holds nothing but `{shortened(words[0])}`"
                if words[1:] == []
                else f"holds {len(words)} different words"
            )
            raise DataError(f"{self.where}: column `{name}` {held}: leave it out")
        for line, cell in zip(self.lines, self.cells[place], strict=True):
            if cell.lower() in MISSING:
                raise self._missing(line, place, cell)
        cells = np.array(self.cells[place])
        if len(words) == 2:
            said = f"{name} ({shortened(words[0], 20)} −1, {shortened(words[1], 20)} 1)"
            return [(Feature(name, np.where(cells == words[1], 1.0, -1.0), measured=False), said)]
        coded = [Feature(f"{name}={word}", (cells == word).astype(np.float64), measured=False) for word in words]
        said = f"{name} (one of {counted(len(words), 'word')}, each 0 or 1)"
        return [(feature, said if k == 0 else None) for k, feature in enumerate(coded)]

    def _numbers(self, place: int, lacking: bool = False) -> Floats:
        """A column of numbers; NaN for what is missing, where that may be."""
        numbers = Numbers(self.table, [place])
        found = np.full(len(self.rows), np.nan)
        for k, (line, cell) in enumerate(zip(self.lines, self.cells[place], strict=True)):
            value = numbers.of(line, place, cell)
            if value is None and not lacking:
                raise self._missing(line, place, cell)
            found[k] = np.nan if value is None else value
        return found

    def _label(
        self,
        place: int,
        value: str | None,
        by_name: bool,
        columns: Columns,
        ends: tuple[float, float] | None,
        roles: Roles,
    ) -> tuple[Label, str]:
        """The target with words for it: numbers as they are, or two classes."""
        name, words = self.table.header[place], self._words(place)
        two = columns.classes or ends
        if value is not None and value not in words:
            number = exact(value, self.table.delimiter)
            same = [word for word in words if number is not None and exact(word, self.table.delimiter) == number]
            if not same:
                raise DataError(
                    f"{self.where}: column `{name}` never holds `{shortened(value)}`; it holds {_listed(words)}"
                )
            value = same[0]
        named = value is not None or self._named(place, by_name)
        if not named and not (two and len(words) == 2):
            if columns.classes is not None:
                raise DataError(f"{self.where}: column `{name}` holds {len(words)} values, and --classes is for two: "
                                f"`--y '{name}=VALUE'` asks whether it is that one")  # fmt: skip
            pair = columns.standardise and len(words) == 2
            word = f"{name} (of two values, not standardised)" if pair else name
            return Label(name, self._numbers(place, lacking=True), measured=not pair), word
        if not words:
            raise DataError(f"{self.where}: column `{name}` is empty")
        if value is None and len(words) != 2:
            held = (
                f"holds {counted(len(words), 'sort')} of words: `--y '{name}={words[0]}'` asks whether it is that one"
            )
            raise DataError(f"{self.where}: column `{name}` {held}")
        if two is None:
            raise DataError(
                f"{self.where}: column `{name}` holds two classes, and the program does not say which numbers they are "
                f"(`{roles.label}` declares no range): say `--classes=-1,1` or `--classes 0,1`"
            )
        yes = value if value is not None else max(words, key=_order)
        other = f"not {yes}" if value is not None else min(words, key=_order)
        cells = np.array(self.cells[place])
        values = np.where(cells == yes, float(two[1]), float(two[0]))
        values[[cell.lower() in MISSING for cell in cells]] = np.nan
        return Label(name, values, measured=False), f"{name} ({other} {two[0]:g}, {yes} {two[1]:g})"

    def _missing(self, line: int, place: int, cell: str) -> DataError:
        what = f"holds no value (`{cell}`)" if cell else "is empty"
        name = self.table.header[place]
        return self._fault(line, place, f"{what}: take the row out, or leave the column out with --ignore '{name}'")

    def _fault(self, line: int, place: int, what: str) -> DataError:
        return DataError(f"{self.table.name}:{line}: column `{shortened(self.table.header[place])}`: {what}")


def _order(word: str) -> tuple[float, str]:
    """Numbers by size, words by their letters."""
    return _value(word), word


def _value(word: str) -> float:
    """∞ for what is no number."""
    try:
        return float(word.replace(",", "."))
    except ValueError:
        return np.inf


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{shortened(name, 40)}`" for name in names[:12] if name)
    return shown + (" …" if len(names) > 12 else "")
