"""`innerloop train`: a program's task, learnt.

before   a program, a task, what to change in the architecture, how long to train
after    a folder of weights, whole or not at all; until then checkpoints beside it
"""

from __future__ import annotations

import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any

from ..compiler.errors import InnerloopError
from .arguments import new_folder, parameters, program, settings


def train(arguments: Namespace) -> int:
    """Raises InnerloopError for settings that cannot be, and DivergenceError."""
    from ..compiler import compile_program
    from ..laboratory.curriculum import Curriculum
    from ..laboratory.model import Model
    from ..laboratory.tasks import defaults, task
    from ..laboratory.train import train as run
    from ..runtime.tables import console, progress, table

    given: dict[str, Any] = parameters(arguments.parameters)
    chosen = settings(arguments.settings)
    source = program(arguments.program)
    new_folder(arguments.output)
    if "d" in defaults(arguments.task) and type(given.get("d")) is int:
        chosen.setdefault("d", given["d"])
    stream = task(arguments.task, rows=arguments.rows, **chosen)
    changes = {"n_layer": arguments.layers, "d_model": arguments.width, "n_head": arguments.heads}
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes and arguments.start == "compiled":
        raise InnerloopError("--layers, --width and --heads are for a random start; a compiled one has its own")
    with progress(f"compiling {source.name} for {arguments.target}") as move:
        weights = compile_program(
            source.text, target=arguments.target, optimize=arguments.optimize, source=source.name, **given
        )
        start = Model.of(weights) if arguments.start == "compiled" else Model.fresh(weights, arguments.seed, **changes)
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
            curriculum=Curriculum.of(stream) if arguments.curriculum else None,
            freeze=arguments.freeze,
            seed=arguments.seed,
            folder=checkpoints(arguments.output),
            interval=arguments.interval,
            resume=arguments.resume,
            on_step=lambda step, loss: move(f"loss {loss:.4g}", step, arguments.steps),
        )
    trained = found.weights
    trained.save(arguments.output)
    shutil.rmtree(checkpoints(arguments.output), ignore_errors=True)
    config, last = trained.config, found.losses[-min(100, len(found.losses)) :]
    rows = [
        ["architecture", f"{config.n_layer} layers of width {config.d_model}, {config.n_head} heads"],
        ["parameters", f"{sum(value.size for value in found.parameters.values()):,}, {arguments.start} at first"],
        ["task", f"{stream.name}, {', '.join(f'{name} = {value}' for name, value in stream.parameters.items())}"],
        ["steps", f"{len(found.losses):,} of {arguments.batch} tasks"],
        ["loss", f"{found.losses[0]:.4g} at first; {last.mean():.4g}, the mean of the last {len(last)} steps"],
    ]
    console().print(table([weights.signature.name, f"{config.target}, trained → {arguments.output}"], rows, left=2))
    return 0


def checkpoints(output: Path) -> Path:
    """Where the checkpoints lie until `output` is written."""
    return output.parent / f"{output.name}.checkpoints"
