"""Where values are known: tokens, the place of each among them, and what stands there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import sliced
from innerloop.artifact.tokens import Sequence, output_rows
from innerloop.compiler.ir.graph import Value

from .operations import Array


@dataclass(frozen=True, eq=False)
class Places:
    """Some tokens: numbers that are known when tracing, or the one at which a scan is now."""

    tokens: Any
    of: Any
    """The place of each token among them, or −1."""


class Held:
    """Every value so far with the tokens of a sequence that it is known at, [tokens, size, tasks]; once for all tokens,
    or all tasks, where it is the same."""

    def __init__(self, line: Sequence) -> None:
        self.line = line
        self.known: dict[Value, tuple[Places, Array]] = {}
        self._live: dict[Kinds, Places] = {}

    def among(self, tokens: np.ndarray) -> Places:
        of = np.full(len(self.line), -1)
        of[tokens] = np.arange(tokens.size)
        return Places(tokens, of)

    def at(self, kinds: Kinds) -> Places:
        """The tokens of these kinds."""
        if kinds not in self._live:
            self._live[kinds] = self.among(output_rows(self.line, kinds))
        return self._live[kinds]

    def take(self, value: Value, places: Places) -> Array:
        """A value at some tokens, 0 at those where it does not live: [tokens, size, tasks], or once for all."""
        held, array = self.known[value]
        return array if held is places else self.found_at(value, places.tokens)

    def found_at(self, value: Value, tokens: Any) -> Array:
        """The same for tokens that may repeat, and −1 for none."""
        held, array = self.known[value]
        if not array.shape[0]:
            return jnp.zeros((tokens.shape[0], *array.shape[1:]), array.dtype)
        if isinstance(tokens, np.ndarray) and isinstance(held.of, np.ndarray):
            place = np.where(tokens >= 0, held.of[tokens], -1)
            there = rows(array, place)
            return there if place.size and place.min() >= 0 else jnp.where((place >= 0)[:, None, None], there, 0.0)
        here = jnp.where(tokens >= 0, jnp.asarray(held.of)[tokens], -1)
        return jnp.where((here >= 0)[:, None, None], array if array.shape[0] == 1 else array[here], 0.0)


def rows(array: Array, place: np.ndarray) -> Array:
    """array[place], once where that is the same row for all: by a slice where it is one, of which XLA makes one loop
    with what is around it; −1 stands for any."""
    if array.shape[0] == 1:
        return array
    if place.size and (place == place[0]).all():
        place = place[:1]
    return array[sliced(place)]


def everywhere(array: Array, places: Places) -> Array:
    """Of every token, what may be the same at all."""
    return jnp.broadcast_to(array, (places.tokens.shape[0], *array.shape[1:]))
