"""The guard: names every value that leaves the range that the weights were compiled for.

    before   Weights.inputs, and what watches.py looks at: named values, and the domains of all constructions
    after    "w reached 61.2 at layer 14, token 23 (task 5, component 3); compiled for [-8, 8]"
             "`dot(x, x)` at 7:18 reached 100 …": what has no name is named by its expression and place

The forward pass itself only keeps, for each task, by how much each value was out at worst: a few
comparisons beside each sublayer that reads or writes the value. Only where something was out is that one
task run once more, with the stream after every sublayer kept, to find the place.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.limits import SLACK
from innerloop.artifact.precisions import UNIT
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import GuardMode
from numpy.typing import NDArray

from .checks import GuardCheck
from .interpreted import Held
from .side_by_side import check_of
from .watches import ScoreWatch, Watch, watches_of

SMALL = 0.05
"""Of its range, what a field's largest number is at least in data like the calibration's."""
LITTLE = 0.25
"""Of a task's largest output an error that leaves its size what it is: known from the interpreter, and not what the
certificate fears. At a tenth nesterov warned of a task of its own calibration, 0.019 off of 0.093."""


class RangeWarning(UserWarning):
    """A value left the range that the weights were compiled for, and what follows from it may be wrong; or the outputs
    are wrong.

    `tasks`: in which tasks of the call, counted from 0."""

    def __init__(self, message: str, tasks: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.tasks = tasks


class RangeError(InnerloopError):
    """The same, where the guard is set to "raise"."""


class Guard:
    """Checks one model's inputs, intermediates and outputs; in "off" mode there is nothing to check."""

    def __init__(self, weights: Weights, mode: GuardMode, dtype: np.dtype[Any] | None = None) -> None:
        """`dtype`: the precision that the weights run in (None: what they were compiled for)."""
        coarser = 1.0 if dtype is None else UNIT[dtype.name] / UNIT[weights.config.dtype]
        self.resolved = [max(1.0, coarser) * error.predicted_error for error in weights.report.each]
        """How far off each output may be."""
        self.mode = mode
        self.weights = weights
        self.watches = [] if mode == "off" else watches_of(weights)
        times = sorted({time for watch in self.watches for time in watch.times})
        self.owners = {t: [k for k, watch in enumerate(self.watches) if t in watch.times] for t in times}

    def checks(self, kinds: tuple[str, ...], dtype: np.dtype[Any], whole: bool = True) -> dict[int, GuardCheck]:
        """What the forward pass is to look at, and when (watches.py); `kinds` of the data's tokens, which are a `whole`
        sequence or the last one alone.

        The rest token stands before them and is never checked."""
        causal = self.weights.config.causal
        found = {
            time: check_of([self._running(self.watches[k], time) for k in own], kinds, causal, dtype, whole)
            for time, own in self.owners.items()
        }
        return {time: check for time, check in found.items() if check.size}

    def _running(self, watch: Watch | ScoreWatch, time: int) -> Watch | ScoreWatch:
        """The watch at those of its tokens at which the sublayer runs: at others nothing comes of what they hold."""
        live = self.weights.live
        return replace(watch, kinds=watch.kinds & live[time // 2]) if time < 2 * len(live) else watch

    def inspect_inputs(
        self, fields: dict[str, NDArray[Any]], held: dict[str, NDArray[np.bool_]], first_token: int = 0
    ) -> None:
        """fields: name → [batch, tokens, size]; held: name → [tokens], where the field stands.

        Raises RangeError, or warns, once for each field out of its range."""
        if self.mode == "off":
            return
        for bound in self.weights.inputs:
            if bound.name not in fields:
                continue
            slack = SLACK * max(abs(bound.low), abs(bound.high))
            given = fields[bound.name]
            over, under = given.max(initial=bound.low) - bound.high, bound.low - given.min(initial=bound.high)
            if over <= slack and under <= slack:
                continue  # as in nearly every call
            values = np.where(held[bound.name][None, :, None], given, bound.low)
            out = np.maximum(values - bound.high, bound.low - values)
            if not out.size or not out.max() > slack:
                continue
            task, token, component = np.unravel_index(out.argmax(), out.shape)
            part = int(component) if values.shape[2] > 1 else None
            place = at_place(None, first_token + int(token), int(task), part)
            self.tell(
                f"{bound.name} reached {values[task, token, component]:.4g} at {place}; compiled for "
                f"[{bound.low:g}, {bound.high:g}]. Scale the data, or declare `{bound.name}` with a wider range "
                f"(`in [low, high]`) and compile again",
                np.flatnonzero((out > slack).any((1, 2))),
                5,
            )

    @cached_property
    def ranges(self) -> dict[str, tuple[Floats, Floats]]:
        """Of what has a name, the range of each component: the widest of all the times at which it is looked at."""
        parts: dict[str, dict[int, tuple[float, float]]] = {}
        for watch in (w for w in self.watches if w.named):
            for (name, component), low, high in zip(watch.names, *watch.told, strict=True):
                own, index, slack = parts.setdefault(name, {}), component or 0, SLACK * max(abs(low), abs(high))
                least, most = own.get(index, (np.inf, -np.inf))
                own[index] = min(least, low - slack), max(most, high + slack)
        ends = {name: np.array([own[k] for k in sorted(own)]) for name, own in parts.items()}
        return {name: (both[:, 0], both[:, 1]) for name, both in ends.items()}

    @cached_property
    def certain(self) -> Floats:
        """How far off each output may be as compiled: run in a coarser precision, next to all would be."""
        return np.array([error.predicted_error for error in self.weights.report.each])

    def settled(self, held: Held | None) -> NDArray[np.bool_]:
        """[batch]: the tasks whose outputs the interpreter finds as right as the certificate says; without it, none."""
        if held is None:
            return np.zeros(0, bool)
        return np.asarray((held.errors <= self.certain).all(1))

    def inspect_outputs(
        self, outputs: NDArray[Any], held: Held | None, fields: Mapping[str, NDArray[Any]], depth: int
    ) -> None:
        """outputs: [batch, rows, *shape]; fields: name → [batch, tokens, size]. Names tasks all of whose outputs are
        smaller than the weights' error; but those in which the interpreter finds the error small, or the very answer to
        be 0, and those whose fields are of the usual size: a probability, say, may be next to nothing."""
        for k, (part, resolved) in enumerate(zip(self.weights.output.split(outputs), self.resolved, strict=True)):
            largest = _largest(part)
            below = (largest < resolved) & (largest > 0.0) & np.isfinite(resolved)
            if held is not None and below.any():
                below &= ~(held.errors[:, k] <= LITTLE * largest) & (held.largest[:, k] > 0.0) & self._small(fields)
            small = np.flatnonzero(below)
            if not small.size:
                continue
            task = int(small[0])
            self.tell(
                f"the outputs{self._of(k)} of task {task} are at most {largest[task]:.3g}, smaller than what these "
                f"weights resolve (an error of up to {resolved:.3g} is to be expected). Scale the data, or compile "
                f"with data like it (`calibration=`), or in float64",
                small,
                depth,
            )

    def _of(self, output: int) -> str:
        """Which output is meant, of several."""
        answers = self.weights.output.answers
        return f" `{answers[output].name}`" if answers else ""

    def _small(self, fields: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """[batch]: the tasks in which a component of a field is far smaller than the field's range, and not 0."""
        found = np.zeros(len(next(iter(fields.values()))), bool)
        for bound in self.weights.inputs:
            largest = np.abs(fields[bound.name]).max(1, initial=0.0)
            found |= ((largest > 0.0) & (largest < SMALL * max(abs(bound.low), abs(bound.high)))).any(1)
        return found

    def inspect_errors(self, errors: Floats, depth: int) -> None:
        """errors: [batch, outputs], of each task as the interpreter finds it (interpreted.py), NaN where it has no
        answer. Names tasks whose error is beyond the certificate's."""
        for k, resolved in enumerate(self.resolved):
            wrong = np.flatnonzero(errors[:, k] > resolved)
            if not wrong.size:
                continue
            worst = int(wrong[errors[wrong, k].argmax()])
            self.tell(
                f"the outputs{self._of(k)} of task {worst} are off by {errors[worst, k]:.3g} from what the interpreter "
                f"finds; these weights were to be off by {resolved:.3g} at most. Compile with data like it "
                f"(`calibration=`), or in float64",
                wrong,
                depth,
            )
        unknown = np.flatnonzero(np.isnan(errors).any(1))
        if unknown.size:
            self.tell(f"the program itself has no finite answer for task {unknown[0]}", unknown, depth)

    def tell(self, message: str, tasks: NDArray[np.intp], depth: int) -> None:
        """`tasks` in which it is so; `depth`: how far up the stack the user's call is."""
        if self.mode == "raise":
            raise RangeError(f"{message}. The guard `warn` goes on all the same")
        several = f" (and so it is in {tasks.size} tasks)" if tasks.size > 1 else ""
        warnings.warn(RangeWarning(message + several, tuple(tasks.tolist())), stacklevel=depth)


def _largest(outputs: NDArray[Any]) -> NDArray[Any]:
    """Of each task, in magnitude."""
    return np.asarray(np.abs(outputs).reshape(len(outputs), -1).max(1, initial=0.0))


def at_place(layer: int | None, token: int, task: int, component: int | None) -> str:
    """Numbers count from 0, as the trace's do; `component` None: the only one."""
    inside = f"task {task}" if component is None else f"task {task}, component {component}"
    return f"{'' if layer is None else f'layer {layer}, '}token {token} ({inside})"
