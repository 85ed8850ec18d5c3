"""What the benchmarks print alike."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table


def early(row: list[str]) -> list[str]:
    """The row, which is told as soon as it is there: what a time limit breaks off is not lost."""
    print("  ".join(row), file=sys.stderr, flush=True)
    return row


def show(
    title: str, heads: Sequence[str], left: Iterable[str], rows: Iterable[Sequence[str]], width: int = 150
) -> None:
    """A table on the terminal; columns are aligned to the right but for those whose heads are in `left`."""
    table, at_left = Table(title=title), set(left)
    for head in heads:
        table.add_column(head, justify="left" if head in at_left else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=width).print(table)
