"""`innerloop compile`: a program to a folder of weights, and what there is to say of it."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from . import own_data
from .arguments import Source, new_folder, parameters, program
from .as_json import print_json

if TYPE_CHECKING:
    from innerloop.artifact.weights import Weights
    from innerloop.runtime.data.datasets import Arrays


def compile(arguments: Namespace) -> int:
    from innerloop.runtime.quiet import quiet
    from innerloop.runtime.tables import console

    from .summary import loud, summary

    given = parameters(arguments.parameters)
    source = program(arguments.program)
    new_folder(arguments.output)
    weights = _compile(source, given, arguments)
    weights.save(arguments.output)
    if arguments.json:
        print_json({"program": weights.signature.name, "folder": str(arguments.output), **asdict(weights.report)})
    elif not quiet():
        console().print(summary(weights, arguments.output))
    if (said := loud(weights)) is not None:
        print(f"innerloop: warning: {said}", file=sys.stderr)
    return 0


def _compile(source: Source, given: Mapping[str, object], arguments: Namespace) -> Weights:
    from innerloop.compiler import compile_program
    from innerloop.runtime.tables import progress

    calibration: Arrays | None = None
    if arguments.calibrate is not None:
        from innerloop.compiler.syntax.parse import parse

        tree, own = parse(source.text, source.name), dict(given)
        calibration, found, given = own_data.for_program(arguments.calibrate, tree, own, arguments)
        own_data.told(found, {name: value for name, value in given.items() if name not in own})
    with (
        progress(f"compiling {source.name} for {arguments.target}", arguments.progress),
        own_data.placed(arguments.calibrate),
    ):
        return compile_program(
            source.text,
            target=arguments.target,
            optimize=arguments.optimize,
            dtype=arguments.dtype,
            calibration=calibration,
            source=source.name,
            tolerance=arguments.tolerance,
            certify=arguments.certify,
            accept_error=arguments.accept_error,
            tokens=arguments.tokens,
            rotation=arguments.rotation,
            spread=arguments.spread,
            **given,
        )
