"""Mine, theirs and shared: what one attention head can compute inside a read.

    mean[j in y]((dot(w, u[j]) - y[j]) * u[j])       bilinear in mine (w) and theirs (u[j], y[j])
    mean[j in y](sigmoid(dot(w, u[j])))              an error, unless w is shared: the same at all tokens

Products, sums and division by one side combine the sides; a function or comparison takes one side
only, or theirs with shared values, and can then be computed at the token that is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from innerloop.artifact.errors import Diagnostic
from innerloop.artifact.span import Span

from ..syntax.builtins import FUNCTIONS, LINEAR
from ..syntax.nodes import (
    Binary,
    Call,
    Compare,
    Expr,
    MoveExpression,
    Name,
    Negate,
    Number,
    Operation,
    ReadExpression,
    TheirsExpression,
    TokensDeclaration,
)
from ..syntax.traversal import children, rebuild, walk
from ..syntax.unparse import unparse
from .check_names import Held
from .inline import Report


@dataclass(frozen=True)
class Sides:
    """What an expression takes from either side, as the program writes it."""

    mine: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ()

    def __or__(self, other: Sides) -> Sides:
        mine = tuple(dict.fromkeys(self.mine + other.mine))
        return Sides(mine, tuple(dict.fromkeys(self.theirs + other.theirs)))

    @property
    def mixed(self) -> bool:
        return bool(self.mine and self.theirs)


@dataclass(frozen=True)
class Sharing:
    """What is known of sharing at one point of the program; parameters are not among the names."""

    tokens: TokensDeclaration
    names: Mapping[str, Held]

    def shared(self, expr: Expr) -> bool:
        """Whether all tokens compute the same `expr`."""
        match expr:
            case Name(name=name):
                held = self.names.get(name)
                return held is None or held.shared or held.constant
            case TheirsExpression():
                return False
            case MoveExpression(source=source, kind=kind):
                return kind is not None and self.move_is_shared(source, kind)
            case ReadExpression(over=over, arguments=arguments):
                return self.read_is_shared(over, arguments)
        return all(self.shared(child) for child in children(expr))

    def move_is_shared(self, source: str, kind: str) -> bool:
        """All tokens see one and the same first, or last, token of `kind`."""
        context = self.tokens.pattern.prefix + self.tokens.pattern.group
        if source == "first":
            return kind in context if self.tokens.pattern.visible_context else kind == context[0]
        whole = kind in context and kind not in self.tokens.pattern.suffix
        return source == "last" and self.tokens.pattern.visible_context and whole

    def read_is_shared(self, over: str, arguments: tuple[Expr, ...]) -> bool:
        """A read over the context, which all see, of theirs and shared values."""
        if not self.tokens.pattern.visible_context or over in self.tokens.pattern.suffix:
            return False
        return all(self.pooled(argument) for argument in arguments)

    def pooled(self, expr: Expr) -> bool:
        if isinstance(expr, TheirsExpression):
            return True
        if isinstance(expr, Name | ReadExpression | MoveExpression):
            return self.shared(expr)
        return all(self.pooled(child) for child in children(expr))


def check_reads(expr: Expr, sharing: Sharing, report: Report) -> set[int]:
    """Reports every function, comparison and divisor inside a read of `expr` that mixes mine and theirs. But what is
    summed may have factors `exp(score)` that do, as attention has: the ids of these calls."""
    scored: set[int] = set()
    for node in walk(expr):
        if isinstance(node, ReadExpression):
            side = _Side(node, sharing, report)
            for argument in node.arguments:
                side.of(argument)
            scored |= side.scored
    return scored


def factors(expr: Expr) -> tuple[Expr, ...]:
    """What a sum of products is made of directly; none of what is one factor."""
    match expr:
        case Negate(operand=operand):
            return (operand,)
        case Binary(operator="+" | "-" | "*", left=left, right=right):
            return (left, right)
        case Operation(keyword="mul", arguments=arguments):
            return arguments
        case Binary(operator="/", left=left) | Operation(keyword="div", arguments=(left, _)):
            return (left,)
        case Operation(keyword="affine", arguments=(operand,)):
            return (operand,)
    return ()


class _Side:
    def __init__(self, read: ReadExpression, sharing: Sharing, report: Report) -> None:
        self.read, self.sharing, self.report = read, sharing, report
        self.weighs: set[int] = set()
        """Where an `exp` weighs what is summed."""
        self.scored: set[int] = set()
        if read.how in ("mean", "sum"):
            left = list(read.arguments)
            while left:
                self.weighs.add(id(left[-1]))
                left.extend(factors(left.pop()))

    def of(self, expr: Expr) -> Sides:
        match expr:
            case Number():
                return Sides()
            case Name(name=name):
                return Sides() if self.sharing.shared(expr) else Sides(mine=(f"`{name}`",))
            case TheirsExpression(name=name, index=index):
                held = self.sharing.names.get(name)
                constant = held is not None and held.constant
                return Sides() if constant else Sides(theirs=(f"`{name}[{index}]`",))
            case MoveExpression():
                return Sides()  # reported elsewhere
            case ReadExpression():
                return Sides() if self.sharing.shared(expr) else Sides(mine=(f"`{unparse(expr)}`",))
            case Call(function="exp", arguments=(score,)) if id(expr) in self.weighs:
                sides = self.of(score)
                self.scored |= {id(expr)} if sides.mixed else set()
                return sides
            case Call(function=function) if function in FUNCTIONS and function not in LINEAR:
                return self.one_side(expr, function)
            case Compare(operator=operator):
                return self.one_side(expr, operator)
            case Binary(operator="/", left=left, right=right) | Operation(keyword="div", arguments=(left, right)):
                return self.of(left) | self.divisor(right)
        sides = Sides()
        for child in children(expr):
            sides |= self.of(child)
        return sides

    def one_side(self, expr: Expr, name: str) -> Sides:
        sides = Sides()
        for child in children(expr):
            sides |= self.of(child)
        if not sides.mixed:
            return sides
        self.mixing(expr.span, f"`{name}`", sides, self.advice(expr, sides))
        return Sides()

    def divisor(self, expr: Expr) -> Sides:
        sides = self.of(expr)
        if not sides.mixed:
            return sides
        self.mixing(expr.span, "this divisor", sides, "no attention head computes this: divide by mine or theirs alone")
        return Sides()

    def mixing(self, span: Span, what: str, sides: Sides, hint: str) -> None:
        mine, theirs = ", ".join(sides.mine), ", ".join(sides.theirs)
        self.report(Diagnostic(f"{what} mixes mine ({mine}) and theirs ({theirs})", span, hint))

    def advice(self, expr: Expr, sides: Sides) -> str:
        """Compute it at the token read, where all that is mine must be shared."""
        index, over = self.read.index, self.read.over
        if isinstance(expr, Call) and expr.function == "exp":
            weighed = f"sum[{index} in {over}](exp(score) * v[{index}])"
            return f"it takes both as a factor of what `sum` or `mean` adds up, `{weighed}`, and nowhere else"
        if not all(self.can_be_shared(part.strip("`"), sides) for part in sides.mine):
            return "no attention head computes this: a function takes mine alone, or theirs alone"
        letters = ("e", *(f"e_{k}" for k in range(1, 1000)))
        name = next(letter for letter in letters if letter not in self.sharing.names)
        there = TheirsExpression(expr.span, name, index)
        bodies = ", ".join(unparse(_put(argument, expr, there)) for argument in self.read.arguments)
        mine = " and ".join(part.strip("`") for part in sides.mine)
        first = f"`{name} = {unparse(_here(expr, index))}`"
        if self.sharing.tokens.pattern.visible_context:
            share = f"and compute {mine} outside `at`, so that all tokens share it."
        else:
            share = f"and let all tokens share {mine} with `tokens … visible context`."
        return (
            f"no attention head computes this. Compute it at token {index} first ({first}, then\n"
            f"`{self.read.how}[{index} in {over}]({bodies})`) {share}"
        )

    def can_be_shared(self, name: str, sides: Sides) -> bool:
        """Whether what is mine may be the same at all tokens: not what differs from theirs in the same expression, and
        not what lives at some tokens alone."""
        held = self.sharing.names.get(name)
        everywhere = held is None or held.kinds >= set(self.sharing.tokens.pattern.kinds)
        return everywhere and f"`{name}[{self.read.index}]`" not in sides.theirs


def _here(expr: Expr, index: str) -> Expr:
    """`expr` as the token read would write it."""
    if isinstance(expr, TheirsExpression) and expr.index == index:
        return Name(expr.span, expr.name)
    parts = tuple(_here(child, index) for child in children(expr))
    return rebuild(expr, parts) if parts else expr


def _put(body: Expr, part: Expr, name: Expr) -> Expr:
    """`body` with `part` under its name; of a product, its factor is left out but for that name."""
    match body:
        case Binary(operator="*", left=left, right=right):
            factors = [name if any(node is part for node in walk(f)) else f for f in (left, right)]
            return Binary(body.span, "*", factors[0], factors[1])
    return _replace(body, part, name)


def _replace(body: Expr, part: Expr, name: Expr) -> Expr:
    if body is part:
        return name
    parts = tuple(_replace(child, part, name) for child in children(body))
    return rebuild(body, parts) if parts else body
