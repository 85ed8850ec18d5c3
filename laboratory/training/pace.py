"""How many steps go into one call of the device: so many that it lasts a moment, and an interruption waits no longer.

The first call compiles, and is of one step; from the second on its duration says how many the next may have. Where a
run is cut into calls moves no bit of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

MOMENT = 0.4
"""Seconds of a call: with a checkpoint and the end of the process, Ctrl-C takes a second. A step that is longer than
that is waited for."""


class Pace:
    """`steps` of the next call, `most` at most."""

    def __init__(self, most: int) -> None:
        self.steps = 1
        self._most, self._compiled = most, False

    @contextmanager
    def counting(self, steps: int) -> Iterator[None]:
        """A call of so many steps."""
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        if self._compiled:
            fit = int(MOMENT * steps / max(took, 1e-9))
            self.steps = min(self._most, max(1, min(fit, 4 * self.steps)))
        self._compiled = True
