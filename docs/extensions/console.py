"""Commands that run while the site is built, and files that they use.

before   {file} mine.icl     and a text;   {console}   and lines `$ innerloop check mine.icl`
after    the text, and a file of that name; the lines, each followed by what the command printed

A page's files and commands share a folder, which is empty when the page begins. A command whose exit status is none of
`:status:` (0 if it is not given) ends the build. `:head: 5` shows so many lines of what it printed; `:hidden:` none.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SECONDS = 1200
WIDTH = 100
"""Columns of a terminal, as a page at 1280 pixels shows them."""

_folders: dict[str, TemporaryDirectory[str]] = {}


def folder(page: str) -> Path:
    """Where a page's files are."""
    if page not in _folders:
        _folders[page] = TemporaryDirectory(prefix="innerloop-docs-")
    return Path(_folders[page].name)


class File(SphinxDirective):  # type: ignore[misc]
    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        text = "\n".join(self.content) + "\n"
        name = self.arguments[0]
        (folder(self.env.docname) / name).write_text(text, encoding="utf-8")
        language = {".icl": "innerloop", ".py": "python"}.get(Path(name).suffix, "text")
        block = nodes.literal_block(text, text, language=language)
        caption = nodes.caption("", "", nodes.literal("", name))
        return [nodes.container("", caption, block, literal_block=True, classes=["literal-block-wrapper"])]


class Console(SphinxDirective):  # type: ignore[misc]
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "status": directives.nonnegative_int,
        "head": directives.nonnegative_int,
        "hidden": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        shown: list[str] = []
        for command in re.split(r"^\$ ", "\n".join(self.content), flags=re.MULTILINE)[1:]:
            shown += [f"$ {command.rstrip()}", *self._printed(command)]
        text = "\n".join(shown)
        return [nodes.literal_block(text, text, language="console")]

    def _printed(self, command: str) -> list[str]:
        where = folder(self.env.docname)
        environment = {**os.environ, "COLUMNS": str(WIDTH), "PYTHONIOENCODING": "utf-8", "TERM": "dumb"}
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=where,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=SECONDS,
        )
        wanted = self.options.get("status", 0)
        if done.returncode != wanted:
            raise self.error(f"exit status {done.returncode}, not {wanted}: {command}\n{done.stdout}")
        if "hidden" in self.options:
            return []
        lines = [line.rstrip() for line in done.stdout.replace(str(where), ".").rstrip("\n").splitlines()]
        head = self.options.get("head")
        return lines if head is None or len(lines) <= head else [*lines[:head], "…"]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("file", File)
    app.add_directive("console", Console)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
