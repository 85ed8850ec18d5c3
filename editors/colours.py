"""What each word of a text is, for editors that colour by that (semantic tokens).

at y   # label   →   keyword `at`, enumMember `y`, comment `# label`
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .analysis import Analysis
from .occurrences import Sort, told_apart, word_start
from .vocabulary import TYPES

_OF_NAMES: dict[Sort, str] = {
    "program": "class",
    "library": "namespace",
    "kind": "enumMember",
    "function": "function",
    "parameter": "parameter",
    "argument": "parameter",
    "field": "property",
    "turn": "variable",
    "value": "variable",
    "index": "variable",
    "output": "property",
}
_OF_WORDS = {"NUMBER": "number", "OPERATION": "function", "READ": "function"}
COLOURS = ("comment", "keyword", "type", *dict.fromkeys((*_OF_WORDS.values(), *_OF_NAMES.values())))
"""Of the protocol's own."""


@dataclass(frozen=True, slots=True)
class Coloured:
    """`text[start:end]`, on one line."""

    start: int
    end: int
    colour: str


def coloured(analysis: Analysis) -> list[Coloured]:
    """In text order, none twice."""
    found = [Coloured(match.start(), match.end(), "comment") for match in re.finditer(r"#[^\r\n]*", analysis.text)]
    found += [Coloured(o.start, o.end, _OF_NAMES[o.sort]) for o in analysis.occurrences]
    for word in told_apart(analysis.text):
        if word.type in _OF_WORDS or (word.type != "NAME" and word.isalpha()):
            colour = _OF_WORDS.get(word.type, "type" if word in TYPES else "keyword")
            found.append(Coloured(word_start(word), word_start(word) + len(word), colour))
    return sorted(found, key=lambda some: some.start)
