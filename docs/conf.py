"""The documentation site: `make docs`. Notebooks and commands run while it is built, and a warning ends the build."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from innerloop.editors.highlighting import ProgramLexer
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

# Of notebooks, and of the commands that pages run: one BLAS thread, and the `innerloop` beside this Python.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

project = "innerloop"
author = "The innerloop authors"
project_copyright = "The innerloop authors, Apache-2.0"
version = release = version_of("innerloop")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "extensions.console",
    "extensions.docstrings",
    "extensions.listed",
    "extensions.live",
    "extensions.mathml",
]
exclude_patterns = ["extensions"]
html_math_renderer = "mathml"
highlight_language = "none"

html_theme = "furo"
html_title = "innerloop"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 4

nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 1200
nb_merge_streams = True

autodoc_default_options = {"members": True, "imported-members": True, "no-value": True}
autodoc_typehints_format = "short"
autodoc_member_order = "groupwise"
python_use_unqualified_type_names = True


def setup(app: Sphinx) -> dict[str, Any]:
    """Names of what fences hold, as the language's reference has them for its test, and what is no language."""
    for name in ("icl-faulty", "icl-refused"):
        app.add_lexer(name, ProgramLexer)
    app.add_lexer("error", TextLexer)
    app.add_lexer("ipythontb", TextLexer)  # an error in a notebook is its message, and no traceback
    return {"parallel_read_safe": False}
