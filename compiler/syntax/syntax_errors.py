"""Syntax errors in plain words, and a way past each, so that one run finds several.

    w = w - * g   →   program:8:9: error: expected an expression, found `*`

After an error its line gives way to a harmless one of the same indentation and the text is parsed again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from innerloop.artifact.errors import Diagnostic
from innerloop.artifact.span import Span
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from . import elsewhere


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """A diagnostic, and the number of the line to replace before going on; None where going on makes no sense."""

    diagnostic: Diagnostic
    line: int | None


_WORDS = {
    "NAME": "a name", "NUMBER": "a number", "_NL": "the end of the line", "_INDENT": "an indented block",
    "_DEDENT": "the end of the block", "LPAR": "`(`", "RPAR": "`)`", "LSQB": "`[`", "RSQB": "`]`", "COMMA": "`,`",
    "COLON": "`:`", "EQUAL": "`=`", "STAR": "`*`",
}  # fmt: skip
_EXPRESSION = {"NUMBER", "NAME", "LPAR", "OPERATION", "READ"}
_INFIX = {"OR", "AND", "PLUS", "MINUS", "SLASH", "__ANON_0", "CIRCUMFLEX", "COMPARE"}
_STATEMENT = {"AT", "REPEAT", "SCAN", "OUTPUT", "NAME"}
_AFTER = {
    "*": "a power is `^`: `e ^ 2`",
    "=": "a comparison is `<`, `<=`, `>`, `>=` or `==`; `=` assigns",
}

_LIMITS = ({"UP", "BACKWARDS"}, {"UP"}, {"TO"})
_SCAN = "`scan y up to 40`: for so many y tokens there are layers"
_SOURCES = "`previous` is the token before me, `previous x` the last x token before me, `last x` the last that I see"
_FARTHER = (
    "`previous 2` is the token 2 before me, `previous x` the last x token before me; the x before that one takes\n"
    "two lines: `p = move x from previous x`, then `move p from previous x`"
)
_ONE_VALUE = "outputs have names and lines of their own, `output a = e`; numbers and vectors end to end are `[a, b]`"
_BEGINNING = "a program begins with `program name(parameters)`"


def describe_fault(text: str, error: UnexpectedToken | UnexpectedCharacters) -> SyntaxFault:
    """The fault that Lark's error stands for."""
    if isinstance(error, UnexpectedCharacters):
        return _character(text, error.pos_in_stream or 0, error.line, error.column)
    token = error.token
    start = len(text) if token.type == "$END" or token.start_pos is None else token.start_pos
    opened = _unclosed(text, start)
    if opened is not None and "\n" in text[opened.start : start]:
        return SyntaxFault(Diagnostic(f"`{text[opened.start]}` is never closed", opened), None)
    expected = set(error.accepts or error.expected)
    if token.type in ("$END", "_NL", "_DEDENT"):
        return _early_end(text, start, token.type, expected)
    span = Span(start, start + len(token), token.line or 1, token.column or 1)
    line = None if "_INDENT" in expected else span.line
    return SyntaxFault(_unexpected(text, str(token), str(token.type), span, expected), line)


def _unexpected(text: str, word: str, type: str, span: Span, expected: set[str]) -> Diagnostic:
    if type == "_INDENT":
        inner = Span(span.end, span.end + 1, text.count("\n", 0, span.end) + 1, len(word) + 1)
        return Diagnostic("unexpected indentation", inner, "only what stands under `at`, `repeat`, `scan` is indented")
    if "PROGRAM" in expected:
        return Diagnostic(f"expected `program`, found `{word}`", span, _BEGINNING)
    before = text[text.rfind("\n", 0, span.start) + 1 : span.start]
    if re.search(r"\bmove\s+\w+\s+from\s+(previous|first|last)\b[\s\w]*$", before) and re.fullmatch(r"\w+", word):
        return Diagnostic(f"expected {_plain(expected)}, found `{word}`", span, _FARTHER)
    if type == "DEF" and "OUTPUT" in expected:
        return Diagnostic(f"`{word}` stands at the top level only, not inside a block", span)
    if type in ("PROGRAM", "TOKENS") and "OUTPUT" in expected:
        return Diagnostic(f"a second `{word}`: a file holds one program, with one pattern of tokens", span)
    line = _line(text, span.start)
    begins = re.match(r"[ \t]*(\w+)[ \t]*(?:[^=:\s]|:\s*$)", line)
    if begins is not None and begins[1] in elsewhere.LINES:
        return Diagnostic(f"there is no `{begins[1]}`", span, elsewhere.LINES[begins[1]])
    mend = (
        _mend(word, type, before, expected)
        or elsewhere.hint(line, len(before))
        or (_AFTER["="] if word == "=" else None)
    )
    if word.isidentifier() and type != "NAME" and "NAME" in expected:
        message = f"`{word}` is a reserved word and cannot be a name"
        return Diagnostic(message, span, mend or f"another name, as `{word}_1`")
    return Diagnostic(f"expected {_plain(expected)}, found `{word}`", span, mend)


