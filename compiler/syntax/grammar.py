"""The grammar as Lark holds it: what parses text, and what only tells its words apart.

grammar.lark   →   lark(), words("at y"), keywords()

What Lark makes of the grammar takes longer than all else that `check` does; it is kept beside Python's own bytecode,
where and if Python keeps that, and made anew when the grammar, Lark or Python is another.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import ClassVar

from lark import Lark, Token
from lark.indenter import Indenter

from .builtins import OPERATIONS, READS


class _IndentedBlocks(Indenter):
    NL_type = "_NL"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    OPEN_PAREN_types: ClassVar[list[str]] = ["LPAR", "LSQB"]  # pyright: ignore[reportIncompatibleMethodOverride]
    CLOSE_PAREN_types: ClassVar[list[str]] = ["RPAR", "RSQB"]  # pyright: ignore[reportIncompatibleMethodOverride]
    INDENT_type = "_INDENT"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    DEDENT_type = "_DEDENT"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    tab_len = 8  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]


@cache
def lark() -> Lark:
    """The parser, of programs (`start`) and libraries (`library`)."""
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar, start=["start", "library"], parser="lalr", lexer="basic", postlex=_IndentedBlocks(),
        propagate_positions=True, cache=_tables() or False,
    )  # fmt: skip


def _tables() -> str | None:
    """The file that the tables are kept in; None where Python keeps no bytecode, or may not."""
    if sys.dont_write_bytecode:
        return None
    file = Path(cache_from_source(__file__)).with_suffix(".tables")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(file) if os.access(file.parent, os.W_OK) else None


def words(text: str) -> Iterator[Token]:
    """The tokens of `text` without its comments; blocks are marked by _INDENT and _DEDENT, lines end with _NL.

    Raises Lark's errors."""
    return lark().lex(text)


def keywords() -> frozenset[str]:
    """All reserved words: those that the grammar quotes, and the names of operations and reads."""
    quoted = {terminal.pattern.value for terminal in lark().terminals if terminal.pattern.type == "str"}
    return frozenset(word for word in quoted if word.isalpha()) | OPERATIONS.keys() | READS.keys()
