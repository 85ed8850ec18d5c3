"""Weights that many tests ask for, compiled once in a run of pytest, whichever of its processes asks first.

    once("ridge-gpt2-float32", make)   →   what `make()` gave when it was first asked for, a copy of its own

Kept as bytes in the folder that the processes of one run share (conftest.py); outside of pytest nothing is kept. Tests
of mutants run a pytest of their own, and so share nothing with what is not changed.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

from innerloop.compiler import Weights

SHARED = "INNERLOOP_TESTS_SHARED"
"""The variable that names a folder for several runs, of one and the same code."""

_folder: Path | None = None


def keep_in(folder: Path) -> None:
    """Where what is made is kept from now on."""
    global _folder
    folder.mkdir(exist_ok=True)
    _folder = folder


def once(name: str, make: Callable[[], Weights]) -> Weights:
    """`make()`, or what it gave under this name before. Two processes may make the same at once, and either is kept."""
    if _folder is None:
        return make()
    path = _folder / f"{name}.pickle"
    if path.exists():
        kept: Weights = pickle.loads(path.read_bytes())
        return kept
    made = make()
    part = path.with_suffix(f".{os.getpid()}")
    part.write_bytes(pickle.dumps(made))
    part.replace(path)
    return made
