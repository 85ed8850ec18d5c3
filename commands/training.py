"""`innerloop train`: a program's task, learnt.

before   a program, a task, what to change in the architecture, how long to train
after    a folder of weights, whole or not at all; until then checkpoints beside it
"""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.words import MODELS, STATE, Products, RateSchedule, Rows

from . import options
from .arguments import new_folder, parameters, program, settings
from .as_json import print_json

if TYPE_CHECKING:
    from innerloop.artifact.weights import Weights
    from innerloop.laboratory.training.model import Model

WIDTH, LAYERS = 64, 2
"""Of a baseline, unless told otherwise."""
SETTINGS = ("steps", "batch", "interval", "rate", "warmup", "schedule", "clip", "decay", "patience", "products")

EPILOG = """\
The program says which tokens there are and what is to be predicted, and its compiled weights which architecture is
trained; --layers, --width and --heads change it. --model takes something else in its place on the same tokens, of two
layers of 64 numbers unless told otherwise: a recurrent network or linear attention of equinox, for `compare`.

tasks, with their parameters (-t NAME=VALUE; those not given have defaults, and d is the program's):
  linear           y = w · x                       d n inputs input_scale weight_scale
  noisy_linear     and noise on y                  … noise
  sparse_linear    most of w is 0                  … nonzeros noise
  skewed_linear    x ~ N(0, diag λ)                d n power eigenvalues weight_scale noise
  discrete_linear  w is one of so many             d n tasks noise pool
  logistic         y is 0 or 1                     d n inputs input_scale weight_scale
  sine             y = a sin(x + φ)                n
  mixed            each one of [linear, …]         of, and what those have
  autoregressive   x_{t+1} = W x_t                 d n form start start_scale field
n is the number of examples, or of states.

Until DIR is written, whole, checkpoints lie in DIR.checkpoints; --resume goes on from the last of them, with the same
settings, and ends with the weights that a run without a break ends with. The state at the end stays in DIR/training:
--resume with more --steps lengthens a finished run of --schedule constant, and ends with the weights of a run that was
as long from the beginning. Both need the same processor, libraries and version; --elsewhere goes on without.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("program", metavar="PROGRAM", help=options.PROGRAM)
    options.parameters(parser)
    options.target(parser)
    add, count = parser.add_argument, options.at_least(1)
    add("--task", required=True, metavar="NAME", help="linear, noisy_linear, autoregressive …")
    options.settings(parser)
    add("--rows", choices=get_args(Rows), default="all", help="the outputs that learn (default: %(default)s)")
    add("--start", choices=["random", "compiled"], default="random", help="the numbers to begin with")
    add("--model", choices=MODELS, default=MODELS[0], metavar="MODEL", help=f"what learns: {', '.join(MODELS)}")
    for name in ("layers", "width", "heads"):
        add(f"--{name}", type=count, metavar="COUNT", help="of a random start (default: as compiled)")
    add("--freeze", action="append", default=[], metavar="NAME", help="parameters that stay: embedding, body.0 …")
    add("--steps", type=count, required=True, metavar="COUNT")
    add("--batch", type=count, default=64, metavar="COUNT", help="tasks a step (default: %(default)s)")
    add("--rate", type=float, default=1e-3, help="Adam's (default: %(default)s)")
    add("--warmup", type=int, default=0, metavar="STEPS", help="in which the rate rises from 0 (default: %(default)s)")
    add("--schedule", choices=get_args(RateSchedule), default="cosine", help="what follows (default: %(default)s)")
    add("--clip", type=float, default=1.0, metavar="NORM", help="the gradient's largest norm (default: %(default)s)")
    add("--decay", type=float, default=0.0, help="AdamW's, of matrices (default: %(default)s: Adam)")
    add("--patience", type=count, metavar="COUNT", help="stop when so many intervals brought no less loss")
    add("--products", choices=get_args(Products), default="float32", help="bfloat16: their factors, on a GPU or TPU")
    add("--curriculum", action="store_true", help="inputs and prompts grow as in Garg et al. 2022")
    add("--seed", type=int, default=0, help="of the start and of the tasks (default: %(default)s)")
    add("--interval", type=count, default=1000, metavar="STEPS", help="between checkpoints (default: %(default)s)")
    add("--resume", action="store_true", help="go on from the last checkpoint, if there is one")
    add("--elsewhere", action="store_true", help="resume even where something else computes: see above")
    options.folder(parser)


def verified(arguments: Namespace) -> tuple[dict[str, Any], dict[str, Any], int | None, dict[str, int]]:
    """The parameters of the program and of the task, d where it is known, and the changes of the architecture. Raises
    InnerloopError for settings that cannot be, as far as that is known before anything is compiled."""
    from innerloop.laboratory.training.settings import fitting, task_settings, training_settings

    given: dict[str, Any] = parameters(arguments.parameters)
    chosen = settings(arguments.settings)
    d = given["d"] if type(given.get("d")) is int else None
    values = {"rows": arguments.rows, **fitting(arguments.task, d, chosen)}
    task_settings(arguments.task, values.pop("rows"), values)
    training_settings(**{name: getattr(arguments, name) for name in SETTINGS})
    changes = {"n_layer": arguments.layers, "d_model": arguments.width, "n_head": arguments.heads}
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes and arguments.start == "compiled":
        raise InnerloopError("--layers, --width and --heads are for a random start; a compiled one has its own")
    if arguments.model != "transformer" and (arguments.heads or arguments.start == "compiled"):
        raise InnerloopError(f"--model {arguments.model} has no heads, and starts at random: no --heads or --start")
    return given, chosen, d, changes


def train(arguments: Namespace) -> int:
    """Raises InnerloopError for settings that cannot be, and DivergenceError."""
    given, chosen, d, changes = verified(arguments)
    source = program(arguments.program)
    output, place = arguments.output, checkpoints(arguments.output)
    if not (output / STATE).is_dir():
        new_folder(output)
    elif not arguments.resume:
        raise InnerloopError(
            f"{output}: exists already, a finished training: --resume with more --steps lengthens it; or name a new "
            "folder"
        )

    from innerloop.compiler import compile_program
    from innerloop.laboratory.training.curriculum import Curriculum
    from innerloop.laboratory.training.lock import locked
    from innerloop.laboratory.training.record import finish
    from innerloop.laboratory.training.tasks import fitted
    from innerloop.laboratory.training.train import frozen_names
    from innerloop.laboratory.training.train import train as run
    from innerloop.runtime.tables import console, progress, table

    stream = fitted(arguments.task, d, chosen, arguments.rows)
    with locked(place), progress(f"compiling {source.name} for {arguments.target}") as move:
        weights = compile_program(
            source.text, target=arguments.target, optimize=arguments.optimize, source=source.name, **given
        )
        start = _start(arguments, weights, changes)
        move("compiling the training step", 0, 0)
        found = run(
            start,
            stream,
            steps=arguments.steps,
            batch=arguments.batch,
            rate=arguments.rate,
            warmup=arguments.warmup,
            schedule=arguments.schedule,
            clip=arguments.clip,
            decay=arguments.decay,
            patience=arguments.patience,
            products=arguments.products,
            curriculum=Curriculum.of(stream) if arguments.curriculum else None,
            freeze=arguments.freeze,
            seed=arguments.seed,
            folder=place,
            interval=arguments.interval,
            earlier=output / STATE,
            resume=arguments.resume,
            elsewhere=arguments.elsewhere,
            on_step=lambda step, loss: move(f"loss {loss:.4g}", step, arguments.steps),
        )
        finish(found, output, place, arguments.written)
    last = found.losses[-min(100, len(found.losses)) :]
    stay = frozen_names(found.model, arguments.freeze)
    trained = sum(value.size for name, value in found.parameters.items() if name not in stay)
    count = sum(value.size for value in found.parameters.values())
    if arguments.model == "transformer":
        count = max(count, found.weights.numbers()[0])  # which has constants, and not the output's bias
    architecture = found.model.architecture
    if arguments.json:
        print_json({"folder": str(output), "model": arguments.model, "architecture": architecture, "parameters": count,
                    "parameters_trained": trained, "steps": len(found.losses), "first_loss": found.losses[0],
                    "last_loss": last.mean(), "losses": len(last), "task": stream.name,
                    **stream.parameters})  # fmt: skip
        return 0
    rows = [
        ["architecture", architecture],
        ["parameters", f"{count:,}, of which {trained:,} are trained, {arguments.start} at first"],
        ["task", f"{stream.name}, {', '.join(f'{name} = {value}' for name, value in stream.parameters.items())}"],
        ["steps", f"{len(found.losses):,} of {arguments.batch} tasks"],
        ["loss", f"{found.losses[0]:.4g} at first; {last.mean():.4g}, the mean of the last {len(last)} steps"],
    ]
    console().print(table([weights.signature.name, f"trained → {arguments.output}"], rows, left=2))
    return 0


def _start(arguments: Namespace, weights: Weights, changes: dict[str, Any]) -> Model:
    """What is trained, before it is."""
    from innerloop.laboratory.training.baselines import Baseline
    from innerloop.laboratory.training.model import Model

    if arguments.model != "transformer":
        width, layers = arguments.width or WIDTH, arguments.layers or LAYERS
        return Baseline.drawn(arguments.model, weights, arguments.seed, width=width, layers=layers)
    if arguments.start == "compiled":
        return Model.of(weights)
    return Model.fresh(weights, arguments.seed, **changes)


def checkpoints(output: Path) -> Path:
    """Where the checkpoints lie until `output` is written."""
    return output.parent / f"{output.name}.checkpoints"
