"""Expressions to nodes: arithmetic desugared to the calculus.

    2 * a - B @ c + 1        one Affine of a and c            (B a constant)
    e * v                    Product mul of (1 e) and v       (1 e: e stretched by the Affine that makes it)
    v ^ 4                    two Products
    max(a, b)                b + relu(a − b)
    a < b                    Function positive of b − a

While an expression is built, a value is a `AffineTerms`, an affine function of nodes; a node is made only where
an operation needs one. Constants are forms without terms, and so folded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.signature import Kinds
from innerloop.artifact.span import Span
from innerloop.artifact.sparse import Matrix, Values

from ..syntax.nodes import Array, Binary, Call, Compare, Expr, Negate, Operation, Part, Place, Power
from ..syntax.shapes import contract, elementwise, join, stack
from .bilinear import Bilinear
from .builder import GraphBuilder
from .graph import Affine, Constant, Divide, Function, Node, Op, Product, Softmax, Value

Shape = tuple[int, ...]
COMPARED, FEW = 8, 4
"""Components of an argmax that are all compared with each other, a head for each pair; of more, so many at a time."""


@dataclass(frozen=True)
class AffineTerms:
    """Σ matrix @ value + offset [size]."""

    shape: Shape
    terms: tuple[tuple[Matrix, Value], ...]
    offset: Floats

    @staticmethod
    def constant(array: Floats) -> AffineTerms:
        return AffineTerms(array.shape, (), array.ravel())

    @staticmethod
    def of(value: Value, shape: Shape) -> AffineTerms:
        size = prod(shape)
        return AffineTerms(shape, ((Matrix.identity(size), value),), np.zeros(size))

    def through(self, matrix: Matrix, shape: Shape) -> AffineTerms:
        terms = tuple((matrix @ m, v) for m, v in self.terms)
        return AffineTerms(shape, tuple((m, v) for m, v in terms if m.nnz), matrix.apply(self.offset))

    def places(self) -> Indices:
        """The number of each component, in its shape."""
        return np.arange(self.offset.size).reshape(self.shape)

    def arranged(self, places: Indices) -> AffineTerms:
        """Components by their number, in another shape; 0 where the number is below 0."""
        taken = np.flatnonzero(places.ravel() >= 0)
        matrix = Matrix.of(taken, places.ravel()[taken], 1.0, (places.size, self.offset.size))
        return self.through(matrix, places.shape)

    def scaled(self, scale: float) -> AffineTerms:
        return self.through(Matrix.identity(self.offset.size, scale), self.shape)

    def plus(self, other: AffineTerms) -> AffineTerms:
        total: dict[Value, Matrix] = {}
        for matrix, value in self.terms + other.terms:
            total[value] = total[value] + matrix if value in total else matrix
        terms = tuple((m, v) for v, m in total.items() if m.nnz)
        return AffineTerms(self.shape, terms, self.offset + other.offset)

    def stretched(self, shape: Shape) -> AffineTerms:
        """A scalar to `shape`, every component the same."""
        if self.shape == shape:
            return self
        return self.through(Matrix(np.ones((prod(shape), 1))), shape)


class Expressions:
    """Builds expressions at tokens of `kinds`. `leaf(self, expr)` gives the forms of what is no arithmetic (names,
    reads, moves) and of whatever it wants to give as a whole; None leaves an expression to this class."""

    def __init__(
        self, builder: GraphBuilder, kinds: Kinds, leaf: Callable[[Expressions, Expr], AffineTerms | None]
    ) -> None:
        self.builder, self.kinds, self.leaf = builder, kinds, leaf

    def form(self, expr: Expr) -> AffineTerms:
        found = self.leaf(self, expr)
        if found is not None:
            return found
        match expr:
            case Negate(operand=operand):
                return self.form(operand).scaled(-1.0)
            case Binary(operator=operator, left=left, right=right):
                return self.binary(operator, self.form(left), self.form(right), expr.span)
            case Operation(keyword="affine" | "rtw", arguments=(argument,)):
                return self.form(argument)
            case Operation(keyword=keyword, arguments=(left, right)):
                return self.binary(keyword, self.form(left), self.form(right), expr.span)
            case Power(base=base, exponent=exponent):
                return self._power(self.form(base), int(exponent.value), expr.span)
            case Compare(operator=operator, left=left, right=right):
                return self._compare(operator, self.form(left), self.form(right), expr.span)
            case Call(function=function, arguments=arguments):
                return self._call(function, [self.form(a) for a in arguments], expr.span)
            case Array(items=items):
                forms = [self.form(item) for item in items]
                return _joined(forms, _whole(stack([form.shape for form in forms])))
            case Part(operand=operand, places=places):
                form = self.form(operand)
                return form.arranged(np.asarray(form.places()[tuple(map(self._slice, places))]))
        raise AssertionError(expr)

    def _slice(self, place: Place) -> int | slice:
        low, high = (None if end is None else int(self.form(end).offset[0]) for end in (place.low, place.high))
        assert low is not None
        return low - 1 if place.high is None else slice(low - 1, high)

    def value(self, form: AffineTerms, span: Span | None) -> Value:
        """The node that holds a form."""
        if not form.terms:
            return self._node(Constant(Values(form.offset.reshape(form.shape))), (), form.shape, span)
        ((matrix, value), *more) = form.terms
        if not more and not np.any(form.offset) and matrix.scalar() == 1.0 and self.builder[value].shape == form.shape:
            return value
        op = Affine(tuple(m for m, _ in form.terms), Values(form.offset))
        return self._node(op, tuple(v for _, v in form.terms), form.shape, span)

    def copy(self, value: Value, span: Span) -> Value:
        """The same numbers in a node of its own."""
        node = self.builder[value]
        op = Affine((Matrix.identity(node.size),), Values(np.zeros(node.size)))
        return self._node(op, (value,), node.shape, span)

    def apply(self, op: Op, operands: tuple[Value, ...], shape: Shape, span: Span | None) -> AffineTerms:
        return AffineTerms.of(self._node(op, operands, shape, span), shape)

    def product(
        self, keyword: str, bilinear: Bilinear, a: AffineTerms, b: AffineTerms, shape: Shape, span: Span
    ) -> AffineTerms:
        """A bilinear map; of a constant and something it is a linear one."""
        for index, constant, other in ((0, a, b), (1, b, a)):
            if not constant.terms:
                mine, others = (bilinear.left, bilinear.right)[:: 1 if index == 0 else -1]
                numbers = bilinear.coefficient * constant.offset[mine]
                shape_of = (bilinear.size, bilinear.sizes[1 - index])
                return other.through(Matrix.of(bilinear.out, others, numbers, shape_of), shape)
        return self.apply(Product(keyword, bilinear), (self.value(a, span), self.value(b, span)), shape, span)

    def _node(self, op: Op, operands: tuple[Value, ...], shape: Shape, span: Span | None) -> Value:
        return self.builder.node(Node(op, operands, shape, self.kinds, None, span))

    def binary(self, operator: str, a: AffineTerms, b: AffineTerms, span: Span) -> AffineTerms:
        match operator:
            case "@" | "dot":
                shape = _whole(contract(a.shape, b.shape))
                inner = a.shape[-1]
                bilinear = Bilinear.dot(prod(a.shape[:-1]), inner, prod(b.shape[1:]))
                return self.product("dot", bilinear, a, b, shape, span)
            case "outer":
                return self.product("outer", Bilinear.outer(*a.shape, *b.shape), a, b, a.shape + b.shape, span)
            case "/" | "div":
                return self._divide(a, b, span)
        a, b = _equal(a, b)
        if operator in "+-":
            return a.plus(b if operator == "+" else b.scaled(-1.0))
        return self._mul(a, b, span)

    def _mul(self, a: AffineTerms, b: AffineTerms, span: Span) -> AffineTerms:
        return self.product("mul", Bilinear.mul(a.offset.size), a, b, a.shape, span)

    def _divide(self, a: AffineTerms, b: AffineTerms, span: Span) -> AffineTerms:
        shape = _whole(elementwise(a.shape, b.shape))
        a = a.stretched(shape)
        if not b.terms and np.all(b.offset):
            each = np.arange(a.offset.size)
            scales = Matrix.of(each, each, 1 / b.stretched(shape).offset, (each.size, each.size))
            return a.through(scales, shape)
        return self.apply(Divide(), (self.value(a, span), self.value(b, span)), shape, span)

    def _power(self, base: AffineTerms, exponent: int, span: Span) -> AffineTerms:
        result: AffineTerms | None = None
        square = AffineTerms.of(self.value(base, span), base.shape) if exponent > 1 else base
        while exponent:
            if exponent % 2:
                result = square if result is None else self._mul(result, square, span)
            exponent //= 2
            if exponent:
                square = self._mul(square, square, span)
        return result if result is not None else AffineTerms.constant(np.ones(base.shape))

    def _compare(self, operator: str, a: AffineTerms, b: AffineTerms, span: Span) -> AffineTerms:
        a, b = _equal(a, b)
        if operator == "==":  # a ≤ b and not a < b; of what is no number, neither
            return self._compare("<=", a, b, span).plus(self._compare("<", a, b, span).scaled(-1.0))
        difference = a.plus(b.scaled(-1.0)) if operator[0] == ">" else b.plus(a.scaled(-1.0))
        name = "nonnegative" if operator.endswith("=") else "positive"
        return self.apply(Function(name), (self.value(difference, span),), a.shape, span)

    def _call(self, function: str, arguments: list[AffineTerms], span: Span) -> AffineTerms:
        first = arguments[0]
        match function:
            case "sum":
                return first.through(Matrix(np.ones((1, first.offset.size))), ())
            case "concat":
                return _joined(arguments, _whole(join([argument.shape for argument in arguments])))
            case "transpose":
                return first.arranged(first.places().T)
            case "diag" if len(first.shape) == 2:
                return first.arranged(np.diag(first.places()))
            case "diag":
                return first.arranged(np.diag(first.places() + 1) - 1)
            case "row_sums" | "column_sums":
                axis = 0 if function == "row_sums" else 1
                into = np.indices(first.shape)[axis].ravel()
                size, number = first.offset.size, first.shape[axis]
                return first.through(Matrix.of(into, np.arange(size), 1.0, (number, size)), (number,))
            case "softmax":
                return self.apply(Softmax(), (self.value(first, span),), first.shape, span)
            case "argmax":
                return self._argmax(first, span)
            case "max" | "min" if len(arguments) == 1:
                return self._largest(function, first, span)
            case "clip":
                low, high = (float(bound.offset[0]) for bound in arguments[1:])
                return self.apply(Function("clip", (low, high)), (self.value(first, span),), first.shape, span)
            case "max" | "min":  # max(a, b) = b + relu(a − b),  min(a, b) = b − relu(b − a)
                a, b = _equal(*arguments)
                sign = 1.0 if function == "max" else -1.0
                excess = a.plus(b.scaled(-1.0)).scaled(sign)
                relu = self.apply(Function("relu"), (self.value(excess, span),), a.shape, span)
                return b.plus(relu.scaled(sign))
        return self.apply(Function(function), (self.value(first, span),), first.shape, span)

    def _largest(self, function: str, v: AffineTerms, span: Span) -> AffineTerms:
        """Of pairs, then of pairs of what is left, …: ⌈log₂ n⌉ times."""
        while v.offset.size > 1:
            half = v.offset.size // 2
            first, second, odd = np.split(v.places(), [half, 2 * half])
            better = self._call(function, [v.arranged(first), v.arranged(second)], span)
            v = _joined([better, v.arranged(odd)], (half + 1,)) if odd.size else better
        return v.arranged(v.places().reshape(()))

    def _argmax(self, v: AffineTerms, span: Span) -> AffineTerms:
        """1 at the first of the largest: the first of each few, and of those by the largest of each few."""
        n = v.offset.size
        if n <= COMPARED:
            return self._argmax_of_few(v, span)
        groups = [v.arranged(places) for places in np.split(v.places(), range(FEW, n, FEW))]
        inside = [self._argmax_of_few(group, span) for group in groups]
        tops = [self.binary("@", one, of, span) for one, of in zip(inside, groups, strict=True)]
        best = _joined(tops, (len(groups),))
        among = self._argmax(best, span).arranged(np.arange(n) // FEW)
        return self._mul(_joined(inside, (n,)), among, span)

    def _argmax_of_few(self, v: AffineTerms, span: Span) -> AffineTerms:
        """What is beaten by none after it and beats all before it: all pairs are compared at once, and
        relu(wins − (n − 2)) is 1 where all n − 1 are won."""
        n = v.offset.size
        first, second = np.triu_indices(n, 1)
        pairs = first.size
        if not pairs:
            return AffineTerms.constant(np.ones(1))
        rows = np.tile(np.arange(pairs), 2)
        signs = np.repeat([1.0, -1.0], pairs)
        difference = v.through(Matrix.of(rows, np.concatenate([first, second]), signs, (pairs, n)), (pairs,))
        won = self.apply(Function("nonnegative"), (self.value(difference, span),), (pairs,), span)
        wins = won.through(Matrix.of(np.concatenate([first, second]), rows, signs, (n, pairs)), (n,))
        spare = wins.plus(AffineTerms.constant(np.arange(2.0 - n, 2.0)))
        return self.apply(Function("relu"), (self.value(spare, span),), (n,), span)


def _equal(a: AffineTerms, b: AffineTerms) -> tuple[AffineTerms, AffineTerms]:
    shape = _whole(elementwise(a.shape, b.shape))
    return a.stretched(shape), b.stretched(shape)


def _whole(shape: tuple[object, ...] | None) -> Shape:
    """A shape that checking has found sound: whole numbers."""
    assert shape is not None
    return tuple(n for n in shape if isinstance(n, int))


def _joined(items: list[AffineTerms], shape: Shape) -> AffineTerms:
    """Items after each other: their components, row by row."""
    total, start = AffineTerms.constant(np.zeros(shape)), 0
    for item in items:
        size = item.offset.size
        matrix = Matrix.of(start + np.arange(size), np.arange(size), 1.0, (prod(shape), size))
        total = total.plus(item.through(matrix, shape))
        start += size
    return total
