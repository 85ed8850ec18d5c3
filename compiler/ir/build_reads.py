"""Reads to nodes: what is one-sided stands in front, and the body keeps what mixes mine and theirs.

    mean[j in y]((sigmoid(a[j]) - dot(w, u[j])) * relu(c))
    →   s = sigmoid(a)        at y
        r = relu(c)           here
        read mean y mine=(w, r) theirs=(s, u):  (theirs₀ − dot(mine₀, theirs₁)) · mine₁

A body that has nothing of mine becomes a Gather of a value at the token read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from innerloop.artifact.sparse import Bilinear

from ..syntax.builtins import LINEAR
from ..syntax.nodes import (
    Binary,
    Call,
    Compare,
    Expr,
    MoveExpression,
    Name,
    Operation,
    ReadExpression,
    TheirsExpression,
)
from ..syntax.traversal import children
from .build_expressions import AffineTerms, Expressions
from .builder import GraphBuilder
from .graph import Gather, Mine, Read, Theirs, Value

MINE, THEIRS, BOTH = frozenset({"mine"}), frozenset({"theirs"}), frozenset({"mine", "theirs"})


class ReadBuilder:
    """Builds one read. `here` and `there` build expressions at my token and at the token read;
    `constant` says whether an expression is made of constants alone."""

    def __init__(
        self, read: ReadExpression, here: Expressions, there: Expressions, constant: Callable[[Expr], bool]
    ) -> None:
        self.read, self.here, self.there, self.constant = read, here, there, constant
        self.builder = GraphBuilder()
        self.body = Expressions(self.builder, here.kinds, self._leaf)
        self.mine: dict[Value, AffineTerms] = {}
        self.theirs: dict[Value, AffineTerms] = {}

    def form(self) -> AffineTerms:
        how, over, span = self.read.how, self.read.over, self.read.span
        if how != "softmax":
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
