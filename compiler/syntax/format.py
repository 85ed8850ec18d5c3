"""One spelling for every program: blanks, line breaks, indentation; words, brackets and comments stay as they are.

    w=w-rate*( g+ 1 )#a step   →   w = w - rate * (g + 1)                 # a step

It works on words and asks for nothing that they mean, so the same words come out, and the same tree. A block is
indented by four blanks; lines of more than 120 characters are broken inside brackets, and go on behind the bracket; a
comment after code begins at column 40, or further right, where those on the lines beside it do. Of blank lines in a
row one stays, and one stands around the pattern of tokens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from innerloop.artifact.errors import InternalError
from lark import Token

from .grammar import words
from .parse import is_library, parse

WIDTH, INDENT = 120, 4
COMMENT_COLUMN, FARTHEST_COLUMN = 39, 59
"""How many characters stand before a comment after code: at least, and at most where others stand below each other."""

_OPENING, _CLOSING = ("LPAR", "LSQB"), ("RPAR", "RSQB")
_TIGHT = {*_CLOSING, "NAME", "NUMBER", "READ", "OPERATION", "GRAD", "VECTOR", "MATRIX", "TENSOR", "ONEHOT"}
"""What an opening bracket follows without a blank."""
_OPERANDS = {*_CLOSING, "NAME", "NUMBER", "PREVIOUS"}
"""What ends an operand: a minus after anything else has one side."""
_INFIX = {"OR", "AND", "COMPARE", "PLUS", "MINUS", "STAR", "SLASH", "CIRCUMFLEX", "__ANON_0"}


@dataclass(frozen=True, slots=True)
class _Comment:
    """`alone`: on a line of its own, in column `column` (from 0)."""

    text: str
    start: int
    line: int
    column: int
    alone: bool


@dataclass(frozen=True, slots=True)
class _Line:
    """A statement or the like with the comments inside and after it, or a comment alone. `blank`: a blank line before
    it."""

    level: int
    parts: tuple[Token | _Comment, ...]
    blank: bool

    @property
    def first(self) -> str:
        """The kind of its first word; empty for a comment."""
        return self.parts[0].type if isinstance(self.parts[0], Token) else ""


def formatted(text: str, source: str = "program") -> str:
    """A program, or a library of `def`s, in its one spelling. Formatted text stays as it is.

    Raises CompileError for a program with syntax errors.
    """
    if not is_library(text):
        parse(text, source)
    lines: list[_Row] = []
    for line in _spaced(list(_lines(_whole(text)))):
        lines += [("", "")] if line.blank else []
        lines += _written(line)
    result = "".join(f"{row}\n" for row in _aligned(lines))
    if _said(result) != _said(text):
        raise InternalError("formatting would change what this program says")
    return result


def _whole(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n") + "\n"


def _said(text: str) -> list[tuple[str, str]]:
    """The words, and where blocks begin and end."""
    blocks = ("_NL", "_INDENT", "_DEDENT")
    said = [(word.type, "" if word.type in blocks else str(word)) for word in words(_whole(text))]
    return said[said[:1] == [("_NL", "")] :]


# Text to lines


def _lines(text: str) -> Iterator[_Line]:
    """In text order. A comment alone stands at the level of the line after it, or of an inner block that ended there,
    as its column says."""
    comments = deque(_comments(text))
    columns = [0]  # where the lines of the blocks around begin
    line: list[Token | _Comment] = []
    level = ended = 0  # of the line that comes; where the last one ended
    blank = False

    def before(place: int) -> Iterator[_Comment]:
        while comments and comments[0].start < place:
            yield comments.popleft()

    def alone(place: int, level: int) -> Iterator[_Line]:
        nonlocal ended
        for comment in before(place):
            own = max((k for k, c in enumerate(columns) if level <= k and c <= comment.column), default=level)
            yield _Line(own, (comment,), comment.line - ended > 1)
            ended = comment.line

    for word in words(text):
        start = word.start_pos or 0
        if word.type in ("_INDENT", "_DEDENT"):
            level += 1 if word.type == "_INDENT" else -1
        elif word.type == "_NL" and line:
            yield _Line(level, (*line, *before(start)), blank)
            line = []
        elif word.type != "_NL" and line:
            line += [*before(start), word]
            ended = word.line or 1
        elif word.type != "_NL":
            yield from alone(start, level)
            columns = [*columns[:level], (word.column or 1) - 1]
            blank, ended = (word.line or 1) - ended > 1, word.line or 1
            line.append(word)
    yield from alone(len(text), 0)


def _comments(text: str) -> Iterator[_Comment]:
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        code, mark, said = line.partition("#")
        if mark:
            kept = said.rstrip() if said[:1] in ("", " ", "\t", "#", "!") else f" {said.rstrip()}"
            yield _Comment(f"#{kept}", start + len(code), number, len(code), not code.strip())
        start += len(line) + 1


def _spaced(lines: list[_Line]) -> list[_Line]:
    """With a blank line around libraries and the pattern of tokens, and none where a block or the text begins."""
    first = next((k for k, line in enumerate(lines) if line.first == "USE"), None)
    pattern = next((k for k, line in enumerate(lines) if line.first == "TOKENS"), len(lines))
    body = next((k for k, line in enumerate(lines) if k > pattern and line.level == 0 and line.first), None)
    for place in (first, pattern if pattern < len(lines) else None, body):
        if place is not None:
            while place > 0 and not lines[place].blank and not lines[place - 1].first and lines[place - 1].level == 0:
                place -= 1  # comments right above
            lines[place] = replace(lines[place], blank=True)
    opens = [True, *(before.level < line.level for before, line in pairwise(lines))]
    return [replace(line, blank=line.blank and not begin) for line, begin in zip(lines, opens, strict=True)]


# Lines to text

_Row = tuple[str, str]
"""A line of text: code, or a comment alone; and a comment after it, or nothing."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word and the blanks before it; `depth` brackets are open there. `may_break`: a new line may begin with it."""

    text: str
    gap: str
    depth: int
    may_break: bool


