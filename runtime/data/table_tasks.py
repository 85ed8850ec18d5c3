"""Rows of a table as in-context tasks.

    x  y        x [tasks, rows, d], y [tasks, rows − 1]
    1  2   →    as they stand             1,2,3 → 4          the last row is the query
    2  4        rows without y at the end 1,2,3 → 4; 1,2,3 → 5   each is the query of a task of its own
    3  6        leave_one_out             2,3,4 → 1; 1,3,4 → 2; …
    4  8        splits of 2 examples      4,1 → 3; 2,3 → 1; …

Standardised, a task's measured columns have mean 0 and deviation 1 over its examples; its query is moved and scaled by
the same numbers, which are therefore not its own, and predictions are brought back by them. A column that does not vary
in a task's examples is moved only; one that varies nowhere, such as an intercept of the caller's, is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.errors import DataError, counted, shortened
from innerloop.artifact.memory import spend
from innerloop.artifact.signature import Signature
from innerloop.artifact.tokens import output_rows, sequence
from innerloop.artifact.weights import Weights
from innerloop.compiler.frontend.constants import evaluate
from innerloop.compiler.syntax.nodes import Program
from innerloop.compiler.syntax.parse import parse
from numpy.typing import NDArray

from .coded_columns import Chosen, chosen
from .columns import Columns, Roles
from .pairing import TokenLine
from .sources import cells

SHOWN = 5
"""Lines named of those that are left out."""


@dataclass(frozen=True, repr=False)
class TableTasks:
    """Tasks made of a table's rows.

    fields     what a model takes: input [tasks, rows, d], label [tasks, rows]
    lines      the line (of a table in memory: the row, from 1) that each is of, [tasks, rows]
    target     each row's label as the table has it, NaN where it has none; None for a program without a label
    centre, deviation  by which the label was standardised, [tasks]
    said       what was done with each column, on one line
    drawn      whether each task is there for its query: more than the table as it stands
    """

    fields: dict[str, Floats]
    lines: Indices
    target: Floats | None
    centre: Floats
    deviation: Floats
    said: str
    drawn: bool

    def __repr__(self) -> str:
        return f"TableTasks({self.said})"

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises DataError for an output of this shape that the target's moments do not bring back."""
        if shape and (self.centre.any() or (self.deviation != 1.0).any()):
            raise DataError(
                f"the output holds {counted(math.prod(shape), 'number')}, which have no units of the target's to be "
                "brought back to: leave out --standardise"
            )

    def back(self, predictions: NDArray[Any]) -> NDArray[Any]:
        """Predictions [tasks, rows, …] in the target's own units. Raises DataError as `check`."""
        found: NDArray[Any] = self.widened(predictions) + self.centre.reshape(-1, *[1] * (predictions.ndim - 1))
        return found

    def widened(self, errors: NDArray[Any]) -> NDArray[Any]:
        """Errors of predictions [tasks, rows, …] in the target's own units. Raises DataError as `check`."""
        self.check(errors.shape[2:])
        found: NDArray[Any] = errors * self.deviation.reshape(-1, *[1] * (errors.ndim - 1))
        return found

    def repetitions(self, tokens: TokenLine) -> int:
        """How often the pattern's group is repeated."""
        rest, each = _inputs(tokens)
        return (int(self.lines.shape[1]) - rest) // each

    def places(self, weights: Weights) -> Indices:
        """Of each of the model's outputs in a task the row that it stands at, counted from 0."""
        tokens = TokenLine.of(weights.signature)
        line, kinds = sequence(tokens.pattern, self.repetitions(tokens)), tokens.kinds[Roles.of(tokens).input]
        rows = np.cumsum([kind in kinds for kind in line.kinds]) - 1
        found: Indices = np.maximum(rows, 0)[output_rows(line, weights.output.kinds)]
        return found

    def asked(self, weights: Weights) -> Indices:
        """Which of the model's outputs in a task are asked for: those at the query, if tasks are there for it."""
        rows = self.places(weights)
        found: Indices = np.flatnonzero(rows == rows.max()) if self.drawn else np.arange(rows.size)
        return found


