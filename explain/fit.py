"""A candidate's real parameters, from the model's answers.

    min over θ  Σ (program(θ) − model)²     over tasks and prefixes, by Levenberg and Marquardt (scipy), slopes exact

from several starts; of a family with a count, each number of steps also begins where another ended (counts.py). Where a
model is near a program and not it, squares have heavy tails: a step that diverges on one large input is followed by no
transformer, and a few such tasks would decide on rate and steps. So the fit goes on from there by Cauchy's loss
log (1 + (r / s)²), s the typical residual at each prefix (Holland and Welsch 1977). What is left is measured on others:

    unexplained   E (model − program)² / E (model − t)²     t the best predictor that ignores the examples' inputs
    core          the same on the 95 % of the tasks on which the program is nearest
    central       the same on the 95 % of the answers, at each prefix, at which it is: a step that diverges after one
                  example costs a task its first answer, and not the others
    typical       the geometric mean over prefixes of (median |model − program| / 0.6745)² / E (model − t)²

Intervals are bootstraps over tasks (Efron 1979): of θ by one step of Gauss and Newton for each draw, which is exact for
what is linear, and close where the interval is small. So the fit ends by such steps on all tasks, for as long as its
interval does not hold it (intervals.py); where it runs on for ever, as λ of least squares does to 0, it has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats
from scipy.optimize import least_squares

from .candidate import Candidate, Counts

EVALUATIONS, FIRST = 60, 12
"""The most of a fit, and from each start before the best goes on."""
DRAWS = 200
SHARE = 0.95
"""Of an interval."""
LEAST = 1e-12
"""The least share that counts as left: answers are of float32, and one exact prefix alone decides nothing."""
CORE = 0.95
"""Of the tasks: those that `core` is of; and of the answers at each prefix."""
EXACT = 1e-8
"""What leaves less is not polished, and what is longer or rarer not tried: its residuals are rounding."""
EQUAL = 1e-10
"""What leaves so little is the program itself: no other count is looked for."""
ROUNDS, PATIENCE = 4, 12
CLOSE = 1e-7
"""A step of θ, or of its logarithm, that is rounding."""


@dataclass(frozen=True)
class Tasks:
    """x [tasks, n + 1, d], y [tasks, n + 1] with the query's label, and the model's answers [tasks, prefixes]; of
    sequences y [tasks, n + 1, d], and an answer for each component (behaviour.py)."""

    x: Floats
    y: Floats
    model: Floats
    prefixes: tuple[int, ...]

    @property
    def labels(self) -> Floats:
        """What tokens hold: y [tasks, n]."""
        return self.y[:, :-1]

    @property
    def truth(self) -> Floats:
        """The labels of what is asked, [tasks, prefixes]."""
        return self.y[:, list(self.prefixes)].reshape(len(self.y), -1)

    def by_prefix(self, squares: Floats) -> Floats:
        """Means over tasks, and of a sequence over components: [tasks, prefixes] → [prefixes]."""
        return np.asarray(squares.reshape(len(squares), len(self.prefixes), -1).mean((0, 2)))


@dataclass(frozen=True)
class Fitted:
    """`answers` [tasks, prefixes] on the held-out tasks; `left` the unexplained share there, and `typical` the typical
    one; `shift` [draws, θ], what a redrawn set of tasks moves θ by, not a number where θ hardly moves the answers.
    `exceeded`: whether larger counts were tried too."""

    candidate: Candidate
    counts: Counts
    theta: Floats
    answers: Floats
    left: float
    typical: float
    shift: Floats
    exceeded: bool = False

    @property
    def edge(self) -> bool:
        """Whether a larger count might be nearer, and none was tried: then the count is a lower bound."""
        if len(self.counts) != 1 or self.exceeded or self.left <= EQUAL:
            return False
        ((name, count),) = self.counts.items()
        tried = self.candidate.family.whole.get(name, ())
        return len(tried) > 1 and count >= max(tried)

    @property
    def values(self) -> dict[str, Floats]:
        return {name: np.asarray(v) for name, v in self.candidate.values(self.theta).items()}

    def intervals(self) -> dict[str, tuple[Floats, Floats]]:
        """Of each real parameter that these tasks determine, component by component: what is fitted to a count that is
        a lower bound has none, nor has what the fit did not settle at."""
        if not self.theta.size or self.edge:
            return {}
        low, high = (self.candidate.values(end) for end in ends(self.theta, self.shift))
        names = [name for name in self.candidate.family.reals if np.isfinite([low[name], high[name]]).all()]
        return {name: (np.asarray(low[name]), np.asarray(high[name])) for name in names}

    @property
    def label(self) -> str:
        steps = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        return self.candidate.name + (f" ({steps})" if steps else "")

    @property
    def full(self) -> str:
        """The label, and what was changed in a text that the search found: several have one name."""
        return ", ".join(filter(None, (self.label, self.candidate.family.note)))


def ends(theta: Floats, shift: Floats) -> tuple[Floats, Floats]:
    """Of θ's interval, not a number where that does not hold θ."""
    low, high = np.percentile(shift, (50 * (1 - SHARE), 50 * (1 + SHARE)), axis=0)
    slack = CLOSE * np.maximum(1.0, np.abs(theta))
    holds = (low <= slack) & (high >= -slack)
    return (
        np.where(holds, theta + np.minimum(low, 0.0), np.nan),
        np.where(holds, theta + np.maximum(high, 0.0), np.nan),
    )


