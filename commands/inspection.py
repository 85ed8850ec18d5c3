"""`innerloop inspect`: a run of compiled weights as a page.

before   a folder of weights; a file, or nothing
after    one HTML file
"""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from innerloop.artifact.errors import InnerloopError

from . import own_data
from .arguments import new_file

if TYPE_CHECKING:
    from innerloop.runtime.data.datasets import Arrays

NOT_LIVE = "its weights do not run in it: they are too large, of 16 bits, or of parts that it has not"


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
