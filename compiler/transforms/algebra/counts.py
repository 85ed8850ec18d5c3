"""Counts, and what is 0 wherever one of them is.

    n = Σⱼ (y[j] > 0)          a count: a whole number, at least 0
    a = Σⱼ (y[j] > 0) u[j]     n = 0 says that y[j] > 0 nowhere that I see, so a is 0 there

Values are written as terms, by what they are made of at my token or at the token read, so that a gather and the body of
a read are alike. Of each component a term knows bounds, and whether it is whole; `vanishes` goes from n = 0 down to all
that this makes 0, and from there up to a.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.sparse import Matrix
from numpy.typing import NDArray

from ...ir.bilinear import Bilinear
from ...ir.graph import (
    Affine,
    Constant,
    Divide,
    Field,
    Function,
    Gather,
    Graph,
    Merge,
    Mine,
    Move,
    Node,
    Op,
    Product,
    Read,
    Theirs,
    Value,
)
from ...ir.operation_classes import Local, Reads, Source, Structural
from ...ir.positional import Count
from ...numerics.functions import function

Flags = NDArray[np.bool_]
Term = int
Row = tuple[tuple[Term, int, float], ...]
COMPARISONS = ("positive", "nonnegative")


@dataclass(frozen=True)
class Known:
    """Of each component: its bounds, and whether it is a whole number."""

    low: Floats
    high: Floats
    whole: Flags

    @property
    def counts(self) -> bool:
        return bool(self.whole.all() and (self.low >= 0.0).all())


def _all(size: int, low: float, high: float, whole: bool) -> Known:
    return Known(np.full(size, low), np.full(size, high), np.full(size, whole))


class Terms:
    """The terms of a graph, each once; `counted`: what loops carry of counts (carried_counts.py)."""

    def __init__(self, graph: Graph, counted: Container[Value] = ()) -> None:
        self.graph, self.counted = graph, counted
        self.codes = {f.name for f in graph.signature.fields if f.onehot}
        self.rows: list[tuple[Op | None, tuple[Term, ...]]] = []
        """What each is made by; no operation of what is not looked into."""
        self.known: list[Known] = []
        self.numbers: dict[object, Term] = {}
        self.sums: dict[Term, list[Row]] = {}
        self.carried: dict[Term, list[tuple[Term, int, Flags]]] = {}
        """Of what loops carry: which components are 0 where a component of another term is."""
        self.terms: dict[tuple[Value, str | None], Term] = {}
        """Of each value at my token, and at the tokens of a kind that are read."""
        for value in graph.values():
            for kind in sorted(graph[value].kinds):
                self.terms[value, kind] = self._of(value, kind)
            self.terms[value, None] = self._of(value, None)

    def summed(self, value: Value) -> Term:
        """Of a mean the sum that it is of; of any other value its own."""
        op = self.graph[value].op
        if not isinstance(op, Gather | Read) or op.how != "mean":
            return self.terms[value, None]
        return self._term(self.graph[value], *self._read(value, "sum"))

    def _of(self, value: Value, kind: str | None) -> Term:
        node = self.graph[value]
        match node.op:
            case Local():
                return self._term(node, node.op, tuple(self.terms[o, kind] for o in node.operands))
            case Constant() | Count():
                return self._term(node, node.op, ())
            case Gather(how) | Read(how) if kind is None:
                return self._term(node, *self._read(value, how))
            case Move() | Merge():
                return self._term(node, node.op, tuple(self.terms[o, None] for o in node.operands), (value, kind))
            case Source() | Reads() | Structural():
                term = self._term(node, node.op if isinstance(node.op, Field) else None, (), (value, kind))
                if value in self.counted:
                    self.known[term] = _all(node.size, 0.0, np.inf, True)
                return term
            case other:
                assert_never(other)

    def _read(self, value: Value, how: str) -> tuple[Op, tuple[Term, ...]]:
        """A read as a gather of what it adds up, which is the last of its results."""
        node = self.graph[value]
        if not isinstance(node.op, Read):
            assert isinstance(node.op, Gather)
            return Gather(how, node.op.over), (self.terms[node.operands[0], node.op.over],)
        over, body, mine = node.op.over, node.op.body, node.op.mine
        inside: dict[Value, Term] = {}
        for inner in body.block:
            op = body[inner].op
            if isinstance(op, Mine):
                inside[inner] = self.terms[node.operands[op.index], None]
            elif isinstance(op, Theirs):
                inside[inner] = self.terms[node.operands[mine + op.index], over]
            else:
                inside[inner] = self._term(body[inner], op, tuple(inside[o] for o in body[inner].operands))
        return Gather(how, over), (inside[body.results[-1]],)

    def _term(self, node: Node, op: Op | None, operands: tuple[Term, ...], leaf: object = None) -> Term:
        number = self.numbers.setdefault((op, operands, node.size, leaf), len(self.rows))
        if number == len(self.rows):
            self.rows.append((op, operands))
            self.known.append(self._bounds(op, operands, node.size))
        return number

    def _bounds(self, op: Op | None, operands: tuple[Term, ...], size: int) -> Known:
        known = [self.known[o] for o in operands]
        match op:
            case Constant(values):
                a = values.array.ravel()
                return Known(a, a, a == np.round(a))
            case Count(_, none):
                return _all(size, 0.0, 1.0 if none else np.inf, True)
            case Field(name) if name in self.codes:
                return _all(size, 0.0, 1.0, True)
            case Function(name, _) if name in COMPARISONS:
                return _all(size, 0.0, 1.0, True)
            case Function("relu", _):
                return Known(np.maximum(known[0].low, 0.0), np.maximum(known[0].high, 0.0), known[0].whole)
            case Affine(matrices, offset):
                return self._sum(matrices, offset.array.ravel(), operands)
            case Product(_, form):
                return _product(form, *known)
            case Move() | Merge():  # of some token, or 0
                lows, highs = [k.low for k in known], [k.high for k in known]
                low, high = np.minimum.reduce([*lows, np.zeros(size)]), np.maximum.reduce([*highs, np.zeros(size)])
                return Known(low, high, np.logical_and.reduce([k.whole for k in known]))
            case Gather("sum", _):
                low, high = np.where(known[0].low < 0.0, -np.inf, 0.0), np.where(known[0].high > 0.0, np.inf, 0.0)
                return Known(low, high, known[0].whole)
            case Gather("mean", _):
                return Known(np.minimum(known[0].low, 0.0), np.maximum(known[0].high, 0.0), np.zeros(size, np.bool_))
            case None | Source() | Local() | Reads() | Structural():
                return _all(size, -np.inf, np.inf, False)
            case other:
                assert_never(other)

    def _sum(self, matrices: tuple[Matrix, ...], offset: Floats, operands: tuple[Term, ...]) -> Known:
        low, high, whole = offset.copy(), offset.copy(), offset == np.round(offset)
        for matrix, known in self._parts(matrices, operands):
            rows, columns, entries = matrix.entries
            ends = entries * known.low[columns], entries * known.high[columns]
            np.add.at(low, rows, np.minimum(*ends))
            np.add.at(high, rows, np.maximum(*ends))
            np.logical_and.at(whole, rows, known.whole[columns] & (entries == np.round(entries)))
        return Known(low, high, whole)

    def _parts(self, matrices: tuple[Matrix, ...], operands: tuple[Term, ...]) -> list[tuple[Matrix, Known]]:
        """The terms of a sum; (x ≥ 0) − (x > 0), which is x == 0, is one of them."""
        of = {self.rows[o][0]: k for k, o in enumerate(operands) if isinstance(self.rows[o][0], Function)}
        closed, strict = (of.get(Function(name)) for name in reversed(COMPARISONS))
        parts = [(matrix, self.known[o]) for matrix, o in zip(matrices, operands, strict=True)]
        if closed is None or strict is None or self.rows[operands[closed]][1] != self.rows[operands[strict]][1]:
            return parts
        if (matrices[closed] + matrices[strict]).csr.count_nonzero():
            return parts
        return [part for k, part in enumerate(parts) if k != strict]

    # What a count of 0 says -----------------------------------------------------------------------

    def vanishes(self, term: Term, count: Term, component: int) -> Flags | None:
        """Which components of a term are 0 wherever this one of a count is; None where that is 0 only where no token is
        seen at all."""
        zero: dict[Term, Flags] = {}
        sums: set[Row] = set()
        stack = [(count, component)]
        while stack:
            at, place = stack.pop()
            if self.known[at].low[place] > 0.0:
                return None
            flags = zero.setdefault(at, np.zeros(self.known[at].low.size, np.bool_))
            if not flags[place]:
                flags[place] = True
                sums |= {self._summands(at)[place]} if isinstance(self.rows[at][0], Affine) else set()
                stack += self._implied(at, place)
        for each in range(term + 1):
            own = self._zeros(each, zero, sums)
            for other, k, flags in self.carried.get(each, ()):
                own = own | flags if other in zero and zero[other][k] else own
            zero[each] = own | zero[each] if each in zero else own
        return zero[term]

    def _summands(self, term: Term) -> list[Row]:
        """Of each component of a sum its parts, up to a factor: (of which term, which component, times what)."""
        if term not in self.sums:
            op, operands = self.rows[term]
            assert isinstance(op, Affine)
            parts: list[list[tuple[Term, int, float]]] = [
                [(-1, 0, float(c))] if c else [] for c in op.offset.array.ravel()
            ]
            for matrix, operand in zip(op.matrices, operands, strict=True):
                for row, column, entry in zip(*(a.tolist() for a in matrix.entries), strict=True):
                    parts[row].append((operand, column, entry))
            self.sums[term] = [tuple((o, c, e / row[0][2]) for o, c, e in row) for row in map(sorted, parts)]
        return self.sums[term]

    def _implied(self, term: Term, place: int) -> list[tuple[Term, int]]:
        """What is 0 where this component is: what it is a sum of, if none of that is negative."""
        op, operands = self.rows[term]
        match op:
            case Gather("sum" | "mean", _) if self.known[operands[0]].low[place] >= 0.0:
                return [(operands[0], place)]
            case Affine(matrices, offset) if offset.array.ravel()[place] == 0.0:
                found = []
                for matrix, operand in zip(matrices, operands, strict=True):
                    rows, columns, entries = matrix.entries
                    mine = rows == place
                    if (entries[mine] < 0.0).any() or (self.known[operand].low[columns[mine]] < 0.0).any():
                        return []
                    found += [(operand, int(column)) for column in columns[mine]]
                return found
            case None | Source() | Local() | Reads() | Structural():
                return []
            case other:
                assert_never(other)

    def _zeros(self, term: Term, zero: Mapping[Term, Flags], sums: Container[Row]) -> Flags:
        """Which components of a term are 0, where `zero` says so of its operands, and these sums are 0."""
        op, operands = self.rows[term]
        size = self.known[term].low.size
        match op:
            case Constant(values):
                return np.equal(values.array.ravel(), 0.0)
            case Affine(matrices, offset):
                found: Flags = np.equal(offset.array.ravel(), 0.0)
                for matrix, operand in zip(matrices, operands, strict=True):
                    rows, columns, _ = matrix.entries
                    np.logical_and.at(found, rows, zero[operand][columns])
                return found | np.array([row in sums for row in self._summands(term)]) if sums else found
            case Product(_, form):
                found = np.ones(size, np.bool_)
                np.logical_and.at(found, form.out, zero[operands[0]][form.left] | zero[operands[1]][form.right])
                return found
            case Gather() | Divide():
                return np.broadcast_to(zero[operands[0]], (size,))
            case Function("relu", _):  # 0 where x > 0 is
                compared = self.numbers.get((Function("positive"), operands, size, None), operands[0])
                return zero[operands[0]] | zero.get(compared, zero[operands[0]])
            case Function(name, arguments) if function(name, arguments, np.zeros(1))[0] == 0.0:
                return zero[operands[0]]
            case None | Source() | Local() | Reads() | Structural():
                return np.zeros(size, np.bool_)
            case other:
                assert_never(other)


def _product(form: Bilinear, left: Known, right: Known) -> Known:
    with np.errstate(invalid="ignore"):
        ends = [
            np.nan_to_num(form.coefficient * a[form.left] * b[form.right], nan=0.0, posinf=np.inf, neginf=-np.inf)
            for a in (left.low, left.high)
            for b in (right.low, right.high)
        ]
    low, high, whole = np.zeros(form.size), np.zeros(form.size), np.ones(form.size, np.bool_)
    np.add.at(low, form.out, np.minimum.reduce(ends))
    np.add.at(high, form.out, np.maximum.reduce(ends))
    rounded = form.coefficient == np.round(form.coefficient)
    np.logical_and.at(whole, form.out, left.whole[form.left] & right.whole[form.right] & rounded)
    return Known(low, high, whole)