def trivial(tasks: Tasks) -> Floats:
    """The best of three predictors that learn no relation from the examples: 0, c times the mean label, a fixed affine
    function of the query. [tasks, prefixes]"""
    rows = np.array(tasks.prefixes)
    means = np.stack([tasks.y[:, :k].mean(1) for k in rows], 1).reshape(tasks.model.shape)
    columns = [np.zeros_like(tasks.model)]
    scale = (means * tasks.model).sum() / max(1e-300, float((means**2).sum()))
    columns.append(scale * means)
    query = tasks.x[:, rows].reshape(-1, tasks.x.shape[2])
    design = np.concatenate([query, np.ones((len(query), 1))], 1)
    answers = tasks.model.reshape(len(query), -1)
    fitted = design @ np.linalg.lstsq(design, answers, rcond=None)[0]
    columns.append(fitted.reshape(tasks.model.shape))
    return min(columns, key=lambda t: float(((tasks.model - t) ** 2).sum()))


def unexplained(model: Floats, answers: Floats, base: Floats) -> float:
    return float(((model - answers) ** 2).mean() / max(1e-300, float(((model - base) ** 2).mean())))


def scales(residual: Floats) -> Floats:
    """The deviation [prefixes] of what would be normal with that median |residual| [tasks, prefixes]."""
    return np.asarray(np.median(np.abs(residual), 0) / 0.6745)


def typical(model: Floats, answers: Floats, base: Floats) -> float:
    """See above: what single tasks do not decide."""
    unit = np.maximum(((model - base) ** 2).mean(0), 1e-300)
    return float(np.exp(np.log(scales(model - answers) ** 2 / unit + LEAST).mean()))


def core(model: Floats, answers: Floats, base: Floats) -> tuple[float, tuple[float, float]]:
    """`unexplained` without the tasks on which the program is furthest off, and its interval."""
    squares = ((model - answers) ** 2).mean(1)
    kept = np.argsort(squares, kind="stable")[: max(1, round(CORE * len(squares)))]
    some = model[kept], answers[kept], base[kept]
    return unexplained(*some), bootstrap(*some)


def bootstrap(model: Floats, answers: Floats, base: Floats, seed: int = 0) -> tuple[float, float]:
    """The interval of `unexplained`, over tasks."""
    return _interval(((model - answers) ** 2).mean(1), ((model - base) ** 2).mean(1), seed)


def central(model: Floats, answers: Floats, base: Floats) -> tuple[float, tuple[float, float]]:
    """`unexplained` without the answers at each prefix at which the program is furthest off, and its interval."""
    squares = (model - answers) ** 2
    kept = squares <= np.quantile(squares, CORE, axis=0)
    left, spread = (squares * kept).sum(1), ((model - base) ** 2 * kept).sum(1)
    return float(left.sum() / max(1e-300, float(spread.sum()))), _interval(left, spread)


def _interval(a: Floats, b: Floats, seed: int = 0) -> tuple[float, float]:
    """Of Σ a / Σ b, over tasks, [tasks] each."""
    drawn = np.random.default_rng(seed).integers(len(a), size=(DRAWS, len(a)))
    ratios = a[drawn].mean(1) / np.maximum(1e-300, b[drawn].mean(1))
    low, high = np.percentile(ratios, (50 * (1 - SHARE), 50 * (1 + SHARE)))
    return float(low), float(high)


def best(
    candidate: Candidate, counts: Counts, tasks: Tasks, starts: list[Floats], rows: Floats | None = None
) -> Floats:
    """θ of the least error of all starts; `rows` [prefixes] weighs the prefixes."""
    if not candidate.reals:
        return np.zeros(0)
    run = _remembered(candidate, counts, tasks, np.ones(tasks.model.shape[1]) if rows is None else rows)
    theta = starts[0]
    if len(starts) > 1:
        theta = min((_least(run, start, "linear", 1e-3, FIRST) for start in starts), key=lambda end: end[0])[1]
    return _least(run, theta, "linear", 1e-12, EVALUATIONS)[1]


def polished(candidate: Candidate, counts: Counts, tasks: Tasks, theta: Floats) -> Floats:
    """θ of the least Cauchy loss near `theta`, the typical residual of each prefix taken anew in each round."""
    for _ in range(ROUNDS):
        residual = candidate.answers(theta, counts, tasks.x, tasks.labels) - tasks.model
        run = _remembered(candidate, counts, tasks, 1 / np.maximum(scales(residual), 1e-12))
        before, theta = theta, _least(run, theta, "cauchy", 1e-6, PATIENCE)[1]
        if np.allclose(before, theta, rtol=1e-5, atol=1e-8):
            break
    return theta


Run = Callable[[Floats], tuple[Floats, Floats]]
"""θ → weighted residuals, and their slopes, both flat over tasks and prefixes."""


def _remembered(candidate: Candidate, counts: Counts, tasks: Tasks, weight: Floats) -> Run:
    """`weight` [prefixes] times the residuals; both are computed at once and asked for one by one."""
    known: dict[bytes, tuple[Floats, Floats]] = {}

    def run(theta: Floats) -> tuple[Floats, Floats]:
        key = theta.tobytes()
        if key not in known:
            known.clear()
            answers, slopes = candidate.run(theta, counts, tasks.x, tasks.labels)
            residual = weight * (answers - tasks.model)
            known[key] = residual.ravel(), (weight[:, None] * slopes).reshape(residual.size, -1)
        return known[key]

    return run


def _least(run: Run, start: Floats, loss: str, close: float, most: int) -> tuple[float, Floats]:
    with np.errstate(all="ignore"):  # of slopes that are all 0, or of a rate that diverges
        found = least_squares(
            lambda t: run(t)[0],
            start,
            jac=lambda t: run(t)[1],  # pyright: ignore[reportArgumentType]
            method="trf",
            loss=loss,
            x_scale="jac",
            xtol=close,
            ftol=close,
            gtol=1e-14,
            max_nfev=most,
        )
    return float(found.cost), np.asarray(found.x)
