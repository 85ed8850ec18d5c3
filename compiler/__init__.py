"""From program text to the weights of a transformer.

    weights = compile_program(text, target="gpt2", d=8)      → Weights
    y = interpret(text, x=X, y=Y, d=8)                       → the float64 oracle's answer

Names are imported when they are first used, so that checking a program does not load the compiler.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from innerloop.artifact import one_copy

if TYPE_CHECKING:
    from innerloop.artifact.errors import CompileError, DataError, InnerloopError
    from innerloop.artifact.weights import Weights

    from .compile import compile_program
    from .interpreter.interpret import interpret

_HOMES = {
    "CompileError": "innerloop.artifact.errors",
    "DataError": "innerloop.artifact.errors",
    "InnerloopError": "innerloop.artifact.errors",
    "Weights": "innerloop.artifact.weights",
    "compile_program": "innerloop.compiler.compile",
    "interpret": "innerloop.compiler.interpreter.interpret",
}

__all__ = ["CompileError", "DataError", "InnerloopError", "Weights", "compile_program", "interpret"]


one_copy(__name__)


def __dir__() -> list[str]:
    return ["__version__", *__all__]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("innerloop")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