def _pieces(parts: tuple[Token | _Comment, ...]) -> list[_Piece | _Comment]:
    pieces: list[_Piece | _Comment] = []
    opened: list[str] = []
    before: Token | None = None
    one_sided = False  # the word before is a minus with one side
    pattern = isinstance(parts[0], Token) and parts[0].type == "TOKENS"
    for part in parts:
        if isinstance(part, _Comment):
            pieces.append(part)
            continue
        gap = " "
        if before is None or one_sided or before.type in _OPENING or part.type in (*_CLOSING, "COMMA"):
            gap = ""
        elif part.type in _OPENING:
            gap = "" if before.type in _TIGHT and not pattern else " "
        elif "COLON" in (part.type, before.type):
            gap = "" if opened[-1:] == ["LSQB"] else " "
        elif pattern and part.type in ("STAR", "VISIBLE"):
            gap = "" if part.type == "STAR" else "  "
        two_sided = part.type in _INFIX and before is not None and before.type in _OPERANDS
        after_comma = before is not None and before.type == "COMMA"
        if part.type in _CLOSING:
            opened.pop()
        pieces.append(_Piece(str(part), gap, len(opened), bool(opened) and (two_sided or after_comma)))
        if part.type in _OPENING:
            opened.append(part.type)
        before, one_sided = part, part.type == "MINUS" and not two_sided
    return pieces


def _written(line: _Line) -> Iterator[_Row]:
    """The lines of text that it takes."""
    margin = INDENT * line.level
    columns: list[int] = []  # behind the brackets that are open
    rest = _pieces(line.parts)
    while rest:
        start = columns[-1] if columns else margin
        if isinstance(rest[0], _Comment):
            yield " " * start + rest.pop(0).text, ""
            continue
        taken, text = _fitting(rest, start), " " * start
        for k, piece in enumerate(rest[:taken]):
            assert isinstance(piece, _Piece)
            text += (piece.gap if k else "") + piece.text
            if piece.text in ("(", "["):
                columns.append(len(text))
            elif piece.text in (")", "]"):
                columns.pop()
        rest = rest[taken:]
        if rest and isinstance(rest[0], _Comment) and not rest[0].alone:
            yield text, rest.pop(0).text
        else:
            yield text, ""


def _aligned(rows: list[_Row]) -> Iterator[str]:
    """Code and comment together: comments on lines that follow each other begin in one column, but for those after
    code that is too long for it."""
    for commented, run in groupby(rows, lambda row: bool(row[1])):
        pairs = list(run)
        ends = [len(code) + 2 for code, _ in pairs if len(code) + 2 <= FARTHEST_COLUMN]
        column = max((COMMENT_COLUMN, *ends))
        yield from (f"{code.ljust(column - 2)}  {comment}" if commented else code for code, comment in pairs)


def _fitting(rest: list[_Piece | _Comment], start: int) -> int:
    """How many pieces stand on a line that begins in column `start`: all up to a comment if they fit, else those up to
    the last of the outermost places where the line may be broken and fits; if none does, up to the first such place."""
    end = start
    places: list[int] = []
    for k, piece in enumerate(rest):
        if isinstance(piece, _Comment):
            return k if end <= WIDTH or not places else _best(rest, places)
        if k and piece.may_break and (end <= WIDTH or not places):
            places.append(k)
        end += len(piece.gap if k else "") + len(piece.text)
    return len(rest) if end <= WIDTH or not places else _best(rest, places)


def _best(rest: list[_Piece | _Comment], places: list[int]) -> int:
    depth = {k: piece.depth for k in places if isinstance(piece := rest[k], _Piece)}
    return min(depth, key=lambda k: (depth[k], -k))
