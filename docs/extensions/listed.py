"""Pages that are made from what the package says of itself.

{puzzles}    the ten puzzles, with what one begins from and their hints
{commands}   the help of every command
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from docutils import nodes
from innerloop.commands.parser import parser
from innerloop.puzzles import PUZZLES, Puzzle
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from .console import WIDTH


class Puzzles(SphinxDirective):  # type: ignore[misc]
    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(map(_puzzle, PUZZLES.values())), allow_section_headings=True)


def _puzzle(puzzle: Puzzle) -> str:
    hints = "\n".join(
        f"<details><summary>Hint {k}</summary>\n\n{hint}\n\n</details>\n" for k, hint in enumerate(puzzle.hints, 1)
    )
    return (
        f"(puzzle-{puzzle.number})=\n## {puzzle.number}. {puzzle.title}\n\n{puzzle.task}\n\n"
        f"```innerloop\n{puzzle.program}```\n\n{hints}\n"
    )


class Commands(SphinxDirective):  # type: ignore[misc]
    def run(self) -> list[nodes.Node]:
        os.environ["COLUMNS"] = str(WIDTH)
        (choices,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
        pages = (f"## innerloop {name}\n\n```text\n{p.format_help()}```\n" for name, p in choices.choices.items())
        return self.parse_text_to_nodes("\n".join(pages), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("puzzles", Puzzles)
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
