"""Is a change of a named value followed? The outputs of weights whose stream is changed, against the program's.

before   weights, tasks, an appearance of a variable, how it is written, a token
after    rms difference from the interpreter in which the variable was changed

A value may be bypassed: what the compiler computes from its parts, beside it, does not follow.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from innerloop.artifact.appearances import Appearance, followed
from innerloop.artifact.arrays import Floats
from innerloop.artifact.claims import Write
from innerloop.artifact.reference.arithmetic import Arithmetic, Real
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import TokenData, output_rows
from innerloop.artifact.weights import Weights
from innerloop.compiler.interpreter.counterfactual import Change, Moment, changed
from innerloop.compiler.ir.graph import Graph

CLOSE = 1e-4
"""So far off, in units of the output's rms where that is above 1, may the outputs of a change be, or ANYWAY times as
far as they are without one."""
ANYWAY = 2.0
SQUARED = 1e150
"""From here on squares, summed, leave float64: a difference over such a root mean square would be 0."""


def error(
    weights: Weights, graph: Graph, data: TokenData, every: tuple[Appearance, ...], one: Appearance, write: Write,
    token: int, change: Change, arithmetic: Arithmetic | None = None,
) -> float | None:  # fmt: skip
    """In units of the output's rms where that is above 1, over the tasks in which the interpreter's outputs are finite;
    None of none of whose it knows, infinite where the program has no such value. `change`: the new value from what it
    is; `arithmetic`: None is this package's own."""
    placement, wanted = one.placement, list[Floats]()

    def another(value: Floats) -> Floats:
        wanted.append(change(value))
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

    off = apart(exact, outputs(weights, data, arithmetic, observe))
    return None if np.isnan(off) else off


def bearable(weights: Weights, data: TokenData, exact: Floats, arithmetic: Arithmetic | None = None) -> float:
    """How far off the outputs of a change may be, where the program's own outputs without it are `exact`."""
    anyway = apart(exact, outputs(weights, data, arithmetic))
    return max(CLOSE, ANYWAY * anyway) if np.isfinite(anyway) else CLOSE


def outputs(
    weights: Weights, data: TokenData, arithmetic: Arithmetic | None, observe: Callable[[Real], None] | None = None
) -> Floats:
    """[tasks, rows, size]; `observe` is shown the stream after every sublayer, and may change it."""
    rows = output_rows(data.sequence, weights.output.kinds)
    with np.errstate(all="ignore"):
        return forward(weights, data, observe, arithmetic, whole=True)[:, rows]


def apart(exact: Floats, found: Floats) -> float:
    """Their rms difference, in units of the rms of the first where that is above 1, over the tasks in which it has a
    finite square: infinite where the other is not finite, and NaN of no task."""
    finite = (np.abs(exact) < SQUARED).reshape(len(exact), -1).all(1)
    if not finite.any():
        return np.nan
    scale = max(1.0, float(np.sqrt(np.mean(exact[finite] ** 2))))
    difference = (found.reshape(exact.shape) - exact)[finite]
    with np.errstate(over="ignore"):
        return float(np.nan_to_num(np.sqrt(np.mean(difference**2)), nan=np.inf)) / scale