def _line(text: str, position: int) -> str:
    """The line around a position."""
    return text[text.rfind("\n", 0, position) + 1 :].partition("\n")[0]


def _mend(word: str, type: str, line: str, expected: set[str]) -> str | None:
    """The hint about a word that cannot follow the beginning of its line."""
    before = line.rstrip(" \t")
    if expected in _LIMITS:
        return _SCAN
    if expected == {"PREVIOUS", "FIRST", "LAST"}:
        return _SOURCES
    if word == "(" and re.match(r"tokens\b", line):
        return "groups follow one another, as in `start (a)* (b)* query`; what stands alone is before or behind them"
    if word == "=" and re.match(r"[ \t]+output[ \t]+\w+[ \t]*$", line):
        return "what a `def` gives has no name: `output e`"
    if word == "," and re.match(r"\s*output\b", line):
        return _ONE_VALUE
    if word in "+-*/@" and expected == {"COLON", "EQUAL"}:
        return f"`{before.strip()} = {before.strip()} {word} e`"
    if before.endswith("^"):
        whole = "powers are whole numbers" + ("" if type == "NUMBER" else ", written out: `e ^ 2`")
        return f"{whole}; `1 / e`, and `inverse(A)` of `use linear_algebra`" if word == "-" else whole
    return _AFTER[word] if word in _AFTER and before.endswith(word) else None


def _early_end(text: str, start: int, type: str, expected: set[str]) -> SyntaxFault:
    """The line, block or text ends where something should follow."""
    end = len(text[:start].rstrip()) if type != "_NL" else start
    end = _code_end(text, end)
    line = text.count("\n", 0, end) + 1
    column = end - (text.rfind("\n", 0, end) + 1) + 1
    span = Span(end, end + 1, line, column)
    if "PROGRAM" in expected:
        return SyntaxFault(Diagnostic("expected `program`, found nothing", Span(0, 1, 1, 1), _BEGINNING), None)
    if "TOKENS" in expected:
        hint = "after the first line comes the pattern of the sequence, as `tokens (x y)* x`"
        return SyntaxFault(Diagnostic("expected `tokens`", span, hint), None)
    if type == "$END" and "OUTPUT" in expected:
        return SyntaxFault(
            Diagnostic("the program ends before it computes anything", span, "it needs one `output`"), None
        )
    if type == "_DEDENT" and expected >= {"OUTPUT", "SCAN"} and "DEF" not in expected:
        return SyntaxFault(Diagnostic("this `def` gives nothing", span, "its last line is `output e`"), None)
    written = _line(text, max(end - 1, 0))
    if (word := written.strip()) in elsewhere.LINES:
        return SyntaxFault(Diagnostic(f"there is no `{word}`", span, elsewhere.LINES[word]), line)
    mend = _SCAN if expected in _LIMITS else elsewhere.hint(written, column - 1)
    return SyntaxFault(Diagnostic(f"expected {_plain(expected)}, found the end of the line", span, mend), line)


def _code_end(text: str, end: int) -> int:
    """`end`, moved before a comment and the blanks before it."""
    begin = text.rfind("\n", 0, end) + 1
    line = text[begin:end].split("#", 1)[0].rstrip()
    return begin + len(line) if line else end


def _character(text: str, position: int, line: int, column: int) -> SyntaxFault:
    char = text[position]
    span = Span(position, position + 1, line, column)
    hint = None
    if not char.isascii():
        hint = "names are made of the letters a–z, digits and _; comments after # may hold anything"
    elif char == "=":
        hint = _AFTER["="]
    elif text.startswith("!=", position):
        hint = "unequal is `not a == b`"
    elif text.startswith("||", position):
        hint = "logic is `and`, `or`, `not`; ‖v‖ is `norm(v)` of `use statistics`"
    elif char in "&|!":
        hint = "`and`, `or`, `not`"
    elif re.match(r"\.T\b", text[position:]) or (char == "'" and re.search(r"[\w)\]]$", text[:position])):
        hint = "a transpose is `transpose(A)`; Cᵀa is `a @ C`"
    else:
        hint = elsewhere.hint(_line(text, position), column - 1)
    shown = char if char.isprintable() else f"\\x{ord(char):02x}"
    return SyntaxFault(Diagnostic(f"unexpected character `{shown}`", span, hint), line)


