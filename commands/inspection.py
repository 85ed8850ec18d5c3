"""`innerloop inspect`: a run of compiled weights as a page.

before   a folder of weights; a file, or nothing
after    one HTML file
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from innerloop.artifact.errors import InnerloopError

from . import options, own_data
from .arguments import new_file

if TYPE_CHECKING:
    from innerloop.runtime.data.datasets import Arrays

EPILOG = """\
One file that asks the network for nothing. It shows the program beside one run of it: which lines, heads and neurons
work in each sublayer, and what every variable is at every token, with the oracle's value, the error and its bound.
Weights of up to some 3 MB are in the page: a reader changes an input or cuts a head, and they run again.
"""

NOT_LIVE = "its weights do not run in it: they are too large, of 16 bits, or of parts that it has not"


def add_arguments(command: ArgumentParser) -> None:
    options.weights(command)
    command.add_argument(
        "--data", type=Path, metavar="FILE", help="as for `run` (default: a task that the error was measured on)"
    )
    command.add_argument(
        "--number",
        type=options.at_least(0),
        default=0,
        metavar="TASK",
        help="which of the data's tasks, from 0 (default: %(default)s)",
    )
    command.add_argument(
        "--calibrate", type=Path, metavar="FILE", help="the data that `compile --calibrate` was given, if it was"
    )
    own_data.add_arguments(command)
    command.add_argument("-o", "--output", type=Path, required=True, metavar="PAGE", help="the page, a new .html file")


def inspect(arguments: Namespace) -> int:
    """Raises InnerloopError for what does not fit."""
    from innerloop.artifact.weights import Weights
    from innerloop.runtime.quiet import quiet
    from innerloop.runtime.tables import progress
    from innerloop.runtime.unjitted import Unjitted

    from .own_data import placed

    if arguments.output.suffix not in (".html", ".htm"):
        raise InnerloopError(f"{arguments.output}: a page is written as .html")
    new_file(arguments.output)
    weights = Weights.load(arguments.weights)
    fields: Arrays = {}
    calibration: Arrays | None = None
    if arguments.data is not None:
        fields, found = own_data.fields(arguments.data, weights.signature, arguments)
        own_data.told(found, {})
    elif arguments.number or own_data.columns_of(arguments.weights, arguments).any:
        raise InnerloopError("--number, and what is said of columns, are for --data, which is not given")
    if arguments.calibrate is not None:
        calibration, _ = own_data.fields(arguments.calibrate, weights.signature, arguments)
    with progress(f"running {weights.signature.name}"), placed(arguments.data or arguments.weights):
        page = Unjitted(weights).inspect(calibration, task=arguments.number, **fields)
        page.save(arguments.output)
    if not quiet():
        live = "its weights run in the page" if page.collected["live"] else NOT_LIVE
        print(f"{arguments.output}: {len(page.html.encode()) / 2**20:.1f} MB, {live}")
    return 0