def _inputs(tokens: TokenLine) -> tuple[int, int]:
    """How many tokens hold the input outside the group, and in each repetition of it."""
    kinds, pattern = tokens.kinds[Roles.of(tokens).input], tokens.pattern
    return sum(k in kinds for k in (*pattern.prefix, *pattern.suffix)), sum(k in kinds for k in pattern.group)


def read_table(source: object, program: str | Program | Weights | Signature, columns: Columns) -> TableTasks:
    """The rows of a path, of standard input (`-`) or of a table in memory, as tasks of a program.

    `program` is its text or what is compiled of it. Raises DataError, with the place, for what does not fit,
    CompileError for a text that is no program, and OSError for a file that cannot be read."""
    if isinstance(program, str | Program):
        return tasks_of(source, *declared(program), columns)
    signature = program.signature if isinstance(program, Weights) else program
    tokens = TokenLine.of(signature)
    ranges = {f.name: (f.low, f.high) for f in signature.fields if f.low is not None and f.high is not None}
    return tasks_of(source, tokens, ranges, columns)


def declared(program: str | Program) -> tuple[TokenLine, dict[str, tuple[float, float]]]:
    """A text's tokens, with fields of any size; and the ranges of fields that are made of numbers alone."""
    tree = parse(program) if isinstance(program, str) else program
    pattern = tree.tokens.pattern
    kinds = {field.name: field.kinds for field in tree.fields}
    ranges = {}
    for field in tree.fields:
        if field.low is not None and field.high is not None:
            with suppress(KeyError, ValueError):
                ranges[field.name] = (float(evaluate(field.low, {})), float(evaluate(field.high, {})))
    return TokenLine(pattern, kinds, dict.fromkeys(kinds)), ranges


def tasks_of(
    source: object, tokens: TokenLine, ranges: Mapping[str, tuple[float, float]], columns: Columns
) -> TableTasks:
    """The same for tokens whose fields have these ranges."""
    roles = Roles.of(tokens)
    table = cells(source, columns.wanted)
    return _tasks(chosen(table, roles, columns, ranges.get(roles.label or "")), tokens, roles, columns)


def _tasks(found: Chosen, tokens: TokenLine, roles: Roles, columns: Columns) -> TableTasks:
    name = found.table.name
    groups = list(_partition(found, roles, columns, str(tokens.pattern)))
    for rows in groups:
        if len(rows) != len(groups[0]):
            one, other = (
                f"task {shortened(found.tasks[g[0]])} has {counted(len(g), 'row')}" for g in (groups[0], rows)
            )
            mend = "tasks are of one length: `--examples COUNT` draws so many of each"
            raise DataError(f"{name}: {one}, {other}; {mend}")
    places = np.array(groups)
    spend(64 * places.size * (len(found.features) + 1), f"the tasks of {name}", "make fewer, or of fewer examples")
    x = np.stack([feature.values[places] for feature in found.features], axis=-1)
    y = None if found.label is None else found.label.values[places]
    context = slice(None, -1) if roles.queried else slice(None)
    centre, deviation = np.zeros(len(places)), np.ones(len(places))
    if columns.standardise:
        for k, feature in enumerate(found.features):
            if feature.measured and np.ptp(feature.values) > 0.0:
                m, s = _moments(x[:, context, k])
                x[..., k] = (x[..., k] - m[:, None]) / s[:, None]
        if y is not None and found.label is not None and found.label.measured:
            centre, deviation = _moments(y[:, context])
    fields = {roles.input: x}
    if y is not None and roles.label is not None:
        fields[roles.label] = (y[:, context] - centre[:, None]) / deviation[:, None]
    lines = np.array(found.lines)[places]
    asked = columns.leave_one_out or columns.splits is not None or columns.examples is not None
    drawn = roles.queried and (asked or len(groups) > len(set(found.tasks)))
    return TableTasks(fields, lines, y, centre, deviation, _said(found, columns, roles, places), drawn)


