"""Which changes of a named value are followed as the program says, measured before they are told to anyone.

before   weights, and tasks within their ranges
after    for each placement and kinds of token, how far off the outputs are from the interpreter's in which the variable
         was changed; None where that is more than it may be, or the program has no such value

Every write is tried (following.py) where it is used first and last, with the values of other tasks, as a stock library
rounds; of several for one kind of token the first that is followed is told.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from innerloop.artifact.appearances import Appearance, appearances
from innerloop.artifact.arrays import Floats
from innerloop.artifact.claims import Write
from innerloop.artifact.reference.arithmetic import STOCK
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.weights import Weights
from innerloop.compiler.interpreter.chunks import some_of
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of

from ...patching.following import bearable, error

TASKS = 8

Errors = dict[tuple[int, int], float]
"""By number of the placement, and of its write: rms difference from the interpreter."""


def errors(weights: Weights, data: TokenData) -> Errors:
    """Those of every write that is right."""
    found: Errors = {}
    if not weights.layout:
        return found
    signature = weights.signature
    graph = graph_of(signature.text, signature.parameters, signature.source)
    few = some_of(data, slice(0, TASKS))
    with np.errstate(all="ignore"):
        exact = evaluate(graph, few)
        if exact.size == 0:
            return found
    most = bearable(weights, few, exact, STOCK)
    every = appearances(weights)
    for number, placement in enumerate(weights.layout):
        mine = [a for a in every if a.number == number and a.write >= 0]
        told: frozenset[str] = frozenset()
        for index, write in enumerate(placement.writes):
            if write.kinds <= told:
                continue
            tried = [
                off
                for appearance, token in _moments(mine, write, few.sequence.kinds)
                if (off := error(weights, graph, few, every, appearance, write, token, _others, STOCK)) is not None
            ]
            if tried and max(tried) <= most:
                found[number, index] = max(tried)
                told |= write.kinds
    return found


def _moments(mine: list[Appearance], write: Write, kinds: tuple[str, ...]) -> Iterator[tuple[Appearance, int]]:
    """The first and the last time it appears, at the last token; of a scan at the first and the last but one."""
    if not mine:
        return
    placement = mine[0].placement
    tokens = [token for token, kind in enumerate(kinds) if kind in write.kinds][placement.changed_from :]
    if not tokens:
        return
    if placement.turn < 0:
        yield from {mine[0].first: (mine[0], tokens[-1]), mine[-1].first: (mine[-1], tokens[-1])}.values()
    else:
        yield from ((mine[-1], token) for token in sorted({tokens[0], tokens[max(0, len(tokens) - 2)]}))


def _others(value: Floats) -> Floats:
    return np.roll(value, 1, axis=0)
