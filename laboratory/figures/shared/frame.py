"""What a published figure is made of.

    Figure.run(Setting)   →   Result

`Setting` is where the run keeps what a killed run goes on from, how long it may train, and whom it tells what it does;
`Result` is what must hold, with the measured values, and what is drawn. `reproduce.py` runs it and writes the folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from innerloop.artifact.weights import Weights
from matplotlib.figure import Figure as Picture

from ...training.model import Model
from ...training.tasks import TaskDistribution
from ...training.train import Trained, digest, train

LONGER = 8
"""So many times the steps of a usual run has a long one."""

UNSEEN = 20_000
"""The seed of the tasks that layers of linear attention are measured on."""


@dataclass(frozen=True)
class Check:
    """`name` holds if `measured` is within low … high; no number is in no range."""

    name: str
    measured: float
    low: float = -inf
    high: float = inf

    @property
    def holds(self) -> bool:
        return self.low <= self.measured <= self.high

    @property
    def asked(self) -> str:
        if self.low == -inf:
            return f"≤ {self.high:g}"
        return f"≥ {self.low:g}" if self.high == inf else f"{self.low:g} … {self.high:g}"


@dataclass(frozen=True)
class Table:
    """A table to print under the checks; the first `left` columns are text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


@dataclass(frozen=True)
class Result:
    """What a figure came to.

    checks    what must hold
    tables    to print
    pictures  {file name without suffix: picture}, written as PNG
    numbers   {name: number, array or lists of them}, what the pictures show, for figures.json
    weights   {folder: weights} to keep, so that `run`, `diff` and `compare` can take them
    """

    checks: tuple[Check, ...]
    tables: tuple[Table, ...] = ()
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Weights] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)


@dataclass(frozen=True)
class Setting:
    """How a figure is run.

    folder   for checkpoints, each training run in a folder of its own below; it outlives a killed run
    told     hears (what, done, in all), for the progress bar
    long     bigger, for a GPU
    share    of the usual steps and test tasks, for tests
    elsewhere  go on with training that something else computed: see `train`
    shared   for the checkpoints of `train`, in place of `folder`: figures that train alike find one another's there
    runs     what was trained, in words, by name: `train` adds to it
    """

    folder: Path
    told: Callable[[str, int, int], None] = lambda what, done, total: None
    long: bool = False
    share: float = 1.0
    elsewhere: bool = False
    shared: Path | None = None
    runs: dict[str, str] = field(default_factory=dict)

    def steps(self, usual: int) -> int:
        """How many steps to train where `usual` are usual."""
        return max(1, round(usual * self.share * (LONGER if self.long else 1)))

    def train(
        self, name: str, start: Model | Weights, task: TaskDistribution, *, steps: int, **options: Any
    ) -> Trained:
        """`train` of the laboratory for as many steps as `steps` says, with checkpoints in a folder `name`: goes on
        from them, and gives a run that is done back at once."""

        def moved(done: int, loss: float) -> None:
            self.told(f"training {name}, loss {loss:.4g}", done, total)

        total = self.steps(steps)
        interval = 100 * max(1, round(total / 1000))  # calls of `train` are of 100 steps, or of fewer in large models
        self.told(f"training {name}", 0, total)
        found = train(
            start,
            task,
            steps=total,
            folder=self._place(name, start, task, total, options),
            resume=True,
            elsewhere=self.elsewhere,
            on_step=moved,
            interval=interval,
            **options,
        )
        self._ran(name, total, found, options)
        return found

    def stages(
        self, name: str, start: Model | Weights, task: TaskDistribution, *, ends: Sequence[int], **options: Any
    ) -> list[Trained]:
        """One run of constant rate, as it stood after each of `ends` steps (where that many are usual): a folder each,
        so that a killed run finds those that are done. The last has the losses of all steps."""
        found: list[Trained] = []
        before = 0
        for number, end in enumerate(ends):
            total = before = max(self.steps(end), before + 1)
            self.told(f"training {name}", number, len(ends))
            earlier = self.folder / name / f"{number - 1}" if number else None
            found.append(
                train(
                    start,
                    task,
                    steps=total,
                    folder=self.folder / name / f"{number}",
                    earlier=earlier,
                    resume=True,
                    elsewhere=self.elsewhere,
                    schedule="constant",
                    interval=10**6,
                    **options,
                )
            )
        self._ran(name, before, found[-1], {**options, "schedule": "constant"})
        return found

    def _place(
        self, name: str, start: Model | Weights, task: TaskDistribution, total: int, options: Mapping[str, Any]
    ) -> Path:
        """Where a run keeps its checkpoints: below `shared` by all that it depends on, whatever its name."""
        if self.shared is None:
            return self.folder / name
        model = start if isinstance(start, Model) else Model.of(start)
        of_task = task.name, task.rows, sorted(task.parameters.items())
        how = repr((digest(model), of_task, total, sorted(options.items())))
        return self.shared / hashlib.sha256(how.encode()).hexdigest()[:16]

    def _ran(self, name: str, steps: int, found: Trained, options: Mapping[str, Any]) -> None:
        """Says in `runs` what was trained."""
        given = ", ".join(f"{option} {value}" for option, value in options.items())
        self.runs[name] = f"{steps} steps of {found.task}, seed {options.get('seed', 0)}; {given}"

    def tasks(self, usual: int) -> int:
        """How many tasks to measure on where `usual` are usual."""
        return max(1, round(usual * self.share))


@dataclass(frozen=True)
class Figure:
    """A published figure: its name, in one line what it shows, where it was published, how to run it, and how many
    minutes of a processor that takes."""

    name: str
    purpose: str
    source: str
    run: Callable[[Setting], Result]
    minutes: float | None = None
