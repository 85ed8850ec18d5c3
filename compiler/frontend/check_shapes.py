"""The shape of an expression, and everything that does not fit in it.

    dot(w, u[j]) * u[j]   w, u : vector[d]   →   (d,)

A part whose shape is unknown, because it was reported already or waits for its definition, gives None
and no further report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from innerloop.artifact.errors import Diagnostic

from ..syntax import shapes as rules
from ..syntax.builtins import FUNCTIONS, OPERATIONS, READS
from ..syntax.nodes import (
    Array,
    Binary,
    Call,
    Compare,
    Expr,
    Grad,
    MoveExpression,
    Name,
    Negate,
    Not,
    Number,
    Operation,
    Part,
    Power,
    ReadExpression,
    TheirsExpression,
)
from ..syntax.shapes import Dimension, Shape, describe
from ..syntax.unparse import unparse
from .inline import Report


@dataclass(frozen=True)
class Shapes:
    """The shapes of names (None: unknown), what the parameters are as sizes, and how many passes each name counts."""

    names: Mapping[str, Shape | None]
    sizes: Mapping[str, Dimension]
    report: Report
    turns: Mapping[str, Dimension | None] = field(default_factory=dict)

    def error(self, expr: Expr, message: str, hint: str | None = None) -> None:
        self.report(Diagnostic(message, expr.span, hint))

    def of(self, expr: Expr) -> Shape | None:
        """The shape of `expr`; faults go to `report`."""
        match expr:
            case Number():
                return ()
            case Name(name=name) | TheirsExpression(name=name) | MoveExpression(name=name):
                return self._whole(expr, self.names.get(name))
            case Negate(operand=operand) | Not(operand=operand):
                return self.of(operand)
            case Array(items=items):
                return self._array(expr, [self.of(item) for item in items])
            case Part(operand=operand):
                shape = self.names.get(operand.name) if isinstance(operand, Name) else self.of(operand)
                return self._whole(expr, self._part(expr, shape))
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

    def _whole(self, expr: Expr, shape: Shape | None) -> Shape | None:
        """Of what is computed with: no tensor."""
        if shape is None or len(shape) < 3:
            return shape
        text = unparse(expr)
        hint = f"a matrix of it is `{text}[1]`, or `{text}[t]` in a `repeat n as t`"
        self.error(expr, f"`{text}` is a {describe(shape)}, of which one matrix is read at a time", hint)
        return None

    def _array(self, expr: Expr, items: list[Shape | None]) -> Shape | None:
        known = [item for item in items if item is not None]
        if len(known) < len(items):
            return None
        shape = rules.stack(known)
        if shape is None:
            hint = "vectors of other lengths are joined by `concat(a, b)`"
            self.error(expr, "an array is made of numbers, of rows of one length, or of numbers and vectors", hint)
        return shape

    def _part(self, expr: Part, shape: Shape | None) -> Shape | None:
        places: list[tuple[Dimension, Dimension | None]] = []
        sound = shape is not None
        if shape is not None and len(expr.places) > len(shape):
            message = f"{len(expr.places)} places in a {describe(shape)}" if shape else "a scalar has no components"
            hint = "it has one for each of its sizes" if shape else f"write `{unparse(expr.operand)}`"
            self.error(expr, message, hint)
            sound = False
        for axis, place in enumerate(expr.places):
            size = shape[axis] if shape is not None and axis < len(shape) else None
            low, high = self._place(place.low, size), None if place.high is None else self._place(place.high, size)
            if low is None or (high is None and place.high is not None):
                sound = False
                continue
            length = 1 if high is None else rules.add(high, low, -1)
            if rules.mentions(length, self.turns):
                self.error(place.low, "this slice is longer in one pass than in another", "a slice has one length")
                sound = False
            if isinstance(length, int) and length < 0:
                hint = "a slice goes from a component to a later one"
                self.error(place.low, f"there is nothing from {low} to {high}", hint)
                sound = False
            places.append((low, high))
        return rules.part(shape, places) if sound and shape is not None else None

    def _place(self, expr: Expr, size: Dimension | None) -> Dimension | None:
        """The number of a component of so many."""
        if self.of(expr) not in ((), None):
            self.error(expr, "a place is one number", PLACE_HINT)
            return None
        place = rules.dimension(expr, {**self.sizes, **{turn: rules.symbol(turn) for turn in self.turns}})
        if place is None or not rules.linear(place, self.turns):
            self.error(expr, "this is no place", PLACE_HINT)
            return None
        for end in rules.ends(place, self.turns):
            beyond = None if size is None else rules.add(end, size, -1)
            if (isinstance(end, int) and end < 1) or (isinstance(beyond, int) and beyond > 0):
                of = "" if isinstance(end, int) and end < 1 else f" of {size}"
                self.error(expr, f"there is no component {end}{of}", PLACE_HINT)
                return None
        return place

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
        if entry is not None and entry.rule == "concat" and len(arguments) > entry.arity:
            return self._concat(expr, arguments)
        if entry is not None and entry.rule == "pairwise" and len(arguments) == 1:
            return self._largest(expr, function, self.of(arguments[0]))
        if entry is None or not self._count(expr, function, len(arguments), entry.arity):
            return None
        if entry.rule == "concat":
            return self._concat(expr, arguments)
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
        if entry.rule == "size" and shape == ():
            self.error(expr, "`size` takes a vector or a matrix, and this is a scalar")
        if entry.rule in ("sum", "size"):
            return ()
        if entry.rule == "logsumexp":
            return self._largest(expr, function, shape)
        if entry.rule == "arranged":
            return self._arranged(expr, function, shape)
        if entry.rule == "softmax" and shape is not None and len(shape) != 1:
            hint = f"over tokens: `{function}[j in K](score, value)`" if not shape else None
            self.error(expr, f"`{function}` takes a vector, and this is a {describe(shape)}", hint)
        return shape

    def _largest(self, expr: Expr, function: str, shape: Shape | None) -> Shape | None:
        if shape is not None and len(shape) != 1:
            hint = f"over tokens: `{function}[j in K](e)`" if not shape else None
            self.error(expr, f"`{function}` of one argument takes a vector, and this is a {describe(shape)}", hint)
        return ()

    def _concat(self, expr: Expr, arguments: tuple[Expr, ...]) -> Shape | None:
        shapes = [self.of(argument) for argument in arguments]
        known = [shape for shape in shapes if shape is not None]
        if len(known) < len(shapes):
            return None
        found = rules.join(known)
        if found is None:
            told = " and ".join(map(describe, known))
            self.error(expr, f"`concat` of {told}", "it takes numbers and vectors, or matrices with rows of one length")
        return found

    def _arranged(self, expr: Expr, function: str, shape: Shape | None) -> Shape | None:
        if shape is None:
            return None
        found = rules.arranged(function, shape)
        if found is None:
            takes = "a vector or a square matrix" if function == "diag" else "a matrix"
            hint = "a vector is neither row nor column: `a @ C` is Cᵀa" if function == "transpose" else None
            self.error(expr, f"`{function}` takes {takes}, and this is a {describe(shape)}", hint)
        return found

    def _read(self, expr: Expr, how: str, arguments: tuple[Expr, ...]) -> Shape | None:
        if len(arguments) != READS[how]:
            takes = "a score and a value" if READS[how] == 2 else "one expression"
            self.error(expr, f"a `{how}` over tokens takes {takes}, not {len(arguments)} arguments")
            return None
        found = [self.of(argument) for argument in arguments]
        if how not in ("mean", "sum") and found[0]:
            said = f"the score of `{how}` is a scalar" if READS[how] == 2 else f"`{how}` over tokens is of a scalar"
            self.error(arguments[0], f"{said}, and this is a {describe(found[0])}")
        return found[-1]


PLACE_HINT = "the first component is 1, and the last the size; whole numbers and parameters with + - * ^ say which"
_ROOT = "a root is `sqrt`, one over e is `1 / e`"
_HINTS = {
    rules.contract: "the last size of the first must be the first size of the second",
    rules.outer: "it takes two vectors",
}
