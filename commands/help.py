"""Help that fits the terminal: what argparse leaves as it is written, and is wider, is broken where it may be.

"  core          the program with one operation a line"      at 40 columns
→   "  core          the program with one"
    "                operation a line"
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Iterator

_TWO_COLUMNS = re.compile(r"^(\s*\S+(?: \S+)*\s{2,})\S")
"""A name, two blanks or more, and what it is."""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """argparse's, at its own width, for text of our own too."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return fitted(super()._fill_text(text, width, indent), width)


class HelpParser(argparse.ArgumentParser):
    """A parser whose help ends with `appended`, which is made when the help is printed: what lists it is heavy."""

    appended: Callable[[], str] | None = None

    def format_help(self) -> str:
        if self.appended is None:
            return super().format_help()
        return f"{super().format_help()}\n{fitted(self.appended(), self._get_formatter()._width)}\n"


def fitted(text: str, width: int) -> str:
    """The text in lines of that width. Paragraphs are filled; a second column hangs under its first line; a command
    goes on after a backslash. A word that is longer than a line stays whole."""
    if all(len(line) <= width for line in text.splitlines()):
        return text
    return "\n".join(line for lines, hang in _blocks(text) for line in _broken(lines, hang, width))


def _blocks(text: str) -> Iterator[tuple[list[str], int]]:
    """Lines that belong together, and where all but the first begin."""
    block: list[str] = []
    hang = -1
    for line in text.splitlines():
        start = len(line) - len(line.lstrip())
        columns = _TWO_COLUMNS.match(line)
        alone = _is_command(line) or len(line.split()) < 2
        if block and start == hang and columns is None and not alone:
            block.append(line)
            continue
        if block:
            yield block, hang
        block, hang = [line], len(columns[1]) if columns is not None else -1 if alone else start
    if block:
        yield block, hang


def _is_command(line: str) -> bool:
    return line.lstrip().startswith("innerloop ")


def _broken(lines: list[str], hang: int, width: int) -> list[str]:
    first = lines[0]
    if len(lines) == 1 and len(first) <= width:
        return lines
    start, command = len(first) - len(first.lstrip()), _is_command(first)
    parts = textwrap.wrap(
        " ".join([first, *map(str.strip, lines[1:])]),
        width - 2 * command,
        subsequent_indent=" " * (start + 4 if command or hang < 0 else min(hang, width // 2)),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [f"{part} \\" for part in parts[:-1]] + parts[-1:] if command else parts
