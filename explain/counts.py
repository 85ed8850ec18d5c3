"""A family's fits at every number of steps that is worth a try.

    1, 2 … 8, 12, 20   →   40, 80 … 160     doubled while the longest is the best, and better by a tenth
                       →   between the best and those beside it, by halves, while they differ by a tenth

so that no program is said to take as many steps as happened to be the most that were tried. What is the best at the
end, is not exact, and has nothing longer beside it, is an *edge*: its count is a lower bound (fit.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product

from innerloop.artifact.arrays import Floats

from .candidate import Candidate, Counts
from .fit import EQUAL, EXACT, Fitted, Tasks, best, polished, trivial, typical, unexplained
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
    base = trivial(held)
    found: list[Fitted] = []
    for counts in _counts(candidate.family.whole):
        starts = candidate.starts() + [f.theta for f in found[-1:]]
        found.append(fit_from(candidate, counts, starts, seen, held, base))
    while more := _beyond(candidate, found) or _between(found):
        found += [fit_from(candidate, counts, starts, seen, held, base) for counts, starts in more]
    longest = max((tuple(f.counts.values()) for f in found), default=())
    return [replace(f, exceeded=tuple(f.counts.values()) != longest) for f in found]


def fit_from(
    candidate: Candidate, counts: Counts, starts: list[Floats], seen: Tasks, held: Tasks, base: Floats
) -> Fitted:  # fmt: skip
    """The best of all starts, polished; `base` is the trivial predictor's on `held`."""
    theta = best(candidate, counts, seen, starts)
    answers = candidate.answers(theta, counts, held.x, held.labels)
    far = typical(held.model, answers, base) > HOPELESS
    robust = candidate.reals > 0 and not far and unexplained(held.model, answers, base) > EXACT
    if robust:
        theta = polished(candidate, counts, seen, theta)
    theta, shift = settled(candidate, counts, theta, seen, robust, 0 if far else STEPS)
    answers = candidate.answers(theta, counts, held.x, held.labels)
    left, common = unexplained(held.model, answers, base), typical(held.model, answers, base)
    return Fitted(candidate, counts, theta, answers, left, common, shift)


def _counts(whole: Mapping[str, tuple[int, ...]]) -> Iterator[Counts]:
    for values in product(*whole.values()):
        yield dict(zip(whole, values, strict=True))


def _beyond(candidate: Candidate, found: list[Fitted]) -> More:
    """Twice the largest count, where that is the best so far."""
    if len(found) < 2 or len(found[0].counts) != 1:
        return []
    *_, before, last = _in_order(found)
    ((name, count),) = last.counts.items()
    nearer = last.typical < GAIN * before.typical and last.typical <= min(f.typical for f in found)
    more = {name: min(2 * count, MOST)}
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
        ({name: (a.counts[name] + b.counts[name]) // 2}, [tried[at].theta, a.theta, b.theta])
        for a, b in pairs
        if b.counts[name] - a.counts[name] > 1
    ]


def _in_order(found: list[Fitted]) -> list[Fitted]:
    return sorted(found, key=lambda f: tuple(f.counts.values()))
