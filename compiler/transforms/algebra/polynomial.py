"""Polynomials in the components of values, and their compilation back into products.

A polynomial of one component is a dict from monomial to coefficient; a monomial is a sorted tuple of
leaves, a leaf a pair (value, component). A value's polynomials are a list, one a component.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

import numpy as np
from innerloop.artifact.signature import Kinds
from innerloop.artifact.span import Span
from innerloop.artifact.sparse import Matrix

from ...ir.bilinear import Bilinear
from ...ir.graph import (
    Affine,
    Constant,
    Node,
    Product,
    Value,
)
from ...ir.operation_classes import Local, Reads, Source, Structural
from ..rewriter import Rewriter

Leaf = tuple[Value, int]
Monomial = tuple[Leaf, ...]
Polynomial = dict[Monomial, float]


MOST = 200_000
"""Terms that a product of polynomials is written out to."""


def leaves(value: Value, size: int) -> list[Polynomial]:
    return [{((value, i),): 1.0} for i in range(size)]


def expand(
    node: Node,
    operand: Callable[[Value], list[Polynomial] | None],
    most: int = MOST,
    ordered: bool = False,
) -> list[Polynomial] | None:
    """The components of an affine map, a product or a constant as polynomials in what `operand` returns.

    With `ordered`, the leaves of a monomial stand as they are written, so that x y and y x are two.
    None if the operation is no polynomial, an operand has none, or there would be more than `most` terms.
    """
    parts: list[list[Polynomial]] = []
    for value in node.operands:
        part = operand(value)
        if part is None:
            return None
        parts.append(part)
    match node.op:
        case Constant(values):
            return [{(): float(v)} if v else {} for v in values.array.ravel()]
        case Affine(matrices, offset):
            result: list[Polynomial] = [{(): float(v)} if v else {} for v in offset.array]
            for matrix, part in zip(matrices, parts, strict=True):
                for row, column, c in zip(*(k.tolist() for k in matrix.entries), strict=True):
                    add(result[row], part[column], c)
            return result
        case Product(_, form):
            if multiplied(form, *parts) > most:
                return None
            result = [{} for _ in range(form.size)]
            for out, i, j, c in zip(
                form.out.tolist(), form.left.tolist(), form.right.tolist(), form.coefficient.tolist(), strict=True
            ):
                for m, a in parts[0][i].items():
                    for n, b in parts[1][j].items():
                        key = m + n if ordered else tuple(sorted(m + n))
                        result[out][key] = result[out].get(key, 0.0) + c * a * b
            return result
        case Source() | Local() | Reads() | Structural():
            return None
        case other:
            assert_never(other)


def multiplied(form: Bilinear, left: Sequence[Polynomial], right: Sequence[Polynomial]) -> int:
    """The terms that a product is written out to, before like ones are added up."""
    lengths = [np.array([len(polynomial) for polynomial in part]) for part in (left, right)]
    return int(np.sum(lengths[0][form.left] * lengths[1][form.right]))


def add(to: Polynomial, other: Polynomial, scale: float) -> None:
    for monomial, c in other.items():
        to[monomial] = to.get(monomial, 0.0) + scale * c


def split(
    polynomials: Sequence[Polynomial], first: Callable[[Leaf], bool]
) -> tuple[dict[Monomial, int], dict[Monomial, int], list[tuple[int, int, int, float]]]:
    """Σ c · a · b with a a monomial in the leaves that `first` accepts, and b one in the others.

    Returns the numbering of the a, that of the b, and the terms (component, a, b, c).
    """
    ours: dict[Monomial, int] = {}
    theirs: dict[Monomial, int] = {}
    terms = []
    for out, polynomial in enumerate(polynomials):
        for monomial, c in sorted(polynomial.items()):
            if c == 0.0:
                continue
            a = tuple(leaf for leaf in monomial if first(leaf))
            b = tuple(leaf for leaf in monomial if not first(leaf))
            terms.append((out, ours.setdefault(a, len(ours)), theirs.setdefault(b, len(theirs)), c))
    return ours, theirs, terms


def build(r: Rewriter, monomials: Sequence[Monomial], kinds: Kinds, span: Span | None = None) -> Value:
    """A vector value of these monomials, each made of as few layers of products as its degree allows."""
    return sums(r, [{monomial: 1.0} for monomial in monomials], kinds, span)


def sums(r: Rewriter, polynomials: Sequence[Polynomial], kinds: Kinds, span: Span | None = None) -> Value:
    """A vector value of these polynomials. The products of a component are added up as they are made, divided by
    their largest coefficient: what is stored is of the size of the monomials."""
    size = len(polynomials)
    offset = np.array([polynomial.get((), 0.0) for polynomial in polynomials])
    by_leaf: dict[Value, list[tuple[int, int, float]]] = {}
    longer: dict[int, Polynomial] = {}
    for row, polynomial in enumerate(polynomials):
        for monomial, c in polynomial.items():
            if len(monomial) == 1:
                by_leaf.setdefault(monomial[0][0], []).append((row, monomial[0][1], c))
            elif monomial:
                longer.setdefault(row, {})[monomial] = c
    terms: list[tuple[Matrix, Value]] = []
    for value, places in by_leaf.items():
        rows, columns, coefficients = zip(*places, strict=True)
        terms.append((Matrix.of(rows, columns, coefficients, (size, r[value].size)), value))
    if longer:
        largest = [max(abs(c) for c in polynomial.values()) for polynomial in longer.values()]
        each = [
            (out, m[: len(m) // 2], m[len(m) // 2 :], c / scale)
            for out, (polynomial, scale) in enumerate(zip(longer.values(), largest, strict=True))
            for m, c in polynomial.items()
        ]
        left = {m: i for i, m in enumerate(dict.fromkeys(e[1] for e in each))}
        right = {m: i for i, m in enumerate(dict.fromkeys(e[2] for e in each))}
        form = Bilinear(
            [e[0] for e in each],
            [left[e[1]] for e in each],
            [right[e[2]] for e in each],
            [e[3] for e in each],
            len(longer),
            (len(left), len(right)),
        )
        halves = [build(r, list(half), kinds, span) for half in (left, right)]
        product = r.product(form, halves[0], halves[1], kinds, span=span)
        terms.append((Matrix.of(list(longer), range(len(longer)), largest, (size, len(longer))), product))
    return r.affine(terms, (size,), kinds, offset)
