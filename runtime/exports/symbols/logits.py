"""Logits: a program that gives probabilities, as one that gives their logarithms.

    before   weights of `… output p`, p ≥ 0 with Σ p = 1
    after    weights of `… output log(p)`, or `log(p + 1e-4)` where p may be 0: softmax of the output is p again;
             where p is always one-hot, log(1 + 1e4) · (p − 1), which is the same up to a constant, and linear

A language model's head is linear in the final stream and its softmax is not, so that no head on the stream that holds p
has p as its distribution, but for p that are one-hot. The logarithm is the compiler's to build: the program is compiled
again, with the function in its last MLP. Whatever else a program gives stands as it is.
"""

from __future__ import annotations

from math import isfinite, log1p
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.tokens import sequence
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.interpret import interpret
from innerloop.compiler.syntax.nodes import Assign, Define, Output, Statement
from innerloop.compiler.syntax.parse import parse

from ..drawn import repetitions
from .vocabulary import single

FLOOR = 1e-4
"""Added to probabilities that may be 0: what a symbol that cannot come is given, about."""
LOWEST = 1e-3
"""Probabilities that are never below it need no floor."""
LENGTH, TASKS = 128, 96
"""Symbols of the sequences that ranges are taken from, and how many."""
SUM = 1e-6
"""How far from 1 probabilities may add up to."""


def log_probabilities(weights: Weights) -> Weights:
    """The weights, or where their output is probabilities on drawn sequences, the program compiled again with their
    logarithms as output, for sequences of up to LENGTH symbols. Weights that were trained are left as they are.

    Raises InnerloopError, as compiling does, where the logarithm does not compile."""
    signature, report = weights.signature, weights.report
    if len(weights.output.shape) != 1 or not isfinite(report.predicted_error):
        return weights
    data = sequences(weights)
    parameters: dict[str, Any] = signature.parameters
    found = interpret(signature.text, **data, **parameters)
    total = found.sum(-1)
    if found.min() < 0.0 or np.abs(total - 1.0).max() > SUM:
        return weights
    optimize = report.certificate.optimize if report.certificate else "depth"
    try:
        return compile_program(
            _logarithm(signature.text, found),
            target=weights.config.target,
            optimize=optimize,
            dtype=weights.config.dtype,
            calibration=data if single(signature) else None,
            source=signature.source,
            **parameters,
        )
    except InnerloopError as error:
        raise InnerloopError(f"{signature.name} gives probabilities, and their logarithms: {error}") from None


def sequences(weights: Weights, seed: int = 17) -> dict[str, Floats]:
    """Fields [TASKS, rows, size] of symbols that are drawn evenly, and of such that come again after 1 … 8 of them."""
    pattern = weights.signature.pattern
    times = repetitions(weights, max(1, LENGTH // len(pattern.group)))
    assert len(sequence(pattern, times)) < weights.config.n_positions
    drawn = draw(weights.signature, times, TASKS, seed)
    periods = np.where(np.arange(TASKS) % 3 == 0, sum(times) + len(pattern.prefix) + 1, 1 + np.arange(TASKS) % 8)
    return {
        name: np.stack([task[np.arange(len(task)) % period] for task, period in zip(field, periods, strict=True)])
        for name, field in drawn.items()
    }


def leak(logits: Floats) -> float | None:
    """By how much what logits [.., size] say as logarithms of probabilities adds up to more than 1, at most; None if
    they do not."""
    with np.errstate(over="ignore"):  # of scores
        total = np.exp(logits).sum(-1)
    most = float(total.max(initial=1.0)) - 1.0
    return most if total.min(initial=1.0) > 1.0 - SUM and most <= max(SUM, 2.0 * FLOOR * logits.shape[-1]) else None


def _logarithm(text: str, found: Floats) -> str:
    """The program's text with the logarithm around what it outputs, which was `found` [.., size]."""
    (output,) = _outputs(parse(text).body)
    span = output.value.span
    inner = text[span.start : span.end]
    if ((found == 0.0) | (found == 1.0)).all():
        around = f"{log1p(1.0 / FLOOR):.6g} * (({inner}) - 1)"
    elif found.min() > LOWEST:
        around = f"log({inner})"
    else:
        around = f"log({inner} + {FLOOR:g})"
    return text[: span.start] + around + text[span.end :]


def _outputs(body: tuple[Statement, ...]) -> list[Output]:
    found = []
    for item in body:
        if isinstance(item, Output):
            found.append(item)
        elif not isinstance(item, Define | Assign):
            found += _outputs(item.body)
    return found
