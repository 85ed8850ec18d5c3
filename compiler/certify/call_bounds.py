"""A bound for each prediction, from the error model run on these very inputs.

before   the plan that weights were made by, and tasks
after    the program's exact outputs, how far the weights may be off from each, and what nothing is known of, and why

The program is run many times, each time disturbed as the weights disturb it (copies.py): what a prediction's copies
differ by is its bound. Where the stream may be rotated, which disturbs what no example has reached, too, a bound is at
least the report's predicted error. What a value beyond its domain may have spoilt has none, which is an infinite one
(spoilt.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.claims import Report
from innerloop.artifact.precisions import UNIT
from innerloop.artifact.tokens import TokenData

from ..interpreter.chunks import together
from ..interpreter.oracle import evaluate
from ..ir.build import graph_of
from .copies import COPIES, Copies
from .plan import Plan
from .spoilt import Beyond

SPREAD = 2.0
"""Root mean squares of the copies that a bound is at least, lest they all be lucky."""
FLIPPED = 2.0
"""So many times the copies' largest difference, where they decide differently: not every set of decisions is tried."""
STORED = 4.0
"""Units of the largest of a task's outputs that reading them costs."""


@dataclass(frozen=True)
class Bounded:
    """What the program gives [tasks, rows, *shape], and how far the weights may be off: infinite where nothing is
    known. `beyond`: why, the first task of each value."""

    exact: Floats
    bound: Floats
    beyond: tuple[Beyond, ...]


def bounded(plan: Plan, report: Report, data: TokenData, told: Callable[[int, int], None] | None = None) -> Bounded:
    """The bound of every output on these tasks, of weights with this report; `told(done, in all)` after each part."""
    signature = plan.graph.signature
    least = _least(plan, report)
    program = graph_of(signature.text, signature.parameters, signature.source)
    step = max(1, together(plan.graph, data) // COPIES)
    parts: list[tuple[Floats, Floats]] = []
    beyond: dict[str, Beyond] = {}
    for start in range(0, data.batch, step):
        part = _part_of(data, slice(start, start + step))
        with np.errstate(all="ignore"):
            exact, bound, out = _bounded(plan, part)
            truth = evaluate(program, part)
            bound = np.maximum(bound + np.abs(exact - truth), least)
        parts.append((truth, np.where(np.isfinite(bound), bound, np.inf)))
        for found in out:
            beyond.setdefault(found.what, replace(found, task=start + found.task))
        if told is not None:
            told(start + part.batch, data.batch)
    exact, bound = (np.concatenate(side) for side in zip(*parts, strict=True))
    return Bounded(exact, bound, tuple(beyond.values()))


def _least(plan: Plan, report: Report) -> Floats:
    """What each of the outputs' numbers may be off by, whatever the data [*shape]."""
    output = plan.graph.output
    least = np.zeros(prod(output.shape))
    if plan.certificate.rotation:
        for columns, error in zip(output.columns, report.each, strict=True):
            least[columns] = error.predicted_error
    return least.reshape(output.shape)


def _bounded(plan: Plan, data: TokenData) -> tuple[Floats, Floats, list[Beyond]]:
    """What the plan's graph gives, its bound, and what was beyond its domain where there is none."""
    copies = Copies(plan, data)
    exact, change, unknown = copies.outputs()
    tasks = (-1, *[1] * (exact.ndim - 1))
    most = change.max(0) * np.where(copies.agree.all(0), 1.0, FLIPPED).reshape(tasks)
    bound = np.maximum(most, SPREAD * np.sqrt(np.mean(change**2, axis=0)))
    output, whole = plan.graph.output, exact.reshape(*exact.shape[:2], -1)
    largest = np.empty_like(whole)
    """Of the output that each number is of, in its task."""
    for columns in output.columns:
        largest[..., columns] = np.abs(whole[..., columns]).max((1, 2), initial=0.0)[:, None, None]
    bound = np.where(unknown, np.inf, bound + STORED * UNIT[plan.dtype] * largest.reshape(exact.shape))
    some = np.asarray(unknown.reshape(data.batch, -1).max(1, initial=False))
    return exact, bound, list(copies.spoilt.told(some))


def _part_of(data: TokenData, tasks: slice) -> TokenData:
    fields = {name: array[tasks] for name, array in data.fields.items()}
    return TokenData(data.sequence, len(range(*tasks.indices(data.batch))), fields, data.batched)
