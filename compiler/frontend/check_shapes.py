"""The shape of an expression, and everything that does not fit in it.

    dot(w, u[j]) * u[j]   w, u : vector[d]   →   (d,)

A part whose shape is unknown, because it was reported already or waits for its definition, gives None
and no further report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from innerloop.artifact.errors import Diagnostic

from ..syntax import shapes as rules
from ..syntax.builtins import FUNCTIONS, OPERATIONS, READS
from ..syntax.nodes import (
    Array,
    Binary,
    ByStep,
    Call,
    Compare,
    Expr,
    Grad,
    MoveExpression,
    Name,
    Negate,
    Number,
    Operation,
    Power,
    ReadExpression,
    TheirsExpression,
)
from ..syntax.shapes import Dimension, Shape, describe
from .inline import Report


@dataclass(frozen=True)
class Shapes:
    """The shapes of names (None: unknown), and what the parameters are as sizes."""

    names: Mapping[str, Shape | None]
    sizes: Mapping[str, Dimension]
    report: Report

    def error(self, expr: Expr, message: str, hint: str | None = None) -> None:
        self.report(Diagnostic(message, expr.span, hint))

    def of(self, expr: Expr) -> Shape | None:
        """The shape of `expr`; faults go to `report`."""
        match expr:
            case Number():
                return ()
            case Name(name=name) | TheirsExpression(name=name) | MoveExpression(name=name):
                shape = self.names.get(name)
                if shape is None or len(shape) < 3:
                    return shape
                hint = f"`{name}[t]` is one of them, in a `repeat n as t`"
                self.error(expr, f"`{name}` is a {describe(shape)}, a matrix for each pass of a repeat", hint)
                return None
            case ByStep(name=name):
                shape = self.names.get(name)
                if shape == ():
                    self.error(expr, f"`{name}` is a scalar, the same in every pass", f"write `{name}`")
                return shape[1:] if shape else shape
            case Negate(operand=operand):
                return self.of(operand)
            case Array(items=items):
                return self._array(expr, [self.of(item) for item in items])
            case Power(base=base, exponent=exponent):
                if exponent.value != int(exponent.value) or exponent.value < 1:
                    self.error(exponent, f"the power {exponent.text} is not a whole number of 1 or more", _ROOT)
                elif exponent.value > 64:
                    self.error(exponent, f"the power {exponent.text} is too large", "the largest is 64")
                return self.of(base)
            case Binary(operator="@", left=left, right=right):
                return self._pair("@", expr, left, right)
            case Binary(operator=operator, left=left, right=right) | Compare(operator=operator, left=left, right=right):
                return self._pair(operator, expr, left, right)
            case Operation(keyword=keyword, arguments=arguments):
                return self._operation(expr, keyword, arguments)
            case Call(function=function, arguments=arguments):
                return self._call(expr, function, arguments)
            case ReadExpression(how=how, arguments=arguments):
                return self._read(expr, how, arguments)
            case Grad(name=name, operand=operand):
                shape = self.of(operand)
                if shape:
                    self.error(operand, f"grad takes the derivative of a scalar, and this is a {describe(shape)}")
                return self.names.get(name)

    def _array(self, expr: Expr, items: list[Shape | None]) -> Shape | None:
        known = [item for item in items if item is not None]
        if len(known) < len(items):
            return None
        shape = rules.stack(known)
        if shape is None:
            self.error(expr, "the items of an array are numbers, or rows of numbers of one length")
        return shape

    def _pair(self, operator: str, expr: Expr, left: Expr, right: Expr) -> Shape | None:
        a, b = self.of(left), self.of(right)
        if a is None or b is None:
            return None
        rule = {"@": rules.contract, "dot": rules.contract, "outer": rules.outer}.get(operator, rules.elementwise)
        shape = rule(a, b)
        if shape is None:
            hint = _HINTS.get(rule, "both must have one shape, or one of them be a scalar")
            if rule is rules.contract and not (a and b):
                hint = "a scalar is multiplied by `*`"
            self.error(expr, f"`{operator}` of {describe(a)} and {describe(b)}", hint)
        return shape

    def _operation(self, expr: Expr, keyword: str, arguments: tuple[Expr, ...]) -> Shape | None:
        if not self._count(expr, keyword, len(arguments), OPERATIONS[keyword]):
            return None
        if len(arguments) == 1:
            return self.of(arguments[0])
        return self._pair(keyword, expr, *arguments)

    def _count(self, expr: Expr, name: str, found: int, arity: int) -> bool:
        if found != arity:
            self.error(expr, f"`{name}` takes {arity} argument{'s' if arity > 1 else ''}, not {found}")
        return found == arity

    def _call(self, expr: Expr, function: str, arguments: tuple[Expr, ...]) -> Shape | None:
        if function == "mean":
            self.error(
                expr,
                "`mean` has no tokens to range over",
                "over tokens `mean[j in K](v[j])`, of components `sum(v) / d`",
            )
            return ()
        entry = FUNCTIONS.get(function)
        if entry is None or not self._count(expr, function, len(arguments), entry.arity):
            return None
        if entry.rule == "identity":
            size = rules.dimension(arguments[0], self.sizes)
            if size is None:
                self.error(arguments[0], "not a size", "`identity(n)`: n is made of whole numbers and parameters")
                return None
            return (size, size)
        if entry.rule == "pairwise":
            return self._pair(function, expr, *arguments)
        shape = self.of(arguments[0])
        if entry.rule == "clip":
            for bound in arguments[1:]:
                if self.of(bound):
                    self.error(bound, "a bound of `clip` is a number")
        if entry.rule == "sum":
            return ()
        if entry.rule == "softmax" and shape is not None and len(shape) != 1:
            hint = "over tokens: `softmax[j in K](score, value)`" if not shape else None
            self.error(expr, f"`softmax` takes a vector, and this is a {describe(shape)}", hint)
        return shape

    def _read(self, expr: Expr, how: str, arguments: tuple[Expr, ...]) -> Shape | None:
        if len(arguments) != READS[how]:
            takes = "a score and a value" if how == "softmax" else "one expression"
            self.error(expr, f"a `{how}` over tokens takes {takes}, not {len(arguments)} arguments")
            return None
        found = [self.of(argument) for argument in arguments]
        if how == "softmax" and found[0]:
            self.error(arguments[0], f"the score of a softmax is a scalar, and this is a {describe(found[0])}")
        return found[-1]


_ROOT = "a root is `sqrt`, one over e is `1 / e`"
_HINTS = {
    rules.contract: "the last size of the first must be the first size of the second",
    rules.outer: "it takes two vectors",
}
