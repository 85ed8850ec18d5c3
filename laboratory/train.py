"""Training: Adam on an infinite stream of tasks, in one jitted function of many steps.

    before   a Model (random or compiled numbers), a Task
    after    Trained: the numbers after so many steps, and every step's loss

Step t draws its tasks with a key of its own, from the seed and t, so that a run does not depend on how it is cut into
calls, nor on where it was resumed. A checkpoint is written every `interval` steps; a run that is killed and resumed
ends with the same weights, bit for bit, on the same device, as one that was not: both are cut at the same steps.
With several devices the batch is sharded over them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal

import numpy as np
from innerloop.compiler.errors import InnerloopError
from innerloop.compiler.weights import Weights
from numpy.typing import NDArray

from . import checkpoint
from .checkpoint import Checkpoint
from .curriculum import Curriculum
from .model import Model, Tree
from .steps import Rule, Run, stepper_of
from .tasks import Task


class DivergenceError(InnerloopError):
    """A loss or a parameter is no finite number any more; the message has the step and the last good checkpoint."""


@dataclass(frozen=True)
class Trained:
    """`parameters` of `model`'s names; losses [steps]."""

    model: Model
    parameters: Tree
    losses: NDArray[np.float32]

    @property
    def weights(self) -> Weights:
        """What was trained, as the project's weights."""
        return self.model.weights(self.parameters)


def train(
    start: Model | Weights,
    task: Task,
    *,
    steps: int,
    batch: int = 64,
    rate: float = 1e-3,
    warmup: int = 0,
    schedule: Literal["cosine", "constant"] = "cosine",
    clip: float | None = 1.0,
    curriculum: Curriculum | None = None,
    freeze: Sequence[str] = (),
    seed: int = 0,
    folder: str | Path | None = None,
    interval: int = 1000,
    resume: bool = False,
    on_step: Callable[[int, float], None] | None = None,
) -> Trained:
    """Trains `start` on `task`: from random weights (`Model.fresh`), or from compiled ones (`Model.of`, or Weights).

    rate        of Adam (Kingma and Ba 2015) after `warmup` steps, in which it rises from 0; then a cosine down to 0 at
                the last step (Loshchilov and Hutter 2017), or constant
    clip        the gradient's largest norm, None: any
    freeze      parameters that stay, by name or by the beginning of it: "embedding", "body.0", "body.3.attention.key"
    folder      where checkpoints go, every `interval` steps and after the last; None: nowhere
    resume      go on from the folder's last checkpoint, if there is one; without it a folder that has some is refused
    on_step     called now and then with (steps done, the mean loss of those since the last call)

    Raises DivergenceError when a loss or a parameter is not finite, and InnerloopError for settings that cannot be."""
    model = start if isinstance(start, Model) else Model.of(start)
    task.verify(model.template)
    _verify(steps=steps, batch=batch, interval=interval, rate=rate, clip=clip, warmup=warmup, schedule=schedule)
    if curriculum is not None:
        curriculum.verify(task)
    frozen = _frozen(model, freeze)
    rule = Rule(steps, float(rate), warmup, schedule, clip)
    settings = {
        "task": {"name": task.name, "rows": task.rows, **task.parameters},
        "steps": steps,
        "batch": batch,
        "rate": rate,
        "warmup": warmup,
        "schedule": schedule,
        "clip": clip,
        "curriculum": None if curriculum is None else vars(curriculum),
        "freeze": sorted(frozen),
        "seed": seed,
        "interval": interval,
        "start": _digest(model),
    }
    with model.precision():
        stepper = stepper_of(model, task, batch, frozen, rule)
        run = Run(stepper, seed)
        place = None if folder is None else Path(folder)
        kept = None if place is None else checkpoint.read(place)
        if kept is not None and place is not None:
            if not resume:
                raise InnerloopError(f"{place} holds checkpoints of a run: resume it, or remove it first")
            checkpoint.verify(settings, kept, place)
            run.restore(kept)
        last = kept.step if kept is not None else None
        for end, points, dimensions in _calls(run.step, steps, stepper.together, interval, curriculum, task):
            found = run.advance(end, points, dimensions)
            saved = end % interval == 0 or end == steps
            if not np.isfinite(found).all() or (saved and not run.finite()):
                raise _diverged(run, found, steps, rate, place, last)
            if on_step is not None:
                on_step(end, float(found.mean()))
            if saved and place is not None:
                checkpoint.write(place, Checkpoint(end, run.state(), settings))
                last = end
        return Trained(model, run.parameters(), run.losses)


