"""What each command does: parsed arguments in, exit status out.

What a command needs is imported inside it: `check` needs no JAX, and none of them needs all.
Faults are raised; cli.py words them.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from innerloop.artifact.errors import CompileError, InnerloopError, format_diagnostic

from .arguments import Source, new_file, new_folder, parameters, program

if TYPE_CHECKING:
    from pathlib import Path

    from innerloop.artifact.weights import Weights
    from innerloop.runtime.data.datasets import Arrays


def programs(_: Namespace) -> int:
    from innerloop.compiler.syntax.parse import parse
    from innerloop.programs import GROUPS, load, purpose
    from innerloop.runtime.tables import console, entries

    out = console()
    for group, members in GROUPS.items():
        shown = []
        for name in members:
            tree = parse(load(name), f"{name}.icl")
            ends = [(p.default or p.type or p).span.end for p in tree.parameters]
            given = [tree.text[p.span.start : end] for p, end in zip(tree.parameters, ends, strict=True)]
            shown.append((name, given, purpose(name)))
        out.print(entries(group, shown, out.width))
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
    from innerloop.runtime.tables import console

    from .summary import loud, summary

    given = parameters(arguments.parameters)
    source = program(arguments.program)
    new_folder(arguments.output)
    weights = _compile(source, given, arguments)
    weights.save(arguments.output)
    console().print(summary(weights, arguments.output))
    if (said := loud(weights)) is not None:
        print(f"innerloop: warning: {said}", file=sys.stderr)
    return 0


def _compile(source: Source, given: Mapping[str, object], arguments: Namespace) -> Weights:
    from innerloop.compiler import compile_program
    from innerloop.runtime.tables import progress

    calibration: Arrays | None = None
    if arguments.calibrate is not None:
        from innerloop.artifact.signature import Pattern
        from innerloop.compiler.syntax.parse import parse
        from innerloop.runtime.data.datasets import read
        from innerloop.runtime.data.pairing import TokenLine

        tree = parse(source.text, source.name)
        pattern = Pattern(tree.tokens.prefix, tree.tokens.group, tree.tokens.suffix, tree.tokens.visible_context)
        kinds = {field.name: field.kinds for field in tree.fields}
        calibration = read(arguments.calibrate, TokenLine(pattern, kinds, dict.fromkeys(kinds)), arguments.ignore)
    with progress(f"compiling {source.name} for {arguments.target}"), _placed(arguments.calibrate):
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
            **given,
        )


def train(arguments: Namespace) -> int:
    from .training import train as run_training

    return run_training(arguments)


def run(arguments: Namespace) -> int:
    from innerloop.artifact.weights import Weights
    from innerloop.runtime.data.datasets import rows, write
    from innerloop.runtime.tables import console, progress, table

    from .certificate import certified

    if arguments.calibrate is not None and not arguments.certify:
        raise InnerloopError("--calibrate is for --certify: the weights hold the ranges that a run needs")
    if arguments.output is not None:
        new_file(arguments.output, arguments.data)
    weights = Weights.load(arguments.weights)
    fields = _fields(arguments.data, weights, arguments)
    with progress(f"running {weights.signature.name}") as move, _placed(arguments.data):
        from innerloop.runtime import Transformer

        model = Transformer(
            weights, arguments.dtype, arguments.guard, on_chunk=lambda done, total: move("tasks", done, total)
        )
        if arguments.certify:
            calibration = None if arguments.calibrate is None else _fields(arguments.calibrate, weights, arguments)
            outputs = certified(model, fields, calibration)
        else:
            outputs = {weights.output.name: model(**fields)}
    if arguments.output is not None:
        write(arguments.output, outputs)
        print(f"{arguments.output}: {', '.join(outputs)} {list(outputs[weights.output.name].shape)}")
    else:
        header, *lines = rows(outputs)
        console().print(table(header, lines, left=2))
    return 0


def diff(arguments: Namespace) -> int:
    from innerloop.artifact.weights import Weights
    from innerloop.runtime.tables import console, progress, table

    weights = Weights.load(arguments.weights)
    fields = _fields(arguments.data, weights, arguments)
    calibration = None if arguments.calibrate is None else _fields(arguments.calibrate, weights, arguments)
    with progress(f"comparing {weights.signature.name}"), _placed(arguments.data):
        from innerloop.runtime import Transformer

        found = Transformer(weights, arguments.dtype).diff(calibration, **fields)
    rows = []
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


def _fields(data: Path, weights: Weights, arguments: Namespace) -> Arrays:
    from innerloop.runtime.data.datasets import read
    from innerloop.runtime.data.pairing import TokenLine

    return read(data, TokenLine.of(weights.signature), arguments.ignore)


def export(arguments: Namespace) -> int:
    from innerloop.artifact.weights import Weights
    from innerloop.runtime.exports.export import export as write
    from innerloop.runtime.exports.export import size
    from innerloop.runtime.tables import progress

    new_folder(arguments.output)
    weights = Weights.load(arguments.weights)
    config = weights.config
    print(
        f"{weights.signature.name}, unrolled: {config.n_layer} layers of width {config.d_model}, "
        f"{config.d_mlp} neurons; {size(weights, arguments.to)}",
        flush=True,
    )
    with progress(f"writing {arguments.output}"):
        write(weights, arguments.output, arguments.to, arguments.accept_error)
    print(f"{arguments.output}: README.md has an example that runs")
    return 0


def compare(arguments: Namespace) -> int:
    from .comparison import compare as run_comparison

    return run_comparison(arguments)


def explain(arguments: Namespace) -> int:
    from .explanation import explain as run_explanation

    return run_explanation(arguments)


@contextmanager
def _placed(data: Path | None) -> Iterator[None]:
    """Puts the data's file before what is wrong with it."""
    try:
        yield
    except CompileError:  # has a place of its own
        raise
    except InnerloopError as error:
        raise InnerloopError(f"{data}: {error}") from None


def demo(arguments: Namespace) -> int:
    from innerloop.runtime.plots import FORMATS

    from .demo import demo as run_demo

    if arguments.output.suffix not in FORMATS:
        raise InnerloopError(f"{arguments.output}: a plot is written as {', '.join(sorted(FORMATS))}")
    new_file(arguments.output)
    run_demo(arguments.output, arguments.tasks)
    return 0


def reproduce(arguments: Namespace) -> int:
    from pathlib import Path

    from innerloop.laboratory.figures import NAMES, figure
    from innerloop.runtime.tables import console, progress, table

    out = console()
    if arguments.name is None:
        found = [figure(name) for name in NAMES]
        out.print(table(["figure", "what it shows", "source"], [[f.name, f.purpose, f.source] for f in found], left=3))
        return 0
    from innerloop.laboratory.reproduce import reproduce as run_figure
    from innerloop.laboratory.reproduce import unfinished

    asked, folder = figure(arguments.name), arguments.output or Path(arguments.name)
    new_folder(folder)
    if unfinished(folder).exists():
        print(f"going on from {unfinished(folder)}", file=sys.stderr)
    with progress(asked.name) as told:
        result = run_figure(asked, folder, long=arguments.long, elsewhere=arguments.elsewhere, told=told)
    out.print(f"{asked.purpose}\n{asked.source}")
    rows = [[c.name, f"{c.measured:.5g}", c.asked, "yes" if c.holds else "NO"] for c in result.checks]
    out.print(table(["check", "measured", "asked", "holds"], rows))
    for more in result.tables:
        out.print(table(more.columns, more.rows, left=more.left))
    out.print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")
    return 0 if result.holds else 1
