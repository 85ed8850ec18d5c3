"""The syntax tree: what a program says, word for word, and where it says it.

Parsing only builds these nodes; what the words mean is checked in check.py. Every node is frozen
and carries the span of text that it came from, so that an error can point at it.
"""

from __future__ import annotations

from dataclasses import dataclass

from innerloop.artifact.signature import Pattern
from innerloop.artifact.span import Span


@dataclass(frozen=True, slots=True)
class SyntaxNode:
    span: Span


# Expressions -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number(SyntaxNode):
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Array(SyntaxNode):
    """`[0.01, 0.1]`, or rows in rows for a matrix; `[1, x]`, numbers and vectors end to end."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Name(SyntaxNode):
    """A value held here: mine."""

    name: str


@dataclass(frozen=True, slots=True)
class TheirsExpression(SyntaxNode):
    """`name[index]`: the value held at the token that a read ranges over."""

    name: str
    index: str


@dataclass(frozen=True, slots=True)
class Place(SyntaxNode):
    """One component, by its number, or those from `low` to `high`."""

    low: Expr
    high: Expr | None


@dataclass(frozen=True, slots=True)
class Part(SyntaxNode):
    """`operand[places]`, a place for each of the first axes; components count from 1, and `high` is the last."""

    operand: Expr
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Negate(SyntaxNode):
    operand: Expr


@dataclass(frozen=True, slots=True)
class Not(SyntaxNode):
    """1 − operand."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary(SyntaxNode):
    """`operator` is one of + - * / @ and or, or ^ with a power that is no number (`Power`)."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Compare(SyntaxNode):
    """`operator` is one of < <= > >= ==; 1 or 0."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Power(SyntaxNode):
    base: Expr
    exponent: Number


@dataclass(frozen=True, slots=True)
class Call(SyntaxNode):
    """A function by its name: built in (relu, max, identity …), or one of the program's own `def`s;
    `sum(v)` and `softmax(v)` over components are calls too."""

    function: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Operation(SyntaxNode):
    """An operation of the calculus by its keyword: affine dot mul outer div rtw."""

    keyword: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class ReadExpression(SyntaxNode):
    """`mean[index in over](arguments)`; `how` is mean, sum, max, min, or softmax or argmax (score,
    value)."""

    how: str
    index: str
    over: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Grad(SyntaxNode):
    """`grad[name](operand)`."""

    name: str
    operand: Expr


@dataclass(frozen=True, slots=True)
class MoveExpression(SyntaxNode):
    """`move name from previous`, `previous BACK`, `previous KIND`, `first KIND`, `last KIND`."""

    name: str
    source: str
    """previous, first or last."""
    kind: str | None
    """None: the token `back` before me, whatever it is."""
    back: Number | None


Expr = (
    Number
    | Array
    | Name
    | TheirsExpression
    | Part
    | Negate
    | Not
    | Binary
    | Compare
    | Power
    | Call
    | Operation
    | ReadExpression
    | Grad
    | MoveExpression
)


# Types -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Type(SyntaxNode):
    """`base` is scalar, vector, matrix, tensor or onehot, with 0, 1, 2, 3, 1 dimensions."""

    base: str
    dimensions: tuple[Expr, ...]


# Statements --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assign(SyntaxNode):
    name: str
    name_span: Span
    type: Type | None
    value: Expr


@dataclass(frozen=True, slots=True)
class At(SyntaxNode):
    kind: str
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Repeat(SyntaxNode):
    """`index` counts the passes, from 1."""

    count: Expr
    index: Name | None
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Scan(SyntaxNode):
    """`backwards`: from the last token of the kind to the first."""

    kind: str
    backwards: bool
    limit: Expr
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Output(SyntaxNode):
    """`answer`: what it is called."""

    answer: Name | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Define(SyntaxNode):
    """`body` runs first, and `value` is what a call gives; of `def f(a) = e` the body is empty."""

    name: str
    parameters: tuple[str, ...]
    body: tuple[Statement, ...]
    value: Expr


Statement = Assign | At | Repeat | Scan | Output | Define


# The program -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Range(SyntaxNode):
    """From `low` to `high`; an `open` end is no part of it."""

    low: Expr
    high: Expr
    open_low: bool
    open_high: bool


@dataclass(frozen=True, slots=True)
class Parameter(SyntaxNode):
    name: str
    type: Type | None
    default: Expr | None
    range: Range | None


@dataclass(frozen=True, slots=True)
class FieldDeclaration(SyntaxNode):
    """`kinds` are those that hold it; empty in the text means the kind of its own name (filled in by the parser)."""

    name: str
    type: Type
    kinds: tuple[str, ...]
    low: Expr | None
    high: Expr | None


@dataclass(frozen=True, slots=True)
class TokensDeclaration(SyntaxNode):
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Program(SyntaxNode):
    name: str
    parameters: tuple[Parameter, ...]
    uses: tuple[Name, ...]
    """The libraries of definitions that it uses."""
    tokens: TokensDeclaration
    fields: tuple[FieldDeclaration, ...]
    body: tuple[Statement, ...]
    text: str
    source: str
    """The file's name, as errors print it."""
