"""`innerloop explain`: what it takes, and what it does.

before   a folder of weights, or a Python function, and a task
after    a verdict; a folder with a page, a JSON and the program as text, whole or not at all
"""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path

from innerloop.artifact.errors import InnerloopError

from . import options
from .arguments import new_folder, parameters, program, settings

EPILOG = """\
Tries the programs of the library that solve a regression or continue a sequence, and families of them, with real
parameters (rate, ridge …) fitted to the model's answers at every number of examples. What is said is said of tasks that
no fit has seen. Exit status 0 if a program is named, 3 if none of those that are known explains the model. Where none
does, small edits of the nearest programs' texts and mixtures of two are tried; --no-search leaves that out.

MODEL is a folder that `innerloop compile`, `train` or `export --to huggingface` wrote; a folder of transformers, of
GPT-2 or Llama, with an adapter.toml in it that says how x and y become tokens (docs/explain.md); or FILE.py:FUNCTION, a
Python function of x [tasks, k + 1, d] and y [tasks, k] that gives [tasks], an answer to the last x of each task, for
every k from 1 to n.

DIR gets report.html, verdict.json, and program.icl where a program is named, which `innerloop compile` takes.

Tasks: linear, noisy_linear, sparse_linear, skewed_linear, discrete_linear, logistic, sine, mixed, autoregressive; their
parameters are listed by `innerloop train --help`.

  innerloop explain trained --task linear -t d=5 -t n=20 -o what
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL", help="a folder of weights, of transformers' too, or FILE.py:FUNCTION")
    add("--adapter", type=Path, metavar="FILE", help="how a model of transformers takes x and y")
    add("--task", required=True, metavar="NAME", help="the task, see below")
    options.settings(parser, " (d: as the model's, if not given)")
    add("--program", action="append", default=[], metavar="PROGRAM", help=f"try this too: {options.PROGRAM}")
    options.parameters(parser)
    add("--only", action="append", default=[], metavar="NAME", help="try these alone (default: all)")
    add("--no-search", action="store_true", help="try the families alone, and no edits of their texts")
    add("--twin", metavar="MODEL", help="the same training from another seed, as a measure of distance")
    add(
        "--tasks", type=int, default=512, metavar="N",
        help="tasks of the figures; a quarter as many are fitted: fewer for a slow function (default: %(default)s)",
    )  # fmt: skip
    add("--seed", type=int, default=0, metavar="SEED", help="of the tasks (default: %(default)s)")
    add("-o", "--output", type=Path, metavar="DIR", help="a new folder for the report")


def explain(arguments: Namespace) -> int:
    """Raises InnerloopError for models, tasks and places that do not fit."""
    if arguments.output is not None:
        new_folder(arguments.output)
    chosen, given = settings(arguments.settings), parameters(arguments.parameters)
    if given and not arguments.program:
        raise InnerloopError(f"-p {next(iter(given))}: is a parameter of --program PROGRAM, and none is given")

    from innerloop.explain.behaviour import load
    from innerloop.explain.explain import Settings
    from innerloop.explain.explain import explain as explain_model
    from innerloop.explain.families import of_program
    from innerloop.explain.report import (
        FITS,
        INSIDE,
        TELLING,
        UNSEEN,
        fit_rows,
        inside_rows,
        measure_rows,
        telling_rows,
        write,
    )
    from innerloop.explain.verdict import verdict
    from innerloop.laboratory.drawing import input_size
    from innerloop.laboratory.training.tasks import fitted
    from innerloop.runtime.surroundings import seeded
    from innerloop.runtime.tables import console, progress, table
    from rich.markup import escape

    asked = Settings.of(arguments.tasks, seeded(arguments.seed))
    model = load(arguments.model, arguments.adapter)
    twin = None if arguments.twin is None else load(arguments.twin, arguments.adapter)
    task = fitted(arguments.task, None if model.inside is None else input_size(model.inside.weights), chosen)
    sizes = {"d": task.inputs, "examples": task.parameters["n"]}
    sources = [program(name) for name in arguments.program]
    more = [of_program(source.text, source.name, {**sizes, **given}) for source in sources]
    with progress("explaining") as told:
        found = explain_model(model, task, more, arguments.only, twin, asked, told, not arguments.no_search)
        said = verdict(found) if arguments.output is None else write(found, arguments.output)
    out = console()
    out.print(f"{model.name} {said.sentence}", soft_wrap=True, markup=False)  # a read's brackets are no markup
    out.print(table(FITS, [[escape(cell) for cell in row] for row in fit_rows(found, 6)]))
    out.print(table(("on other tasks", "value", "95 %"), measure_rows(found)))
    if found.choice.rival is not None:
        out.print(f"prompts that tell {found.choice.best.full} from {found.choice.rival.full}")
        out.print(table(TELLING, telling_rows(found)))
    if found.inside is None:
        print(UNSEEN)
    else:
        out.print(table(INSIDE, inside_rows(found)))
    if arguments.output is not None:
        print(f"written: {arguments.output}")
    return said.status
