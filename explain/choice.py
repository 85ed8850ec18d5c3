"""Which fit is the answer: the shortest description, what is as good, and how much worse the others are.

    description   16 log₂(typical + 1e-9)  +  4 a real number  +  log₂(1 + count)  +  1 an operation of the text
                  +  16 of a program that is not one of the usual families (library.py)

Halving what is typically left unexplained is worth four real numbers: the residual of a trained model is no noise, and
what is gained by a factor of 1.1 does not come again with another seed. Typically, and not in mean squares, which a few
tasks decide (fit.py). The numbers of this rule are a convention; the table of all fits stands beside the verdict.

Two fits are *alike* where their answers typically differ by less than half of what the better leaves unexplained: these
data cannot tell them apart, and the verdict names them together. Where the better is named for what it leaves of all
tasks, or of the 95 % of tasks or of answers at which it is nearest, the other must pass by the same: what typically
differs little may be far off on one task in forty. The rival is the fit of least margin of the families of which no
member is alike, and its margin how many times as much it leaves, typically or by that same measure, whichever is more;
twice that for every 16 bits that it is longer otherwise, and half for every 16 that it is shorter: what is worth so
much in the choice is worth as much in how sure it is. A family that holds the answer as a special case is no rival,
even where its own fit is worse, as that of a matrix on few tasks may be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.laboratory.measures.nearest import NEAR

from .fit import LEAST, Fitted, bootstrap, central, core, typical, unexplained

WORTH, REAL, FLOOR = 16.0, 4.0, 1e-9
ALIKE, MARGIN = 0.5, 4.0


@dataclass(frozen=True)
class Choice:
    """`order`: all fits, the shortest description first; `alike` and `rival`: see above."""

    order: tuple[Fitted, ...]
    alike: tuple[Fitted, ...]
    rival: Fitted | None
    margin: float

    @property
    def best(self) -> Fitted:
        return self.order[0]


def description(fitted: Fitted) -> float:
    """In bits, but for a constant."""
    return WORTH * float(np.log2(fitted.typical + FLOOR)) + length(fitted)


def length(fitted: Fitted) -> float:
    """The bits of a description that are the program's own, whatever it leaves."""
    family = fitted.candidate.family
    counts = sum(float(np.log2(1 + count)) for count in fitted.counts.values())
    return REAL * fitted.candidate.reals + counts + family.bits + family.prior


def apart(a: Fitted, b: Fitted, model: Floats, base: Floats) -> float:
    """How far two fits' answers are typically apart, in the unit of `typical`."""
    return typical(model, model + a.answers - b.answers, base)


def by_all(model: Floats, answers: Floats, base: Floats) -> tuple[float, float]:
    """What is left of all tasks, and the upper end of its interval."""
    return unexplained(model, answers, base), bootstrap(model, answers, base)[1]


def by_most(model: Floats, answers: Floats, base: Floats) -> tuple[float, float]:
    """The same of the 95 % of the tasks on which the program is nearest."""
    share, (_, upper) = core(model, answers, base)
    return share, upper


def by_answers(model: Floats, answers: Floats, base: Floats) -> tuple[float, float]:
    """The same of the 95 % of the answers, at each prefix, at which it is."""
    share, (_, upper) = central(model, answers, base)
    return share, upper


Measure = Callable[[Floats, Floats, Floats], tuple[float, float]]
MEASURES: tuple[Measure, ...] = (by_all, by_most, by_answers)


def named_by(model: Floats, answers: Floats, base: Floats) -> Measure | None:
    """The measure by which a program is to be named (verdict.py); None of one that is not."""
    return next((by for by in MEASURES if by(model, answers, base)[1] <= NEAR), None)


def choose(fits: Sequence[Fitted], model: Floats, base: Floats, holding: Sequence[Fitted] = ()) -> Choice:
    """`model` and `base` [tasks, prefixes]: the answers on the held-out tasks, and the trivial predictor's; `holding`:
    fits of which it is known that with other parameters they are the best one, whatever they leave."""
    order = tuple(sorted(fits, key=description))
    best = order[0]
    by = named_by(model, best.answers, base)
    held, near = {id(f) for f in holding}, max(ALIKE * best.typical, FLOOR)
    close = [f for f in order[1:] if id(f) in held or apart(best, f, model, base) <= near]
    alike = tuple(f for f in close if by is None or by(model, f.answers, base)[1] <= NEAR)
    known = {f.candidate.family.identity for f in (best, *alike, *holding)}

    def left(fitted: Fitted) -> Floats:
        of = [] if by is None else [by(model, fitted.answers, base)[0]]
        return np.array([fitted.typical, *of]) + LEAST

    def further(fitted: Fitted) -> float:
        return float((left(fitted) / least).max() * 2 ** ((length(fitted) - own) / WORTH))

    least, own = left(best), length(best)
    others = [(further(f), f) for f in order[1:] if f.candidate.family.identity not in known]
    margin, rival = min(others, key=lambda of: of[0], default=(np.inf, None))
    return Choice(order, alike, rival, margin)


def settled(choice: Choice, count: int | None) -> Choice:
    """With the fit of that count first, if it is of the family of the best one, and alike: its inside decides what the
    answers do not. Otherwise as it is."""
    identity = choice.best.candidate.family.identity
    for fitted in choice.alike:
        if fitted.candidate.family.identity == identity and list(fitted.counts.values()) == [count]:
            order = (fitted, *(f for f in choice.order if f is not fitted))
            alike = (choice.best, *(f for f in choice.alike if f is not fitted))
            return replace(choice, order=order, alike=alike)
    return choice
