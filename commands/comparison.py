"""`innerloop compare`: what it takes, and what it does.

before   folders of weights, compiled and trained, and a task; or the JSON of a page
after    a table; a page with its JSON and CSV, and a folder of pictures, each whole or not at all
"""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.words import STATE

from . import options
from .arguments import new_file, new_folder, settings
from .as_json import print_json, records

if TYPE_CHECKING:
    from innerloop.laboratory.asked import Asked

EPILOG = """\
The table has a line for each measure, with 95 % bootstrap intervals over tasks: losses, squared prediction difference
(SPD), implicit weights (ILWD), sensitivities, loss on the line between the weights, nearest known algorithm, losses off
the distribution, probes for the program's variables in both models, and patches; and whether both are one algorithm.
The page has the figures too. Beside it, PAGE's name in .json and .csv: every measure, and what was compared.

Several TRAINED, or a folder of seed-0, seed-1 … as `innerloop sweep` leaves, are seeds of one training: cells are
means over them, figures have their spread, and their distance from each other says what is near. Two trainings compare
as well: the first of them stands for the compiled. A TRAINED may be a baseline (`train --model lstm`), the first not;
what is inside is left out then, and several are of one kind. With --from, the command of a page's JSON runs again, and
takes the options given.

Tasks: linear, noisy_linear, sparse_linear, skewed_linear, discrete_linear, logistic, sine, autoregressive, mixed; their
parameters are listed by `innerloop train --help`.

  innerloop compare gd trained --task linear -t n=20 -o report.html --png figures
  innerloop compare --from report.json -o again.html
"""

LEAST = 40
"""Fewer tasks than these give probes nothing to go by."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("compiled", type=Path, nargs="?", metavar="COMPILED", help="a folder that `innerloop compile` wrote")
    add("trained", type=Path, nargs="*", metavar="TRAINED", help="folders of weights or baselines, of the same tokens")
    add("--from", dest="source", type=Path, metavar="FILE", help="the .json of a page, to make again")
    add("--task", metavar="NAME", help="the task, see below")
    options.settings(parser, " (d: as compiled, if not given)")
    add(
        "--tasks",
        type=options.at_least(LEAST),
        metavar="COUNT",
        help="tasks to compare on (default: 1000)",
    )
    add("--seed", type=int, metavar="SEED", help="of the tasks (default: 0)")
    add("--probe", action="append", default=[], metavar="NAME", help="a variable to probe for (default: all)")
    add("--mlp", action="store_true", help="two-layer probes, too")
    add("-o", "--output", type=_page, metavar="PAGE", help="the report, a new .html file; .json and .csv beside it")
    add("--png", type=Path, metavar="DIR", help="a new folder for the figures")


def _page(text: str) -> Path:
    if Path(text).suffix not in {".html", ".htm"}:
        raise argparse.ArgumentTypeError(f"`{text}` does not end in .html")
    return Path(text)


def compare(arguments: Namespace) -> int:
    """Raises InnerloopError for models, tasks and places that do not fit."""
    from innerloop.artifact.weights import Weights

    if arguments.output is not None:
        for suffix in (arguments.output.suffix, ".json", ".csv"):
            new_file(arguments.output.with_suffix(suffix))
    if arguments.png is not None:
        new_folder(arguments.png)
    from innerloop.laboratory.training.settings import defaults, fitting, task_settings

    given = settings(arguments.settings)
    asked = _asked(arguments, given)
    name, rows = asked.task["name"], asked.task.get("rows", "all")
    values = {key: value for key, value in asked.task.items() if key not in ("name", "rows")}
    defaults(name)
    from innerloop.laboratory.network import known
    from innerloop.laboratory.training.baselines import is_baseline

    folders = asked.compiled, *asked.trained
    if is_baseline(asked.compiled):
        raise InnerloopError(f"{asked.compiled} is a baseline: give what it is held against first")
    compiled, *trained = Weights.load(asked.compiled), *map(known, asked.trained)
    task_settings(name, rows, fitting(name, None, values))

    from dataclasses import replace

    from innerloop.laboratory.at_hand import compare as compare_models
    from innerloop.laboratory.comparison import named
    from innerloop.laboratory.drawing import input_size
    from innerloop.laboratory.headlines import columns
    from innerloop.laboratory.headlines import rows as lines_of
    from innerloop.laboratory.saved import write
    from innerloop.laboratory.setting import Settings
    from innerloop.laboratory.training.record import read
    from innerloop.laboratory.training.tasks import fitted
    from innerloop.laboratory.verdict import among_seeds, verdict
    from innerloop.runtime.tables import console, progress, table

    task = fitted(name, input_size(compiled), values, rows)
    first, others = named(compiled, trained)
    found_records = {n: read(f) for n, f in zip((first, *others), folders, strict=True)}
    kept = {n: record for n, record in found_records.items() if record is not None}
    losses = [kept[n].losses.astype(float) for n in others if n in kept]
    asked = replace(
        asked, task={"name": name, "rows": task.rows, **task.parameters}, command=arguments.written, records=kept
    )
    chosen = Settings(asked.tasks, asked.tasks, asked.seed, asked.mlp, asked.probe or None)
    with progress("comparing") as told:
        learning = losses if len(losses) == len(others) else []
        found = compare_models(compiled, trained, task, chosen, told, learning)
        told("writing", 0, 0)
        written = write(found, asked, arguments.output, arguments.png)
        rows_, names = lines_of(found), columns(found)
    seeds = among_seeds(found)
    if arguments.json:
        said = {"verdict": verdict(found).sentence} | ({} if seeds is None else {"seeds": seeds.sentence})
        print_json({"task": task.name, **said, "measures": records(names, rows_), "left_out": found.left_out})
        return 0
    console().print(table(names, rows_))
    print(f"{names[1]} and {names[2]}: {verdict(found).sentence}")
    if seeds is not None:
        print(f"{len(trained)} seeds among themselves: {seeds.sentence}")
    for note in found.left_out:
        print(f"left out: {note}")
    for path in written:
        print(f"written: {path}")
    return 0


def _asked(arguments: Namespace, given: dict[str, Any]) -> Asked:
    """What the command line asks, over what the JSON of --from did. Raises InnerloopError where both give folders."""
    from dataclasses import replace

    from innerloop.laboratory.asked import Asked, read

    if arguments.source is not None:
        if arguments.compiled is not None:
            raise InnerloopError("--from FILE has its folders: leave COMPILED and TRAINED out")
        found = read(arguments.source)
        if arguments.task is not None and arguments.task != found.task["name"]:
            found = replace(found, task={"name": arguments.task})
    elif arguments.compiled is None or not arguments.trained or arguments.task is None:
        print("usage: innerloop compare COMPILED TRAINED … --task NAME, or --from FILE", file=sys.stderr)
        raise SystemExit(2)
    else:
        trained = tuple(each for folder in arguments.trained for each in seeds_in(folder))
        found = Asked(arguments.compiled, trained, {"name": arguments.task})
    return replace(
        found,
        task={**found.task, **given},
        tasks=arguments.tasks or found.tasks,
        seed=found.seed if arguments.seed is None else arguments.seed,
        mlp=arguments.mlp or found.mlp,
        probe=tuple(arguments.probe) or found.probe,
    )


def seeds_in(folder: Path) -> tuple[Path, ...]:
    """The trained folders in one of a sweep's combinations; any other folder itself."""
    found = sorted(folder.glob(f"seed-*/{STATE}"))
    return tuple(each.parent for each in found) or (folder,)
