"""What speaks for a fit and against it, on tasks that it has not seen: numbers, each with an interval over tasks.

    slopes      ∂ŷ/∂x of the query and ∂ŷ/∂y of the labels, of model and program: cosine; of a sequence ∂ŷ/∂x of the
                last state and of those before it
    weights     w = argmin Σ (ŷ(x_q) − w · x_q)² over fresh queries, of both: 1 − ‖w − w′‖² / ‖w‖²
    shifted     the unexplained share off the distribution, where the program was fitted nowhere
    prefixes    the parameter fitted at each number of examples by itself: one number, or a way of speaking

The model is asked, and never looked into: slopes are central differences of its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.laboratory.drawing import changed, shifts
from innerloop.laboratory.measures.distance import implicit_weights
from innerloop.laboratory.measures.sensitivity import alignment
from innerloop.laboratory.training.tasks import TaskDistribution

from .behaviour import Behaviour, prompts
from .fit import DRAWS, SHARE, Fitted, Tasks, best, trivial, unexplained

STEP = 0.05
"""Of a central difference: answers are of float32, and programs nearly polynomials."""

Answers = Callable[[Floats, Floats], Floats]
"""x [tasks, n + 1, d], y [tasks, n] → the answers [tasks, size] to the last x, one number of a regression."""


@dataclass(frozen=True)
class Measured:
    """A number and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Evidence:
    """`by_prefix`: unexplained [prefixes]; `median`: of the tasks' own unexplained shares. `shifted`: what → share.
    `parameters`: of each real number that is a scalar, fitted at each prefix alone."""

    by_prefix: Floats
    median: float
    query_slopes: Measured
    label_slopes: Measured
    weights: Measured | None
    shifted: Mapping[str, float]
    parameters: Mapping[str, Floats]


def gather(
    model: Behaviour, fitted: Fitted, seen: Tasks, held: Tasks, of: TaskDistribution, seed: int, count: int
) -> Evidence:
    """All of it, of a fit; `of` is the task, shifted for `count` tasks. Slopes and weights are of half as many."""
    base = trivial(held)
    squares = (held.model - fitted.answers) ** 2
    unit = np.maximum(held.by_prefix((held.model - base) ** 2), 1e-300)
    some = slice(0, count // 2)
    x, y = held.x[some], held.labels[some]
    pair = [_asked(model, held.prefixes), _answered(fitted)]
    queries, labels = zip(*(slopes(answers, x, y) for answers in pair), strict=True)
    return Evidence(
        by_prefix=held.by_prefix(squares) / unit,
        median=float(np.median(squares.mean(1) / np.maximum(((held.model - base) ** 2).mean(1), 1e-300))),
        query_slopes=_mean(_cosines(*queries)),
        label_slopes=_mean(_cosines(*labels)),
        weights=None if of.sequence else _weights(pair, x, y),
        shifted={what: _off(model, fitted, held.prefixes, other, count, seed) for what, other in _shifts(of).items()},
        parameters=_by_prefix(fitted, seen),
    )


def slopes(answers: Answers, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """∂ŷ/∂x_query [tasks, d] and ∂ŷ/∂y [tasks, n], by central differences; of a sequence, whose y [tasks, n, d] are its
    states again, ∂ŷ/∂x of the last state and of those before it, all components in a row."""

    def along(place: tuple[int, ...], labels: bool) -> Floats:
        changes = np.zeros(x.shape[1:]), np.zeros(y.shape[1:])
        changes[labels][place] = STEP
        ends = [answers(x + s * changes[0], y + s * changes[1]) for s in (1, -1)]
        return np.asarray((ends[0] - ends[1]) / (2 * STEP))

    sequence, (rows, d) = y.ndim == 3, x.shape[1:]
    of_query = [along((rows - 1, k), False) for k in range(d)]
    axes = (rows - 1, d) if sequence else (rows - 1,)
    of_labels = [along(place, not sequence) for place in np.ndindex(axes)]
    return np.concatenate(of_query, 1), np.concatenate(of_labels, 1)


def _cosines(own: Floats, others: Floats) -> Floats:
    """Task by task; 1 where neither has a slope, as of what is constant between steps."""
    flat = ~(own.any(1) | others.any(1))
    return np.where(flat, 1.0, alignment(own, others).cosine)


def _weights(pair: list[Answers], x: Floats, y: Floats) -> Measured:
    inside = [
        implicit_weights(lambda f, a=a: a(f["x"], f["y"])[:, None, 0], {"x": x, "y": y}, queries=4 * x.shape[2])  # type: ignore[misc]
        for a in pair
    ]
    explained = ((inside[0] - inside[1]) ** 2).reshape(len(x), -1).sum(1)
    return ratio(explained, (inside[0] ** 2).reshape(len(x), -1).sum(1))


def _asked(model: Behaviour, prefixes: tuple[int, ...]) -> Answers:
    return lambda x, y: model.ask(x, y, prefixes[-1:])


def _answered(fitted: Fitted) -> Answers:
    def last(x: Floats, y: Floats) -> Floats:
        found = fitted.candidate.answers(fitted.theta, fitted.counts, x, y)
        return found[:, -(found.shape[1] // len(fitted.candidate.prefixes)) :]

    return last


def _mean(numbers: Floats, seed: int = 0) -> Measured:
    return ratio(1.0 - numbers, np.ones_like(numbers), seed)


def ratio(left: Floats, whole: Floats, seed: int = 0) -> Measured:
    """1 − Σ left / Σ whole."""
    drawn = np.random.default_rng(seed).integers(len(left), size=(DRAWS, len(left)))
    found = 1.0 - left[drawn].sum(1) / np.maximum(whole[drawn].sum(1), 1e-300)
    low, high = np.percentile(found, (50 * (1 - SHARE), 50 * (1 + SHARE)))
    return Measured(float(1.0 - left.sum() / max(whole.sum(), 1e-300)), float(low), float(high))


def _shifts(of: TaskDistribution) -> dict[str, TaskDistribution]:
    """What the laboratory shifts, but for the value that the task has: the nearest below and above."""
    found = {}
    for what, (values, now) in shifts(of).items():
        below, above = [v for v in values if v < now], [v for v in values if v > now]
        for value in (*below[-1:], *above[:1]):
            found[f"{what} {value:g}"] = changed(of, what, value)
    return found


def _off(
    model: Behaviour, fitted: Fitted, prefixes: tuple[int, ...], of: TaskDistribution, count: int, seed: int
) -> float:
    x, y = prompts(of, count, seed)
    tasks = Tasks(x, y, model.ask(x, y[:, :-1], prefixes), prefixes)
    answers = fitted.candidate.answers(fitted.theta, fitted.counts, x, tasks.labels)
    return unexplained(tasks.model, answers, trivial(tasks))


def _by_prefix(fitted: Fitted, seen: Tasks) -> dict[str, Floats]:
    """Of a family of few numbers, each fitted again at every prefix."""
    scalars = [name for name, shape in fitted.candidate.shapes.items() if shape == ()]
    if len(seen.prefixes) == 1 or fitted.candidate.reals != len(scalars) or not scalars:
        return {}
    found: list[dict[str, Floats]] = []
    for row in np.eye(len(seen.prefixes)):
        weights = np.repeat(row, seen.model.shape[1] // len(row))
        theta = best(fitted.candidate, fitted.counts, seen, [fitted.theta], weights)
        found.append({n: np.asarray(v) for n, v in fitted.candidate.values(theta).items()})
    return {name: np.array([float(values[name]) for values in found]) for name in scalars}
