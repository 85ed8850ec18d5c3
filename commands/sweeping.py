"""`innerloop sweep`: one training for every combination of settings and seeds.

before   what `innerloop train` takes, and the settings that vary
after    a folder for each training, one table and one page; whatever was done when it was broken off stays
"""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from innerloop.artifact.errors import InnerloopError, near
from innerloop.artifact.words import MODELS

from . import options, training
from .arguments import new_folder, program, settings
from .as_json import print_json, records

if TYPE_CHECKING:
    from innerloop.laboratory.sweep import Cell

EPILOG = """\
--over may be given several times; every combination is trained with every seed. Without it, one training is done with
several seeds. NAME is layers, width, heads, steps,
batch, rate, warmup, clip or model as `innerloop train` has them (its rate, before a program's), a parameter of the task
(noise, n, tasks …), or one of the program (d, which the task takes too). `innerloop compare` takes the seeds of one
combination: DIR/cells/noise=0.5, or DIR/cells/all.

A sweep that is broken off, by Ctrl-C too, goes on when the same command is given again: trainings that are done stay,
those that were going on continue from their checkpoints. The tasks on which a training is measured are of its own kind.

  innerloop sweep gradient_descent -p d=3 --task noisy_linear -t n=10 --over layers=1,2,4 --over noise=0,0.5 \\
      --seeds 3 --width 32 --heads 2 --steps 2000 --rate 0.003 --jobs 2 -o sweep
"""


def _model(text: str) -> str:
    if text not in MODELS:
        raise argparse.ArgumentTypeError(near(text, MODELS) or f"there are {', '.join(MODELS)}")
    return text


class _Reader(argparse.ArgumentParser):
    """Of the arguments of one training, which is not begun."""

    def error(self, message: str) -> NoReturn:
        raise InnerloopError(message)


_COUNT = options.at_least(1)
SHARED: dict[str, Callable[[str], Any]] = {
    "layers": _COUNT, "width": _COUNT, "heads": _COUNT, "batch": _COUNT, "rate": float, "warmup": int, "schedule": str,
    "clip": float, "model": _model,
}  # fmt: skip
"""Options that are handed on to every training, and how each is read."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("program", metavar="PROGRAM", help=options.PROGRAM)
    options.parameters(parser)
    options.target(parser)
    add, count = parser.add_argument, _COUNT
    add("--task", required=True, metavar="NAME", help="linear, noisy_linear, autoregressive …")
    options.settings(parser)
    add("--over", type=_over, action="append", default=[], metavar="NAME=A,B,…", help="what varies, and its values")
    add("--seeds", type=count, default=3, metavar="COUNT", help="trainings of each (default: %(default)s)")
    add("--seed", type=options.at_least(0), default=0, help="the first of them (default: %(default)s)")
    add("--steps", type=count, metavar="COUNT", help="of each training, unless it varies")
    for name, kind in SHARED.items():
        add(f"--{name}", type=kind, metavar=name.upper(), help="as `innerloop train` has it")
    add("--jobs", type=count, default=1, metavar="COUNT", help="trainings at a time (default: %(default)s)")
    add("--tasks", type=options.at_least(40), default=1000, metavar="COUNT", help="to measure on (default: 1000)")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="a folder, new or of this sweep")


def _over(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, values = text.partition("=")
    found = tuple(value.strip() for value in values.split(","))
    if not equals or not name.strip().isidentifier() or not all(found):
        raise argparse.ArgumentTypeError(f"`{text}` is not of the form name=value,value,…")
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"`{text}` has a value twice")
    return name.strip(), found


def sweep(arguments: Namespace) -> int:
    """Raises InnerloopError for settings that cannot be, and for a training that fails."""
    from innerloop.laboratory.sweep import OPTIONS, PLAN, cells, claim, run
    from innerloop.laboratory.training.settings import defaults

    task = defaults(arguments.task)
    settings(arguments.settings)
    source = program(arguments.program)
    over: dict[str, tuple[str, ...]] = {}
    for name, values in arguments.over:
        if name in over:
            raise InnerloopError(f"--over {name}: given twice")
        over[name] = values
    _verify(over, task, arguments, source.text, OPTIONS)
    if not (arguments.output / PLAN).exists():
        new_folder(arguments.output)
    given = _given(arguments)
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    asked = {"train": given, "over": over, "seeds": list(seeds), "tasks": arguments.tasks}
    todo = cells(over, seeds, arguments.output, given, task)
    _possible(todo)
    claim(arguments.output, {name: _plain(value) for name, value in asked.items()})

    from innerloop.runtime.tables import console, progress, table

    with progress(f"sweep of {len(todo)} trainings") as told:
        run(todo, arguments.jobs, told)
        from innerloop.laboratory.swept import COLUMNS, measured, rows, write

        lines = measured(todo, arguments.tasks, arguments.seed, told)
        written = write(arguments.output, lines, todo, arguments.written)
    if arguments.json:
        print_json({"folder": str(arguments.output), "cells": records(COLUMNS, rows(lines))})
        return 0
    shown = ("settings", "seed", "loss", "low", "high", "nearest", "SPD/d", "near")
    places = [COLUMNS.index(name) for name in shown]
    console().print(table(shown, [[row[place] for place in places] for row in rows(lines)]))
    for path in written:
        print(f"written: {path}")
    return 0


def _verify(
    over: dict[str, tuple[str, ...]], task: Any, arguments: Namespace, text: str, known: tuple[str, ...]
) -> None:
    """Raises InnerloopError for a setting that neither training, nor the task, nor the program has, or given twice."""
    from innerloop.compiler.syntax.parse import parse

    there = dict.fromkeys([*known, *task, *(each.name for each in parse(text).parameters)])
    fixed = {key for key, _ in (*arguments.settings, *arguments.parameters)}
    for name in over:
        if name not in there:
            hint = near(name, list(there)) or f"there are {', '.join(there)}"
            raise InnerloopError(f"--over {name}: nothing is called so; {hint}")
        if name in fixed or (getattr(arguments, name, None) is not None and name in known):
            raise InnerloopError(f"--over {name}: it varies, and is given besides; leave one out")
        for value in over[name] if name in {*SHARED, "steps"} else ():
            try:
                SHARED.get(name, _COUNT)(value)
            except (argparse.ArgumentTypeError, ValueError) as error:
                raise InnerloopError(f"--over {name}={value}: {error}") from None
    if arguments.steps is None and "steps" not in over:
        raise InnerloopError("--steps: give the steps of each training, or --over steps=…")


def _possible(todo: Sequence[Cell]) -> None:
    """Raises InnerloopError for a cell that `innerloop train` would refuse by its settings, before any is trained."""
    reader = _Reader(add_help=False)
    training.add_arguments(reader)
    reader.add_argument("--quiet", action="store_true")
    for cell in todo:
        try:
            training.verified(reader.parse_args(cell.command[1:]))
        except InnerloopError as error:
            raise InnerloopError(f"the cell {cell.name} cannot be: {error}") from None


def _given(arguments: Namespace) -> list[str]:
    """What every training is given."""
    given = [
        arguments.program,
        "--target",
        arguments.target,
        "--optimize",
        arguments.optimize,
        "--task",
        arguments.task,
    ]
    for option, pairs in (("-p", arguments.parameters), ("-t", arguments.settings)):
        given += [part for name, value in pairs for part in (option, f"{name}={value}")]
    for name in ("steps", *SHARED):
        value = getattr(arguments, name)
        if value is not None:
            given += [f"--{name}", str(value)]
    return given


def _plain(value: Any) -> Any:
    return {k: list(v) for k, v in value.items()} if isinstance(value, dict) else value
