"""How a call goes through: in which pieces, of which length, at which tokens.

before   the data of a call
after    a Way
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from innerloop.artifact.places import Places, places
from innerloop.artifact.tokens import Sequence, TokenData
from innerloop.artifact.weights import Weights

from ..packing.packed import Step
from .afford import at_once, together
from .lengths import filled
from .placement import Placement


class Way(NamedTuple):
    """So many tasks at once; the data's tokens, and behind them such as fill; where steps run; and how many tokens are
    the data's, the rest token included (None: all)."""

    chunk: int
    line: Sequence
    run: Places
    length: np.int32 | None


def way_of(weights: Weights, steps: tuple[Step, ...], data: TokenData, on: Placement, itemsize: int) -> Way:
    """What goes through at once is filled, if it still does then. Raises MemoryLimitError."""
    line = data.sequence
    run = places(weights, line.kinds)
    chunk = together(weights, steps, data, run, itemsize, on.shards, on.on_cpu)
    if data.batch <= chunk and (longer := filled(weights, line)) is not None:
        then = places(weights, longer.kinds)
        if at_once(weights, steps, len(longer), chunk // on.shards, then, itemsize, on.on_cpu):
            return Way(chunk, longer, then, np.int32(1 + len(line)))
    return Way(chunk, line, run, None)
