"""Reads to nodes: what is one-sided stands in front, and the body keeps what mixes mine and theirs.

    mean[j in y]((sigmoid(a[j]) - dot(w, u[j])) * relu(c))
    →   s = sigmoid(a)        at y
        r = relu(c)           here
        read mean y mine=(w, r) theirs=(s, u):  (theirs₀ − dot(mine₀, theirs₁)) · mine₁

A body that has nothing of mine becomes a Gather of a value at the token read. One with factors `exp(score)` of both is
written as terms, each a read of its own that a softmax head without its divisor computes:

    sum[j in y](exp(dot(q, k[j])) * v[j] - y[j])     →    exp-read y dot(q, k), v    −    gather sum y
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from itertools import product

import numpy as np
from innerloop.artifact.span import Span

from ..syntax import smart_constructors as s
from ..syntax.builtins import LINEAR
from ..syntax.nodes import (
    Binary,
    Call,
    Compare,
    Expr,
    MoveExpression,
    Name,
    Negate,
    Operation,
    ReadExpression,
    TheirsExpression,
)
from ..syntax.traversal import children
from .bilinear import Bilinear
from .build_expressions import AffineTerms, Expressions
from .builder import GraphBuilder
from .graph import Gather, Mine, Read, Theirs, Value

MINE, THEIRS, BOTH = frozenset({"mine"}), frozenset({"theirs"}), frozenset({"mine", "theirs"})


class ReadBuilder:
    """Builds one read. `here` and `there` build expressions at my token and at the token read;
    `constant` says whether an expression is made of constants alone."""

    def __init__(
        self,
        read: ReadExpression,
        here: Expressions,
        there: Expressions,
        constant: Callable[[Expr], bool],
        scored: Container[int] = (),
    ) -> None:
        """`scored`: the calls of `exp`, by their ids, whose arguments are scores (check_reads.py)."""
        self.read, self.here, self.there, self.constant, self.scored = read, here, there, constant, scored
        self.builder = GraphBuilder()
        self.body = Expressions(self.builder, here.kinds, self._leaf)
        self.mine: dict[Value, AffineTerms] = {}
        self.theirs: dict[Value, AffineTerms] = {}

    def form(self) -> AffineTerms:
        how, over, span = self.read.how, self.read.over, self.read.span
        if how in ("mean", "sum") and self._weighed(self.read.arguments[0]):
            return self._terms()
        if how in ("mean", "sum"):
            (body,) = self.read.arguments
            side = self._side(body)
            if not side & MINE:
                form = self.there.form(body)
                gathered = self.there.value(form, body.span)
                return self.here.apply(Gather(how, over), (gathered,), form.shape, span)
            if not side & THEIRS:  # Σⱼ m = m · Σⱼ 1
                form = self.here.form(body)
                one = self.there.value(AffineTerms.constant(np.ones(())), span)
                seen = self.here.apply(Gather(how, over), (one,), (), span).stretched(form.shape)
                return self.here.product("mul", Bilinear.mul(form.offset.size), seen, form, form.shape, span)
        forms = [self.body.form(argument) for argument in self.read.arguments]
        results = tuple(self.body.value(f, a.span) for f, a in zip(forms, self.read.arguments, strict=True))
        op = Read(how, over, len(self.mine), self.builder.finish_body(results))
        return self.here.apply(op, (*self.mine, *self.theirs), forms[-1].shape, span)

    # Sums of what is weighed by exp(score) -------------------------------------------------------

    def _weighed(self, expr: Expr) -> bool:
        """Not by what a read inside weighs its own tokens by."""
        if isinstance(expr, ReadExpression):
            return False
        return id(expr) in self.scored or any(map(self._weighed, children(expr)))

    def _terms(self) -> AffineTerms:
        total: AffineTerms | None = None
        for score, value in self._split(self.read.arguments[0]):
            found = self._read(self.read.how, value) if score is None else self._read("exp", score, value)
            if score is not None and self.read.how == "mean":
                count = self._read("sum", s.number(1, self.read.span))
                found = self.here.binary("/", found, count, self.read.span)
            total = found if total is None else self.here.binary("+", total, found, self.read.span)
        assert total is not None
        return total

    def _read(self, how: str, *arguments: Expr) -> AffineTerms:
        read = replace(self.read, how=how, arguments=arguments)
        return ReadBuilder(read, self.here, self.there, self.constant).form()

    def _split(self, expr: Expr) -> list[tuple[Expr | None, Expr]]:
        """Terms exp(score) * value that add up to an expression; no score: a term without exp."""
        if not self._weighed(expr):
            return [(None, expr)]
        match expr:
            case Call(arguments=(score,)) if id(expr) in self.scored:
                return [(score, s.number(1, expr.span))]
            case Negate(operand=operand):
                return [(score, s.negate(value)) for score, value in self._split(operand)]
            case Operation(keyword="affine", arguments=(operand,)):
                return self._split(operand)
            case Binary(operator="+" | "-" as sign, left=left, right=right):
                others = self._split(right)
                return self._split(left) + [(t, s.negate(v) if sign == "-" else v) for t, v in others]
            case Binary(operator="/", left=left, right=right) | Operation(keyword="div", arguments=(left, right)):
                return [(score, Binary(expr.span, "/", value, right)) for score, value in self._split(left)]
            case Binary(operator="*", left=left, right=right) | Operation(keyword="mul", arguments=(left, right)):
                pairs = product(self._split(left), self._split(right))
                return [(_sum(a, b, expr.span), s.times(v, w, expr.span)) for (a, v), (b, w) in pairs]
        raise AssertionError(expr)

    # Sides ---------------------------------------------------------------------------------------

    def _leaf(self, _: Expressions, expr: Expr) -> AffineTerms | None:
        """A one-sided part of the body, computed outside it."""
        if self.constant(expr):
            return self.here.form(expr)
        side = self._side(expr)
        if side == BOTH:
            return None
        outside, leaves = (self.here, self.mine) if side == MINE else (self.there, self.theirs)
        form = outside.form(expr)
        value = outside.value(form, expr.span)
        if value not in leaves:
            op = Mine(len(leaves)) if side == MINE else Theirs(len(leaves))
            leaves[value] = self.body.apply(op, (), form.shape, expr.span)
        return leaves[value]

    def _side(self, expr: Expr) -> frozenset[str]:
        """Whose names an expression holds. What takes one side only and yet has names of both is theirs: checking
        has made sure that mine are shared, so the token read computes it with its own."""
        if self.constant(expr):
            return frozenset()
        match expr:
            case Name() | ReadExpression() | MoveExpression():
                return MINE
            case TheirsExpression():
                return THEIRS
            case Binary(operator="/", left=left, right=right) | Operation(keyword="div", arguments=(left, right)):
                divisor = self._side(right)
                return self._side(left) | (THEIRS if divisor == BOTH else divisor)
        side = frozenset[str]().union(*(self._side(child) for child in children(expr)))
        one_sided = isinstance(expr, Compare) or (isinstance(expr, Call) and expr.function not in LINEAR)
        return THEIRS if one_sided and side == BOTH else side


def _sum(a: Expr | None, b: Expr | None, span: Span) -> Expr | None:
    """Of two scores, either of which there may not be."""
    return (a or b) if a is None or b is None else s.plus(a, b, span)
