"""The derivative of a scalar expression by a name, as an expression of the language.

    (dot(w, u[j]) - y[j]) ^ 2 / 2   by w   →   (dot(w, u[j]) - y[j]) * u[j]

Reverse mode on the tree: `_Gradient.pull(e, c)` takes the adjoint c = ∂loss/∂e and returns the terms
that e contributes to ∂loss/∂w. An adjoint is a scalar, which stands for one number at every component,
or has e's shape. Reads are linear, so a read of e pulls to the same read of e's terms:

    ∂/∂w mean[j](e) · c = mean[j](∂e/∂w · c)
    ∂/∂w softmax[j](s, v) · c = softmax[j](s, ∂v/∂w · c + ∂s/∂w · c·(v − softmax[j](s, v)))

A read inside a read may not use the outer j; its adjoint is read first, and pulled through afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from innerloop.artifact.errors import Diagnostic
from innerloop.artifact.span import Span

from ..numerics.functions import POINTWISE
from ..syntax import smart_constructors as s
from ..syntax.nodes import (
    Array,
    Binary,
    Call,
    Compare,
    Expr,
    Grad,
    Name,
    Negate,
    Not,
    Operation,
    Part,
    Power,
    ReadExpression,
)
from ..syntax.shapes import Shape
from ..syntax.traversal import children, rebuild, walk
from . import adjoints
from .check_shapes import Shapes
from .plain import plain
from .slopes import slope_of, substituted


class NotDifferentiable(Exception):
    def __init__(self, message: str, span: Span, hint: str | None = None) -> None:
        self.diagnostic = Diagnostic(message, span, hint)


@dataclass(frozen=True)
class Term:
    """A contribution to the derivative by `target`: the name, or a read whose own pull waits."""

    target: ReadExpression | None
    value: Expr
    shape: Shape


def write_out(expr: Expr, shapes: Shapes) -> Expr:
    """`expr` with every grad in it written out, inner ones first. Raises NotDifferentiable."""
    parts = tuple(write_out(child, shapes) for child in children(expr))
    expr = rebuild(expr, parts) if parts else expr
    return differentiate(expr, shapes) if isinstance(expr, Grad) else expr


def differentiate(grad: Grad, shapes: Shapes) -> Expr:
    """`grad[w](e)` written out; inner grads are written out already. Raises NotDifferentiable."""
    gradient = _Gradient(grad.name, shapes, grad.span)
    terms = gradient.pull(grad.operand, s.number(1, grad.span), (), inside=False)
    shape = shapes.names.get(grad.name) or ()
    result = s.number(0, grad.span)
    uniform = bool(shape)
    for term in terms:
        result = s.plus(result, term.value, grad.span)
        uniform = uniform and not term.shape
    if shape and (uniform or s.is_zero(result)):  # one number for every component: stretch it to w's shape
        return _stretched(result, Name(grad.span, grad.name), grad.span)
    return result


def _stretched(value: Expr, like: Expr, span: Span) -> Expr:
    """A scalar at every component of `like`'s shape: value + 0 · like."""
    zero = Binary(span, "*", s.number(0, span), like)
    return zero if s.is_zero(value) else Binary(span, "+", value, zero)