def _calls(
    start: int, steps: int, together: int, interval: int, curriculum: Curriculum | None, task: Task
) -> Iterator[tuple[int, int | None, int]]:
    """(steps done at its end, points, dimensions) of each call: it ends at a multiple of `together`, at a checkpoint
    and where the curriculum goes on, wherever the run began."""
    while start < steps:
        ends = [steps, start - start % together + together, start - start % interval + interval]
        points, dimensions = None, task.inputs
        if curriculum is not None:
            points, dimensions = curriculum.at(start, task)
            ends.append(start - start % curriculum.every + curriculum.every)
        yield min(ends), points, dimensions
        start = min(ends)


def _verify(**given: Any) -> None:
    for name in ("steps", "batch", "interval"):
        if type(given[name]) is not int or given[name] < 1:
            raise InnerloopError(f"{name}={given[name]!r}: must be a whole number of at least 1")
    if type(given["warmup"]) is not int or given["warmup"] < 0:
        raise InnerloopError(f"warmup={given['warmup']!r}: must be a whole number of steps, 0 or more")
    for name in ("rate", "clip"):
        value = given[name]
        if value is not None and not (isinstance(value, int | float) and isfinite(value) and value > 0):
            raise InnerloopError(f"{name}={value!r}: must be a number above 0")
    if given["schedule"] not in ("cosine", "constant"):
        raise InnerloopError(f"schedule={given['schedule']!r}: must be 'cosine' or 'constant'")


def _frozen(model: Model, freeze: Sequence[str]) -> frozenset[str]:
    """The parameters that `freeze` means. Raises InnerloopError for an entry that means none, or if none is left."""
    frozen: set[str] = set()
    for entry in freeze:
        meant = {name for name in model.parameters if name == entry or name.startswith(f"{entry}.")}
        if not meant:
            near = get_close_matches(entry, model.parameters, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(list(model.parameters)[:8])} …"
            raise InnerloopError(f"freeze: no parameter is called {entry}; {hint}")
        frozen |= meant
    if len(frozen) == len(model.parameters):
        raise InnerloopError("freeze: all parameters are frozen, and nothing is left to train")
    return frozenset(frozen)


def _digest(model: Model) -> str:
    """Of what is trained, and of the numbers that it begins with."""
    found = hashlib.sha256(repr((model.config, model.signature.text)).encode())
    for name, value in (model.parameters | model.constants).items():
        found.update(name.encode() + np.asarray(value).tobytes())
    return found.hexdigest()


def _diverged(
    run: Run, found: NDArray[np.float32], steps: int, rate: float, folder: Path | None, last: int | None
) -> DivergenceError:  # fmt: skip
    bad = np.flatnonzero(~np.isfinite(found))
    step = run.step - len(found) + int(bad[0]) + 1 if bad.size else run.step
    what = f"the loss is {found[bad[0]]}" if bad.size else "a parameter is not finite"
    before = run.losses[: step - 1]
    best = float(before.min()) if before.size else inf
    said = f" (the best was {best:.3g})" if isfinite(best) else ""
    good = "there is no checkpoint before it"
    if folder is not None and last is not None:
        good = f"the last good checkpoint is {folder / f'step-{last:08}'}"
    return DivergenceError(
        f"training diverged: {what} at step {step} of {steps}{said}; {good}. Take a rate below {rate:g}, a longer "
        f"warm-up or a smaller clip"
    )
