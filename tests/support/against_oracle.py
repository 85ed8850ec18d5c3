"""Texts through the whole compiler, and the float64 oracle's word on the same data."""

from __future__ import annotations

from typing import Any

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.tokens import TokenData, read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, compile_program, interpret
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Graph
from numpy.typing import NDArray

from tests.reference.measured import Fields, numpy_run


def both(
    text: str, fields: Fields, target: TargetName = "gpt2", dtype: Dtype = "float32", sample: Fields | None = None
) -> tuple[NDArray[Any], Floats]:
    """What the compiled program gives, and the truth; with ranges from the sample, or from the data itself."""
    ranges = fields if sample is None else sample
    weights = compile_program(text, target=target, dtype=dtype, calibration=ranges)
    found, truth = numpy_run(weights, fields), interpret(text, **fields)
    assert found.shape == truth.shape
    return found, truth


# Random programs ---------------------------------------------------------------------------------


def checked(text: str) -> Graph | None:
    """The graph of a text that the checker accepts."""
    try:
        return graph_of(text, {})
    except CompileError:
        return None


def magnitude(graph: Graph, data: TokenData) -> float:
    """The largest number anywhere in the computation."""
    most = [1.0]

    def observe(_: int, array: Floats) -> None:
        most.append(float(np.abs(array).max(initial=0.0)))

    evaluate(graph, data, observe)
    return max(most)


def error(
    text: str, graph: Graph, repetitions: int, seed: int, target: TargetName = "gpt2", dtype: Dtype = "float32"
) -> float | None:
    """The largest error over the largest number of the computation; infinity for a refusal that names no place. None
    for a program that is refused, and for powers of powers, beyond what ranges can bound."""
    fields = draw(graph.signature, repetitions, 16, seed)
    data = read_data(graph.signature, fields)
    most = magnitude(graph, data)
    if not most <= 1e3:
        return None
    try:
        weights = compile_program(text, target=target, dtype=dtype, calibration=fields)
    except CompileError as refusal:
        return None if all(fault.span is not None for fault in refusal.diagnostics) else float("inf")
    return float(np.abs(numpy_run(weights, fields) - evaluate(graph, data)).max() / most)
