"""NumPy, which is loaded when something of it is first used: programs are parsed and checked without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
else:

    class _NumPy:
        def __getattr__(self, name: str) -> object:
            import numpy

            return getattr(numpy, name)

    np = _NumPy()

__all__ = ["np"]
