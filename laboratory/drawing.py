"""The tasks of a comparison: a task's stream as fields and targets, as they are and as they shift.

    Task, Weights   →   draw(seed, tasks, input_scale=2) → fields, targets [tasks, rows, *shape];  shifts(task)

A change that the task has no parameter for makes it the task that has one: of linear, noise makes noisy_linear and
power skewed_linear. Targets are NaN at rows of the output that have no truth in the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from innerloop.artifact.tokens import output_rows, sequence_of
from innerloop.artifact.weights import Weights

from .measures.distance import Fields, Floats
from .setting import Draw
from .training.settings import defaults
from .training.tasks import TaskDistribution, task

SCALES = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Factors of a parameter that scales something."""

LEVELS = {"noise": (0.0, 0.25, 0.5, 1.0), "power": (0.0, 0.5, 1.0, 2.0)}
"""Values of one that is 0 where there is nothing of it."""

RELATIVES = {"noise": "noisy_linear", "power": "skewed_linear"}
NORMAL = {"inputs": "normal", "input_scale": 1.0}
"""The inputs that skewed_linear has."""


def drawing(of: TaskDistribution, weights: Weights) -> Draw:
    """Fresh tasks for models of this architecture. Raises InnerloopError where they do not take the task's fields."""
    of.verify(weights)

    def draw(seed: int, tasks: int, **changes: float) -> tuple[Fields, Floats]:
        shifted = of
        for what, value in changes.items():
            shifted = changed(shifted, what, value)
        fields = shifted.drawn(tasks, seed, jit=False)  # every shift is a task of its own, drawn once
        line = sequence_of(weights.signature, {name: field.shape[1] for name, field in fields.items()})
        rows = output_rows(line, weights.output.kinds).size
        numbers, truths = shifted.compared(np.broadcast_to(np.arange(rows), (tasks, rows)), fields)
        targets = np.full((tasks, rows, *weights.output.shape), np.nan)
        targets[:, np.asarray(numbers[0])] = truths
        return fields, targets

    return draw


def input_size(weights: Weights) -> int | None:
    """The components of the model's first field of vectors, if there is one."""
    return next((field.shape[0] for field in weights.signature.fields if len(field.shape) == 1), None)


def shifts(of: TaskDistribution) -> dict[str, tuple[Sequence[float], float]]:
    """What of this task can shift: the values to try, and the task's own, which is among them."""
    found: dict[str, tuple[Sequence[float], float]] = {}
    for name in ("input_scale", "weight_scale", "start_scale"):
        if name in of.parameters:
            found[name] = tuple(of.parameters[name] * scale for scale in SCALES), float(of.parameters[name])
    for name, values in LEVELS.items():
        if _shiftable(of, name):
            usual = float(of.parameters.get(name, 0.0))
            found[name] = tuple(sorted({*values, usual})), usual
    return found


def _shiftable(of: TaskDistribution, what: str) -> bool:
    if what in of.parameters:
        return of.parameters.get("eigenvalues") is None or what != "power"
    known: Mapping[str, object] = {key: of.parameters.get(key) for key in NORMAL}
    return of.name in ("linear", "noisy_linear") and (what == "noise" or known == NORMAL)


def changed(of: TaskDistribution, what: str, value: float) -> TaskDistribution:
    """The task with one parameter different. Raises InnerloopError for one that it cannot have."""
    if what in of.parameters or not _shiftable(of, what):
        return task(of.name, rows=of.rows, **{**of.parameters, what: value})
    name = RELATIVES[what]
    kept = {key: number for key, number in of.parameters.items() if key in defaults(name)}
    return task(name, rows=of.rows, **{"noise": 0.0, **kept, what: value})
