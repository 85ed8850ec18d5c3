"""What stands at the end of a notebook cell: a screen of text, and the same as a table of HTML.

Sheet("Weights gradient_descent", (("target", "gpt2, float32"), ("layers", "3 of width 32")))   →

Weights gradient_descent
  target  gpt2, float32
  layers  3 of width 32
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

LINES, WIDTH = 24, 100
"""Of a screen."""


@dataclass(frozen=True)
class Sheet:
    """A title, rows of cells, and perhaps a header for them."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    header: tuple[str, ...] = ()

    def text(self) -> str:
        """At most LINES lines of WIDTH characters; what is left out is counted."""
        most = LINES - 2 - bool(self.header)
        kept = self.rows if len(self.rows) <= most else self.rows[: most - 1]
        lines = [*[self.header] * bool(self.header), *kept]
        widths = [max(len(line[k]) for line in lines if k < len(line)) for k in range(max(map(len, lines), default=0))]
        shown = [
            f"  {'  '.join(cell.ljust(w) for cell, w in zip(line, widths, strict=False))}".rstrip() for line in lines
        ]
        more = [f"  … and {len(self.rows) - len(kept)} more"] * (len(kept) < len(self.rows))
        return "\n".join(_cut(line) for line in (self.title, *shown, *more))

    def html(self) -> str:
        """All rows, in a table that scrolls."""
        head = _row("th", self.header) if self.header else ""
        body = "".join(_row("td", row) for row in self.rows)
        table = f"<table><caption style='text-align:left'>{escape(self.title)}</caption>{head}{body}</table>"
        return f"<div style='max-height:28em;overflow:auto'>{table}</div>"


class Displayed:
    """Shows `_sheet()` as its `repr`, in a terminal and in a notebook."""

    __slots__ = ()

    def _sheet(self) -> Sheet:
        raise NotImplementedError

    def __repr__(self) -> str:
        return self._sheet().text()

    def _repr_html_(self) -> str:
        return self._sheet().html()


def _row(tag: str, cells: tuple[str, ...]) -> str:
    return f"<tr>{''.join(f'<{tag} style=text-align:left>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
