"""What each name of a text is, as far as the words around it say: a text that does not parse has names, too.

    w = w - rate * mean[j in y](u[j])     w, rate, u: values; j: an index; y: a kind of token

A name that a `def` has as a parameter, or assigns, is the def's own; an index is that of its read. So two occurrences
mean the same if they have one `symbol`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from innerloop.compiler.syntax.grammar import words
from lark import Token
from lark.exceptions import UnexpectedCharacters
from lark.indenter import DedentError

Sort = Literal[
    "program", "library", "kind", "function", "parameter", "field", "turn", "argument", "value", "index", "output"
]  # fmt: skip
VALUES: frozenset[Sort] = frozenset({"parameter", "field", "turn", "argument", "value"})
"""The sorts of one name space: an `argument` is a parameter of a `def`, a `turn` counts passes."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """`space` is `value` for all sorts of values, else the sort; `scope` the offset of the `def` or read that it is
    in, or 0 for what all of the program knows."""

    space: str
    name: str
    scope: int


@dataclass(frozen=True, slots=True)
class Occurrence:
    """`text[start:end]` is the name. `defines`: here it gets its meaning, or a value. `index`: of what is theirs,
    `name[index]`. `on`: where a field says nothing of kinds, and so lives on the kind of its name, that could be
    said."""

    symbol: Symbol
    sort: Sort
    start: int
    end: int
    defines: bool = False
    index: str = ""
    on: int | None = None

    @property
    def name(self) -> str:
        return self.symbol.name


@dataclass(frozen=True, slots=True)
class _Line:
    """A statement or the like, without its block."""

    level: int
    words: tuple[Token, ...]

    @property
    def first(self) -> str:
        return self.words[0].type

    @property
    def start(self) -> int:
        return self.words[0].start_pos or 0


def occurrences(text: str) -> list[Occurrence]:
    """All names, in text order; of a text in which lines cannot be told apart, those before that place."""
    lines = list(_lines(text))
    found: list[Occurrence] = []
    opener = ""  # of the block that we are in
    definition, own = 0, frozenset[str]()  # the scope of a `def`, and its names
    for k, line in enumerate(lines):
        if line.level == 0:
            opener = line.first
            definition, own = 0, frozenset()
            if line.first == "DEF":
                definition, own = line.start, _own(lines, k)
        found += _Names(line, opener == "TOKENS" and line.level > 0, definition, own).all()
    return _told(found)


def _own(lines: list[_Line], k: int) -> frozenset[str]:
    """The names of the `def` that begins at line k: its parameters, and what its block assigns or counts."""
    names = {*_parameters(lines[k])}
    for line in lines[k + 1 :]:
        if line.level == 0:
            break
        if _assigns(line):
            names.add(str(line.words[0]))
        names |= {str(name) for a, name in zip(line.words, line.words[1:], strict=False) if a.type == "AS"}
    return frozenset(names)


def _parameters(line: _Line) -> Iterator[str]:
    for word in line.words[3:]:
        if word.type == "RPAR":
            return
        if word.type == "NAME":
            yield str(word)


def _assigns(line: _Line) -> bool:
    return [word.type for word in line.words[:2]] in (["NAME", "EQUAL"], ["NAME", "COLON"])


def _told(found: list[Occurrence]) -> list[Occurrence]:
    """Each value with the sort that its definition has."""
    sorts: dict[Symbol, Sort] = {o.symbol: o.sort for o in reversed(found) if o.defines}
    return [Occurrence(o.symbol, sorts.get(o.symbol, o.sort), o.start, o.end, o.defines, o.index, o.on) for o in found]


class _Names:
    """The names of one line."""

    def __init__(self, line: _Line, field: bool, definition: int, own: frozenset[str]) -> None:
        self.line, self.field, self.definition, self.own = line, field, definition, own

    def all(self) -> Iterator[Occurrence]:
        types = [word.type for word in self.line.words]
        brackets: list[tuple[str, int] | None] = []  # open ones; of a read's its index, and where the read begins
        pending: tuple[str, int] | None = None
        for k, word in enumerate(self.line.words):
            if word.type == "READ" and types[k + 1 : k + 4] == ["LSQB", "NAME", "IN"]:
                pending = str(self.line.words[k + 2]), word.start_pos or 0
            elif word.type == "LPAR":
                brackets.append(pending)
                pending = None
            elif word.type == "LSQB":
                brackets.append(None)
            elif word.type in ("RPAR", "RSQB") and brackets:
                brackets.pop()
            elif word.type == "NAME":
                reads = [read for read in [*brackets, pending] if read is not None]
                yield self.occurrence(k, word, types, len(brackets), dict(reads))

    def occurrence(self, k: int, word: Token, types: list[str], depth: int, reads: dict[str, int]) -> Occurrence:
        before, after, first = types[max(0, k - 2) : k], types[k + 1 : k + 3], types[0]
        name, last = str(word), before[-1:]
        match first:
            case "PROGRAM" if k == 1:
                return self.made("program", word, True)
            case "PROGRAM" if depth == 1 and last[0] in ("LPAR", "COMMA"):
                return self.made("parameter", word, True)
            case "USE":
                return self.made("library", word)
            case "TOKENS":
                return self.made("kind", word, True)
            case "DEF" if k == 1:
                return self.made("function", word, True)
            case "DEF" if "RPAR" not in types[:k]:
                return self.made("argument", word, True)
        if self.field and k == 0:
            return self.made("field", word, True, on=None if "ON" in types else self.end_of_type(types))
        if self.field and "ON" in types[:k] and "IN" not in types[:k]:
            return self.made("kind", word)
        if first in ("AT", "SCAN") and k == 1:
            return self.made("kind", word)
        if first == "OUTPUT" and k == 1 and after[:1] == ["EQUAL"]:
            return self.made("output", word, True)
        if k == 0 and _assigns(self.line):
            return self.made("value", word, True)
        if last == ["AS"]:
            return self.made("turn", word, True)
        if last in (["PREVIOUS"], ["FIRST"], ["LAST"]) or (last == ["IN"] and types[k - 4 : k - 2] == ["READ", "LSQB"]):
            return self.made("kind", word)
        if before == ["READ", "LSQB"] and after[:1] == ["IN"]:
            return self.made("index", word, True, scope=word_start(self.line.words[k - 2]))
        if before == ["NAME", "LSQB"] and after[:1] == ["RSQB"] and name in reads:
            return self.made("index", word, scope=reads[name])
        if after[:1] == ["LPAR"]:
            return self.made("function", word)
        theirs = [str(w) for w in self.line.words[k + 2 : k + 3]] if after == ["LSQB", "NAME"] else []
        index = theirs[0] if theirs and types[k + 3 : k + 4] == ["RSQB"] and theirs[0] in reads else ""
        return self.made("value", word, index=index)

    def end_of_type(self, types: list[str]) -> int:
        word = self.line.words[types.index("IN") - 1 if "IN" in types else -1]
        return word.end_pos or 0

    def made(
        self,
        sort: Sort,
        word: Token,
        defines: bool = False,
        scope: int | None = None,
        index: str = "",
        on: int | None = None,
    ) -> Occurrence:
        name, start = str(word), word_start(word)
        if scope is None:
            scope = self.definition if sort in VALUES and name in self.own else 0
        symbol = Symbol("value" if sort in VALUES else sort, name, scope)
        return Occurrence(symbol, sort, start, start + len(name), defines, index, on)


def block_end(text: str, place: int) -> int:
    """Where the statement that holds `place` ends with its block: at the next line that is indented no deeper."""
    begin = text.rfind("\n", 0, place) + 1
    margin = re.match(" *", text[begin:])
    deepest = len(margin.group()) if margin is not None else 0
    end = text.find("\n", place)
    following = re.compile(rf"\n {{0,{deepest}}}[^\s#]").search(text, end) if end >= 0 else None
    return len(text) if following is None else following.start()


def word_start(word: Token) -> int:
    return word.start_pos or 0


def _lines(text: str) -> Iterator[_Line]:
    level = 0
    line: list[Token] = []
    for word in told_apart(text):
        match word.type:
            case "_INDENT" | "_DEDENT":
                level += 1 if word.type == "_INDENT" else -1
            case "_NL" if line:
                yield _Line(level, tuple(line))
                line = []
            case "_NL":
                pass
            case _:
                line.append(word)
    if line:
        yield _Line(level, tuple(line))


def told_apart(text: str) -> list[Token]:
    """The words of the text, with a blank for each character and closing bracket that has no place in it."""
    whole = f"{_closed(text)}\n"
    while True:
        found: list[Token] = []
        try:
            found.extend(words(whole))
        except UnexpectedCharacters as error:
            whole = _closed(whole.replace(whole[error.pos_in_stream or 0], " "))
        except DedentError:
            return found
        else:
            return found


def _closed(text: str) -> str:
    """Without the closing brackets that close nothing."""
    kept = list(text)
    depth = 0
    for match in re.finditer(r"#[^\n]*|[()\[\]]", text):
        if match.group() in "([":
            depth += 1
        elif match.group() in ")]":
            depth -= 1
            if depth < 0:
                kept[match.start()], depth = " ", 0
    return "".join(kept)
