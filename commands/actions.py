"""What each command does: parsed arguments in, exit status out.

What a command needs is imported inside it: `check` needs no JAX, and none of them needs all.
Faults are raised; cli.py words them.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

from innerloop.artifact.errors import InnerloopError, counted, format_diagnostic

from . import own_data
from .arguments import new_folder, output_file, parameters, program
from .as_json import print_json

if TYPE_CHECKING:
    pass


def programs(arguments: Namespace) -> int:
    from innerloop.compiler.syntax.parse import parse
    from innerloop.programs import GROUPS, load, purpose
    from innerloop.runtime.tables import console, entries

    out = console()
    listed: list[dict[str, object]] = []
    for group, members in GROUPS.items():
        shown = []
        for name in members:
            tree = parse(load(name), f"{name}.icl")
            ends = [(p.default or p.type or p).span.end for p in tree.parameters]
            given = [tree.text[p.span.start : end] for p, end in zip(tree.parameters, ends, strict=True)]
            shown.append((name, given, purpose(name)))
        if not arguments.json:
            out.print(entries(group, shown, out.width))
        listed += [{"group": group, "name": n, "parameters": given, "purpose": what} for n, given, what in shown]
    if arguments.json:
        print_json(listed)
    return 0


def check(arguments: Namespace) -> int:
    from innerloop.compiler.stages import faults
    from innerloop.compiler.syntax.parse import parse

    given = parameters(arguments.parameters)
    source = program(arguments.program)
    diagnostics = faults(parse(source.text, source.name), given)
    for diagnostic in diagnostics:
        print(format_diagnostic(diagnostic, source.text, source.name), file=sys.stderr)
    if not diagnostics:
        print(f"{source.name}: no errors")
    return 1 if diagnostics else 0


def format(arguments: Namespace) -> int:
    from .editing import format as rewrite

    return rewrite(arguments)


def language_server(arguments: Namespace) -> int:
    from .editing import serve

    return serve()


def show(arguments: Namespace) -> int:
    from innerloop.compiler.stages import show as stage
    from innerloop.runtime.tables import progress

    given = parameters(arguments.parameters)
    source = program(arguments.program)
    with progress(f"compiling {source.name}"):
        text = stage(
            source.text,
            arguments.stage or "graph",
            arguments.target,
            given,
            source.name,
            arguments.optimize,
            arguments.tolerance,
            arguments.after,
            arguments.without,
        )
    print(text.rstrip("\n"))
    return 0


def compile(arguments: Namespace) -> int:
    from .compiling import compile as run_compiler

    return run_compiler(arguments)


def train(arguments: Namespace) -> int:
    from .training import train as run_training

    return run_training(arguments)


def run(arguments: Namespace) -> int:
    from .running import run as run_weights

    return run_weights(arguments)


def diff(arguments: Namespace) -> int:
    from innerloop.artifact.weights import Weights
    from innerloop.runtime.tables import console, progress, table

    weights = Weights.load(arguments.weights)
    fields, told = own_data.fields(arguments.data, weights.signature, arguments)
    own_data.told(told, {})
    calibration = None
    if arguments.calibrate is not None:
        calibration, _ = own_data.fields(arguments.calibrate, weights.signature, arguments)
    with progress(f"comparing {weights.signature.name}"), own_data.placed(arguments.data):
        from innerloop.runtime import Transformer

        found = Transformer(weights, arguments.dtype).diff(calibration, **fields)
    rows = []
    if arguments.json:
        shown = found.differences if arguments.layers else found.worst().values()
        print_json({"within": found.first is None, "values": [asdict(d) for d in shown]})
        return int(found.first is not None)
    for d in found.differences if arguments.layers else found.worst().values():
        held = found.layers(d.name)
        where = "output" if d.layer is None else str(d.layer)
        if not arguments.layers and d.layer is not None:
            where = f"{min(held)} to {max(held)}, worst {d.layer}" if len(held) > 1 else str(d.layer)
        rows.append([d.name, where, f"{d.error:.1e}", f"{d.bound:.1e}", str(d.task), str(d.token)])
    console().print(table(["value", "layers", "largest error", "bound", "task", "token"], rows, left=2))
    if (first := found.first) is None:
        print("every value is within its bound")
        return 0
    where = "in the output" if first.layer is None else f"after layer {first.layer}"
    print(
        f"first beyond its bound: {first.name} {where}, off by {first.error:.3g} at task {first.task}, token "
        f"{first.token}; its bound is {first.bound:.3g}"
    )
    return 1


def inspect(arguments: Namespace) -> int:
    from .inspection import inspect as run_inspection

    return run_inspection(arguments)


def export(arguments: Namespace) -> int:
    from innerloop.artifact.weights import Weights
    from innerloop.runtime.exports.export import export as write
    from innerloop.runtime.exports.export import prepared, size
    from innerloop.runtime.tables import progress

    new_folder(arguments.output)
    weights = prepared(Weights.load(arguments.weights), arguments.to)
    config = weights.config
    print(
        f"{weights.signature.name}, unrolled: {counted(config.n_layer, 'layer')} of width {config.d_model}, MLPs of "
        f"{config.d_mlp}; {size(weights, arguments.to)}",
        flush=True,
    )
    with progress(f"writing {arguments.output}"):
        write(weights, arguments.output, arguments.to, arguments.accept_error, arguments.max_shard_size)
    print(f"{arguments.output}: README.md has an example that runs")
    return 0


def compare(arguments: Namespace) -> int:
    from .comparison import compare as run_comparison

    return run_comparison(arguments)


def sweep(arguments: Namespace) -> int:
    from .sweeping import sweep as run_sweep

    return run_sweep(arguments)


def explain(arguments: Namespace) -> int:
    from .explanation import explain as run_explanation

    return run_explanation(arguments)


def demo(arguments: Namespace) -> int:
    from innerloop.runtime.plots import FORMATS

    from .demo import demo as run_demo

    if arguments.output.suffix not in FORMATS:
        raise InnerloopError(f"{arguments.output}: a plot is written as {', '.join(sorted(FORMATS))}")
    output_file(arguments.output)
    run_demo(arguments.output, arguments.tasks)
    return 0


def reproduce(arguments: Namespace) -> int:
    from pathlib import Path

    from innerloop.laboratory.figures import NAMES, figure, known
    from innerloop.runtime.tables import console, progress, table

    if arguments.name is not None:
        known(arguments.name)
        new_folder(arguments.output or Path(arguments.name))
    out = console()
    if arguments.name is None:
        found = [figure(name) for name in NAMES]
        listed = [[f.name, f.purpose, f.source, "–" if f.minutes is None else f"{f.minutes:g}"] for f in found]
        out.print(table(["figure", "what it shows", "source", "CPU minutes"], listed, left=3))
        return 0
    from innerloop.laboratory.reproduce import reproduce as run_figure
    from innerloop.laboratory.reproduce import unfinished

    asked, folder = figure(arguments.name), arguments.output or Path(arguments.name)
    if unfinished(folder).exists():
        print(f"going on from {unfinished(folder)}", file=sys.stderr)
    with progress(asked.name) as told:
        result = run_figure(
            asked, folder, long=arguments.long, elsewhere=arguments.elsewhere, shared=arguments.trainings, told=told
        )
    if arguments.json:
        checks = [{**asdict(check), "holds": check.holds} for check in result.checks]
        print_json({"figure": asked.name, "folder": str(folder), "holds": result.holds, "checks": checks})
        return 0 if result.holds else 1
    out.print(f"{asked.purpose}\n{asked.source}")
    rows = [[c.name, f"{c.measured:.5g}", c.asked, "yes" if c.holds else "NO"] for c in result.checks]
    out.print(table(["check", "measured", "asked", "holds"], rows))
    for more in result.tables:
        out.print(table(more.columns, more.rows, left=more.left))
    out.print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")
    return 0 if result.holds else 1


def help(arguments: Namespace) -> int:
    from .parser import parser

    parser().parse_args([*filter(None, [arguments.about]), "--help"])
    return 0


def completion(arguments: Namespace) -> int:
    from .completion import script

    print(script(arguments.shell))
    return 0


def puzzle(arguments: Namespace) -> int:
    from .puzzles import puzzle as pose

    return pose(arguments)
