"""A text through the whole compiler, and the float64 oracle's word on the same data."""

from __future__ import annotations

from typing import Any

from innerloop.compiler import compile_program, interpret
from innerloop.compiler.sparse import Floats
from numpy.typing import NDArray

from .reference.measured import Fields, numpy_run


def both(
    text: str, fields: Fields, target: str = "gpt2", dtype: str = "float32", sample: Fields | None = None
) -> tuple[NDArray[Any], Floats]:
    """What the compiled program gives, and the truth; with ranges from the sample, or from the data itself."""
    ranges = fields if sample is None else sample
    weights = compile_program(text, target=target, dtype=dtype, calibration=ranges)
    found, truth = numpy_run(weights, fields), interpret(text, **fields)
    assert found.shape == truth.shape
    return found, truth
