"""Prediction: how far the output can be off, to first order, from the errors of the constructions alone.

The float64 oracle runs the graph again with noise on everything that is computed, as large as the error of what
computes it: a product's squares (squares.py), a function's fit (fit.py), and the rounding of what is stored.
The largest change of the output over a few draws, times `SAFETY`, is the prediction.
"""

from __future__ import annotations

import numpy as np

from .calibrate import Ranges
from .fit import fit
from .graph import Function, Graph, Product, Value
from .oracle import evaluate
from .sparse import Floats
from .squares import square_bank
from .tokens import TokenData

DRAWS = 3
SAFETY = 2.0
"""The largest of many errors over the largest of few draws."""


def predict(graph: Graph, ranges: Ranges, data: TokenData, dtype: str) -> float:
    """The largest error of the output that is to be expected on this data."""
    sizes = {value: _size(graph, ranges, value, dtype) for value in graph.values()}
    truth = evaluate(graph, data)
    most = 0.0
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)

        def disturb(value: Value, array: Floats, rng: np.random.Generator = rng) -> Floats:
            return np.asarray(array + sizes[value] * rng.standard_normal(array.shape))

        most = max(most, float(np.abs(evaluate(graph, data, disturb) - truth).max()))
    return SAFETY * most


def _size(graph: Graph, ranges: Ranges, value: Value, dtype: str) -> Floats:
    """The error of each component [size] where it is computed."""
    node = graph[value]
    low, high = ranges[value]
    rounding = float(np.finfo(dtype).eps) * np.maximum(np.abs(low), np.abs(high))
    match node.op:
        case Product(_, form):
            left, right = (ranges.ball(o).radius for o in node.operands)
            terms = (form.coefficient * left[form.left] * right[form.right]) ** 2
            squares = np.sqrt(np.bincount(form.out, terms, minlength=form.size))
            return np.asarray(rounding + square_bank(dtype).error * squares)
        case Function(name, arguments):
            low, high = ranges[node.operands[0]]
            return rounding + fit(name, arguments, float(low.min()), float(high.max()), dtype).error
        case _:
            return rounding
