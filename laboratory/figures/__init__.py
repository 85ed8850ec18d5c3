"""Published figures, a module each: `FIGURE` says what it shows, and runs it from nothing to the picture.

name   →   Figure (shared/frame.py)   →   Result: checks, tables, pictures
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from innerloop.artifact.errors import InnerloopError, near

if TYPE_CHECKING:
    from .shared.frame import Check, Figure, Result, Setting, Table

__all__ = ["NAMES", "Check", "Figure", "Result", "Setting", "Table", "figure", "known"]

_MODULES = (
    "von_oswald_1",
    "von_oswald_2",
    "zheng_ar",
    "zhang_gamma",
    "akyurek_algorithms",
    "raventos_diversity",
    "probes",
    "zhang_pcr",
    "huang_cot",
    "wang_td",
    "gatmiry_loop",
    "von_oswald_deep",
    "von_oswald_softmax",
    "von_oswald_induction",
    "von_oswald_sine",
    "chains.edelman",
    "chains.park_mixture",
    "chains.automata",
    "akyurek_predictors",
    "akyurek_width",
    "akyurek_moments",
    "garg_shift",
    "fu_newton",
    "drift",
)
"""In the order in which they are listed."""
NAMES: tuple[str, ...] = tuple(module.rpartition(".")[2] for module in _MODULES)


def __getattr__(name: str) -> object:
    """What a figure is made of, with JAX and matplotlib, when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(".shared.frame", __package__), name)
    return found


def known(name: str) -> None:
    """Raises InnerloopError for a name that no figure has."""
    if name not in NAMES:
        hint = near(name, NAMES) or f"there are {', '.join(NAMES)}"
        raise InnerloopError(f"{name}: no such figure; {hint}")


def figure(name: str) -> Figure:
    """Raises InnerloopError for a name that no figure has."""
    known(name)
    found: Figure = import_module(f".{_MODULES[NAMES.index(name)]}", __package__).FIGURE
    return found
