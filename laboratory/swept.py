"""What a sweep came to: a line for each cell, a table and a page.

cells, trained   →   Line: loss, SPD/d from the compiled program, the nearest algorithm, with intervals over tasks
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from math import isfinite
from pathlib import Path

import numpy as np
from innerloop.runtime.plots import COLOURS
from innerloop.runtime.whole import replace
from matplotlib.figure import Figure

from . import charts
from .described import in_words, versions
from .drawing import drawing
from .headlines import number
from .measures.distance import predicted, squared_difference
from .measures.nearest import nearest
from .measures.references import references
from .measures.sample import Sample
from .network import Known, known, subject
from .report import STYLE, html_table
from .sweep import Cell, named
from .training.record import Record, read
from .training.tasks import TaskDistribution, task

COLUMNS = ("settings", "seed", "loss", "low", "high", "loss at the query", "nearest", "SPD/d", "near", "parameters",
           "steps", "last loss")  # fmt: skip

SAID = 4
"""Kinds of models that a page names."""


@dataclass(frozen=True)
class Line:
    """loss: E (ŷ − y)² over rows of fresh tasks of the cell's own kind, with its interval; `spd`: SPD/d from the
    nearest reference, None where the task is no regression."""

    settings: Mapping[str, str]
    seed: int
    loss: float
    low: float
    high: float
    query: float
    nearest: str
    spd: float | None
    near: bool | None
    parameters: int
    steps: int
    last_loss: float


def measured(
    cells: Sequence[Cell], tasks: int, seed: int, told: Callable[[str, int, int], None] = lambda *_: None
) -> tuple[Line, ...]:
    """A line for each cell, on so many tasks of its own kind. Raises DataError for a folder that is not sound."""
    found = []
    for count, cell in enumerate(cells):
        told(f"measuring {cell.name}", count, len(cells))
        record = read(cell.folder)
        assert record is not None  # a cell that is done has one
        found.append(_line(cell, known(cell.folder), record, tasks, seed))
    return tuple(found)


def _line(cell: Cell, found: Known, record: Record, tasks: int, seed: int) -> Line:
    of = _task(record)
    model = subject(found, cell.name)
    fields, targets = drawing(of, model.weights)(seed, tasks)
    answers, wanted = predicted(model, fields), np.asarray(targets, np.float64)
    rows = np.flatnonzero(np.isfinite(wanted).all((0, *range(2, wanted.ndim))))
    errors = squared_difference(answers[:, rows], wanted[:, rows])
    loss = Sample(errors).over_rows()
    low, high = (float(end) for end in loss.interval)
    judged = None
    if set(fields) == {"x", "y"} and np.ndim(fields["x"]) == 3 and not found.output.shape:
        noise = float(of.parameters.get("noise", 0.0)) / float(of.parameters.get("weight_scale", 1.0))
        known = references(wanted.shape[1], noise)
        judged = nearest({cell.name: model}, known, fields, np.shape(fields["x"])[2]).judged(cell.name)
    return Line(
        cell.settings, cell.seed, float(loss.value), low, high, float(errors[:, -1].mean()),
        "" if judged is None else judged.name, None if judged is None else float(judged.spd.value),
        None if judged is None else judged.near, found.numbers()[0], record.losses.size,
        float(record.losses[-100:].mean()),
    )  # fmt: skip


def _task(record: Record) -> TaskDistribution:
    given = dict(record.facts["settings"]["task"])
    return task(given.pop("name"), rows=given.pop("rows"), **given)


def write(folder: Path, lines: Sequence[Line], cells: Sequence[Cell], command: str) -> tuple[Path, ...]:
    """table.csv, table.json and page.html in `folder`, each whole or not at all; the paths. They say nothing of when:
    the same cells make the same bytes. Raises OSError where they cannot be written."""
    facts = {"command": command, "versions": versions(), "cells": [asdict(line) for line in lines]}
    csv = [",".join(["settings", *COLUMNS[1:]])]
    csv += [",".join(f'"{cell}"' if "," in cell else cell for cell in row) for row in rows(lines)]
    files = {
        "table.csv": "\n".join(csv) + "\n",
        "table.json": json.dumps(facts, indent=1, ensure_ascii=False) + "\n",
        "page.html": page(lines, cells, command),
    }
    for name, text in files.items():
        replace(folder / name, lambda stream, text=text: stream.write(text.encode()))  # type: ignore[misc]
    return tuple(folder / name for name in files)


def rows(lines: Sequence[Line]) -> list[list[str]]:
    """By COLUMNS."""
    return [
        [
            named(line.settings), str(line.seed), *(number(v) for v in (line.loss, line.low, line.high, line.query)),
            line.nearest, "" if line.spd is None else number(line.spd), {True: "yes", False: "no", None: ""}[line.near],
            str(line.parameters), str(line.steps), number(line.last_loss),
        ]
        for line in lines
    ]  # fmt: skip


def picture(lines: Sequence[Line]) -> Figure:
    """A panel for each setting of several values: the loss of every cell against it, a line through the means of equal
    other settings; the seeds are its points."""
    names = [name for name in lines[0].settings if len({line.settings[name] for line in lines}) > 1]
    with charts.panelled(max(1, len(names))) as (figure, grid):
        for axes, name in zip(grid, names or [""], strict=True):
            values = list(dict.fromkeys(line.settings.get(name, "all") for line in lines))
            others = list(dict.fromkeys(_without(line.settings, name) for line in lines))
            for k, other in enumerate(others):
                shade = COLOURS[k % len(COLOURS)]
                of = [line for line in lines if _without(line.settings, name) == other]
                places = np.array([values.index(line.settings.get(name, "all")) for line in of])
                losses = np.array([line.loss for line in of])
                axes.plot(places, losses, "o", color=shade, markersize=4, alpha=0.7)
                there = np.unique(places)
                means = [losses[places == place].mean() for place in there]
                axes.plot(there, means, color=shade, linewidth=1.8, label=other or None)
            axes.set_xticks(np.arange(len(values)), values)
            axes.set_xlabel(name)
            charts.logarithmic(axes, [np.array([line.loss for line in lines if isfinite(line.loss)])])
            if others != [""]:
                axes.legend(fontsize=7)
        grid[0].set_ylabel("loss, mean over rows")
    return figure


def _without(settings: Mapping[str, str], name: str) -> str:
    return ", ".join(f"{key} = {value}" for key, value in settings.items() if key != name)


def _kinds(cells: Sequence[Cell]) -> str:
    """What was trained, in words: baselines beside transformers, and programs of several sizes."""
    found = list(dict.fromkeys(in_words(known(cell.folder)) for cell in cells))
    more = len(found) - SAID
    return "; ".join(found[:SAID]) + (f"; and {more} more" if more > 0 else "")


def page(lines: Sequence[Line], cells: Sequence[Cell], command: str) -> str:
    """One HTML file, its figure inside, without scripts."""
    said = ", ".join(f"{name} {version}" for name, version in versions().items())
    caption = "The loss on fresh tasks of each cell's own kind: a point for each seed, a line through their means."
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Sweep of {len(cells)} trainings</title>",
            f"<style>{STYLE}</style></head><body>",
            f"<h1>Sweep of {len(cells)} trainings</h1>",
            f"<p>Of {escape(_kinds(cells))}. <code>{escape(command)}</code></p>",
            f"<figure>\n{charts.svg(picture(lines), 'sweep', caption)}\n<figcaption>{caption}</figcaption>\n</figure>",
            '<p class="note">low, high: the 95 % bootstrap interval of the loss over tasks; nearest: the algorithm of '
            "least SPD/d, and whether it is near.</p>",
            html_table(COLUMNS, rows(lines)),
            f'<p class="note">{escape(said)}</p>',
            "</body></html>\n",
        ]
    )
