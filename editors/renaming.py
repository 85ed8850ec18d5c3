"""Another name for what is under the cursor, everywhere and for nothing else.

tokens (x y)* x              tokens (x y)* x
    x : vector[d]      →         z : vector[d] on x          the field x is z; the kind stays x
"""

from __future__ import annotations

import re

from innerloop.artifact.errors import InnerloopError
from innerloop.compiler.syntax.builtins import FUNCTIONS
from innerloop.compiler.syntax.grammar import keywords

from .analysis import Analysis
from .occurrences import Occurrence, Symbol, block_end

Edit = tuple[int, int, str]
"""From offset to offset, and what stands there then."""


def can_be_renamed(analysis: Analysis, occurrence: Occurrence) -> bool:
    """Whether its name is the text's own."""
    return analysis.origin(occurrence) is not None


def renamed(analysis: Analysis, occurrence: Occurrence, name: str) -> list[Edit]:
    """The changes, in text order. Raises InnerloopError for a name that cannot be, or has a meaning already."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name):
        raise InnerloopError(f"`{name}` is no name: letters a–z, digits and _, and no digit first")
    if name in keywords() or (occurrence.sort == "function" and name in FUNCTIONS):
        raise InnerloopError(f"`{name}` is a word of the language")
    if not can_be_renamed(analysis, occurrence):
        raise InnerloopError(f"`{occurrence.name}` is not this program's own")
    symbol = occurrence.symbol
    if name == symbol.name:
        return []
    if any(o.name == name and _meet(analysis, symbol, o.symbol) for o in analysis.occurrences):
        raise InnerloopError(f"`{name}` has a meaning already")
    edits = [(o.start, o.end, name) for o in analysis.alike(occurrence)]
    for field in analysis.occurrences:
        if field.on is None or field.name != symbol.name:
            continue
        if symbol.space == "kind":
            edits.append((field.on, field.on, f" on {name}"))
        elif field.symbol == symbol:
            edits.append((field.on, field.on, f" on {field.name}"))
    return sorted(edits)


def _meet(analysis: Analysis, one: Symbol, other: Symbol) -> bool:
    """Whether they cannot have one name: both are known in one place, and may be taken for each other."""
    if one.space != other.space:
        return {one.space, other.space} == {"index", "value"}
    if one.scope == other.scope:
        return True
    outer, inner = sorted((one, other), key=lambda symbol: symbol.scope)
    if one.space == "index":
        return max(_places(analysis, outer)) >= inner.scope
    end = block_end(analysis.text, inner.scope)
    return outer.scope == 0 and any(inner.scope <= place <= end for place in _places(analysis, outer))


def _places(analysis: Analysis, symbol: Symbol) -> list[int]:
    return [o.start for o in analysis.occurrences if o.symbol == symbol]
