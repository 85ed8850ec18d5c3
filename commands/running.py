"""`innerloop run`: weights, or a program that is compiled for these data, on data.

before   a folder or a program; a file
after    task, row, line, prediction (and bound, resolved), target: on the screen or in a file
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from innerloop.artifact.errors import InnerloopError, counted

from . import own_data
from .arguments import output_file, parameters, program
from .as_json import print_json
from .certificate import by_name, certified, rounded_up

if TYPE_CHECKING:
    from innerloop.artifact.weights import Weights
    from innerloop.runtime.data.datasets import Arrays
    from innerloop.runtime.data.table_tasks import TableTasks


def run(arguments: Namespace) -> int:
    """Raises InnerloopError for what does not fit."""
    from innerloop.runtime.data.datasets import rows, write
    from innerloop.runtime.tables import console, progress, table

    from .own_data import placed

    if arguments.calibrate is not None and not arguments.certify:
        raise InnerloopError("--calibrate is for --certify: the weights hold the ranges that a run needs")
    if arguments.output is not None:
        output_file(arguments.output, arguments.data)
    weights, fields, found, calibration = _ready(arguments)
    if found is not None:
        found.check(weights.output.shape)
    rows_of = None if found is None else found.asked(weights)
    outputs: Mapping[str, Any] = {}
    with progress(f"running {weights.signature.name}") as move, placed(arguments.data):
        result = None if arguments.certify else _at_once(weights, fields, arguments)
        if result is None:
            from innerloop.runtime import Transformer

            model = Transformer(
                weights,
                arguments.dtype,
                arguments.guard,
                on_chunk=lambda done, total: move("tasks", done, total),
                share=arguments.share,
            )
            if arguments.certify:
                outputs = certified(model, fields, calibration, rows_of)
            else:
                result = model(**fields)
        if result is not None:
            columns = by_name(weights.output, result)
            outputs = {name: array if rows_of is None else array[:, rows_of] for name, array in columns.items()}
    score = None
    if found is not None:
        outputs, score = _in_units(outputs, found, weights)
    if arguments.output is not None:
        write(arguments.output, outputs)
    if arguments.json:
        names = [answer.name for answer in weights.output.answers] or weights.output.name
        print_json({"output": names, **outputs, "score": score})
        return 0
    if arguments.output is not None:
        print(f"{arguments.output}: {', '.join(outputs)} {list(outputs[weights.output.each[0].name].shape)}")
    else:
        header, *lines = rows(outputs)
        console().print(table(header, lines, left=2))
    if score is not None:
        share = "" if score["r2"] is None else f", R² {score['r2']:.4f}"
        counts = counted(score["predictions"], "prediction")
        print(f"{counts} of a known target: r.m.s. error {score['rms']:.4g}{share}")
    return 0


def _at_once(weights: Weights, fields: Arrays, arguments: Namespace) -> Any:
    """The output for little data, without the seconds that JAX takes to begin; None where there is more."""
    from innerloop.runtime.unjitted import Unjitted

    return Unjitted(weights, arguments.dtype, arguments.guard)(**fields)


def _ready(arguments: Namespace) -> tuple[Weights, Arrays, TableTasks | None, Arrays | None]:
    """The weights, the data, how rows became tasks, and what the weights were calibrated on, if that was the
    caller's."""
    from innerloop.artifact.weights import Weights

    given = arguments.weights
    if not given.is_dir() and _is_program(given):
        return _compiled(arguments)
    if arguments.parameters or arguments.target is not None or arguments.tolerance is not None:
        raise InnerloopError(f"{given}: -p, --target and --tolerance are for a program; weights have their own")
    weights = Weights.load(given)
    fields, found = own_data.fields(arguments.data, weights.signature, arguments)
    own_data.told(found, {})
    if arguments.calibrate is None:
        return weights, fields, found, None
    return weights, fields, found, own_data.fields(arguments.calibrate, weights.signature, arguments)[0]


def _is_program(given: Path) -> bool:
    from innerloop.programs import names

    return str(given) in names() or given.suffix == ".icl"


def _compiled(arguments: Namespace) -> tuple[Weights, Arrays, TableTasks | None, Arrays | None]:
    from innerloop.compiler import compile_program
    from innerloop.compiler.syntax.parse import parse
    from innerloop.runtime.tables import progress

    from .own_data import placed

    if arguments.calibrate is not None:
        raise InnerloopError("--calibrate is for weights: a program is compiled for the ranges of --data")
    given, source = parameters(arguments.parameters), program(str(arguments.weights))
    fields, found, bound = own_data.for_program(arguments.data, parse(source.text, source.name), given, arguments)
    own_data.told(found, {name: value for name, value in bound.items() if name not in given})
    with progress(f"compiling {source.name}"), placed(arguments.data):
        weights = compile_program(
            source.text,
            target=arguments.target or "gpt2",
            dtype=arguments.dtype or "float32",
            calibration=fields,
            source=source.name,
            tolerance=arguments.tolerance,
            **bound,
        )
    return weights, fields, found, fields


def _in_units(
    outputs: Mapping[str, Any], found: TableTasks, weights: Weights
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Outputs in the target's own units, with the lines that they are of and the target; and how well they fit."""
    rows = found.places(weights)[found.asked(weights)]
    result: dict[str, Any] = {"line": found.lines[:, rows]}
    for name in (answer.name for answer in weights.output.each):
        result[name] = _digits(found.back(outputs[name]))
        if (bound := outputs.get(f"{name}_bound")) is not None:
            result[f"{name}_bound"] = rounded_up(found.widened(bound))
            result[f"{name}_resolved"] = outputs[f"{name}_resolved"]
    if found.target is None or weights.output.shape:
        return result, None
    target = result["target"] = found.target[:, rows]
    return result, _score(result[weights.output.name], target)


_digits = np.vectorize(lambda value: float(f"{value:.9g}"), otypes=[np.float64])
"""As many as float32 has: the steps by which units are changed have more."""


def _score(predictions: Any, target: Any) -> dict[str, Any] | None:
    """How far predictions are from what is known, over those of which something is."""
    known = ~np.isnan(target)
    if not known.any():
        return None
    square, spread = float(np.mean((predictions - target)[known] ** 2)), float(target[known].var())
    return {
        "predictions": int(known.sum()),
        "rms": square**0.5,
        "r2": 1 - square / spread if np.ptp(target[known]) > 0.0 else None,
    }
