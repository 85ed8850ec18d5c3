"""Why a program's SPD/d is above the bound of measured.py, where it is: the one place, as the catalogue prints it.

tests/whole/test_library.py fails for a program that misses the bound and has no reason here, and for a reason that is
none any more. The counts are of the catalogue's own 200 tasks.
"""

from __future__ import annotations

from innerloop.artifact.arrays import Dtype
from innerloop.artifact.words import TargetName

Place = tuple[TargetName, Dtype]
"""A target and a dtype."""

REASONS: dict[str, dict[Place, str]] = {}
"""Program → where it misses → why."""
