"""Which changes of a named value are followed as the program says, measured before they are told to anyone.

before   weights, and tasks within their ranges
after    for each placement and kinds of token, how far off the outputs are from the interpreter's in which the variable
         was changed; None where that is more than it may be, or the program has no such value

A value may be bypassed: what the compiler computes from its parts, beside it, does not follow. So every write is tried
where it is used first and last, with the values of other tasks, as a stock library rounds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from innerloop.artifact.appearances import Appearance, appearances, followed
from innerloop.artifact.arrays import Floats
from innerloop.artifact.claims import Write
from innerloop.artifact.reference.arithmetic import STOCK, Real
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import TokenData, output_rows
from innerloop.artifact.weights import Weights
from innerloop.compiler.interpreter.calibrate import some_of
from innerloop.compiler.interpreter.counterfactual import Moment, changed
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Graph

TASKS = 3
CLOSE = 1e-4
"""So far off, in units of the output's rms where that is above 1, may a change be."""

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
        if evaluate(graph, few).size == 0:
            return found
    every = appearances(weights)
    for number, placement in enumerate(weights.layout):
        mine = [a for a in every if a.number == number and a.write >= 0]
        for index, write in enumerate(placement.writes):
            tried = [
                error
                for appearance, token in _moments(mine, write, few.sequence.kinds)
                if (error := _error(weights, graph, few, every, appearance, write, token)) is not None
            ]
            if tried and max(tried) <= CLOSE:
                found[number, index] = max(tried)
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


def _error(
    weights: Weights, graph: Graph, data: TokenData, every: tuple[Appearance, ...], one: Appearance, write: Write,
    token: int,
) -> float | None:  # fmt: skip
    """rms over the tasks in which the interpreter's outputs are finite, infinite of none of whose it knows."""
    placement, wanted = one.placement, list[Floats]()

    def another(value: Floats) -> Floats:
        wanted.append(np.roll(value, 1, axis=0))
        return wanted[-1]

    exact = changed(graph, data, Moment(placement.name, placement.when, one.back, token), another)
    if exact is None:
        return np.inf
    mine = [t for t, kind in enumerate(data.sequence.kinds) if kind in placement.kinds]
    at = followed(every, one, mine.index(token))
    read, written = placement.matrix.csr, write.matrix.csr
    count = -1

    def observe(stream: Real) -> None:
        nonlocal count
        count += 1
        if count in at:
            here = stream[:, :, 1 + token]
            here += ((wanted[0] - here.T.astype(np.float64) @ read) @ written).T.astype(stream.dtype)

    rows = output_rows(data.sequence, weights.output.kinds)
    with np.errstate(all="ignore"):
        found = forward(weights, data, observe, STOCK, whole=True)[:, rows].reshape(exact.shape)
    finite = np.isfinite(exact).reshape(len(exact), -1).all(1)
    if not finite.any():
        return None
    scale = max(1.0, float(np.sqrt(np.mean(exact[finite] ** 2))))
    return float(np.nan_to_num(np.sqrt(np.mean((found - exact)[finite] ** 2)), nan=np.inf)) / scale
