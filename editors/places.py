"""Offsets in a text and an editor's positions: lines from 0, and columns in UTF-16 units unless it asked for others.

"é𝛼 = w"   offset 3, before `=`   ↔   line 0, character 4: 𝛼 takes two units

Lines end where the Language Server Protocol has them end: at a line feed, a carriage return, or both.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from lsprotocol.types import Position, PositionEncodingKind, Range

_BYTES = {PositionEncodingKind.Utf8: 1, PositionEncodingKind.Utf16: 2, PositionEncodingKind.Utf32: 4}
"""Of one unit of a column."""


class Places:
    """Of one text."""

    def __init__(self, text: str, encoding: PositionEncodingKind = PositionEncodingKind.Utf16) -> None:
        self.text, self.encoding = text, encoding
        self._starts = [0, *(end.end() for end in re.finditer(r"\r\n|\n|\r", text))]

    def position(self, offset: int) -> Position:
        """Before the character `offset`."""
        line = bisect_right(self._starts, offset) - 1
        return Position(line, self._units(self.text[self._starts[line] : offset]))

    def range(self, start: int, end: int) -> Range:
        """Without line ends at its end."""
        kept = self.text[start:end].rstrip("\r\n")
        return Range(self.position(start), self.position(start + len(kept)))

    def offset(self, position: Position) -> int:
        """Past the end of a line it is that end, and inside a character that character's beginning."""
        if position.line >= len(self._starts):
            return len(self.text)
        start = self._starts[position.line]
        units = 0
        for offset, char in enumerate(self.text[start:], start):
            units += self._units(char)
            if units > position.character or char in "\r\n":
                return offset
        return len(self.text)

    @property
    def whole(self) -> Range:
        return Range(Position(0, 0), self.position(len(self.text)))

    def _units(self, text: str) -> int:
        name = self.encoding.value if self.encoding is PositionEncodingKind.Utf8 else f"{self.encoding.value}-le"
        return len(text.encode(name, "surrogatepass")) // _BYTES[self.encoding]