class _Gradient:
    def __init__(self, name: str, shapes: Shapes, span: Span) -> None:
        self.name, self.shapes, self.span = name, shapes, span

    def depends(self, expr: Expr) -> bool:
        return any(isinstance(node, Name) and node.name == self.name for node in walk(expr))

    def shape(self, expr: Expr) -> Shape:
        shape = self.shapes.of(expr)
        if shape is None:
            raise NotDifferentiable("grad of an expression that has errors", expr.span)
        return shape

    def pull(self, expr: Expr, adjoint: Expr, wide: Shape, *, inside: bool) -> list[Term]:
        """The terms of `expr`, whose adjoint has shape `wide`; `inside` a read, reads wait."""
        if s.is_zero(adjoint) or not self.depends(expr):
            return []
        at = expr.span
        match expr:
            case Name():
                return [Term(None, adjoint, wide)]
            case Negate(operand=operand):
                return self.pull(operand, s.negate(adjoint), wide, inside=inside)
            case Binary(operator="+" | "-" as operator, left=left, right=right):
                signed = adjoint if operator == "+" else s.negate(adjoint)
                return self.onto(left, expr, adjoint, wide, inside) + self.onto(right, expr, signed, wide, inside)
            case Binary(operator="*", left=left, right=right) | Operation(keyword="mul", arguments=(left, right)):
                return self.product(expr, left, right, adjoint, wide, inside)
            case Binary(operator="/", left=left, right=right) | Operation(keyword="div", arguments=(left, right)):
                return self.quotient(expr, left, right, adjoint, wide, inside)
            case Binary(operator="@", left=left, right=right) | Operation(keyword="dot", arguments=(left, right)):
                return self.contraction(expr, left, right, adjoint, wide, inside)
            case Operation(keyword="outer", arguments=(left, right)):
                full = self.full(adjoint, wide, expr)
                return self.pull(left, s.dot(full, right, at), self.shape(left), inside=inside) + self.pull(
                    right, s.dot(left, full, at), self.shape(right), inside=inside
                )
            case Operation(arguments=(operand,)):
                return self.pull(operand, adjoint, wide, inside=inside)
            case Power(base=base, exponent=exponent):
                n = int(exponent.value)
                slope = s.times(s.number(n, at), s.power(base, n - 1, at) if n > 1 else s.number(1, at), at)
                return self.scaled(base, adjoint, wide, slope, inside)
            case Compare():
                return []  # a step is flat
            case Binary(operator="and" | "or") | Not():
                return self.pull(plain(expr), adjoint, wide, inside=inside)
            case Part(operand=operand):
                placed = adjoints.of_part(self.full(adjoint, wide, expr), expr, self.shape(operand))
                return self.pull(operand, placed, self.shape(operand), inside=inside)
            case Array(items=items) | Call(function="concat", arguments=items):
                full = self.full(adjoint, wide, expr)
                pulled = adjoints.of_items(full, [self.shape(item) for item in items], isinstance(expr, Array))
                each = zip(items, pulled, strict=True)
                return [t for item, c in each for t in self.pull(item, c, self.shape(item), inside=inside)]
            case Call(function=function, arguments=arguments):
                return self.function(expr, function, arguments, adjoint, wide, inside)
            case ReadExpression() if inside:
                return [Term(expr, adjoint, wide)]
            case ReadExpression():
                return self.read(expr, adjoint, wide)
        raise NotDifferentiable("grad cannot go through this", at)

    def scaled(self, operand: Expr, adjoint: Expr, wide: Shape, slope: Expr, inside: bool) -> list[Term]:
        """adjoint · slope, where slope has the operand's shape, component by component."""
        shape = self.shape(operand) if s.constant(slope) is None else wide
        return self.pull(operand, s.times(adjoint, slope, self.span), shape, inside=inside)

    def onto(self, part: Expr, whole: Expr, adjoint: Expr, wide: Shape, inside: bool) -> list[Term]:
        """`part` of an elementwise operation: where it was stretched, its adjoint is summed."""
        if self.shape(part) == self.shape(whole) or not self.depends(part):
            return self.pull(part, adjoint, wide, inside=inside)
        full = self.full(adjoint, wide, whole)
        return self.pull(part, Call(self.span, "sum", (full,)), (), inside=inside)

    def product(self, whole: Expr, a: Expr, b: Expr, adjoint: Expr, wide: Shape, inside: bool) -> list[Term]:
        terms: list[Term] = []
        for part, other in ((a, b), (b, a)):
            if not self.depends(part):
                continue
            mine, others = self.shape(part), self.shape(other)
            if mine == others or not others:
                shape = wide if not others else mine
                terms += self.pull(part, s.times(adjoint, other, self.span), shape, inside=inside)
            elif len(wide) == 1:  # a stretched scalar: the sum of products
                terms += self.pull(part, s.dot(adjoint, other, self.span), (), inside=inside)
            else:
                summed = Call(self.span, "sum", (s.times(adjoint, other, self.span),))
                terms += self.pull(part, summed, (), inside=inside)
        return terms

    def quotient(self, whole: Expr, a: Expr, b: Expr, adjoint: Expr, wide: Shape, inside: bool) -> list[Term]:
        terms: list[Term] = []
        shape = self.shape(whole)
        if self.depends(a):
            into = wide if not self.shape(b) else shape
            terms += self.onto(a, whole, s.over(adjoint, b, self.span), into, inside)
        if self.depends(b):
            slope = s.over(s.times(adjoint, a, self.span), s.power(b, 2, self.span), self.span)
            into = wide if not self.shape(a) and not self.shape(b) else shape
            terms += self.onto(b, whole, s.negate(slope), into, inside)
        return terms

    def contraction(self, whole: Expr, a: Expr, b: Expr, adjoint: Expr, wide: Shape, inside: bool) -> list[Term]:
        terms: list[Term] = []
        left, right = len(self.shape(a)), len(self.shape(b))
        full = self.full(adjoint, wide, whole)
        if left == right == 2:  # ∂(A B) = C Bᵀ, Aᵀ C
            if self.depends(a):
                terms += self.pull(a, s.dot(full, s.call("transpose", b), self.span), self.shape(a), inside=inside)
            if self.depends(b):
                terms += self.pull(b, s.dot(s.call("transpose", a), full, self.span), self.shape(b), inside=inside)
            return terms
        if self.depends(a):  # ∂(v·b) = c b,  ∂(M b) = c bᵀ,  ∂(a M) = M c
            pulled = {(1, 1): s.times, (2, 1): s.outer}.get((left, right))
            value = pulled(full, b, self.span) if pulled else s.dot(b, full, self.span)
            terms += self.pull(a, value, self.shape(a), inside=inside)
        if self.depends(b):  # ∂(a·v) = c a,  ∂(M v) = c M,  ∂(a M) = a cᵀ
            if (left, right) == (1, 1):
                value = s.times(full, a, self.span)
            else:
                value = s.dot(full, a, self.span) if left == 2 else s.outer(a, full, self.span)
            terms += self.pull(b, value, self.shape(b), inside=inside)
        return terms

    def full(self, adjoint: Expr, wide: Shape, like: Expr) -> Expr:
        """The adjoint in the whole shape of `like`."""
        return adjoint if wide == self.shape(like) else _stretched(adjoint, like, self.span)

    def function(
        self, expr: Call, function: str, arguments: tuple[Expr, ...], adjoint: Expr, wide: Shape, inside: bool
    ) -> list[Term]:
        at, v = expr.span, arguments[0]
        match function:
            case "sum":
                return self.pull(v, adjoint, (), inside=inside)
            case "transpose" | "diag":
                return self.pull(v, s.call(function, self.full(adjoint, wide, expr)), self.shape(v), inside=inside)
            case "row_sums" | "column_sums":  # ∂(A 1) = c 1ᵀ, ∂(Aᵀ 1) = 1 cᵀ
                full = self.full(adjoint, wide, expr)
                along = s.call("column_sums" if function == "row_sums" else "row_sums", v)
                ones = _stretched(s.number(1, at), along, at)
                pair = (full, ones) if function == "row_sums" else (ones, full)
                return self.pull(v, s.outer(*pair, at), self.shape(v), inside=inside)
            case "logsumexp":  # ∂/∂v = softmax(v)
                return self.pull(v, s.times(adjoint, s.call("softmax", v), at), self.shape(v), inside=inside)
            case "softmax":  # ∂/∂v c·p = p (c − p·c)
                inner = s.dot(expr, self.full(adjoint, wide, expr), at)
                return self.scaled(v, s.plus(adjoint, s.negate(inner), at), wide, expr, inside)
            case "argmax":
                return []  # a step is flat
            case "max" | "min" if len(arguments) == 1:
                where = v if function == "max" else s.negate(v)
                return self.pull(v, s.times(adjoint, s.call("argmax", where), at), self.shape(v), inside=inside)
            case "max" | "min":
                a, b = arguments
                sign = ">" if function == "max" else "<"
                terms: list[Term] = []
                for part, test in ((a, Compare(at, sign, a, b)), (b, Compare(at, sign + "=", b, a))):
                    if self.depends(part):
                        terms += self.onto(part, expr, s.times(adjoint, test, at), self.shape(expr), inside)
                return terms
        known = POINTWISE.get(function)
        if known is None or known.slope is None:
            raise NotDifferentiable(f"grad cannot go through `{function}`", at)
        names = dict(zip(("v", *known.arguments, "f"), (*arguments, expr), strict=True))
        slope = substituted(slope_of(known.slope), names, at)
        return [] if s.is_zero(slope) else self.scaled(v, adjoint, wide, slope, inside)

    def read(self, expr: ReadExpression, adjoint: Expr, wide: Shape) -> list[Term]:
        terms: list[Term] = []
        pulled: list[Term] = []
        if expr.how in ("max", "min"):  # what is largest, by its own token
            (value,) = expr.arguments
            expr = replace(expr, how="argmax", arguments=(value if expr.how == "max" else s.negate(value), value))
        if expr.how == "logsumexp":  # the mean of the scores' derivatives, by their softmax
            (score,) = expr.arguments
            pulled += self.pull(score, adjoint, wide, inside=True)
            expr = replace(expr, how="softmax", arguments=(score, score))
        elif expr.how == "softmax":
            score, value = expr.arguments
            pulled += self.pull(value, adjoint, wide, inside=True)
            if self.depends(score):
                centred = Binary(self.span, "-", value, expr)
                shape = self.shape(value)
                along = s.times(adjoint, centred, self.span)
                if len(shape) == len(wide) == 1:
                    along = s.dot(adjoint, centred, self.span)
                elif shape:
                    along = Call(self.span, "sum", (along,))
                pulled += self.pull(score, along, (), inside=True)
        else:
            pulled += self.pull(expr.arguments[-1], adjoint, wide, inside=True)
        for target in dict.fromkeys(term.target for term in pulled):
            total: Expr = s.number(0, self.span)
            shape = ()
            for term in (term for term in pulled if term.target == target):
                total = s.plus(total, term.value, self.span)
                shape = shape or term.shape
            if s.is_zero(total):
                continue
            again = replace(expr, arguments=(*expr.arguments[:-1], total))
            if target is None:
                terms.append(Term(None, again, shape))
            else:
                terms += self.read(target, again, shape)
        return terms
