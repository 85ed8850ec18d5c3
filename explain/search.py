"""Where no family explains a model: small edits of the nearest programs' texts, and mixtures of two of them.

    fits, the model's answers   →   fits of other texts, which the shortest description decides on as on any

What the best fit leaves unexplained says which edits are worth a fit: all edits of a text stand in one program
(edits.py), and the slopes of its answers in their numbers, beside those in the parameters that it has, are regressed on
the residual.

    gain   1 − Σ s (r − J a − e b)² / Σ s (r − J a)²      at the best a and b, of each edit e; s are Cauchy's weights

The best few are fitted, and the best of those is edited again. Of two programs the answers mixed are what is looked at.
Where a program is near enough to be named and is not exact, `hidden` looks for what it stands before: one edit, at any
count, that would explain half of what is left or more, and that leaves a hundredth of it once it is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, islice

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import CompileError

from .candidate import Candidate
from .choice import WORTH, description, length
from .counts import fit_from, grid
from .edits import Edit, edited, edits
from .families import Family
from .fit import Fitted, Tasks, scales, trivial
from .mixtures import mixed

BASES, TRIED, ROUNDS, MIXED = 3, 4, 2, 2
"""Programs whose texts are edited, edits of each that are fitted, edits one after another, mixtures that are fitted."""
MOST = 36
"""Of edits of a text: what has more is an iteration of numerics, not a rule of learning."""
GAIN = 0.05
"""An edit is worth a fit that would explain so much of what is left."""
NOTHING = 0.05
"""A term scaled by less is dropped."""
TELLING, FOUND, FEW = 0.5, 0.01, 2
"""Of an edit beside a program that is named: what it would explain of what is left; what it leaves then, of that; and
how many of each text are fitted."""

Make = Callable[[Family], Candidate]
Chosen = tuple[tuple[Edit, float], ...]
"""Edits of a text, one after another, and the number that each begins at."""


def search(fits: Sequence[Fitted], seen: Tasks, held: Tasks, make: Make) -> list[Fitted]:
    """More fits; `make` gives a family's candidate. Those that it begins from are not among them."""
    base = trivial(held)
    nearest = _distinct(sorted(fits, key=description))
    found: list[Fitted] = []
    every = ((start, edits(start.candidate.family)) for start in nearest)
    for start, known in islice((of for of in every if len(of[1]) <= MOST), BASES):
        found += _edited(start, known, seen, held, base, make)
    return found + _mixed(nearest, seen, held, base, make)


def hidden(fits: Sequence[Fitted], best: Fitted, seen: Tasks, held: Tasks, make: Make) -> list[Fitted]:
    """Fits that a program stands before which is named, `best` of them all, though they are nearer by far; `fits` are
    those to begin from, and `make` gives a family's candidate."""
    base, found = trivial(held), []
    families: dict[tuple[str, str], list[Fitted]] = {}
    for fitted in sorted(fits, key=description):
        families.setdefault(fitted.candidate.family.identity, []).append(fitted)
    known: dict[str, Candidate] = {}

    def once(family: Family) -> Candidate:
        if family.text not in known:
            known[family.text] = make(family)
        return known[family.text]

    every = ((counted, edits(counted[0].candidate.family)) for counted in families.values())
    for counted, of in islice((pair for pair in every if len(pair[1]) <= MOST), BASES):
        family, likely = counted[0].candidate.family, dict[Edit, tuple[float, Fitted]]()
        for fitted in counted:
            for edit, gain in gains(fitted, family, (), of, seen, once):
                if gain >= max(TELLING, likely.get(edit, (0.0, fitted))[0]):
                    likely[edit] = gain, fitted
        for edit, (_, fitted) in sorted(likely.items(), key=lambda of: -of[1][0])[:FEW]:
            longer = _fit(fitted, edited(family, [(edit, edit.neutral)]), seen, held, base, make)
            found += [] if longer is None else [longer]
    return [f for f in found if f.typical <= FOUND * best.typical and f.left <= best.left]


def _distinct(fits: Sequence[Fitted]) -> list[Fitted]:
    """The first of each family."""
    first: dict[tuple[str, str], Fitted] = {}
    for fitted in fits:
        first.setdefault(fitted.candidate.family.identity, fitted)
    return list(first.values())


def _edited(
    start: Fitted, known: Sequence[Edit], seen: Tasks, held: Tasks, base: Floats, make: Make
) -> list[Fitted]:  # fmt: skip
    """Fits of the family with one edit, and of the best of those with another."""
    family, best = start.candidate.family, start
    chosen: Chosen = ()
    found: list[Fitted] = []
    for _ in range(ROUNDS):
        more = [edit for edit in known if edit not in {one for one, _ in chosen}]
        ranked = gains(best, family, chosen, more, seen, make)
        tried: list[tuple[Fitted, Chosen]] = []
        for edit, gain in ranked[:TRIED]:
            if gain < GAIN:
                break
            longer = (*chosen, (edit, edit.neutral))
            fitted = _fit(best, edited(family, longer), seen, held, base, make)
            if fitted is not None:
                tried.append((fitted, longer))
                tried += _dropped(fitted, family, longer, seen, held, base, make)
        found += [fitted for fitted, _ in tried]
        if not tried:
            break
        better, longer = min(tried, key=lambda of: description(of[0]))
        others = _counted(better, family, seen, held, base)
        found += others
        better = min([better, *others], key=description)
        if description(better) >= description(best):
            break
        best, chosen = better, longer
    return found


