"""Which fit is the answer: the shortest description, what is as good, and how much worse the others are.

    description   16 log₂(typical + 1e-9)  +  4 a real number  +  log₂(1 + count)  +  1 an operation of the text

Halving what is typically left unexplained is worth four real numbers: the residual of a trained model is no noise, and
what is gained by a factor of 1.1 does not come again with another seed. Typically, and not in mean squares, which a few
tasks decide (fit.py). The numbers of this rule are a convention; the table of all fits stands beside the verdict.

Two fits are *alike* where their answers differ by less than half of what the better leaves unexplained: these data
cannot tell them apart, and the verdict names them together. The rival is the best fit of the families of which no
member is alike, and the margin how many times as much it leaves: a family that holds the answer as a special case is no
rival.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from innerloop.artifact.arrays import Floats

from .fit import LEAST, Fitted, typical

WORTH, REAL, FLOOR = 16.0, 4.0, 1e-9
ALIKE = 0.5


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
    family = fitted.candidate.family
    counts = sum(float(np.log2(1 + count)) for count in fitted.counts.values())
    return WORTH * float(np.log2(fitted.typical + FLOOR)) + REAL * fitted.candidate.reals + counts + family.bits


def apart(a: Fitted, b: Fitted, model: Floats, base: Floats) -> float:
    """How far two fits' answers are typically apart, in the unit of `typical`."""
    return typical(model, model + a.answers - b.answers, base)


def choose(fits: Sequence[Fitted], model: Floats, base: Floats) -> Choice:
    """`model` and `base` [tasks, prefixes]: the answers on the held-out tasks, and the trivial predictor's."""
    order = tuple(sorted(fits, key=description))
    best = order[0]
    near = max(ALIKE * best.typical, FLOOR)
    alike = tuple(f for f in order[1:] if apart(best, f, model, base) <= near)
    known = {best.candidate.name, *(f.candidate.name for f in alike)}
    others = [f for f in order[1:] if f.candidate.name not in known]
    rival = min(others, key=lambda f: f.typical) if others else None
    margin = np.inf if rival is None else (rival.typical + LEAST) / (best.typical + LEAST)
    return Choice(order, alike, rival, float(margin))


def settled(choice: Choice, count: int | None) -> Choice:
    """With the fit of that count first, if it is of the family of the best one, and alike: its inside decides what the
    answers do not. Otherwise as it is."""
    name = choice.best.candidate.name
    for fitted in choice.alike:
        if fitted.candidate.name == name and list(fitted.counts.values()) == [count]:
            order = (fitted, *(f for f in choice.order if f is not fitted))
            alike = (choice.best, *(f for f in choice.alike if f is not fitted))
            return replace(choice, order=order, alike=alike)
    return choice
