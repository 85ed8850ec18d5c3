"""Factoring: a read's body as the fewest heads of linear attention, found and not written.

    before   mean[j in y]((dot(w, u[j]) − y[j]) · u[j])
    after    mean[j in y]((w, −1) · (u[j], y[j])  u[j])           von Oswald et al. 2022, Prop. 1

The body is a sum of terms c · mine · theirs → component. In each term one leaf of theirs is the key and
the rest the value; the coefficients are then a matrix [(mine, key), (component, value)], and a head is a
matrix of rank one: its column says how query meets key, its row what becomes of the value. Which leaf is the key is
tried in the few ways that a program's text suggests, and the least rank wins.

The rank is split by elimination, pivot by pivot, and not by singular values: equal singular values mix,
and the heads of GD, GD++ and TD(0) then no longer look like what was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from innerloop.artifact.sparse import Matrix

from .algebra.outer_products import Pair, Place, outer_products
from .algebra.polynomial import Monomial, Polynomial


@dataclass(frozen=True)
class Head:
    """Σ (query · key) value: `query` [k, mine], `key` [k, keys], `value` [v, values], `out` [components, v]."""

    query: Matrix
    key: Matrix
    value: Matrix
    out: Matrix


@dataclass(frozen=True)
class Factored:
    """The monomials that queries, keys and values are made of, and the heads."""

    mine: tuple[Monomial, ...]
    keys: tuple[Monomial, ...]
    values: tuple[Monomial, ...]
    heads: tuple[Head, ...]


@dataclass(frozen=True)
class _Term:
    component: int
    mine: Monomial
    theirs: Monomial
    coefficient: float


def factor(body: Sequence[Polynomial]) -> Factored:
    """The heads of a body whose leaves below 0 are mine (see separate_reads.py); the leaves of its monomials stand in
    the order of writing."""
    terms = _terms(body)
    best = _Table(terms, True, True)
    pairs = outer_products(best.entries)
    for first, alone in ((True, False), (False, True), (False, False)):
        table = _Table(terms, first, alone)
        fewer = outer_products(table.entries, len(pairs))
        if len(fewer) < len(pairs):
            best, pairs = table, fewer
    return best.factored(pairs, len(body))


def _terms(body: Sequence[Polynomial]) -> list[_Term]:
    """Like terms as one: products of mine commute, and so do those of theirs, as the first of them is written."""
    total: dict[tuple[int, Monomial, Monomial], float] = {}
    order: dict[tuple[int, Monomial, Monomial], Monomial] = {}
    for component, polynomial in enumerate(body):
        for monomial, c in polynomial.items():
            mine = tuple(sorted(leaf for leaf in monomial if leaf[0] < 0))
            theirs = tuple(leaf for leaf in monomial if leaf[0] >= 0)
            place = (component, mine, tuple(sorted(theirs)))
            total[place] = total.get(place, 0.0) + c
            order.setdefault(place, theirs)
    return [_Term(o, m, order[o, m, t], c) for (o, m, t), c in total.items() if c]


class _Table:
    """The coefficients as a matrix [(mine, key), (component, value)], with what its rows and columns are."""

    def __init__(self, terms: Sequence[_Term], first: bool, alone: bool) -> None:
        """With the first of theirs as the key, or the last; `alone`: one that stands alone is the value, and the key is
        1."""
        self.mine: dict[Monomial, int] = {}
        self.keys: dict[Monomial, int] = {}
        self.values: dict[Monomial, int] = {}
        self.rows: dict[tuple[int, int], int] = {}
        self.columns: dict[tuple[int, int], int] = {}
        self.entries: dict[Place, float] = {}
        for term in terms:
            if len(term.theirs) < 2:
                key, value = ((), term.theirs) if alone else (term.theirs, ())
            else:
                key, value = (term.theirs[:1], term.theirs[1:]) if first else (term.theirs[-1:], term.theirs[:-1])
            value = tuple(sorted(value))
            row = (self.mine.setdefault(term.mine, len(self.mine)), self.keys.setdefault(key, len(self.keys)))
            column = (term.component, self.values.setdefault(value, len(self.values)))
            place = (self.rows.setdefault(row, len(self.rows)), self.columns.setdefault(column, len(self.columns)))
            self.entries[place] = self.entries.get(place, 0.0) + term.coefficient

    def factored(self, pairs: Sequence[Pair], size: int) -> Factored:
        """The matrix as Σ left rightᵀ, of a body of `size` components."""
        sizes = (len(self.mine), len(self.keys), len(self.values), size)
        rows, columns = list(self.rows), list(self.columns)
        heads = tuple(_head(rows, columns, pair, sizes) for pair in pairs)
        return Factored(tuple(self.mine), tuple(self.keys), tuple(self.values), heads)


def _head(
    rows: list[tuple[int, int]], columns: list[tuple[int, int]], pair: Pair, sizes: tuple[int, int, int, int]
) -> Head:
    met, made = [(rows[i], c) for i, c in pair[0]], [(columns[i], c) for i, c in pair[1]]
    mine, keys, values, components = sizes
    met_keys, met_mine, made_values = (
        {number: place for place, number in enumerate(dict.fromkeys(numbers))}
        for numbers in ((k for (_, k), _ in met), (m for (m, _), _ in met), (v for (_, v), _ in made))
    )
    coefficients = [c for _, c in met]
    if len(met_keys) <= len(met_mine):  # a dimension a key
        query = Matrix.of([met_keys[k] for (_, k), _ in met], [m for (m, _), _ in met], coefficients,
                          (len(met_keys), mine))  # fmt: skip
        key = Matrix.of(range(len(met_keys)), list(met_keys), 1.0, (len(met_keys), keys))
    else:
        query = Matrix.of(range(len(met_mine)), list(met_mine), 1.0, (len(met_mine), mine))
        key = Matrix.of([met_mine[m] for (m, _), _ in met], [k for (_, k), _ in met], coefficients,
                        (len(met_mine), keys))  # fmt: skip
    value = Matrix.of(range(len(made_values)), list(made_values), 1.0, (len(made_values), values))
    out = Matrix.of([o for (o, _), _ in made], [made_values[v] for (_, v), _ in made], [c for _, c in made],
                    (components, len(made_values)))  # fmt: skip
    return Head(query, key, value, out)
