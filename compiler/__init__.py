"""From program text to the weights of a transformer.

    weights = compile_program(text, target="gpt2", d=8)      → Weights
    y = interpret(text, x=X, y=Y, d=8)                       → the float64 oracle's answer

Names are imported when they are first used, so that checking a program does not load the compiler.
"""

from __future__ import annotations

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


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
