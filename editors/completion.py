"""What may be typed at a place, by the words before it on its line.

at |              kinds of token          x : vec|     types
use |             libraries               move |       names
w = w - |         names of values, functions, reads
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from innerloop.compiler.frontend.library import definitions, libraries
from innerloop.compiler.syntax.builtins import FUNCTIONS, OPERATIONS, READS

from .analysis import Analysis
from .occurrences import VALUES, block_end
from .vocabulary import LOGIC, TYPES

Sort = Literal["keyword", "type", "kind", "value", "function", "library"]
HEAD = ("program", "use", "tokens")
AT_MARGIN = ("at", "repeat", "scan", "output", "def")
BLOCK = ("at", "repeat", "output")
INSIDE = ("grad", "move", "not")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`detail`: where it comes from, or what it takes."""

    text: str
    sort: Sort
    detail: str = ""


def suggestions(analysis: Analysis, offset: int) -> list[Suggestion]:
    """In the order in which they are offered; the editor leaves out what does not begin as the word that is typed."""
    line = analysis.text[analysis.text.rfind("\n", 0, offset) + 1 : offset]
    if "#" in line:
        return []
    before = re.sub(r"\w*$", "", line)
    return list(dict.fromkeys(_suggested(analysis, offset, before)))


def _suggested(analysis: Analysis, offset: int, before: str) -> Iterator[Suggestion]:
    if re.match(r"\s*use\s+$", before):
        yield from (Suggestion(name, "library") for name in libraries())
    elif re.search(r"\b(at|scan|on|first|last|previous)\s+$|\bon\s+(\w+\s*,\s*)*$|\[\s*\w+\s+in\s+$", before):
        yield from _kinds(analysis)
    elif re.search(r"\bfrom\s+$", before):
        yield from _keywords("previous", "first", "last")
    elif re.search(r"\bmove\s+$|\bgrad\s*\[\s*$", before):
        yield from _values(analysis, offset)
    elif re.match(r"\s*scan\s+\w+\s+$", before):
        yield from _keywords("up to", "backwards up to")
    elif re.match(r"\s*repeat\s+\w+\s+$", before):
        yield from _keywords("as")
    elif re.match(r"\s*tokens\b", before):
        yield from [*_kinds(analysis), *_keywords("visible context")]
    elif re.search(r"(^|[(,])\s*\w+\s*:\s*$", before):
        yield from (Suggestion(name, "type") for name in TYPES)
    elif re.match(r"\s+\w+\s*:\s*\w+(\s*\[[^\]]*\])?\s+$", before):
        yield from _keywords("on", "in")
    elif not before:
        yield from _keywords(*(AT_MARGIN if _is_begun(analysis, offset) else HEAD))
        yield from _values(analysis, offset)
    elif not before.strip():
        yield from [*_keywords(*BLOCK), *_values(analysis, offset)]
    else:
        yield from _values(analysis, offset)
        yield from _functions(analysis, offset)
        yield from _keywords(*INSIDE, *LOGIC[:2])


def _is_begun(analysis: Analysis, offset: int) -> bool:
    """Whether the tokens have been declared above."""
    return re.search(r"^tokens\b", analysis.text[:offset], re.MULTILINE) is not None


def _keywords(*words: str) -> Iterable[Suggestion]:
    return (Suggestion(word, "keyword") for word in words)


def _kinds(analysis: Analysis) -> Iterable[Suggestion]:
    return (Suggestion(o.name, "kind", "kind of token") for o in analysis.occurrences if o.sort == "kind" and o.defines)


def _values(analysis: Analysis, offset: int) -> Iterator[Suggestion]:
    """Names that have a value above the place: nearest first, those of the `def` around it and no other's."""
    above = [o for o in analysis.occurrences if o.defines and o.end < offset and o.sort in VALUES | {"index"}]
    for o in reversed(above):
        around = o.start if o.sort == "turn" else o.symbol.scope
        if around == 0 or _is_around(analysis.text, around, offset):
            yield Suggestion(o.name, "value", o.sort)


def _is_around(text: str, scope: int, offset: int) -> bool:
    """Whether the block whose head holds `scope`, or the read that begins there, goes on at the place."""
    between = text[scope:offset]
    if re.match(r"def\b|\w+ *(#.*)?\n", between):
        return offset <= block_end(text, scope)
    return between.count("(") > between.count(")") or "(" not in between


def _functions(analysis: Analysis, offset: int) -> Iterator[Suggestion]:
    for o in analysis.occurrences:
        if o.sort == "function" and o.defines and o.end < offset:
            yield Suggestion(o.name, "function", "of this program")
        if o.sort == "library" and o.name in libraries():
            yield from (
                Suggestion(d.name, "function", f"{d.name}({', '.join(d.parameters)}) of {o.name}")
                for d in definitions(o.name)
            )
    for name, arity in {**OPERATIONS, **{name: f.arity for name, f in FUNCTIONS.items()}}.items():
        yield Suggestion(name, "function", f"{name}({', '.join('abcd'[:arity])})")
    for name in READS:
        yield Suggestion(name, "function", f"{name}[j in K](…)")