def _plain(expected: set[str]) -> str:
    """What may stand here, in words."""
    expected = set(expected)
    words: list[str] = []
    if expected >= _EXPRESSION:
        expected -= _EXPRESSION | {"NOT", "MINUS", "LSQB", "GRAD", "MOVE"}
        words.append("an expression")
    if expected >= _STATEMENT:
        expected -= _STATEMENT | {"DEF"}
        words.append("a statement")
    if expected & _INFIX:
        expected -= _INFIX | {"STAR", "LPAR", "LSQB"}
        words.append("an operator")
    rank = list(_WORDS)
    rest = sorted(expected, key=lambda t: (rank.index(t) if t in rank else len(rank), t))
    words += [_WORDS.get(t, f"`{t.lower()}`") for t in rest if t != "$END"]
    if len(words) > 1:
        return f"{', '.join(words[:-1])} or {words[-1]}"
    return words[0] if words else "the end of the text"


def _unclosed(text: str, end: int) -> Span | None:
    """The innermost bracket that is open at `end`."""
    opened: list[Span] = []
    line, begin = 1, 0
    for match in re.finditer(r"#[^\n]*|\n|[()\[\]]", text[:end]):
        mark = match.group()
        if mark == "\n":
            line, begin = line + 1, match.end()
        elif mark in "([":
            opened.append(Span(match.start(), match.end(), line, match.start() - begin + 1))
        elif mark in ")]" and opened:
            opened.pop()
    return opened[-1] if opened else None


def indentation_fault(text: str) -> SyntaxFault | None:
    """The first line indented by a tab, or back to a place where no block began."""
    levels = [0]
    position = depth = last = 0  # `last`: the indentation of the line before
    for number, line in enumerate(text.split("\n"), 1):
        code = line.split("#", 1)[0]
        indent = code[: len(code) - len(code.lstrip(" \t"))]
        if code.strip():
            if "\t" in indent:
                column = indent.index("\t") + 1
                span = Span(position + column - 1, position + column, number, column)
                return SyntaxFault(Diagnostic("a tab in the indentation", span, "indent by spaces"), None)
            if depth == 0:
                width = len(indent)
                while levels[-1] > width:
                    levels.pop()
                if width > levels[-1]:
                    if last > width:
                        span = Span(position + width, position + len(code.rstrip()), number, width + 1)
                        known = "indent this line as the lines of its block are"
                        return SyntaxFault(Diagnostic("this indentation matches no block", span, known), None)
                    levels.append(width)
                last = width
            depth = max(0, depth + sum(map(code.count, "([")) - sum(map(code.count, ")]")))
        position += len(line) + 1
    return None


def stand_in(text: str, fault: SyntaxFault) -> str | None:
    """The text with the faulty line replaced by a harmless one of the same kind; None if there is no way on."""
    lines = text.split("\n")
    number = fault.line
    if number is None or number > len(lines):
        return None
    line = lines[number - 1]
    start = sum(len(before) + 1 for before in lines[: number - 1])
    if _unclosed(text, start) or _unclosed(text, start + len(line)):
        return None  # a part of a statement
    indent = re.match(r"[ \t]*", line)
    margin = " " * len(indent.group()) if indent else ""
    word = line.split(maxsplit=1)[0] if line.split() else ""
    if word in ("program", "tokens") or (not margin and not _after_tokens(lines, number)):
        return None
    following = next((later for later in lines[number:] if later.split("#", 1)[0].strip()), "")
    opens = len(following) - len(following.lstrip(" ")) > len(margin)
    if margin and not _after_tokens(lines, number):
        mended = f"{margin}z : scalar"
    else:
        alone = "output 0" if word == "output" else "z = 0"
        mended = f"{margin}at z" if opens else f"{margin}{alone}"
    if mended == line:
        return None
    lines[number - 1] = mended
    return "\n".join(lines)


def _after_tokens(lines: list[str], number: int) -> bool:
    """Whether line `number` comes after the `tokens` block: a line at the margin stands between."""
    seen = False
    for line in lines[:number]:
        if line.startswith("tokens"):
            seen = True
        elif seen and line[:1] not in ("", " ", "\t", "#", "\r"):
            return True
    return False
