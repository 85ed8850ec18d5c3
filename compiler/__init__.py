"""From program text to the weights of a transformer.

    weights = compile_program(text, target="gpt2", d=8)      → Weights
    y = interpret(text, x=X, y=Y, d=8)                       → the float64 oracle's answer

Names are imported when they are first used, so that checking a program does not load the compiler.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .compile import compile_program
    from .errors import CompileError, DataError, InnerloopError
    from .interpretation import interpret
    from .weights import Weights

_HOMES = {
    "CompileError": "errors",
    "DataError": "errors",
    "InnerloopError": "errors",
    "Weights": "weights",
    "compile_program": "compile",
    "interpret": "interpretation",
}

__all__ = ["CompileError", "DataError", "InnerloopError", "Weights", "compile_program", "interpret"]


def _one_copy() -> None:
    """innerloop is a namespace, which Python puts together from all folders of that name on its path: a clone that it
    was started beside would take the place of what is installed, module by module. Each finder is asked about each
    folder, for an editable installation is known to its own finder alone."""
    folders = sys.modules[__package__.partition(".")[0]].__path__
    finders = [finder.find_spec for finder in sys.meta_path if hasattr(finder, "find_spec")]
    specs = (find(__package__, [folder]) for find in finders for folder in folders)
    origins = [__file__, *(spec.origin for spec in specs if spec is not None and spec.origin is not None)]
    copies = dict.fromkeys(os.path.realpath(os.path.dirname(origin)) for origin in origins)
    if len(copies) > 1:
        used, *others = map(os.path.dirname, copies)
        raise ImportError(
            f"there are two copies of innerloop: {used}, which Python found first, and {', '.join(others)}. Start "
            f"Python in another folder than the one that holds a clone, or rename the clone"
        )


_one_copy()


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
