"""A candidate's real parameters, from the model's answers.

    min over θ  Σ (program(θ) − model)²     over tasks and prefixes, by Levenberg and Marquardt (scipy), slopes exact

from several starts; of a family with a count, each number of steps also begins where the one before it ended. Where a
model is near a program and not it, squares have heavy tails: a step that diverges on one large input is followed by no
transformer, and a few such tasks would decide on rate and steps. So the fit goes on from there by Cauchy's loss
log (1 + (r / s)²), s the typical residual at each prefix (Holland and Welsch 1977). What is left is measured on others:

    unexplained   E (model − program)² / E (model − t)²     t the best predictor that ignores the examples' inputs
    core          the same on the 95 % of the tasks on which the program is nearest
    typical       the geometric mean over prefixes of (median |model − program| / 0.6745)² / E (model − t)²

Intervals are bootstraps over tasks (Efron 1979): of θ by one step of Gauss and Newton for each draw, which is exact for
what is linear, and close where the interval is small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

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
"""Of the tasks: those that `core` is of."""
EXACT = 1e-6
"""What leaves less is not polished: its residuals are rounding."""
EQUAL = 1e-10
"""Nor of what leaves so little."""
ROUNDS, PATIENCE = 4, 12
HOPELESS = 0.5
"""What typically leaves more is not polished."""
NEAR = 0.05
"""Other counts of what typically leaves more are not looked for."""


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
    one; `shift` [draws, θ], what a redrawn set of tasks moves θ by."""

    candidate: Candidate
    counts: Counts
    theta: Floats
    answers: Floats
    left: float
    typical: float
    shift: Floats

    @property
    def values(self) -> dict[str, Floats]:
        return {name: np.asarray(v) for name, v in self.candidate.values(self.theta).items()}

    def intervals(self) -> dict[str, tuple[Floats, Floats]]:
        """Of each real parameter, component by component."""
        if not self.theta.size:
            return {}
        drawn = [self.candidate.values(self.theta + shift) for shift in self.shift]
        ends = (50 * (1 - SHARE), 50 * (1 + SHARE))
        return {
            name: _ends(np.percentile([d[name] for d in drawn], ends, axis=0)) for name in self.candidate.family.reals
        }

    @property
    def label(self) -> str:
        steps = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        return self.candidate.name + (f" ({steps})" if steps else "")

    @property
    def full(self) -> str:
        """The label, and what was changed in a text that the search found: several have one name."""
        return ", ".join(filter(None, (self.label, self.candidate.family.note)))


def _ends(both: Floats) -> tuple[Floats, Floats]:
    return both[0], both[1]


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
    a, b = ((model - answers) ** 2).mean(1), ((model - base) ** 2).mean(1)
    drawn = np.random.default_rng(seed).integers(len(a), size=(DRAWS, len(a)))
    ratios = a[drawn].mean(1) / np.maximum(1e-300, b[drawn].mean(1))
    low, high = np.percentile(ratios, (50 * (1 - SHARE), 50 * (1 + SHARE)))
    return float(low), float(high)


def fit(candidate: Candidate, seen: Tasks, held: Tasks) -> list[Fitted]:
    """One for each value of its counts, and for those between them near the best; `seen` are the tasks of the fit,
    `held` those of the figures."""
    base = trivial(held)
    found: list[Fitted] = []
    for counts in _counts(candidate.family.whole):
        starts = candidate.starts() + [f.theta for f in found[-1:]]
        found.append(fit_from(candidate, counts, starts, seen, held, base))
    while more := _between(found):
        found += [fit_from(candidate, counts, starts, seen, held, base) for counts, starts in more]
    return found


def _between(found: list[Fitted]) -> list[tuple[Counts, list[Floats]]]:
    """Counts halfway from the best that was tried to those beside it, where that explains most, and θ to begin with."""
    if len(found) < 2 or len(found[0].counts) != 1:
        return []
    tried = sorted(found, key=lambda f: tuple(f.counts.values()))
    ((name, *_),) = {tuple(f.counts) for f in tried}
    at = min(range(len(tried)), key=lambda k: tried[k].typical)
    if tried[at].typical > NEAR or tried[at].left <= EQUAL:
        return []
    pairs = [(tried[k], tried[k + 1]) for k in (at - 1, at) if 0 <= k < len(tried) - 1]
    return [
        ({name: (a.counts[name] + b.counts[name]) // 2}, [tried[at].theta, a.theta, b.theta])
        for a, b in pairs
        if b.counts[name] - a.counts[name] > 1
    ]


def fit_from(
    candidate: Candidate, counts: Counts, starts: list[Floats], seen: Tasks, held: Tasks, base: Floats
) -> Fitted:  # fmt: skip
    """The best of all starts, polished; `base` is the trivial predictor's on `held`."""
    theta = best(candidate, counts, seen, starts)
    answers = candidate.answers(theta, counts, held.x, held.labels)
    far = typical(held.model, answers, base) > HOPELESS
    if candidate.reals and not far and unexplained(held.model, answers, base) > EXACT:
        theta = polished(candidate, counts, seen, theta)
        answers = candidate.answers(theta, counts, held.x, held.labels)
    left, common = unexplained(held.model, answers, base), typical(held.model, answers, base)
    shift = _shifts(candidate, counts, theta, seen, left > EXACT)
    return Fitted(candidate, counts, theta, answers, left, common, shift)


def _counts(whole: Mapping[str, tuple[int, ...]]) -> Iterator[Counts]:
    for values in product(*whole.values()):
        yield dict(zip(whole, values, strict=True))


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


def _shifts(
    candidate: Candidate, counts: Counts, theta: Floats, tasks: Tasks, robust: bool, seed: int = 0
) -> Floats:  # fmt: skip
    """What redrawn tasks move θ by, [draws, θ]: one step of Gauss and Newton from where it is; if `robust`, residuals
    with the weights that Cauchy's loss gives them."""
    if not candidate.reals:
        return np.zeros((DRAWS, 0))
    answers, slopes = candidate.run(theta, counts, tasks.x, tasks.labels)
    residual = answers - tasks.model
    weights, bends = np.ones_like(residual), np.ones(residual.shape[1])
    if robust:  # ψ(r) = weight · r, and the mean of ψ′, by which the sum of ψ falls
        square = (residual / np.maximum(scales(residual), 1e-12)) ** 2
        weights = 1 / np.maximum(scales(residual), 1e-12) ** 2 / (1 + square)
        bends = np.maximum((weights * (1 - square) / (1 + square)).mean(0), 0.05 * weights.mean(0))
    squares = np.einsum("p,tpi,tpj->tij", bends, slopes, slopes)
    moments = np.einsum("tp,tpi,tp->ti", weights, slopes, residual)
    drawn = np.random.default_rng(seed).multinomial(len(residual), np.full(len(residual), 1 / len(residual)), DRAWS)
    total = np.einsum("bt,tij->bij", drawn, squares)
    ridge = 1e-12 * np.trace(total, axis1=1, axis2=2)[:, None, None] * np.eye(candidate.reals)
    return -np.linalg.solve(total + ridge + 1e-300 * np.eye(candidate.reals), (drawn @ moments)[..., None])[..., 0]
