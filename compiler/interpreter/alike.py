"""Neighbouring tokens at which the same is computed, since what it is made of is the same bit by bit.

before   a value that tokens have read, or what a repeat reads, at the tokens where it lives
after    the tokens that are told apart, and which of them each token is like

In `(x y)* x` the same examples are seen at y_k and at x_k+1, and what is made of them alone is the same at both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import blocks
from numpy.typing import NDArray

from ..ir.graph import GRAPHS, Constant, Gather, Graph, Loop, Softmax, Value
from ..ir.operation_classes import Local
from .places import Places

Take = Callable[[Value, Places], Floats]
WORTH = 0.75
"""Of the tokens as many at most are told apart where it saves something to look."""


@dataclass(frozen=True, eq=False)
class Apart(Places):
    """Of the tokens of `every` those that are told apart, by a number in `like` for each; `of` a token is the place of
    the one that it is like."""

    every: Places
    like: Indices

    def taken(self, array: Floats) -> Floats:
        """What stands at `every` token [tasks, tokens, size] at these, every component's numbers side by side."""
        return _taken(array, self.every.of[self.tokens])


class Alike:
    """What tells tokens apart in one run: where the same tokens are, the same places."""

    def __init__(self) -> None:
        self._found: dict[tuple[Places, bytes], Apart] = {}
        self._spread: dict[int, tuple[Floats, Floats]] = {}

    def told(self, arrays: Sequence[Floats], places: Places) -> Apart | None:
        """By arrays at these places; None where most are told apart."""
        apart = np.zeros(places.tokens.size, bool)
        apart[:1] = True
        for tasks in (slice(1), slice(None)):  # one task mostly says that there is nothing to save
            for array in arrays:
                apart[1:] |= _apart(array[tasks])
            if not 0 < apart.sum() <= WORTH * apart.size:
                return None
        key = places, apart.tobytes()
        if key not in self._found:
            like, of = np.cumsum(apart) - 1, np.full(places.of.size, -1)
            of[places.tokens] = like
            self._found[key] = Apart(places.tokens[apart], of, places, like)
        return self._found[key]

    def spread(self, array: Floats, places: Apart) -> Floats:
        """What stands at the tokens told apart, [tasks, tokens, size], at all: the same array for the same."""
        was, found = self._spread.get(id(array), (None, array))
        if was is not array:
            found = _taken(array, places.like)
            self._spread[id(array)] = array, found
        return found

    def forget(self, arrays: Iterable[Floats]) -> None:
        """What was spread, but these: what the next pass begins with."""
        kept = [id(array) for array in arrays]
        self._spread = {key: both for key, both in self._spread.items() if key in kept}


@lru_cache(GRAPHS)
def ends_alone(graph: Graph) -> frozenset[Value]:
    """What tokens gather of which all that comes is local, component by component: how arrays lie makes no difference
    to that, as it does to a sum."""
    nodes = [(value, graph[value]) for value in graph.values()]
    local = {v: isinstance(node.op, Local) and not isinstance(node.op, Softmax) for v, node in nodes}
    read = [(o, value, local[value]) for value, node in nodes for o in node.operands]
    for c in (c for loop in graph.loops() for c in loop.carried):
        read += [(value, by, True) for value in (c.initial, c.result) for by in (c.phi, c.final)]
    summed = {o for o, _, apart in read if not apart}
    while more := {o for o, value, _ in read if value in summed} - summed:
        summed |= more
    return frozenset(value for value, node in nodes if isinstance(node.op, Gather) and value not in summed)


def alike(graph: Graph, loop: Loop, take: Take, at: Callable[[Kinds], Places], by: Alike) -> Apart | None:
    """Where a repeat has to be run. None where an operation of it reads other tokens or knows its place, where its
    values live at several kinds of tokens, and where most tokens are told apart."""
    body = [graph[value] for value in graph.values(loop.body)]
    carried = [graph[c.phi] for c in loop.carried]
    if loop.count < 2 or not carried or any(node.kinds != carried[0].kinds for node in (*body, *carried)):
        return None
    if any(isinstance(item, Loop) for item in loop.body) or not all(
        isinstance(node.op, Local | Constant) for node in body
    ):
        return None
    places = at(carried[0].kinds)
    arrays = {value: take(value, places) for value in read_by(graph, loop) | {c.initial for c in loop.carried}}
    return by.told(list(arrays.values()), places)


def read_by(graph: Graph, loop: Loop) -> set[Value]:
    """What a repeat reads and does not change, or leaves."""
    inside = {*graph.values(loop.body), *(c.phi for c in loop.carried)}
    read = {o for v in graph.values(loop.body) for o in graph[v].operands}
    return (read | {c.result for c in loop.carried}) - inside


def _apart(array: Floats) -> NDArray[np.bool_]:
    """Which tokens, of all but the first, differ in a bit from the one before [tokens − 1]. Numbers are compared as
    they lie, those of neighbouring tasks too: NumPy is slow on rows so short."""
    tasks, tokens, size = array.shape
    by_component = array.reshape(-1, size).flags.f_contiguous
    bits = (np.moveaxis(array, 2, 0) if by_component else array).reshape(-1).view(np.int64)
    step, differs = 1 if by_component else size, np.empty(bits.size, bool)
    np.not_equal(bits[step:], bits[:-step], out=differs[step:])
    if by_component:
        return _any(_any(differs.reshape(size, -1), 0).reshape(tasks, tokens), 0)[1:]
    return _any(_any(differs.reshape(tasks, -1), 0).reshape(tokens, size), 1)[1:]


def _any(array: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    return np.asarray(array.any(axis=axis))


def _taken(array: Floats, tokens: Indices) -> Floats:
    """These tokens of an array [tasks, tokens, size], every component's numbers side by side."""
    components = np.moveaxis(array, 2, 0)
    if components.flags.c_contiguous:
        return np.moveaxis(components.take(tokens, axis=2), 0, 2)
    found = np.empty((array.shape[2], len(array), tokens.size))
    for tasks in blocks(len(array), tokens.size * array.shape[2]):
        found[:, tasks] = np.moveaxis(array[tasks].take(tokens, axis=1), 2, 0)
    return np.moveaxis(found, 0, 2)
