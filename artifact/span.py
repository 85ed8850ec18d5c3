"""A place in a program's text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of program text: offsets [start, end) and the 1-based place of its first character."""

    start: int
    end: int
    line: int
    column: int
