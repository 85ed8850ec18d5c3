"""The grammar as Lark holds it: what parses text, and what only tells its words apart.

grammar.lark   →   lark(), words("at y"), keywords()
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import ClassVar

from innerloop.artifact.folders.kept import cache_folder
from lark import Lark, Token
from lark import __version__ as lark_version
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
    """The parser, of programs (`start`) and libraries (`library`). Its tables are kept for other processes, since they
    take longer to make than many a program to check: for this grammar and file, this Lark and this Python."""
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    folder = cache_folder(unasked=True)
    if folder is None:
        return _made(grammar)
    made_of = lark_version, sys.implementation.cache_tag, grammar, Path(__file__).read_text(encoding="utf-8")
    path = folder / f"grammar-{sha256(repr(made_of).encode()).hexdigest()[:16]}"
    kept = _kept(path)
    if kept is None:
        kept = _made(grammar)
        _keep(kept, path)
    return kept


def _made(grammar: str) -> Lark:
    starts = ["start", "library"]
    return Lark(
        grammar, start=starts, parser="lalr", lexer="basic", postlex=_IndentedBlocks(), propagate_positions=True
    )


def _kept(path: Path) -> Lark | None:
    """None where nothing whole is kept there."""
    try:
        digest, tables = path.read_bytes().split(b"\n", 1)
    except (OSError, ValueError):
        return None
    return Lark.load(BytesIO(tables)) if digest == sha256(tables).hexdigest().encode() else None


def _keep(made: Lark, path: Path) -> None:
    """Whole or not at all; without a word where there is no room or no permission."""
    tables = BytesIO()
    made.save(tables)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
            file.write(sha256(tables.getvalue()).hexdigest().encode() + b"\n" + tables.getvalue())
        Path(file.name).replace(path)


def words(text: str) -> Iterator[Token]:
    """The tokens of `text` without its comments; blocks are marked by _INDENT and _DEDENT, lines end with _NL.

    Raises Lark's errors."""
    return lark().lex(text)


def keywords() -> frozenset[str]:
    """All reserved words: those that the grammar quotes, and the names of operations and reads."""
    quoted = {terminal.pattern.value for terminal in lark().terminals if terminal.pattern.type == "str"}
    return frozenset(word for word in quoted if word.isalpha()) | OPERATIONS.keys() | READS.keys()
