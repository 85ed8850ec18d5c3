"""Training: Adam on an infinite stream of tasks, in one jitted function of many steps.

    before   a Model (random or compiled numbers), a Task
    after    Trained: the numbers after so many steps, and every step's loss

Step t draws its tasks with a key of its own, from the seed and t, and is the same code in every call: a run does not
depend on how it is cut into calls, nor on where it was resumed. A checkpoint is written every `interval` steps, and
where the run is interrupted; a run that is killed and resumed ends with the same weights, bit for bit, as one that was
not, and with a constant rate one that is lengthened ends as one that was as long from the beginning. What computes has
to be the same (provenance.py); where it is not, the checkpoint is refused. With several devices the batch is sharded
over them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path

import numpy as np
from innerloop.artifact.errors import InnerloopError, near
from innerloop.artifact.interrupts import Interrupted, asked, expendable, stoppable
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import OptimiserName, Products, RateSchedule
from innerloop.runtime.surroundings import seeded
from numpy.typing import NDArray

from . import checkpoint
from .checkpoint import Checkpoint
from .clock import Clock
from .curriculum import Curriculum
from .lock import locked
from .model import Model, Tree
from .pace import Pace
from .provenance import in_words, provenance, told
from .settings import training_settings
from .steps import Rule, Run, stepper_of
from .tasks import TaskDistribution


class DivergenceError(InnerloopError):
    """A loss or a parameter is no finite number any more; the message has the step and the last good checkpoint."""


@dataclass(frozen=True, repr=False)
class Trained:
    """`parameters` of `model`'s names; losses, norms of the gradients [steps]; `task`: what they were trained on, in
    words. Of a training that stopped early there are fewer steps than it was given."""

    model: Model
    parameters: Tree
    losses: NDArray[np.float32]
    task: str = ""
    norms: NDArray[np.float32] | None = None

    def __repr__(self) -> str:
        name, steps = self.model.signature.name, len(self.losses)
        return f"Trained {name}: {steps} steps; loss {self.losses[0]:.4g} at first, {self.losses[-1]:.4g} at last"

    @property
    def weights(self) -> Weights:
        """What was trained, as the project's weights, whose report says on what and with which loss."""
        return self.model.weights(self.parameters, told(self.task, self.losses))

    def save(self, folder: Path) -> None:
        """Writes what was trained to a new folder: weights, or what a baseline is made of."""
        self.model.save(self.parameters, told(self.task, self.losses), folder)


def train(
    start: Model | Weights,
    task: TaskDistribution,
    *,
    steps: int,
    batch: int = 64,
    rate: float = 1e-3,
    warmup: int = 0,
    schedule: RateSchedule = "cosine",
    optimiser: OptimiserName = "adam",
    clip: float | None = 1.0,
    decay: float = 0.0,
    patience: int | None = None,
    products: Products = "float32",
    curriculum: Curriculum | None = None,
    freeze: Sequence[str] = (),
    seed: int = 0,
    folder: str | Path | None = None,
    interval: int = 1000,
    earlier: str | Path | None = None,
    resume: bool = False,
    elsewhere: bool = False,
    on_step: Callable[[int, float], None] | None = None,
) -> Trained:
    """Trains `start` on `task`: from random weights (`Model.fresh`), or from compiled ones (`Model.of`, or Weights).

    rate        of Adam (Kingma and Ba 2015) after `warmup` steps, in which it rises from 0; then a cosine down to 0 at
                the last step (Loshchilov and Hutter 2017), or constant
    optimiser   Adam, or plain gradient descent of that rate ("sgd"), whose path theories of training follow
    clip        the gradient's largest norm, None: any
    decay       of matrices, by this times the rate at every step (AdamW); there is no dropout
    patience    stop where the mean loss of an interval was below all before it so many intervals ago; None: never
    products    "bfloat16" rounds the factors of all products of matrices, in the pass and its gradient, and sums in
                float32; on a GPU or a TPU alone
    freeze      parameters that stay, by name or by the beginning of it: "embedding", "body.0", "body.3.attention.key"
    folder      where checkpoints go, every `interval` steps and after the last; None: nowhere
    earlier     checkpoints to go on from, where `folder` has none: of a run that is to be lengthened
    resume      go on from the folder's last checkpoint, if there is one; without it a folder that has some is refused.
                With a constant rate `steps` may be more than that run had
    elsewhere   resume, too, where another processor, library or version computes: the weights will be others
    on_step     called now and then with (steps done, the mean loss of those since the last call)

    Raises DivergenceError when a loss or a parameter is not finite, InnerloopError for settings that cannot be, and
    Interrupted, a KeyboardInterrupt, between two calls of the device, with a checkpoint there."""
    model = start if isinstance(start, Model) else Model.of(start)
    task.verify(model.template)
    training_settings(
        steps=steps, batch=batch, interval=interval, rate=rate, clip=clip, warmup=warmup, schedule=schedule,
        optimiser=optimiser, decay=decay, patience=patience, products=products,
    )  # fmt: skip
    if curriculum is not None:
        curriculum.verify(task)
    frozen, seed = frozen_names(model, freeze), seeded(seed)
    until = steps if schedule == "cosine" else None
    rule = Rule(until, float(rate), warmup, clip, optimiser, float(decay), products)
    settings = {
        "task": {"name": task.name, "rows": task.rows, **task.parameters},
        "model": model.architecture,
        "steps": steps,
        "batch": batch,
        "rate": rate,
        "warmup": warmup,
        "schedule": schedule,
        "optimiser": optimiser,
        "clip": clip,
        "decay": float(decay),
        "patience": patience,
        "products": products,
        **({} if patience is None else {"interval": interval}),
        "curriculum": None if curriculum is None else vars(curriculum),
        "freeze": sorted(frozen),
        "seed": seed,
        "start": digest(model),
    }
    place = None if folder is None else Path(folder)
    with stoppable(), model.precision(), nullcontext() if place is None else locked(place):
        here = provenance(model, task)
        kept = source = None
        for one in (place, earlier):
            if kept is None and one is not None and (kept := checkpoint.read(Path(one))) is not None:
                source = Path(one)
                if not resume:
                    raise InnerloopError(f"{source} holds checkpoints of a run: resume it, or remove it first")
                checkpoint.verify(kept, settings, None if elsewhere else here, source)
        stepper = stepper_of(model, task, batch, frozen, rule)
        run = Run(stepper, seed)
        if kept is not None:
            run.restore(kept)
        last = None if kept is None or source is None else checkpoint.place(source, kept.step)
        counted = Clock(source)
        pace = Pace(stepper.together)
        compiled: set[int | None] = set()

        def keep() -> Path | None:
            if place is None or last == checkpoint.place(place, run.step):
                return last
            written = checkpoint.write(place, Checkpoint(run.step, run.state(), settings, here))
            counted.write(place)
            return written

        def interrupted() -> str:
            goes_on = "" if last is None else f"; a run with `resume` goes on from {last}"
            return f"interrupted after {run.step} of {steps} steps{goes_on}"

        while run.step < steps and not _enough(run.losses, interval, patience):
            end, points, dimensions = _call(run.step, steps, pace.steps, interval, curriculum, task)
            new = points not in compiled  # XLA compiles it for seconds in which nothing can be raised
            if new and compiled and run.finite():
                last = keep()
            with pace.counting(end - run.step), expendable(interrupted()) if new else nullcontext():
                found = run.advance(end, points, dimensions)
            compiled.add(points)
            stopped = asked() and end < steps
            saved = stopped or end % interval == 0 or end == steps
            if not np.isfinite(found).all() or (saved and not run.finite()):
                raise _diverged(run, found, steps, rate, last)
            if on_step is not None:
                on_step(end, float(found.mean()))
            if saved:
                last = keep()
            if stopped:
                raise Interrupted(interrupted())
        keep()  # of a run that `earlier` had ended, which is not there yet
        return Trained(model, run.parameters(), run.losses, in_words(task, batch), run.norms)


