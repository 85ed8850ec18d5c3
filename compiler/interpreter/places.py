"""Where values are: some tasks, some tokens; and who is called with what stands there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats, Indices

from ..ir.graph import Value

Observe = Callable[[Value, Floats], Floats | None]


@dataclass(frozen=True)
class Place:
    """Where an operation is computed: the tasks of a chunk, and the tokens."""

    tasks: slice
    tokens: Indices


Disturb = Callable[[Value, Floats, Callable[[int], Floats], Place], Floats]


@dataclass(frozen=True, eq=False)
class Places:
    """Some tokens, in order; `of[token]` is the place of a token among them, or −1."""

    tokens: Indices
    of: Indices

    @classmethod
    def among(cls, tokens: Indices, length: int) -> Places:
        """These tokens of a sequence of `length`."""
        of = np.full(length, -1)
        of[tokens] = np.arange(tokens.size)
        return cls(tokens, of)