def _counted(fitted: Fitted, family: Family, seen: Tasks, held: Tasks, base: Floats) -> list[Fitted]:
    """The same text with other counts: which of them is nearest may have changed with it. One code runs them all."""
    candidate = fitted.candidate
    starts = [fitted.theta]
    return [fit_from(candidate, c, starts, seen, held, base) for c in grid(family) if c != fitted.counts]


def gains(
    best: Fitted, family: Family, chosen: Sequence[tuple[Edit, float]], more: Sequence[Edit], seen: Tasks, make: Make
) -> list[tuple[Edit, float]]:
    """What each of the edits `more` would explain of what `best`, the family with the edits `chosen`, leaves; the most
    telling first. What is a program edit by edit need not be one with all of them: then they are asked by halves, which
    changes nothing, since each is looked at by itself. What is none with `chosen` is left out."""
    if not more:
        return []
    try:
        every = make(edited(family, [*chosen, *((edit, edit.neutral) for edit in more)]))
    except CompileError:
        if len(more) == 1:
            return []
        halves = more[: len(more) // 2], more[len(more) // 2 :]
        found = [of for half in halves for of in gains(best, family, chosen, half, seen, make)]
        return sorted(found, key=lambda of: -of[1])
    theta = np.concatenate([best.theta, [edit.neutral for edit in more]])
    answers, slopes = every.run(theta, best.counts, seen.x, seen.labels)
    residual = seen.model - answers
    deviation = np.maximum(scales(residual), 1e-12)
    weights = (1 / deviation / np.sqrt(1 + (residual / deviation) ** 2)).ravel()
    own = best.theta.size
    columns = weights[:, None] * slopes.reshape(len(weights), -1)
    wanted = weights * residual.ravel()
    before, _ = _reduced(columns[:, :own], wanted[:, None])
    left = float((before**2).sum())
    beside, sizes = _reduced(columns[:, :own], columns[:, own:])
    square = (beside**2).sum(0)
    gain = (beside * before).sum(0) ** 2 / np.maximum(square, 1e-300) / max(left, 1e-300)
    gain[square <= 1e-9 * sizes] = 0.0
    order = np.argsort(-gain, kind="stable")
    return [(more[k], float(gain[k])) for k in order]


def _reduced(columns: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """`wanted` without what the columns give, and the squares that it had."""
    size = (wanted**2).sum(0)
    if not columns.shape[1]:
        return wanted, size
    return wanted - columns @ np.linalg.lstsq(columns, wanted, rcond=None)[0], size


def _fit(best: Fitted, family: Family, seen: Tasks, held: Tasks, base: Floats, make: Make) -> Fitted | None:
    """Begun where the fit ended that it adds a number to: as it was, and on either side."""
    candidate = make(family)
    numbers = [r.starts[0] for r in family.reals.values()][best.theta.size :]
    starts = [np.concatenate([best.theta, [n + shift for n in numbers]]) for shift in (0.0, 0.3, -0.3)]
    fitted = fit_from(candidate, best.counts, starts, seen, held, base)
    return fitted if np.isfinite(fitted.left) else None


def _dropped(
    fitted: Fitted, family: Family, chosen: Chosen, seen: Tasks, held: Tasks, base: Floats,
    make: Make,
) -> list[tuple[Fitted, Chosen]]:  # fmt: skip
    """The same without the last term, if it was scaled to nothing."""
    (*before, (edit, _)) = chosen
    if edit.kind != "scaled" or abs(fitted.theta[-1]) > NOTHING:
        return []
    more = (*before, (Edit("dropped", edit.span, "", edit.said), 0.0))
    candidate = make(edited(family, more))
    return [(fit_from(candidate, fitted.counts, [fitted.theta[:-1]], seen, held, base), more)]


def _mixed(fits: Sequence[Fitted], seen: Tasks, held: Tasks, base: Floats, make: Make) -> list[Fitted]:
    """Fits of those mixtures of two of them whose answers, mixed as they are, have the shortest description. By itself
    either may be far off."""
    ranked: list[tuple[float, Fitted, Fitted]] = []
    answers = {id(f): f.candidate.answers(f.theta, f.counts, seen.x, seen.labels) for f in fits}
    for first, second in combinations(fits, 2):
        a, b = answers[id(first)], answers[id(second)]
        if first.candidate.tokens != second.candidate.tokens:
            continue
        residual = np.array([_typical(seen.model - w * a - (1 - w) * b) for w in np.linspace(0.05, 0.95, 19)])
        least = min(_typical(seen.model - a), _typical(seen.model - b))
        if residual.min() < (1 - GAIN) * least:
            ranked.append((WORTH * float(np.log2(residual.min())) + length(first) + length(second), first, second))
    found = []
    for _, first, second in sorted(ranked, key=lambda of: of[0])[:MIXED]:
        try:
            family = mixed(first.candidate.family, second.candidate.family, (first.counts, second.counts))
            candidate = make(family)
        except CompileError:  # two texts that one cannot be made of
            continue
        counts = {name: values[0] for name, values in family.whole.items()}
        theta = np.concatenate([first.theta, second.theta])
        starts = [np.append(theta, logit) for logit in (-1.0, 0.0, 1.0)]
        found.append(fit_from(candidate, counts, starts, seen, held, base))
    return found


def _typical(residual: Floats) -> float:
    return float(np.exp(np.log(scales(residual) ** 2 + 1e-30).mean()))
