"""A family's fits at every number of steps that is worth a try.

    1, 2 … 8, 12, 20   →   40, 80 … 160     doubled while the longest is the best, and better by a tenth
                       →   between the best and those beside it, by halves, while they differ by a tenth

so that no program is said to take as many steps as happened to be the most that were tried. What is the best at the
end, is not exact, and has nothing longer beside it, is an *edge*: its count is a lower bound (fit.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from innerloop.artifact.arrays import Floats

from .candidate import Candidate, Counts
from .families import Family
from .fit import DRAWS, EQUAL, EXACT, Fitted, Tasks, best, polished, trivial, typical, unexplained
from .intervals import MOST as STEPS
from .intervals import settled

HOPELESS = 0.5
"""What typically leaves more is not polished."""
NEAR = 0.05
"""Counts between those of the grid, of what typically leaves more, are not looked for."""
MOST = 160
"""No count that is tried is larger, unless the family asks for it."""
GAIN = 0.9
"""A count is doubled if it leaves so many times what the one before it leaves, or less; three beside each other of
which the best leaves more than so many times what the worst does are the same."""

More = list[tuple[Counts, list[Floats]]]
"""Counts to try, each with θ to begin with."""


def fit(candidate: Candidate, seen: Tasks, held: Tasks) -> list[Fitted]:
    """One for each value of its counts, and for those beyond and between them; `seen` are the tasks of the fit, `held`
    those of the figures."""
    return refined(plain(candidate, seen, held, grid(candidate.family)), seen, held)


def grid(family: Family) -> list[Counts]:
    """The counts that are tried first."""
    return [dict(zip(family.whole, values, strict=True)) for values in product(*family.whole.values())]


def plain(
    candidate: Candidate, seen: Tasks, held: Tasks, counts: Sequence[Counts], known: Sequence[Fitted] = ()
) -> list[Fitted]:  # fmt: skip
    """By squares alone, without intervals, and of those counts that the family takes and that are not `known`."""
    base = trivial(held)
    family, found = candidate.family, list(known)
    for of in counts:
        new = of.keys() == family.whole.keys() and of not in [f.counts for f in found]
        if new and (of in grid(family) or family.takes(of)):
            starts = candidate.starts() + [f.theta for f in found[-1:]]
            found.append(_plain(candidate, of, starts, seen, held, base))
    return found[len(known) :]


def refined(found: Sequence[Fitted], seen: Tasks, held: Tasks) -> list[Fitted]:
    """The fits of a family by Cauchy's loss, with intervals, and those of counts beyond and between theirs. Beside the
    program itself others are left as they are."""
    base = trivial(held)
    itself = min(f.left for f in found) <= EQUAL
    fits = [f if itself and f.left > EXACT else _refined(f, seen, held, base) for f in found]
    while more := _beyond(fits) or _between(fits):
        fits += [fit_from(fits[0].candidate, counts, starts, seen, held, base) for counts, starts in more]
    longest = max((tuple(f.counts.values()) for f in fits), default=())
    return [replace(f, exceeded=tuple(f.counts.values()) != longest) for f in fits]


def fit_from(
    candidate: Candidate, counts: Counts, starts: list[Floats], seen: Tasks, held: Tasks, base: Floats
) -> Fitted:  # fmt: skip
    """The best of all starts, refined; `base` is the trivial predictor's on `held`."""
    return _refined(_plain(candidate, counts, starts, seen, held, base), seen, held, base)


def _plain(
    candidate: Candidate, counts: Counts, starts: list[Floats], seen: Tasks, held: Tasks, base: Floats
) -> Fitted:  # fmt: skip
    theta = best(candidate, counts, seen, starts)
    return _measured(candidate, counts, theta, np.full((DRAWS, candidate.reals), np.nan), held, base)


def _refined(fitted: Fitted, seen: Tasks, held: Tasks, base: Floats) -> Fitted:
    candidate, counts, theta = fitted.candidate, fitted.counts, fitted.theta
    far = fitted.typical > HOPELESS
    robust = candidate.reals > 0 and not far and fitted.left > EXACT
    if robust:
        theta = polished(candidate, counts, seen, theta)
    theta, shift = settled(candidate, counts, theta, seen, robust, 0 if far else STEPS)
    return _measured(candidate, counts, theta, shift, held, base)


def _measured(
    candidate: Candidate, counts: Counts, theta: Floats, shift: Floats, held: Tasks, base: Floats
) -> Fitted:  # fmt: skip
    answers = candidate.answers(theta, counts, held.x, held.labels)
    left, common = unexplained(held.model, answers, base), typical(held.model, answers, base)
    return Fitted(candidate, counts, theta, answers, left, common, shift)


def _beyond(found: list[Fitted]) -> More:
    """Twice the largest count, where that is the best so far."""
    if len(found) < 2 or len(found[0].counts) != 1:
        return []
    *_, before, last = _in_order(found)
    ((name, count),) = last.counts.items()
    nearer = last.typical < GAIN * before.typical and last.typical <= min(f.typical for f in found)
    candidate, more = last.candidate, {name: min(2 * count, MOST)}
    if not nearer or last.typical > HOPELESS or last.left <= EQUAL or more[name] <= count:
        return []
    return [(more, [*candidate.starts(), last.theta])] if candidate.family.takes(more) else []


def _between(found: list[Fitted]) -> More:
    """Counts halfway from the best that was tried to those beside it, where that explains most."""
    if len(found) < 2 or len(found[0].counts) != 1:
        return []
    tried = _in_order(found)
    at = min(range(len(tried)), key=lambda k: tried[k].typical)
    if tried[at].typical > NEAR or tried[at].left <= EQUAL:
        return []
    beside = tried[max(0, min(at - 1, len(tried) - 3)) :][:3]
    if len(beside) == 3 and tried[at].typical > GAIN * max(f.typical for f in beside):
        return []  # were a count between them the model's, one beside the best would be further from it
    (name,) = tried[at].counts
    pairs = [(tried[k], tried[k + 1]) for k in (at - 1, at) if 0 <= k < len(tried) - 1]
    return [
        ({name: (a.counts[name] + b.counts[name]) // 2}, [*a.candidate.starts(), tried[at].theta, a.theta, b.theta])
        for a, b in pairs
        if b.counts[name] - a.counts[name] > 1
    ]


def _in_order(found: list[Fitted]) -> list[Fitted]:
    return sorted(found, key=lambda f: tuple(f.counts.values()))
