"""`innerloop compare`: what it takes, and what it does.

before   two folders of weights, compiled and trained, and a task
after    a table; a page and a folder of pictures, each whole or not at all
"""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path

from . import options
from .arguments import new_file, new_folder, settings
from .as_json import print_json, records

EPILOG = """\
The table has a line for each measure: losses, squared prediction difference (SPD), implicit weights (ILWD),
sensitivities, loss on the line between the weights, nearest known algorithm, losses off the distribution, probes for
the program's variables in both models, and patches. The page has the figures too.

Tasks: linear, noisy_linear, sparse_linear, skewed_linear, discrete_linear, logistic, sine, autoregressive; their
parameters are listed by `innerloop train --help`.

  innerloop compare gd trained --task linear -t n=20 -o report.html --png figures
"""

LEAST = 40
"""Fewer tasks than these give probes nothing to go by."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("compiled", type=Path, metavar="COMPILED", help="a folder that `innerloop compile` wrote")
    add("trained", type=Path, metavar="TRAINED", help="a folder of weights of the same tokens")
    add("--task", required=True, metavar="NAME", help="the task, see below")
    options.settings(parser, " (d: as compiled, if not given)")
    add(
        "--tasks",
        type=options.at_least(LEAST),
        default=1000,
        metavar="COUNT",
        help="tasks to compare on (default: %(default)s)",
    )
    add("--seed", type=int, default=0, metavar="SEED", help="of the tasks (default: %(default)s)")
    add("--probe", action="append", default=[], metavar="NAME", help="a variable to probe for (default: all)")
    add("--mlp", action="store_true", help="two-layer probes, too")
    add("-o", "--output", type=_page, metavar="PAGE", help="the report, a new .html file")
    add("--png", type=Path, metavar="DIR", help="a new folder for the figures")


def _page(text: str) -> Path:
    if Path(text).suffix not in {".html", ".htm"}:
        raise argparse.ArgumentTypeError(f"`{text}` does not end in .html")
    return Path(text)


def compare(arguments: Namespace) -> int:
    """Raises InnerloopError for models, tasks and places that do not fit."""
    from innerloop.artifact.weights import Weights

    if arguments.output is not None:
        new_file(arguments.output)
    if arguments.png is not None:
        new_folder(arguments.png)
    from innerloop.laboratory.training.settings import defaults, fitting, task_settings

    given = settings(arguments.settings)
    defaults(arguments.task)
    compiled, trained = Weights.load(arguments.compiled), Weights.load(arguments.trained)
    task_settings(arguments.task, "all", fitting(arguments.task, None, given))

    from innerloop.laboratory.at_hand import compare as compare_models
    from innerloop.laboratory.comparison import Settings
    from innerloop.laboratory.drawing import input_size
    from innerloop.laboratory.report import COLUMNS, rows, write
    from innerloop.laboratory.training.tasks import fitted
    from innerloop.runtime.tables import console, progress, table

    task = fitted(arguments.task, input_size(compiled), given)
    chosen = Settings(
        arguments.tasks, arguments.tasks, arguments.seed, arguments.mlp, tuple(arguments.probe) or None
    )  # fmt: skip
    with progress("comparing") as told:
        found = compare_models(compiled, trained, task, chosen, told)
        told("writing", 0, 0)
        write(found, arguments.output, arguments.png)
    if arguments.json:
        print_json({"task": task.name, "measures": records(COLUMNS, rows(found)), "left_out": found.left_out})
        return 0
    console().print(table(COLUMNS, rows(found)))
    for note in found.left_out:
        print(f"left out: {note}")
    for name in filter(None, (arguments.output, arguments.png)):
        print(f"written: {name}")
    return 0
