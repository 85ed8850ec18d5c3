"""The caller's own data: what the commands take to say of a file, and what comes of it.

--y petal_width --standardise     →   Columns   →   fields of the program, and one line that says what was done
d, examples that are not given    →   as the data have them
"""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innerloop.artifact.errors import CompileError, InnerloopError

from . import options

if TYPE_CHECKING:
    from innerloop.artifact.signature import Signature
    from innerloop.compiler.syntax.nodes import Program
    from innerloop.runtime.data.columns import Columns
    from innerloop.runtime.data.datasets import Arrays
    from innerloop.runtime.data.pairing import TokenLine
    from innerloop.runtime.data.table_tasks import TableTasks

FILES = ".csv .tsv .txt, also .gz, .parquet or .npz; - is standard input"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("your own data")
    add = group.add_argument
    add("--x", action="append", default=[], metavar="COLUMNS", help="inputs, by comma (default: all other columns)")
    add("--y", metavar="COLUMN", help="the target; COLUMN=VALUE: whether it is that one")
    add("--ignore", action="append", default=[], metavar="COLUMNS", help="columns to leave out")
    add("--category", action="append", default=[], metavar="COLUMNS", help="columns whose numbers are names")
    add("--classes", type=_pair, metavar="LOW,HIGH", help="the numbers of the target's two values, as 0,1")
    add("--intercept", action="store_true", help="a last input that is 1")
    add(
        "--standardise",
        "--standardize",
        action="store_true",
        help="to mean 0 and deviation 1 over each task's examples; predictions are brought back",
    )
    add("--task", metavar="COLUMN", help="a column that tells tasks apart (default: task)")
    add("--splits", type=options.at_least(1), metavar="COUNT", help="so many tasks, drawn at random")
    add(
        "--examples",
        type=options.at_least(1),
        metavar="COUNT",
        help="examples of a task that is drawn, beside its query",
    )
    add("--leave-one-out", action="store_true", help="a task for each row, predicted from all others")
    add(
        "--split-seed",
        type=options.at_least(0),
        default=0,
        metavar="SEED",
        help="of what is drawn (default: %(default)s)",
    )


def _pair(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is not two numbers, as 0,1") from None
    return low, high


def fields(data: Path, signature: Signature, arguments: Namespace) -> tuple[Arrays, TableTasks | None]:
    """The file's fields; and how rows became tasks, unless its columns are named as the fields."""
    from innerloop.runtime.data.datasets import read
    from innerloop.runtime.data.pairing import TokenLine
    from innerloop.runtime.data.table_tasks import read_table

    chosen = columns_of(data, arguments)
    if not chosen.any:
        return read(data, TokenLine.of(signature), arguments.ignore), None
    found = read_table(data, signature, chosen)
    return dict(found.fields), found


def for_program(
    data: Path, tree: Program, given: Mapping[str, object], arguments: Namespace
) -> tuple[Arrays, TableTasks | None, dict[str, Any]]:
    """The same for a program that is not compiled yet; and its parameters, those that the data give added."""
    from innerloop.runtime.data.datasets import read
    from innerloop.runtime.data.table_tasks import declared, read_table

    tokens, chosen = declared(tree)[0], columns_of(data, arguments)
    if not chosen.any:
        return read(data, tokens, arguments.ignore), None, dict(given)
    found = read_table(data, tree, chosen)
    return dict(found.fields), found, {**given, **_sizes(tree, given, tokens, found)}


def columns_of(data: Path, arguments: Namespace) -> Columns:
    """What the options say."""
    from innerloop.runtime.data.columns import Columns

    chosen = Columns(
        x=tuple(arguments.x),
        y=arguments.y,
        ignore=tuple(arguments.ignore),
        category=tuple(arguments.category),
        classes=arguments.classes,
        intercept=arguments.intercept,
        standardise=arguments.standardise,
        task=arguments.task,
        splits=arguments.splits,
        examples=arguments.examples,
        leave_one_out=arguments.leave_one_out,
        seed=arguments.split_seed,
    )
    if chosen.any and data.suffix == ".npz":
        raise InnerloopError(
            f"{data}: an .npz file holds arrays by field; --x, --y and what follows them choose columns"
        )
    return chosen


def _sizes(tree: Program, given: Mapping[str, object], tokens: TokenLine, found: TableTasks) -> dict[str, object]:
    """Parameters that the data know: the input's size, if it has no default, and how many tokens a scan goes over."""
    from innerloop.artifact.tokens import sequence
    from innerloop.compiler.syntax.nodes import Name, Scan
    from innerloop.compiler.syntax.traversal import statements
    from innerloop.runtime.data.columns import Roles

    own = {parameter.name: parameter for parameter in tree.parameters}
    sizes: dict[str, object] = {}
    field = next(field for field in tree.fields if field.name == Roles.of(tokens).input)
    match field.type.dimensions:
        case (Name(name=name),) if name in own and own[name].default is None and name not in given:
            sizes[name] = found.fields[field.name].shape[2]
    kinds = sequence(tokens.pattern, found.repetitions(tokens)).kinds
    for statement in statements(tree.body):
        match statement:
            case Scan(kind=kind, limit=Name(name=name)) if name in own and name not in given:
                sizes[name] = max(1, kinds.count(kind))
    return sizes


def told(found: TableTasks | None, sizes: Mapping[str, object]) -> None:
    """One line on stderr: what was done with each column, and what the data say of the program's parameters."""
    from innerloop.runtime.quiet import quiet

    if found is not None and not quiet():
        more = "".join(f"; {name} = {value}" for name, value in sizes.items())
        print(f"{found.said}{more}", file=sys.stderr)


@contextmanager
def placed(data: Path | None) -> Iterator[None]:
    """Puts the data's file before what is wrong with it."""
    try:
        yield
    except CompileError:  # has a place of its own
        raise
    except InnerloopError as error:
        raise InnerloopError(f"{data}: {error}") from None
