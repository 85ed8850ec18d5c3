"""Constructions to choose from: for every product and every function of the graph, by falling precision.

    what        most precise … cheapest
    product     the finest bank, …, the bank it has by default, …, one unshifted pair, halved
    function    the default fit, then looser ones; a function with kinks has one

A choice is a mapping from the graph's values to `Squares` (square_banks.py) or to the relative error that a function's
curve is fitted to (fit_smooth.py); what it leaves out has its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from innerloop.artifact.arrays import Dtype, Indices
from innerloop.artifact.sparse import Matrix

from ..interpreter.ball import Ball
from ..ir.bilinear import Bilinear
from ..ir.graph import Value
from ..numerics.square_banks import MOST_COPIES, Squares

Construction = Squares | float
Choice = Mapping[Value, Construction]
"""Graph value → its construction."""

CURVE = {"float32": 3e-7, "float64": 1e-10, "bfloat16": 1e-3, "float16": 1e-4}
"""The relative error that curves are fitted to by default."""
OUT, FINE_FROM, FEW, LEAST = 100.0, 2000.0, 24, 16
"""Factors with extremes `OUT` times their usual size round badly for the usual ones: where there are no more than `FEW`
products, more pairs of neurons bring it down (in float64 copies of the bank); from `FINE_FROM` on it takes the fine
bank. So do `LEAST` products, which cost little."""


def default_squares(left: Ball, right: Ball, products: int, dtype: Dtype) -> Squares:
    """What an instruction of so many products is built from where nothing else is chosen."""
    spread = max(left.spread, right.spread)
    out = spread > OUT and products <= FEW
    if dtype == "float64":
        return Squares("exact", min(MOST_COPIES, 2 * FEW // products) if out else 1)
    if out:
        return Squares("finest" if 4 * products <= FEW else "finer")
    return Squares("fine" if spread > FINE_FROM or products <= LEAST else "coarse")


def squares_in(choice: Choice, value: Value) -> Squares | None:
    """What is chosen for a product."""
    chosen = choice.get(value)
    return chosen if isinstance(chosen, Squares) else None


def curve_in(choice: Choice, value: Value) -> float | None:
    """What is chosen for a function."""
    chosen = choice.get(value)
    return chosen if isinstance(chosen, float) else None


# Products that are one ---------------------------------------------------------------------------


def distinct(form: Bilinear, key_a: list[bytes], key_b: list[bytes]) -> tuple[Matrix, Indices, Indices]:
    """The products that differ, factors in either order: [pairs, size] to the outputs, and one (i, j) for each."""
    pairs: dict[tuple[bytes, bytes], int] = {}
    first: list[tuple[int, int]] = []
    index = np.empty(form.out.size, dtype=np.int64)
    for t, (i, j) in enumerate(zip(form.left.tolist(), form.right.tolist(), strict=True)):
        x, y = key_a[i], key_b[j]
        index[t] = pairs.setdefault((x, y) if x <= y else (y, x), len(pairs))
        if index[t] == len(first):
            first.append((i, j))
    i_of, j_of = (np.array(k, dtype=np.int64) for k in zip(*first, strict=True))
    return Matrix.of(index, form.out, form.coefficient, (len(first), form.size)), i_of, j_of


def keys(matrix: Matrix) -> list[bytes]:
    """One key a column: equal columns have equal keys."""
    csc = matrix.csr.tocsc()
    csc.sort_indices()
    bounds = csc.indptr.tolist()
    rows = csc.indices.astype(np.int64)  # SciPy picks 32 or 64 bits by the shape
    return [rows[s:e].tobytes() + csc.data[s:e].tobytes() for s, e in pairwise(bounds)]
