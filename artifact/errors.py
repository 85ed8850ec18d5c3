"""What is wrong with a program or its data: one error a fault, with place, values and mend."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from .span import Span

TRACEBACK = "INNERLOOP_TRACEBACK"
"""The variable that asks for tracebacks."""
LONGEST_LINE, LONGEST_MESSAGE = 160, 500
"""Characters of a line of the text, and of a message or hint, that are shown."""
MOST_COMPARED, LONGEST_COMPARED = 100, 100
"""Names, and letters of one, that a misspelt one is compared with: each takes a while."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault. `span` is its place in the text, if it has one; `hint` is how to mend it."""

    message: str
    span: Span | None = None
    hint: str | None = None


class InnerloopError(ValueError):
    """Something that the user gave is wrong; the message is meant for the user as it stands."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message, and the way to it only where INNERLOOP_TRACEBACK=1 asks for it."""
        if os.environ.get(TRACEBACK, "0") not in ("", "0"):
            return traceback.format_exception(self)
        return str(self).splitlines()


class InternalError(AssertionError):
    """What a pass has made cannot be: a fault of the compiler, not of the program. `span`: of the value, if any."""

    def __init__(self, message: str, span: Span | None = None) -> None:
        super().__init__(message)
        self.span = span


class CompileError(InnerloopError):
    """A program that does not parse, check or fit a target. Carries all of its diagnostics."""

    def __init__(self, diagnostics: Iterable[Diagnostic], text: str = "", source: str = "program") -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(format_diagnostic(d, text, source) for d in self.diagnostics))


@contextmanager
def faults_told(text: str, source: str) -> Iterator[None]:
    """An InternalError comes out as a CompileError that says whose fault it is."""
    try:
        yield
    except InternalError as fault:
        hint = "the program is not at fault: please report it, with the program, its parameters and its data"
        raise CompileError([Diagnostic(f"fault of the compiler: {fault}", fault.span, hint)], text, source) from fault


class DataError(InnerloopError):
    """Data that does not fit the program: a wrong shape, a missing field, a number that is not finite."""


class DataWarning(UserWarning):
    """Something in the data that was passed over, and that the user may have meant."""


def format_diagnostic(diagnostic: Diagnostic, text: str, source: str) -> str:
    """`file:line:column: error: …`, the line with a caret under it, and the hint."""
    span = diagnostic.span
    if span is None:
        head = f"{source}: error: {_cut(diagnostic.message)}"
        return head if diagnostic.hint is None else f"{head}\n  hint: {_indent(diagnostic.hint)}"
    lines = _lines(text)
    line = lines[span.line - 1] if span.line <= len(lines) else ""
    line, column = _around(line, span.column)
    width = max(1, min(span.end - span.start, len(line) - column + 1))
    parts = [
        f"{source}:{span.line}:{span.column}: error: {_cut(diagnostic.message)}",
        f"{span.line:5d} | {line}",
        f"      | {' ' * (column - 1)}{'^' * width}",
    ]
    if diagnostic.hint is not None:
        parts.append(f"  hint: {_indent(diagnostic.hint)}")
    return "\n".join(parts)


@lru_cache(maxsize=1)
def _lines(text: str) -> list[str]:
    """Split once for all of a program's faults, and as the parser counts lines."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def _around(line: str, column: int) -> tuple[str, int]:
    """What is shown of a long line, and where the column is in it."""
    if len(line) <= LONGEST_LINE:
        return line, column
    start = max(0, min(column - 1 - LONGEST_LINE // 2, len(line) - LONGEST_LINE))
    shown = line[start : start + LONGEST_LINE]
    before, after = "…" if start else "", "…" if start + LONGEST_LINE < len(line) else ""
    return f"{before}{shown}{after}", column - start + len(before)


def _cut(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…"


def shortened(text: str, most: int = 60) -> str:
    """On one line, and cut off with `…` where it is longer than that."""
    head = " ".join(text[: 4 * most].split())
    return head if len(head) <= most and len(text) <= 4 * most else f"{head[: most - 1]}…"


def near(name: str, known: Iterable[str]) -> str | None:
    """`did you mean …?`, if there is something like it; of very many names, among some of about the same length."""
    names = list(known)
    if len(names) > MOST_COMPARED:
        names = [other for other in names if abs(len(other) - len(name)) <= 1][:MOST_COMPARED]
    found = get_close_matches(name, names, 1) if len(name) <= LONGEST_COMPARED else []
    return f"did you mean `{found[0]}`?" if found else None


def counted(count: int, what: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _indent(hint: str) -> str:
    return _cut(hint).replace("\n", "\n        ")
