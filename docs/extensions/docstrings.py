"""Docstrings as they are written here, for autodoc, which reads reStructuredText.

before   prose in which names stand in single backticks, and blocks that are set out by blanks
after    the prose with nothing in it that means something there, and the blocks as they stand
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_SET_OUT = re.compile(r"^\s|\S {2,}\S")
"""A line that is indented, or has columns."""


def converted(lines: list[str]) -> list[str]:
    result: list[str] = []
    for blank, group in groupby(lines, key=lambda line: not line.strip()):
        paragraph = list(group)
        if blank:
            continue
        if any(_SET_OUT.search(line) for line in paragraph):
            result += ["::", "", *(f"    {line}" for line in paragraph), ""]
        else:
            result += [*map(_prose, paragraph), ""]
    return result


def _prose(line: str) -> str:
    parts = re.split(r"(`[^`]+`)", line)
    return "".join(f"`{part}`" if part.startswith("`") and len(part) > 1 else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    return re.sub(r"([\\*|_`])", r"\\\1", text)


def _process(_: Sphinx, __: str, ___: str, ____: object, _____: object, lines: list[str]) -> None:
    lines[:] = converted(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
