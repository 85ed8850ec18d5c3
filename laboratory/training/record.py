"""What a trained folder says of its training, so that whoever has it can tell, and train it again.

DIR/training/training.json   the command, the program, the task, the settings, the seed, what computed it, the version
             log.csv         step, loss, gradient_norm (before it is clipped)
             clock.json      when it ended and how long it took (clock.py)
             step-…          the last checkpoint (checkpoint.py)
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.errors import DataError
from innerloop.artifact.interrupts import held, unfinished
from innerloop.artifact.words import STATE
from numpy.typing import NDArray

from . import checkpoint, clock
from .provenance import LAST, library_version
from .train import Trained

FACTS, LOG = "training.json", "log.csv"


@dataclass(frozen=True)
class Record:
    """`facts` as training.json has them, `losses` [steps], `clock` as clock.json has it."""

    facts: Mapping[str, Any]
    losses: NDArray[np.float32]
    clock: Mapping[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """In a line: "linear (d = 3, n = 6): 200 steps of 64 tasks, rate 0.01, seed 0; ended 2026-11-27T…, 12.3 s"."""
        settings = self.facts["settings"]
        given = {name: value for name, value in settings["task"].items() if name not in ("name", "rows")}
        of = ", ".join(f"{name} = {value}" for name, value in given.items() if value is not None)
        line = (
            f"{settings['task']['name']} ({of}): {settings['steps']:,} steps of {settings['batch']:,} tasks, "
            f"rate {settings['rate']:g}, seed {settings['seed']}"
        )
        if self.clock.get("ended"):
            line += f"; ended {self.clock['ended']}"
        if self.clock.get("seconds") is not None:
            line += f" after {self.clock['seconds']:,} s"
        return f"{line}; on {self.facts['computed_by'].get('devices', '?')}, innerloop {self.facts['innerloop']}"


def finish(trained: Trained, output: Path, place: Path, command: str) -> None:
    """The weights, with what is known of their training, as `output`, whole, in the place of what stood there of a
    shorter run; the checkpoints in `place`, the last of which the training ended with, go. Raises DataError where
    there are none."""
    with unfinished(output.with_name(f".innerloop-{output.name}-{os.getpid()}")) as scratch:
        trained.save(scratch)
        (scratch / STATE).mkdir()
        _write(scratch / STATE, trained, place, command)
        with held(), unfinished(scratch.with_name(f"{scratch.name}-before")) as before:
            if (output / STATE).is_dir():
                os.rename(output, before)
            os.rename(scratch, output)
    shutil.rmtree(place, ignore_errors=True)


def _write(folder: Path, trained: Trained, place: Path, command: str) -> None:
    kept = checkpoint.read(place)
    if kept is None:
        raise DataError(f"{place} holds no checkpoint: there is nothing to say of the training")
    signature, last = trained.model.signature, trained.losses[-LAST:]
    facts = {
        "command": command,
        "innerloop": library_version("innerloop"),
        "program": signature.name,
        "parameters": {name: np.asarray(value).tolist() for name, value in signature.parameters.items()},
        "target": trained.model.config.target,
        "variant": trained.model.variant,
        "settings": kept.settings,
        "computed_by": kept.provenance,
        "loss": {"first": float(trained.losses[0]), "last": float(last.mean()), "mean_of_last": last.size},
    }
    (folder / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    norms = np.full_like(trained.losses, np.nan) if trained.norms is None else trained.norms
    pairs = enumerate(zip(trained.losses, norms, strict=True), 1)
    rows = (f"{step},{loss:.7g},{norm:.7g}\n" for step, (loss, norm) in pairs)
    (folder / LOG).write_text("step,loss,gradient_norm\n" + "".join(rows), encoding="utf-8")
    shutil.copytree(checkpoint.place(place, kept.step), folder / checkpoint.place(place, kept.step).name)
    shutil.copy(place / clock.CLOCK, folder / clock.CLOCK)


def read(folder: Path) -> Record | None:
    """The record of a trained folder; None of one that has none, as compiled weights and older folders.

    Raises DataError for one that is damaged."""
    place = folder / STATE
    if not (place / FACTS).is_file():
        return None
    try:
        facts = json.loads((place / FACTS).read_bytes())
        kept = checkpoint.read(place)
        if not isinstance(facts, dict) or not {"settings", "computed_by", "innerloop"} <= facts.keys() or kept is None:
            raise ValueError("it says too little")
        return Record(facts, kept.arrays["losses"], clock.read(place))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{place / FACTS} is damaged ({error}): train again, or remove {place}") from None
