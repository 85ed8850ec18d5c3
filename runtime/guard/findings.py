"""What the guard found in one call: names, and places.

    before   by how much each value was out at worst in each task, and the guard's watches
    after    one RangeWarning or RangeError for each name, with the layer, token and component where it was out first

Only of a task in which something was out the stream after every sublayer is computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from innerloop.artifact.limits import SLACK
from numpy.typing import NDArray

from .guard import Guard, at_place
from .side_by_side import order_of
from .watches import ScoreWatch, Watch, runs

UNNAMED = 3
"""Warnings of a call for what has no name: what went wrong first is the cause, and the rest follows from it."""
TRIED = 3
"""Tasks that are run alone to find one in which a value is out there, too."""
_MORE = "more"


@dataclass
class _Finding:
    message: str
    tasks: set[int] = field(default_factory=set)


Reached = Callable[[int, str], tuple[NDArray[Any], NDArray[Any]] | None]


class _Place(NamedTuple):
    """`again`: whether the value is out when the task runs alone, which may round differently; `low`, `high`: the range
    of the component (None: the only one)."""

    name: str
    message: str
    again: bool
    component: int | None
    low: float
    high: float

    def within(self, reached: tuple[NDArray[Any], NDArray[Any]] | None) -> bool:
        """Whether it should never have left its range."""
        if reached is None:
            return False
        least, most = (end[self.component or 0] for end in reached)
        slack = SLACK * max(abs(self.low), abs(self.high))
        return bool(least >= self.low - slack and most <= self.high + slack)


class Findings:
    """What was out in one call, which may run in chunks. `told`: the names that were named before, which grows;
    `whole`: whether sequences are there as a whole, or their last token alone."""

    def __init__(self, guard: Guard, told: set[str], whole: bool = True) -> None:
        self._guard = guard
        self._whole = whole
        self._told = told
        self._found: dict[str, _Finding] = {}

    def look(
        self,
        worst: Mapping[int, NDArray[Any]],
        tasks: NDArray[np.intp],
        kinds: tuple[str, ...],
        rerun: Callable[[int], NDArray[Any]],
        settled: NDArray[np.bool_],
        reached: Reached,
        first_token: int = 0,
    ) -> None:
        """worst: time → [batch, numbers] from the pass; `tasks` [batch]: their numbers in the call; `rerun(index)`: the
        stream [1 + sublayers run, tokens, d_model] of one of them, the embedding first; `settled`: in which the outputs
        are known to be right. In those, what left its range is only told of where it has a name: else it has done no
        harm, and ties were decided as the program decides them. `reached(index, name)`: the least and the largest that
        the interpreter finds of each component of what has a name; where that is in the range, rounding alone put out
        what did no harm."""
        for index, watch in enumerate(self._guard.watches):
            bad = self._tasks(worst, index)
            if settled.size and not watch.named:
                bad = bad[~settled[bad]]
            if not bad.size:
                continue
            names = [name for name, _ in watch.names]
            name = next((n for n in names if n in self._found), None)
            if name is None and not self._told.isdisjoint(names):
                continue
            if name is None and all("`" in n for n in names) and self._unnamed >= UNNAMED:
                name = _MORE
                self._found.setdefault(name, _Finding("more expressions left the ranges that they were compiled for"))
            if name is None:
                order = np.argsort(settled[bad], kind="stable") if settled.size else slice(None)
                for task in bad[order][:TRIED].tolist():
                    place = self._locate(watch, rerun(task), int(tasks[task]), kinds, first_token)
                    name, message = place.name, place.message
                    harmless = settled.size and settled[task]
                    if not harmless or (place.again and not place.within(reached(task, name))):
                        break
                else:  # rounding put them out, and their outputs are right
                    continue
                self._found.setdefault(name, _Finding(message))
            self._found[name].tasks.update(tasks[bad].tolist())
            if self._guard.mode == "raise":
                self.tell(1)

    @property
    def _unnamed(self) -> int:
        return sum("`" in name for name in self._found)

    def tell(self, depth: int) -> None:
        """Names all that was found; `depth`: how far up the stack the user's call is."""
        self._told.update(self._found)
        for finding in self._found.values():
            self._guard.tell(finding.message, np.array(sorted(finding.tasks)), depth)

    def _tasks(self, worst: Mapping[int, NDArray[Any]], index: int) -> NDArray[np.intp]:
        """The tasks in which this watch's value was out of its range, or not a number."""
        watches = self._guard.watches
        bad = np.zeros(len(next(iter(worst.values()), ())), bool)
        for time in watches[index].times & worst.keys():
            owners = self._guard.owners[time]
            start = 0
            for place in order_of([watches[owner] for owner in owners], self._whole):
                size = watches[owners[place]].size
                if owners[place] == index:
                    bad |= ~(worst[time][:, start : start + size] <= 0).all(1)
                start += size
        return np.flatnonzero(bad)

    def _locate(
        self, watch: Watch | ScoreWatch, stream: NDArray[Any], task: int, kinds: tuple[str, ...], first_token: int
    ) -> _Place:
        """The first layer at which the value was out, and there the token and component that was out most."""
        everything, _ = runs(self._guard.weights.body, 0)
        looks = [
            (k + after, k // 2)
            for k, (number, counts) in enumerate(everything)
            for after in (0, 1)
            if counts and 2 * number + after in watch.times
        ]
        if 2 * len(list(self._guard.weights.sublayers())) in watch.times:
            looks.append((len(everything), len(everything) // 2 - 1))
        tokens = np.flatnonzero([kind in watch.kinds for kind in kinds])
        with np.errstate(invalid="ignore"):
            looked = stream[[at for at, _ in looks]].astype(np.float64)
            values, out = watch.at(looked, kinds, self._guard.weights.config.causal)
        out = np.where(np.isnan(out), np.inf, out)
        most = out.max((1, 2))
        again = bool((most > 0).any())
        look = int(np.argmax(most > 0)) if again else int(most.argmax())
        token, index = np.unravel_index(out[look].argmax(), out[look].shape)
        column = watch.blamed(values[look, token], int(index))
        name, component = watch.names[column]
        place = at_place(looks[look][1], first_token + int(tokens[token]), task, component)
        value, low, high = values[look, token, column], watch.told[0][column], watch.told[1][column]
        match watch.construction:
            case "comparison":
                said = f"the comparison of {name} with 0 is undecided at {place}: it is {value:.2g}, within rounding"
            case "softmax":
                said = f"{name} is undecided at {place}: rounding its scores changes it by {value:.2g}"
            case _:
                held = f"compiled for [{low:.4g}, {high:.4g}]"
                said = f"{name} reached {value:.4g} at {place}; {held}"
                if not again:
                    said = f"{name} left its range among other tasks, and comes to {value:.4g} alone at {place}; {held}"
                said += ". The outputs of this task may be wrong"
        return _Place(name, said, again, component, float(low), float(high))
