"""Neighbouring tokens at which every pass of a repeat computes the same, since what it reads is the same bit by bit.

before   a repeat, and the values known when it begins
after    the tokens that are told apart, and which of them each token is like

In `(x y)* x` the same examples are seen at y_k and at x_k+1, and what is made of them alone is the same at both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import BLOCK
from numpy.typing import NDArray

from ..ir.graph import Constant, Graph, Loop, Value
from ..ir.operation_classes import Local
from .places import Places

Take = Callable[[Value, Places], Floats]
WORTH = 0.75
"""Of the tokens as many at most are told apart where it saves something to look."""


class Alike:
    """A repeat at `places`, of `every` token of its values those that are told apart. `fixed` is what it reads and does
    not change, there."""

    def __init__(self, every: Places, places: Places, like: Indices, fixed: dict[Value, Floats]) -> None:
        self.every, self.places, self.fixed, self.like = every, places, fixed, like
        self._spread: dict[int, tuple[Floats, Floats]] = {}

    def spread(self, array: Floats) -> Floats:
        """What stands at the tokens told apart, [tasks, tokens, size], at all: the same array for the same."""
        was, found = self._spread.get(id(array), (None, array))
        if was is not array:
            found = _taken(array, self.like)
            self._spread[id(array)] = array, found
        return found

    def forget(self, arrays: Iterable[Floats]) -> None:
        """What was spread, but these: what the next pass begins with."""
        kept = [id(array) for array in arrays]
        self._spread = {key: both for key, both in self._spread.items() if key in kept}


def alike(graph: Graph, loop: Loop, take: Take, at: Callable[[Kinds], Places]) -> Alike | None:
    """None where an operation of the repeat reads other tokens or knows its place, where its values live at several
    kinds of tokens, and where most tokens are told apart."""
    body = [graph[value] for value in graph.values(loop.body)]
    carried = [graph[c.phi] for c in loop.carried]
    if loop.count < 2 or not carried or any(node.kinds != carried[0].kinds for node in (*body, *carried)):
        return None
    if any(isinstance(item, Loop) for item in loop.body) or not all(
        isinstance(node.op, Local | Constant) for node in body
    ):
        return None
    places = at(carried[0].kinds)
    inside = {*graph.values(loop.body), *(c.phi for c in loop.carried)}
    fixed = ({o for node in body for o in node.operands} | {c.result for c in loop.carried}) - inside
    arrays = {value: take(value, places) for value in fixed | {c.initial for c in loop.carried}}
    apart = np.zeros(places.tokens.size, bool)
    apart[:1] = True
    for tasks in (slice(1), slice(None)):  # one task mostly says that there is nothing to save
        for array in arrays.values():
            apart[1:] |= _apart(array[tasks])
        if not 0 < apart.sum() <= WORTH * apart.size:
            return None
    few = Places.among(places.tokens[apart], places.of.size)
    return Alike(
        places, few, np.cumsum(apart) - 1, {value: _taken(arrays[value], np.flatnonzero(apart)) for value in fixed}
    )


def _apart(array: Floats) -> NDArray[np.bool_]:
    """Which tokens, of all but the first, differ in a bit from the one before [tokens − 1]. Numbers are compared as they
    lie, those of neighbouring tasks too: NumPy is slow on rows so short."""
    tasks, tokens, size = array.shape
    by_component = array.reshape(-1, size).flags.f_contiguous
    bits = (np.moveaxis(array, 2, 0) if by_component else array).reshape(-1).view(np.int64)
    step, differs = 1 if by_component else size, np.empty(bits.size, bool)
    np.not_equal(bits[step:], bits[:-step], out=differs[step:])
    if by_component:
        return np.asarray(differs.reshape(size, -1).any(axis=0).reshape(tasks, tokens).any(axis=0)[1:])
    return np.asarray(differs.reshape(tasks, -1).any(axis=0).reshape(tokens, size).any(axis=1)[1:])


def _taken(array: Floats, tokens: Indices) -> Floats:
    """These tokens of an array [tasks, tokens, size], every component's numbers side by side."""
    components = np.moveaxis(array, 2, 0)
    if components.flags.c_contiguous:
        return np.moveaxis(components.take(tokens, axis=2), 0, 2)
    found = np.empty((array.shape[2], len(array), tokens.size))
    step = max(1, BLOCK // max(1, tokens.size * array.shape[2]))
    for start in range(0, len(array), step):
        tasks = slice(start, start + step)
        found[:, tasks] = np.moveaxis(array[tasks].take(tokens, axis=1), 2, 0)
    return np.moveaxis(found, 0, 2)
