"""Tables and progress on the terminal: results to stdout, what goes on meanwhile to stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import wrap

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from .quiet import quiet

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


@contextmanager
def progress(task: str) -> Iterator[Callable[[str, int, int], None]]:
    """A line on stderr while the block runs, on a terminal only.

    Yields a function (what, done, in all) that moves it; a total of 0 means that nobody knows.
    """
    err = Console(stderr=True)
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

        def move(what: str, done: int, total: int) -> None:
            count = f"{done:,} of {total:,}" if total else ""
            bar.update(line, description=what, completed=done, total=total or None, count=count)

        yield move
