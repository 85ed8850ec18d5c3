"""What an explanation comes to, in a sentence, and how much is claimed.

    said                      unexplained   margin
    runs P(θ)                 ≤ 0.001       ≥ 4        of all tasks, and its count no lower bound
    behaves as P(θ)           ≤ 0.03        ≥ 4
    cannot tell P from Q      ≤ 0.03        < 4 and no prompts decide, or they decide for Q
    no known program          > 0.03, or the model's answers hardly depend on its examples

The upper end of the interval is what counts: of all tasks, or, where that is too much, of the 95 % on which the program
is nearest, or of so many of the answers at each number of examples, which is then said. The programs that these data
cannot tell from the one that is named are named beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.laboratory.measures.nearest import EXACT, NEAR

from .choice import MARGIN
from .explain import HARDLY, Explanation
from .fit import Fitted
from .stream import ANSWER, Inside

RUNS, BEHAVES = EXACT, NEAR
NEARBY = 0.1
"""What leaves more is not said to be the nearest."""
ALL_BUT = 5e-5
"""Less than this is said as a number, and not as 100 %."""
CLASSES = 6
"""Families that are named beside the first, as not told from it."""
SMALLEST = 1e-12
"""A parameter that is less is said to be 0."""
FOLLOWS = 0.1
"""So near to 1 is a slope that is said to be the program's."""
REFUSED = 3
"""The exit status where no program is named."""


@dataclass(frozen=True)
class Verdict:
    """`kind`: runs, behaves, undecided, none or ignores; `named`: the fits that may be it, the shortest first."""

    kind: str
    sentence: str
    named: tuple[Fitted, ...]

    @property
    def status(self) -> int:
        return 0 if self.kind in ("runs", "behaves", "undecided") else REFUSED


def verdict(found: Explanation) -> Verdict:
    """In full."""
    claimed = _claimed(found)
    if found.chance <= ALL_BUT:
        return claimed
    share = f"{100 * min(found.chance, 1.0):.3g} %"
    more = f"; asked again it answers otherwise: {share} of what is to be explained is chance"
    return replace(claimed, sentence=claimed.sentence + more)


def _claimed(found: Explanation) -> Verdict:
    choice = found.choice
    best, left = choice.best, found.interval[1]
    share = _share(best.left, found.interval)
    for some, of in (("tasks", found.core), ("answers", found.central)):
        if left > BEHAVES and of[1][1] <= BEHAVES:
            left = of[1][1]
            on_all = f"{_percent(1 - best.left)} on all" if best.left < 1 else "on all further off than no program"
            share = f"{_share(*of)} on 19 {some} of 20, {on_all}"
    if left > BEHAVES:
        ignores = found.spread < HARDLY * found.size and left > NEARBY
        more = f"the nearest is {said(best)}, {share}" if left <= NEARBY else _poor(found)
        if ignores:
            return Verdict("ignores", f"ignores its context; no known program: {more}", ())
        return Verdict("none", f"no known program: {more}", ())
    also = _classes(best, choice.alike)
    ties = f"; these tasks do not tell it from {also}" if also else ""
    ties += _held(found.inside, best)
    votes = {t.says for t in found.telling}
    if choice.rival is not None and (choice.margin < MARGIN or "second" in votes):
        told = _told_from(found)
        if told and votes - {"open"} == {"first"}:
            return Verdict("behaves", f"behaves as {said(best)}: {share}{ties}; {told}", (best, *choice.alike))
        both = f"between {said(best)} and {said(choice.rival)} the data cannot tell: {share} by the first, "
        both += f"{_percent(1 - choice.rival.left)} by the second{ties}"
        return Verdict("undecided", both, (best, choice.rival, *choice.alike))
    kind, verb = ("runs", "runs") if found.interval[1] <= RUNS and not best.edge else ("behaves", "behaves as")
    against = f"; {_told_from(found)}" if _told_from(found) else ""
    return Verdict(kind, f"{verb} {said(best)}: {share}{ties}{against}", (best, *choice.alike))


def said(fitted: Fitted) -> str:
    """`gradient_descent` with steps 3, rate = 0.137 [0.1365, 0.1375]; of a count that is a lower bound with at least
    160 steps, and the parameters there."""
    ends = fitted.intervals()
    found = [f"{name} = {_value(value, ends.get(name), fitted.edge)}" for name, value in fitted.values.items()]
    name = f"`{fitted.candidate.name}`{_note(fitted)}"
    if fitted.edge:
        ((counted, count),) = fitted.counts.items()
        return f"{name} with {counted} at least {count}" + (f" (at {count}: {', '.join(found)})" if found else "")
    parts = [f"{counted} {count}" for counted, count in fitted.counts.items()] + found
    return name + (f" with {', '.join(parts)}" if parts else "")


def _value(value: Floats, ends: tuple[Floats, Floats] | None, bare: bool) -> str:
    """With its interval, or that these tasks do not determine it; `bare`: neither."""
    if value.shape != ():
        return described(value)
    if ends is None:
        return small(float(value)) + ("" if bare else " (not determined)")
    low, high = (float(end) for end in ends)
    return f"{number(float(value), high - low)} [{number(low, high - low)}, {number(high, high - low)}]"


def _note(fitted: Fitted) -> str:
    """What was changed in a text that the search found."""
    note = fitted.candidate.family.note
    return f" ({note})" if note else ""


