"""The language for Pygments: in Sphinx, Jupyter, terminals. Installed as the lexer `innerloop`, or `icl`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from pygments.lexer import RegexLexer, bygroups, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, Whitespace

from .vocabulary import CALLED, DECLARATIONS, EXPRESSIONS, LOGIC, STATEMENTS, TYPES

_NAME = r"[A-Za-z_][A-Za-z_0-9]*"


class ProgramLexer(RegexLexer):  # type: ignore[misc]
    """Programs of innerloop, and its libraries of definitions."""

    name = "innerloop"
    aliases: ClassVar[Sequence[str]] = ["innerloop", "icl"]
    filenames: ClassVar[Sequence[str]] = ["*.icl"]
    mimetypes: ClassVar[Sequence[str]] = ["text/x-innerloop"]

    tokens: ClassVar[dict[str, list[object]]] = {
        "root": [
            (r"\s+", Whitespace),
            (r"#.*", Comment.Single),
            (rf"(program)([ \t]+)({_NAME})", bygroups(Keyword.Declaration, Whitespace, Name.Class)),
            (rf"(def)([ \t]+)({_NAME})", bygroups(Keyword.Declaration, Whitespace, Name.Function)),
            (rf"(use)([ \t]+)({_NAME})", bygroups(Keyword.Namespace, Whitespace, Name.Namespace)),
            (r"tokens\b", Keyword.Declaration, "pattern"),
            (words(LOGIC, r"\b", r"\b"), Operator.Word),
            (words(TYPES, r"\b", r"\b"), Keyword.Type),
            (words(DECLARATIONS, r"\b", r"\b"), Keyword.Declaration),
            (words((*STATEMENTS, *EXPRESSIONS), r"\b", r"\b"), Keyword),
            (words(CALLED, r"\b", r"(?=\s*[(\[])"), Name.Builtin),
            (rf"{_NAME}(?=[ \t]*\()", Name.Function),
            (_NAME, Name),
            (r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", Number),
            (r"<=|>=|==|[-+*/@^<>=]", Operator),
            (r"[()\[\],:]", Punctuation),
        ],
        "pattern": [
            (r"\n", Whitespace, "#pop"),
            (r"[^\S\n]+", Whitespace),
            (r"#.*", Comment.Single),
            (words(("visible", "context"), r"\b", r"\b"), Keyword.Declaration),
            (_NAME, Name.Entity),
            (r"\*", Operator),
            (r"[()]", Punctuation),
        ],
    }

    @staticmethod
    def analyse_text(text: str) -> float:
        """How sure it is that the text is a program."""
        begins = re.search(rf"^program[ \t]+{_NAME}[ \t]*\(", text, re.MULTILINE)
        return 0.9 if begins and re.search(r"^tokens\b.*\)\*", text, re.MULTILINE) else 0.0
