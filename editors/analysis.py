"""A text with all that is known of it: what is wrong, its names, and what checking found out.

While a text does not parse, its names are still told apart, and shapes are those of the last text that did.
"""

from __future__ import annotations

from dataclasses import dataclass

from innerloop.artifact.errors import CompileError, Diagnostic
from innerloop.compiler.frontend.check import Facts, examine
from innerloop.compiler.frontend.library import definitions, libraries
from innerloop.compiler.syntax.nodes import Define, Program
from innerloop.compiler.syntax.parse import is_library, parse

from .occurrences import Occurrence, occurrences


@dataclass(frozen=True)
class Analysis:
    """`diagnostics` are those of `innerloop check`; `program` and `facts` None: no text parsed so far."""

    text: str
    diagnostics: tuple[Diagnostic, ...]
    occurrences: tuple[Occurrence, ...]
    program: Program | None
    facts: Facts | None

    def at(self, offset: int) -> Occurrence | None:
        """The name that is there, or ends there."""
        found = [o for o in self.occurrences if o.start <= offset <= o.end]
        return found[-1] if found else None

    def alike(self, occurrence: Occurrence) -> list[Occurrence]:
        """All occurrences of what this one means."""
        return [o for o in self.occurrences if o.symbol == occurrence.symbol]

    def origin(self, occurrence: Occurrence) -> Occurrence | None:
        """Where it gets its meaning, or its first value."""
        return next((o for o in self.alike(occurrence) if o.defines), None)

    def shipped(self, function: str) -> tuple[str, Define] | None:
        """The library of those that the text uses that defines a function, and the definition."""
        used = [o.name for o in self.occurrences if o.sort == "library" and o.name in libraries()]
        return next(((name, d) for name in used for d in definitions(name) if d.name == function), None)


def analyse(text: str, source: str, before: Analysis | None = None) -> Analysis:
    """`source` is the file's name; `before` what was known of the text as it was."""
    found = tuple(occurrences(text))
    try:
        program = parse(text, source)
    except CompileError as error:
        wrong = () if is_library(text) else error.diagnostics
        known = (None, None) if before is None else (before.program, before.facts)
        return Analysis(text, wrong, found, *known)
    facts = examine(program)
    return Analysis(text, facts.diagnostics, found, program, facts)