def _held(inside: Inside | None, best: Fitted) -> str:
    """What of the program stands in the stream: its last variable that was patched, and how many passes."""
    if inside is None:
        return ""
    patched = [h for h in inside.held if h.found and h.slope is not None and h.first > 0]  # what is embedded is data
    named = [h for h in patched if h.name != ANSWER] or patched
    parts = []
    if named and named[-1].slope is not None:
        one, slope = named[-1], named[-1].slope
        what = (
            one.name
            if one.name.startswith(ANSWER)
            else f"`{one.name.split()[0]}`{one.name[len(one.name.split()[0]) :]}"
        )
        follows = "as the program says" if abs(slope.value - 1) <= FOLLOWS else "otherwise than the program says"
        parts.append(
            f"{what} is found {one.place} of {inside.layers} (R² {one.score[one.first]:.4f}), and patching it there "
            f"moves the answer {follows} (slope {slope.value:.3f} [{slope.low:.3f}, {slope.high:.3f}])"
        )
    else:
        parts.append("none of its variables is found in the stream where anything reads it")
    if inside.steps is not None:
        count = next(iter(best.counts.values()))
        agree = "" if inside.steps == count else f", and not {count}"
        stand = "passes of its loop stand" if inside.steps > 1 else "pass of its loop stands"
        parts.append(f"{inside.steps} {stand} in the stream{agree}")
    return "; " + "; ".join(parts)


def described(matrix: np.ndarray) -> str:
    """A matrix by its diagonal and what is beside it, a vector by its components."""
    if matrix.ndim == 1:
        return f"({', '.join(f'{v:.4g}' for v in matrix)})"
    if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]:
        diagonal = np.diag(matrix)
        beside = float(np.abs(matrix - np.diag(diagonal)).max(initial=0.0))
        return f"a matrix of diagonal {', '.join(f'{v:.3g}' for v in diagonal)}, beside it at most {beside:.2g}"
    return f"an array of shape {list(matrix.shape)}"


def number(value: float, width: float) -> str:
    """With as many digits as the interval has, two at least, and six at most."""
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    digits = int(np.ceil(np.log10(abs(value) / width))) + 1 if width > 0 else 6
    return f"{value:.{min(6, max(2, digits))}g}"


def _explained(left: float) -> str:
    """99.2 % explained; and where that would be 100, all but what is left."""
    if left >= ALL_BUT:
        return f"{_percent(1 - left)} explained"
    return f"all but {left:.1e} explained" if left > 0 else "all explained"


def _share(left: float, interval: tuple[float, float]) -> str:
    ends = f" [{_percent(1 - interval[1])}, {_percent(1 - interval[0])}]" if left >= ALL_BUT else ""
    return f"{_explained(left)}{ends}"


def _poor(found: Explanation) -> str:
    """Of a model that none explains: how much the best does of all tasks, which need not be the shortest description.
    That is named where it explains most tasks, and is far off on some."""
    best, most = found.choice.best, min(found.choice.order, key=lambda f: f.left)
    share = "the best is further off than no program at all"
    if most.left < 1:
        share = f"the best, `{most.label}`{_note(most)}, explains {_percent(1 - most.left)}"
    if found.core[1][1] <= NEARBY:
        return f"the nearest is {said(best)}, {_share(*found.core)} on 19 tasks of 20; on all {share}"
    if best.typical > BEHAVES:
        return share
    return f"{share}, by mean squares; typically {said(best)} leaves no more than {_percent(best.typical)}"


def _percent(share: float) -> str:
    return f"{100 * share:.{1 if share < 0.995 else 2 if share < 0.9995 else 3}f} %"


def _classes(best: Fitted, alike: Sequence[Fitted]) -> str:
    """The fits that these data cannot tell from the best one: of each family its counts together, and of the first of
    them the parameters, which say where the one is a special case of the other. Of many families the first few, which
    are the shortest; verdict.json has all."""
    families: dict[tuple[str, str], list[Fitted]] = {}
    for fitted in alike:
        families.setdefault(fitted.candidate.family.identity, []).append(fitted)
    found = []
    for identity, fits in list(families.items())[:CLASSES]:
        counts = sorted({count for f in fits for count in f.counts.values()})
        listed = f" with {next(iter(fits[0].counts))} {_ranges(counts)}" if counts else ""
        numbers = [f"{n} {small(float(v))}" for n, v in fits[0].values.items() if v.shape == ()]
        same = identity == best.candidate.family.identity
        where = f" ({', '.join(numbers)})" if numbers and not same else ""
        found.append(f"`{fits[0].candidate.name}`{'' if same else _note(fits[0])}{listed}{where}")
    more = len(families) - len(found)
    return ", ".join(found) + (f" and {more} more" if more else "")


def _ranges(counts: Sequence[int]) -> str:
    """2–5, 8, 20"""
    runs: list[list[int]] = []
    for count in counts:
        if runs and count == runs[-1][-1] + 1:
            runs[-1].append(count)
        else:
            runs.append([count])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def small(value: float, digits: int = 3) -> str:
    """What a fit ran away to is 0."""
    return f"{value:.{digits}g}" if abs(value) > SMALLEST else "0"


def _told_from(found: Explanation) -> str:
    """What the most telling prompts decided."""
    second = found.choice.rival
    for prompts in found.telling:
        if prompts.says != "open" and second is not None:
            way = "the most telling of drawn prompts" if prompts.what == "random" else "prompts found by ascent"
            verb = "speak against" if prompts.says == "first" else "speak for"
            share = prompts.votes if prompts.says == "first" else 1 - prompts.votes
            return f"{way} {verb} `{second.label}`{_note(second)} ({100 * share:.0f} % of them)"
    return ""
