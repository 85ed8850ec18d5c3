"""Tables and progress on the terminal: results to stdout, what goes on meanwhile to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import wrap
from time import monotonic

from innerloop.artifact.progress import heard
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from .quiet import quiet

PATIENCE = 3.0
"""Seconds in which nothing need be said."""

PLAIN_WIDTH = 100
"""Columns of text that goes to a file or a pipe."""


def console() -> Console:
    """stdout; as wide as the terminal, and PLAIN_WIDTH where there is none."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, title: str | None = None) -> Table:
    """The first `left` columns flush left, the others, numbers, flush right."""
    result = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, collapse_padding=True)
    for index, column in enumerate(columns):
        if index < left:
            result.add_column(column, overflow="fold")
        else:
            result.add_column(column, justify="right", overflow="fold")
    for row in rows:
        result.add_row(*row)
    return result


def entries(title: str, rows: Sequence[tuple[str, Sequence[str], str]], width: int) -> Text:
    """Under a title, each (name, parameters, what it is): a call, broken between parameters only, and a line below."""
    result = Text(f"{title}\n", style="bold")
    for name, parameters, what in rows:
        call = ", ".join(p.replace(" ", "\N{NO-BREAK SPACE}") for p in parameters)
        lines = _broken(f"{name}({call})", width, "  ", " " * 10)
        result.append(lines[: 2 + len(name)], style="bold cyan")
        result.append(lines[2 + len(name) :] + "\n", style="not bold")
        result.append(_broken(what, width, " " * 6, " " * 6) + "\n", style="not bold")
    return result


def _broken(text: str, width: int, first: str, others: str) -> str:
    """In lines of that width; a space that is not to be broken at is a space in the end."""
    lines = wrap(text, width, initial_indent=first, subsequent_indent=others, break_long_words=False)
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")


class Pace:
    """How long a stage still takes, as long as it goes on as it went."""

    def __init__(self) -> None:
        self._stage, self._since = "", 0.0

    def left(self, stage: str, done: int, total: int) -> str:
        """`3 of 11, about 24 s left`; nothing where nobody knows."""
        now = monotonic()
        if stage != self._stage:
            self._stage, self._since = stage, now
        if not total:
            return ""
        count = f"{done:,} of {total:,}"
        if not 0 < done < total:
            return count
        return f"{count}, about {(now - self._since) * (total - done) / done:,.0f} s left"


@contextmanager
def progress(task: str, always: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A line on stderr while the block runs, on a terminal; elsewhere, where it is `always` to be, lines.

    Yields a function (what, done, in all) that moves it; a total of 0 means that nobody knows. What the compiler says
    of its stages comes behind `what`.
    """
    err, pace, began, told, subject = Console(stderr=True), Pace(), monotonic(), 0.0, task
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=quiet() or not err.is_terminal,
    )
    with bar:
        line = bar.add_task(task, total=None, count="")

        def show(what: str, done: int, total: int) -> None:
            nonlocal told
            count, now = pace.left(what, done, total), monotonic() - began
            bar.update(line, description=what, completed=done, total=total or None, count=count)
            if always and not err.is_terminal and now - told >= PATIENCE:
                told = now
                said = f"{what}, {count}" if count else what
                print(f"innerloop: {now:,.0f} s: {said}", file=sys.stderr, flush=True)

        def move(what: str, done: int, total: int) -> None:
            nonlocal subject
            subject = what
            show(what, done, total)

        with heard(lambda stage, done, total: show(f"{subject}, {stage}", done, total)):
            yield move
