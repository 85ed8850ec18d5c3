"""The page: one file of HTML, CSS and scripts that asks the network for nothing.

inspect(model, data)   →   Inspection: shows itself in a notebook, `.save("page.html")`
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from importlib.resources import files
from os import PathLike
from pathlib import Path

from innerloop.artifact.displayed import Displayed, Sheet
from innerloop.artifact.tokens import TokenData
from numpy.typing import ArrayLike

from ..whole import replace
from .collect import InspectedModel, collected
from .encoded import Json

SCRIPTS = ("decode", "forward", "state", "grid", "history", "program", "attention", "parts", "edit", "scatter", "main")
"""In the order in which they stand on the page."""
HEIGHT = 900
"""Of a notebook's cell, in pixels."""


@dataclass(frozen=True, repr=False)
class Inspection(Displayed):
    """One run, to be gone through by a reader: `save` writes it as a page, and a notebook shows it.

    `collected`: all that the page says (collect.py)."""

    collected: Json = field(repr=False)

    @cached_property
    def html(self) -> str:
        """The whole page."""
        folder = files("innerloop.runtime.inspector") / "page"

        def text(name: str) -> str:
            return (folder / name).read_text("utf-8")

        scripts = "\n".join(text(f"{name}.js") for name in SCRIPTS)
        # `<` ends no script that does not hold it.
        data = json.dumps(self.collected, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        parts = {
            "title": escape(self.collected["name"]),
            "style": text("page.css"),
            "data": data.replace("<", "\\u003c"),
            "script": f'"use strict";\n(() => {{\n{scripts}\n}})();',
        }
        return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], text("page.html"))

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the page, whole or not at all. Raises OSError where it cannot be written."""
        replace(Path(path), lambda stream: stream.write(self.html.encode()))

    def _sheet(self) -> Sheet:
        how = "its weights run in the page" if self.collected["live"] else "without its weights"
        rows = (
            *((name, what) for name, what in self.collected["about"]),
            ("variables", ", ".join(v["name"] for v in self.collected["variables"])),
            ("page", f"{len(self.html) / 2**20:.1f} MB, {how}; .save(path) writes it"),
        )
        return Sheet(f"Inspection of {self.collected['name']}", rows)

    def _repr_html_(self) -> str:
        page = escape(self.html, quote=True)
        style = f"width:100%;height:{HEIGHT}px;border:0"
        title = f"Inspection of {escape(self.collected['name'])}"
        return f'<iframe sandbox="allow-scripts" title="{title}" style="{style}" srcdoc="{page}"></iframe>'


def inspect(
    model: InspectedModel, data: TokenData | None, calibration: Mapping[str, ArrayLike] | None, task: int
) -> Inspection:
    """`data` as `model` takes it; None: one of the tasks that its error was measured on. Raises DataError as
    `collected` does."""
    return Inspection(collected(model, data, calibration, task))