def _moments(values: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation [tasks] of [tasks, rows]; a deviation of 0 counts as 1."""
    deviation = values.std(1)
    return values.mean(1), np.where(np.ptp(values, 1) > 0.0, deviation, 1.0)


def _partition(found: Chosen, roles: Roles, columns: Columns, pattern: str) -> Iterator[Sequence[int]]:
    """The rows of each task, in order, the query last."""
    name, rng = found.table.name, np.random.default_rng(columns.seed)
    if columns.leave_one_out and (columns.splits is not None or columns.examples is not None):
        raise DataError("--leave-one-out takes all rows: it goes without --splits and --examples")
    if columns.leave_one_out and not roles.queried:
        raise DataError(f"--leave-one-out is for programs that end with a query, and this one is `{pattern}`")
    for label in dict.fromkeys(found.tasks):
        rows = [k for k, task in enumerate(found.tasks) if task == label]
        where = f"{name}: task {shortened(label)}" if label else name
        known, queries = _labelled(found, rows, roles)
        if columns.splits is None and columns.examples is None:
            if columns.leave_one_out:
                yield from ([*(k for k in known if k != query), query] for query in known)
            elif queries:
                yield from ([*known, query] for query in queries)
            else:
                yield known
            continue
        most = len(known) - roles.queried
        count = most if columns.examples is None else columns.examples
        if count > most:
            raise DataError(f"{where}: has {counted(most, 'row')} for examples, and {count} are asked for")
        for _ in range(columns.splits or 1):
            yield rng.choice(known, count + roles.queried, replace=False).tolist()


def _labelled(found: Chosen, rows: Sequence[int], roles: Roles) -> tuple[list[int], list[int]]:
    """A task's rows with a label, and those at its end without. Raises DataError for one without before one with."""
    if found.label is None:
        return list(rows), []
    missing = np.isnan(found.label.values[rows])
    last = int(np.flatnonzero(~missing).max(initial=-1))
    if last < 0:
        raise DataError(f"{found.table.name}: column `{found.label.name}` is empty")
    bad = np.flatnonzero(missing[:last] if roles.queried else missing)
    if bad.size:
        line = found.lines[rows[bad[0]]]
        end = ", and only rows at the end, which are predicted, may lack it" if roles.queried else ""
        raise DataError(f"{found.table.name}:{line}: column `{found.label.name}`: is empty{end}")
    return list(rows[: last + 1]), list(rows[last + 1 :])


def _said(found: Chosen, columns: Columns, roles: Roles, places: Indices) -> str:
    examples = places.shape[1] - roles.queried
    tasks = f"{counted(len(places), 'task')} of {counted(examples, 'example')}{' and a query' if roles.queried else ''}"
    how = "standardised by each task's examples"
    if found.label is not None and found.label.measured:
        how += ", predictions in the target's units"
    rows = f"{counted(len(found.lines), 'row')}: {tasks}"
    parts = [*found.said, *_unused(found, places), *[how] * columns.standardise, rows]
    return f"{found.table.name}: {'; '.join(parts)}"


def _unused(found: Chosen, places: Indices) -> list[str]:
    """Words for the rows without a label that are in no task."""
    if found.label is None:
        return []
    rows = np.setdiff1d(np.flatnonzero(np.isnan(found.label.values)), places)
    if rows.size == 0:
        return []
    shown = ", ".join(str(found.lines[k]) for k in rows[:SHOWN]) + " …" * (rows.size > SHOWN)
    where = f"{'line' if found.table.line else 'row'}{'s' if rows.size > 1 else ''} {shown}"
    return [f"{counted(rows.size, 'row')} without a target left out ({where})"]
