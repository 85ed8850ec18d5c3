"""Which tokens have to run: those whose turn it is in a scan, and those that a sublayer is live at.

before   what weights say of their sublayers by kinds of token (`Repeated.turn`, `Contents.live`), a sequence
after    the places of those tokens in it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .arrays import Indices
from .contents import Contents
from .parts import Body, Repeated
from .signature import Kinds


class Places(NamedTuple):
    """The rest token stands at 0, before those of the data.

    turns   for each kind that a scan goes over whose passes may be run in turn: its tokens
    live    for each set of kinds that a sublayer is live at, sorted: their tokens, the rest token before them"""

    turns: dict[str, Indices]
    live: dict[tuple[str, ...], Indices]


def places(weights: Contents, kinds: Sequence[str]) -> Places:
    """Of tokens of these kinds. Sublayers that are live everywhere have none."""
    live = {tuple(sorted(some)): np.append(0, _at(some, kinds)) for some in set(weights.live)}
    return Places(turns(weights.body, kinds), {some: at for some, at in live.items() if at.size <= len(kinds)})


def turns(body: Body, kinds: Sequence[str]) -> dict[str, Indices]:
    """`Places.turns`."""
    found: dict[str, Indices] = {}
    for item in body:
        if isinstance(item, Repeated):
            found |= turns(item.body, kinds)
            if item.turn is not None:
                found[item.turn] = _at(frozenset({item.turn}), kinds)
    return found


def _at(some: Kinds, kinds: Sequence[str]) -> Indices:
    return 1 + np.flatnonzero([kind in some for kind in kinds])
