"""Weights that many tests ask for, compiled once in a run of pytest, whichever of its processes asks first.

    once("ridge-gpt2-float32", make)              →   what `make()` gave when it was first asked for, a copy of its own
    compiled_once(text, target="llama", d=3)      →   `compile_program` of the same, once for these arguments

Kept as bytes in the folder that the processes of one run share (conftest.py); outside of pytest nothing is kept. Tests
of mutants run a pytest of their own, and so share nothing with what is not changed.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from innerloop.compiler import Weights, compile_program

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


def compiled_once(text: str, **options: Any) -> Weights:
    """`compile_program` of the same arguments, where a test asks what weights do, and not how they are made: no
    message, no progress and no refusal is to be expected of it."""
    given = pickle.dumps((text, sorted((name, value) for name, value in options.items() if value is not None)))
    return once(f"by-arguments-{sha256(given).hexdigest()}", lambda: compile_program(text, **options))