def _call(
    start: int, steps: int, most: int, interval: int, curriculum: Curriculum | None, task: TaskDistribution
) -> tuple[int, int | None, int]:
    """(steps done at its end, points, dimensions) of the next call: of `most` steps, but ending at a checkpoint and
    where the curriculum goes on."""
    ends = [steps, start + most, start - start % interval + interval]
    points, dimensions = None, task.inputs
    if curriculum is not None:
        points, dimensions = curriculum.at(start, task)
        ends.append(start - start % curriculum.every + curriculum.every)
    return min(ends), points, dimensions


def _enough(losses: NDArray[np.float32], interval: int, patience: int | None) -> bool:
    """Whether the least mean loss of an interval lies `patience` whole intervals back. It depends on nothing else, so
    that a run that is resumed stops where one that was not broken off does."""
    if patience is None or losses.size % interval or losses.size <= patience * interval:
        return False
    means = losses.reshape(-1, interval).mean(1)
    return bool(means.size - 1 - int(means.argmin()) >= patience)


def frozen_names(model: Model, freeze: Sequence[str]) -> frozenset[str]:
    """The parameters that `freeze` means. Raises InnerloopError for an entry that means none, or if none is left."""
    frozen: set[str] = set()
    for entry in freeze:
        meant = {name for name in model.parameters if name == entry or name.startswith(f"{entry}.")}
        if not meant:
            hint = near(entry, model.parameters) or f"there are {', '.join(list(model.parameters)[:8])} …"
            raise InnerloopError(f"freeze: no parameter is called {entry}; {hint}")
        frozen |= meant
    if len(frozen) == len(model.parameters):
        raise InnerloopError("freeze: all parameters are frozen, and nothing is left to train")
    return frozenset(frozen)


def digest(model: Model) -> str:
    """Of what is trained, and of the numbers that it begins with."""
    found = hashlib.sha256(repr((model.config, model.signature.text)).encode() + model.variant.encode())
    for name, value in (model.parameters | model.constants).items():
        found.update(name.encode() + np.asarray(value).tobytes())
    return found.hexdigest()


def _diverged(
    run: Run, found: NDArray[np.float32], steps: int, rate: float, last: Path | None
) -> DivergenceError:  # fmt: skip
    bad = np.flatnonzero(~np.isfinite(found))
    step = run.step - len(found) + int(bad[0]) + 1 if bad.size else run.step
    what = f"the loss is {found[bad[0]]}" if bad.size else "a parameter is not finite"
    before = run.losses[: step - 1]
    best = float(before.min()) if before.size else inf
    said = f" (the best was {best:.3g})" if isfinite(best) else ""
    good = "there is no checkpoint before it" if last is None else f"the last good checkpoint is {last}"
    return DivergenceError(
        f"training diverged: {what} at step {step} of {steps}{said}; {good}. Take a rate below {rate:g}, a longer "
        f"warm-up or a smaller clip"
    )
