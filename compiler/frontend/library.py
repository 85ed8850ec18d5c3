"""The libraries of definitions that `use` names: files in the language, of `def`s alone (compiler/definitions).

use linear_algebra   →   the `def`s of definitions/linear_algebra.icl
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..syntax.nodes import Define
from ..syntax.parse import parse_library

FOLDER = Path(__file__).parents[1] / "definitions"


def libraries() -> list[str]:
    """Their names."""
    return sorted(path.stem for path in FOLDER.glob("*.icl"))


@cache
def definitions(library: str) -> tuple[Define, ...]:
    """In the order of the file. Raises KeyError where there is no such library."""
    if library not in libraries():
        raise KeyError(library)
    return parse_library((FOLDER / f"{library}.icl").read_text(encoding="utf-8"))
