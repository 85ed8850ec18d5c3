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

from collections.abc import Mapping

from .algebra.outer_products import Sparse, outer_products
from .algebra.polynomial import Monomial, Polynomial, split


def dimensions(score: Polynomial, whole: bool = False) -> list[tuple[Polynomial, Polynomial]]:
    """Pairs (query, key) with Σ query · key = score, up to what is mine alone, or `whole`; its leaves below 0 are mine
    (see separate_reads.py). None for a score that is the same for all tokens that are read."""
    mine, theirs, terms = split([score], lambda leaf: leaf[0] < 0)
    met = [(a, b, c) for _, a, b, c in terms if whole or b != theirs.get(())]
    left, right = _named(mine, {a for a, _, _ in met}), _named(theirs, {b for _, b, _ in met})
    factors = outer_products({(a, b): c for a, b, c in met})
    if len(factors) < min(len(left), len(right)):
        return [(_sum(left, query), _sum(right, key)) for query, key in factors]
    one_each, other = (left, right) if len(left) <= len(right) else (right, left)
    sums: dict[int, Polynomial] = {number: {} for number in one_each}
    for a, b, c in sorted(met):
        number, beside = (a, b) if one_each is left else (b, a)
        sums[number][other[beside]] = c
    ones: list[tuple[Polynomial, Polynomial]] = [({one_each[number]: 1.0}, total) for number, total in sums.items()]
    return ones if one_each is left else [(key, query) for query, key in ones]


def _named(numbers: dict[Monomial, int], used: set[int]) -> dict[int, Monomial]:
    return {number: monomial for monomial, number in numbers.items() if number in used}


def _sum(monomials: Mapping[int, Monomial], coefficients: Sparse) -> Polynomial:
    return {monomials[number]: c for number, c in coefficients}
