"""Where values are known: tokens, and the place of each among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Places:
    """Some tokens: numbers that are known when tracing, or the one at which a scan is now."""

    tokens: Any
    of: Any
    """The place of each token among them, or −1."""
