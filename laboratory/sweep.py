"""A sweep: one training for every combination of settings and seeds, and one table of what all of them came to.

    {"layers": [1, 2], "noise": [0, 0.5]} × 3 seeds   →   12 cells, each a trained folder of its own:

    DIR/sweep.json                      what was asked
        cells/layers=1,noise=0/seed-0   as `innerloop train` writes it
        table.csv, table.json           a line for each cell: losses, distances, the nearest algorithm
        page.html                       each setting against loss and distance, with the spread of the seeds

Cells train in processes of their own, some at a time. A sweep that is broken off goes on where it was: cells that are
done stay, and one that was training goes on from its checkpoint.
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.words import STATE

OPTIONS = ("layers", "width", "heads", "steps", "batch", "rate", "warmup", "clip", "model")
"""Settings that are options of `innerloop train`; others are parameters of the task, or of the program."""
PLAN = "sweep.json"
LOOK = 0.1
"""Seconds between two looks whether a cell is done."""


@dataclass(frozen=True)
class Cell:
    """One training: its settings, its seed, its folder, and the command that makes it."""

    settings: Mapping[str, str]
    seed: int
    folder: Path
    command: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{named(self.settings)}/seed-{self.seed}"

    @property
    def done(self) -> bool:
        return (self.folder / STATE).is_dir()


def named(settings: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in settings.items()) or "all"


def cells(
    over: Mapping[str, Sequence[str]],
    seeds: Sequence[int],
    folder: Path,
    given: Sequence[str],
    task: Mapping[str, Any],
) -> tuple[Cell, ...]:
    """The cells of a sweep, the last setting fastest. `given`: the arguments of `train` that all of them share; `task`:
    the parameters that the task has."""
    found = []
    for values in product(*over.values()):
        settings = dict(zip(over, values, strict=True))
        for seed in seeds:
            place = folder / "cells" / named(settings) / f"seed-{seed}"
            more = [part for name, value in settings.items() for part in _argument(name, value, task)]
            command = ("train", *given, *more, "--seed", str(seed), "--resume", "--quiet", "-o", str(place))
            found.append(Cell(settings, seed, place, command))
    return tuple(found)


def _argument(name: str, value: str, task: Mapping[str, Any]) -> tuple[str, str]:
    if name in OPTIONS:
        return f"--{name}", value
    return ("-t" if name in task and name != "d" else "-p"), f"{name}={value}"


def claim(folder: Path, asked: Mapping[str, Any]) -> None:
    """Makes the folder of a new sweep, or takes what the same sweep left. Raises InnerloopError for another's."""
    plan, text = folder / PLAN, json.dumps(asked, indent=1, ensure_ascii=False) + "\n"
    if folder.exists():
        try:
            found = plan.read_text(encoding="utf-8")
        except OSError:
            raise InnerloopError(f"{folder}: exists, and no sweep left it; name a new folder, or remove it") from None
        if found != text:
            raise InnerloopError(f"{folder}: holds another sweep ({plan} says which); name a new folder, or remove it")
        return
    folder.mkdir(parents=True)
    plan.write_text(text, encoding="utf-8")


def run(todo: Sequence[Cell], jobs: int, told: Callable[[str, int, int], None] = lambda *_: None) -> None:
    """Trains the cells that are not done, so many at a time. Interrupted, it ends those that train, each with a
    checkpoint, and raises. Raises InnerloopError, with what it said, for a cell that fails."""
    waiting = [cell for cell in todo if not cell.done]
    running: dict[int, tuple[Cell, subprocess.Popen[str]]] = {}
    total, done = len(todo), len(todo) - len(waiting)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                cell = waiting.pop(0)
                cell.folder.parent.mkdir(parents=True, exist_ok=True)
                command = [sys.executable, "-m", "innerloop.commands", *cell.command]
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                running[process.pid] = cell, process
            told(f"training {', '.join(cell.name for cell, _ in running.values())}", done, total)
            for number, (cell, process) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[number]
                said = process.stderr.read().strip() if process.stderr is not None else ""
                if process.returncode != 0:
                    again = shlex.join(("innerloop", *cell.command))
                    why = said.rpartition("error: ")[2] or f"exit status {process.returncode}"
                    raise InnerloopError(f"the cell {cell.name} failed: {why}; it was `{again}`")
                done += 1
            time.sleep(LOOK)
    finally:
        for _, process in running.values():
            process.send_signal(signal.SIGTERM)  # which ends a training with a checkpoint
        for _, process in running.values():
            process.wait()
