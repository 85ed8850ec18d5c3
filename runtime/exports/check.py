"""Is what is exported right in the library's arithmetic? A few tasks, as the library rounds, against the oracle.

before   weights, the arithmetic of the library (artifact/reference/arithmetic.py)
after    the tasks, the oracle's output, and how far off it is; or InnerloopError
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.reference.arithmetic import Arithmetic
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import TokenData, output_rows, read_data
from innerloop.artifact.weights import Weights
from innerloop.compiler.interpreter.chunks import some_of
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of

from .drawn import drawn
from .folder import Sample
from .tensors import Floats

TASKS = 8
"""Tasks that are drawn; those go along in which the weights hold."""
GROUPS = (40, 12, 4, 2)
"""How long they are: so many groups, the first of these of which half hold. Ranges of short calibration data may not
hold for long tasks."""


def checked(weights: Weights, arithmetic: Arithmetic, accept_error: bool) -> Sample:
    """Raises InnerloopError, unless `accept_error`, for weights beyond their certificate in that arithmetic."""
    data, truth = tasks(weights)
    own, stock = errors(weights, data, truth, None), errors(weights, data, truth, arithmetic)
    if not accept_error:
        within(weights, len(data.sequence), own, stock)
    most = np.array([one.predicted_error for one in weights.report.each])
    left = np.flatnonzero(np.any(np.isfinite(most) & ~(own <= most), axis=1))
    return Sample(data, truth, tuple(stock.max(0, initial=0.0).tolist()), tuple(left.tolist()))


def tasks(weights: Weights) -> tuple[TokenData, Floats]:
    """A few tasks within the compiled ranges, and the oracle's outputs side by side, [tasks, rows, *shape]: those in
    which the weights are as exact as their certificate says, for in the others a value left its range; all, where that
    is so of none."""
    signature = weights.signature
    graph = graph_of(signature.text, signature.parameters, signature.source)
    most = [error.predicted_error for error in weights.report.each]
    first: tuple[TokenData, Floats] | None = None
    for groups in GROUPS:
        data = read_data(signature, drawn(weights, groups, TASKS, seed=3))
        truth = evaluate(graph, data)
        held = np.flatnonzero(~(errors(weights, data, truth, None) > most).any(axis=1))
        if 2 * held.size >= TASKS:
            return some_of(data, held), truth[held]
        first = first or (data, truth)
    assert first is not None
    return first


def errors(weights: Weights, data: TokenData, truth: Floats, arithmetic: Arithmetic | None) -> Floats:
    """How far off each output is at most in each task, [tasks, outputs]; None: in this package's own arithmetic."""
    rows = output_rows(data.sequence, weights.output.kinds)
    with np.errstate(all="ignore"):
        found = forward(weights, data, arithmetic=arithmetic, whole=True)[:, rows].reshape(truth.shape)
    error = np.nan_to_num(np.abs(found - truth), nan=np.inf)
    parts = weights.output.split(error)
    return np.stack([part.reshape(len(part), -1).max(1, initial=0.0) for part in parts], 1)


def within(weights: Weights, tokens: int, own: Floats, stock: Floats) -> None:
    """Raises InnerloopError where tasks that are within the certificate in this package's arithmetic are not in the
    library's. Weights without a certificate promise nothing."""
    for number, error in enumerate(weights.report.each):
        most, alone, there = error.predicted_error, own[:, number], stock[:, number]
        beyond = there[(alone <= most) & ~(there <= most)]
        if beyond.size and np.isfinite(most):
            raise InnerloopError(
                f"{weights.signature.name} multiplies errors: as a stock model rounds it is off by {beyond.max():.3g} "
                f"on tasks of {tokens} tokens, where its certificate says {most:.3g} at most. Compile it with milder "
                "parameters, or with data like yours (`calibration=`), or accept the error (`accept_error=True`, "
                "`--accept-error`)"
            )
