"""The inspector's pages of the site, compiled and written while it is built.

before   {live} sherman_morrison
after    the page in a frame, whose weights run in the browser; `live/sherman_morrison.html` in the site
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from docutils import nodes
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime.unjitted import Unjitted
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PAGES: dict[str, dict[str, Any]] = {
    "gradient_descent": {"d": 1, "steps": 3, "rate": 0.3},
    "sherman_morrison": {"d": 4, "examples": 10},
    "gradient_descent_dual": {"d": 2, "steps": 3, "target": "lsa"},
    "perceptron": {"d": 2, "examples": 6},
    "kernel_regression": {"d": 1},
    "induction_head": {"vocabulary": 6},
}
"""Programs, and what they are compiled with."""


def write(app: Sphinx) -> None:
    if app.builder.name != "html" or not app.config.live_pages:
        return
    folder = Path(app.outdir) / "live"
    folder.mkdir(parents=True, exist_ok=True)
    for name, given in PAGES.items():
        weights = compile_program(load(name), **given)
        Unjitted(weights).inspect(**_data(name)).save(folder / f"{name}.html")


def _data(name: str) -> dict[str, Any]:
    """A line through points is what one dimension is looked at for; elsewhere a task of the certificate's."""
    if name != "gradient_descent":
        return {}
    x = np.array([-0.9, 0.4, 1.2, -0.3, 0.8, 0.6])[:, None]
    return {"x": x, "y": 0.7 * x[:5, 0]}


class Live(SphinxDirective):  # type: ignore[misc]
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in PAGES:
            raise self.error(f"no page {name} is written: there are {', '.join(PAGES)}")
        up = "../" * self.env.docname.count("/")
        given = ", ".join(f"{key} = {value}" for key, value in PAGES[name].items())
        text = (
            f'<iframe class="live" src="{up}live/{name}.html" loading="lazy" title="{escape(name)}, live"></iframe>'
            f'<p class="live-caption"><code>{escape(name)}</code>, {escape(given)}. '
            f'<a href="{up}live/{name}.html">The page alone</a></p>'
        )
        return [nodes.raw("", text, format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("live_pages", True, "", bool)  # -D live_pages=0, while one writes
    app.add_directive("live", Live)
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
