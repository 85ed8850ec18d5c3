"""Where values are: some tasks, some tokens; what is known there; and who is called with what stands there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.signature import Kinds
from innerloop.artifact.tokens import Sequence, output_rows

from ..ir.graph import Value

Observe = Callable[[Value, Floats], Floats | None]
Look = Callable[[Value, Floats, Indices | None], None]
"""A value, what it is at the tokens where it lives that are told apart, and which of those each token is like (None:
each is told apart)."""


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

    def same(self, other: Places) -> bool:
        """Whether these are the same tokens."""
        return np.array_equal(self.tokens, other.tokens)


class Held:
    """Every value so far with the tokens of a sequence that it is known at, [tasks, tokens, size]."""

    def __init__(self, line: Sequence) -> None:
        self.line = line
        self.known: dict[Value, tuple[Places, Floats]] = {}
        self._live: dict[Kinds, Places] = {}

    def at(self, kinds: Kinds) -> Places:
        """The tokens of these kinds."""
        if kinds not in self._live:
            self._live[kinds] = Places.among(output_rows(self.line, kinds), len(self.line))
        return self._live[kinds]

    def take(self, value: Value, places: Places) -> Floats:
        """A value at some tokens, 0 at those where it does not live: [tasks, tokens, size]."""
        held, array = self.known[value]
        return array if held is places else self.found_at(value, places.tokens)

    def columns_at(self, value: Value, places: Places) -> Floats:
        """The same, for what a product or a map reads: every component's numbers side by side, if they were before."""
        held, array = self.known[value]
        components = np.moveaxis(array, 2, 0)
        if held is places or not components.flags.c_contiguous:
            return self.take(value, places)
        place = held.of[places.tokens]
        return self.take(value, places) if np.any(place < 0) else np.moveaxis(components.take(place, axis=2), 0, 2)

    def found_at(self, value: Value, tokens: Indices) -> Floats:
        """The same for tokens that may repeat, and −1 for none."""
        held, array = self.known[value]
        place = np.where(tokens >= 0, held.of[tokens], -1)
        if place.size == 1 and place[0] >= 0:
            return array[:, place[0] : place[0] + 1]
        if place.size and place.min() >= 0:
            return array[:, place]
        padded = np.zeros((array.shape[0], place.size, array.shape[2]))
        padded[:, place >= 0] = array[:, place[place >= 0]]
        return padded
