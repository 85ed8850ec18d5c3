"""Whose turn it is: the tokens of the scans of which each pass may be run at one token (`Repeated.turn`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import Indices
from .parts import Body, Repeated


def turns(body: Body, kinds: Sequence[str]) -> dict[str, Indices]:
    """For each kind that such a scan goes over, where its tokens stand among tokens of these kinds; the rest token
    stands before them, at 0."""
    found: dict[str, Indices] = {}
    for item in body:
        if isinstance(item, Repeated):
            found |= turns(item.body, kinds)
            if item.turn is not None:
                found[item.turn] = 1 + np.flatnonzero([kind == item.turn for kind in kinds])
    return found
