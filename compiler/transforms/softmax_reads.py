"""Softmax reads: a score of mine and theirs as the fewest dimensions of query · key.

    before   softmax[j in y](−square(x − u[j]) / (2 h²), y[j])
    after    softmax[j in y](dot((x, 1), (u, −u²/2)[j]) / h²,  y[j])         − x² / (2 h²) is gone

The score is expanded to Σ c · mine · theirs over monomials. What is mine alone is the same for every token that I
read, and a softmax does not see it; the sum of exp(score) does, and keeps it. The coefficients of the rest are a matrix
[mine, theirs]. One dimension for each of mine (its key: what of theirs meets it), for each of theirs, or for each pair
of factors of the matrix, if its rank is less: whichever are fewest. Monomials of theirs that meet mine alike are so
computed as one where they are read.
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.arrays import Floats

from .algebra.polynomial import Monomial, Polynomial, split
from .factor_heads import eliminate


def dimensions(score: Polynomial, whole: bool = False) -> list[tuple[Polynomial, Polynomial]]:
    """Pairs (query, key) with Σ query · key = score, up to what is mine alone, or `whole`; its leaves below 0 are mine
    (see separate_reads.py). None for a score that is the same for all tokens that are read."""
    mine, theirs, terms = split([score], lambda leaf: leaf[0] < 0)
    met = [(a, b, c) for _, a, b, c in terms if whole or b != theirs.get(())]
    ours, others = _named(mine, {a for a, _, _ in met}), _named(theirs, {b for _, b, _ in met})
    matrix = np.zeros((len(ours), len(others)))
    for a, b, c in met:
        matrix[list(ours).index(a), list(others).index(b)] = c
    left, right = list(ours.values()), list(others.values())
    factors = eliminate(matrix)
    if len(factors) < min(matrix.shape):
        return [(_sum(left, query), _sum(right, key)) for query, key in factors]
    if len(left) <= len(right):
        return [({one: 1.0}, _sum(right, row)) for one, row in zip(left, matrix, strict=True)]
    return [(_sum(left, column), {one: 1.0}) for one, column in zip(right, matrix.T, strict=True)]


def _named(numbers: dict[Monomial, int], used: set[int]) -> dict[int, Monomial]:
    return {number: monomial for monomial, number in numbers.items() if number in used}


def _sum(monomials: list[Monomial], coefficients: Floats) -> Polynomial:
    return {m: float(c) for m, c in zip(monomials, coefficients, strict=True) if c}
