"""A program in the calculus: one keyword operation a line, `def` and `grad` expanded.

    w = w + q * (y - dot(w, u)) / s     →     w_1 = dot(w, u)
                                              w_2 = affine(y - w_1)
                                              w_3 = mul(q, w_2)
                                              w_4 = div(w_3, s)
                                              w = affine(w + w_4)

A read keeps its body, in keyword operations, inside the one `rtw` that it makes with what is affine
around it. Constants stay as they are written. The result is a program again, and its own core.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import assert_never

from ..syntax.builtins import LINEAR
from ..syntax.nodes import (
    Array,
    Assign,
    At,
    Binary,
    Call,
    Define,
    Expr,
    Grad,
    MoveExpression,
    Name,
    Negate,
    Operation,
    Output,
    Part,
    Power,
    Program,
    ReadExpression,
    Repeat,
    Scan,
    Statement,
    TheirsExpression,
)
from ..syntax.traversal import children, counted, rebuild, statements
from ..syntax.unparse import unparse, unparse_field, unparse_parameter, unparse_tokens, unparse_type
from .check import examine
from .desugar import expand

_KEYWORD = {"*": "mul", "/": "div", "@": "dot"}


def core(program: Program) -> str:
    """The text of `program` in keyword operations; the program must have passed `check`."""
    facts = examine(expand(program))
    printer = _Printer(facts.program, facts.constants)
    head = facts.program
    lines = [f"program {head.name}({', '.join(map(unparse_parameter, head.parameters))})", ""]
    lines.append(unparse_tokens(head.tokens))
    lines += [f"    {unparse_field(field)}" for field in head.fields]
    source = program.text.splitlines()
    for index, statement in enumerate(head.body):
        if index == 0 or _set_apart(statement, source):
            lines.append("")
        lines += printer.statement(statement, "")
    return "\n".join(lines) + "\n"


def _set_apart(statement: Statement, source: list[str]) -> bool:
    """Whether the author left a blank line before the statement and its comments."""
    above = statement.span.line - 2
    while 0 <= above < len(source) and source[above].lstrip().startswith("#"):
        above -= 1
    return 0 <= above < len(source) and not source[above].strip()


class _Printer:
    def __init__(self, program: Program, constants: Mapping[int, Container[str]]) -> None:
        self.constants = constants
        self.turns = counted(program.body)
        self.taken = {p.name for p in program.parameters} | {f.name for f in program.fields}
        self.taken |= {s.name for s in statements(program.body) if isinstance(s, Assign)}

    def statement(self, statement: Statement, margin: str) -> list[str]:
        match statement:
            case Assign(name=name, type=type, value=value):
                lowered = _CoreWriter(self.constants[id(statement)], self.turns, name, self.taken)
                last = unparse(lowered.operation(value))
                typed = name if type is None else f"{name} : {unparse_type(type)}"
                return [margin + line for line in (*lowered.lines, f"{typed} = {last}")]
            case Output(answer=answer, value=value):
                base, head = ("output", "") if answer is None else (f"output_{answer.name}", f"{answer.name} = ")
                lowered = _CoreWriter(self.constants[id(statement)], self.turns, base, self.taken)
                last = unparse(lowered.operation(value))
                return [margin + line for line in (*lowered.lines, f"output {head}{last}")]
            case At(kind=kind, body=body):
                head = f"at {kind}"
            case Repeat(count=count, index=index, body=body):
                head = f"repeat {unparse(count)}" + (f" as {index.name}" if index else "")
            case Scan(kind=kind, backwards=backwards, limit=limit, body=body):
                head = f"scan {kind}{' backwards' if backwards else ''} up to {unparse(limit)}"
            case Define():
                return []
            case other:
                assert_never(other)
        return [margin + head] + [line for inner in body for line in self.statement(inner, margin + "    ")]


class _CoreWriter:
    """One statement's value to one operation, and the lines of temporaries before it; `turns` count passes."""

    def __init__(self, constants: Container[str], turns: Container[str], base: str, taken: set[str]) -> None:
        self.constants, self.turns, self.base, self.taken = constants, turns, base, taken
        self.lines: list[str] = []
        self.known: dict[str, Name] = {}

    def constant(self, expr: Expr) -> bool:
        if isinstance(expr, Name):
            return expr.name in self.constants or expr.name in self.turns
        if isinstance(expr, TheirsExpression | ReadExpression | MoveExpression | Grad):
            return False
        return all(map(self.constant, children(expr)))

    def operand(self, expr: Expr) -> Expr:
        """`expr` as a name or constant; anything else gets a line of its own, equal things the same one."""
        if isinstance(expr, Name) or self.constant(expr):
            return expr
        operation = self.operation(expr)
        if isinstance(operation, Name):
            return operation
        text = unparse(operation)
        if text not in self.known:
            name = next(n for n in (f"{self.base}_{k}" for k in range(1, 100_000)) if n not in self.taken)
            self.taken.add(name)
            self.lines.append(f"{name} = {text}")
            self.known[text] = Name(expr.span, name)
        return self.known[text]

    def operation(self, expr: Expr) -> Expr:
        """`expr` as one operation over operands."""
        if isinstance(expr, Name | MoveExpression) or self.constant(expr):
            return expr
        if self.is_affine(expr):
            return self.affine(expr)
        match expr:
            case Binary(operator=operator, left=left, right=right):
                return Operation(expr.span, _KEYWORD[operator], (self.operand(left), self.operand(right)))
            case Power(base=base, exponent=exponent):
                return powers(self.operand(base), int(exponent.value), self.operand)
        return rebuild(expr, tuple(map(self.operand, children(expr))))

    def is_affine(self, expr: Expr) -> bool:
        """Whether the outermost operation belongs inside `affine` or `rtw`."""
        match expr:
            case Negate() | Binary(operator="+" | "-") | ReadExpression() | Array() | Part():
                return True
            case Call(function=function):
                return function in LINEAR
            case Operation(keyword="affine" | "rtw"):
                return True
            case Binary(operator="/", right=right):
                return self.constant(right)
            case Binary(left=left, right=right):
                return self.constant(left) or self.constant(right)
        return False

    def affine(self, expr: Expr) -> Expr:
        reads = self.reads(expr)
        if len(reads) != 1:
            return Operation(expr.span, "affine", (self.tree(expr, None),))
        tree = self.tree(expr, reads[0])
        return tree if isinstance(tree, MoveExpression) else Operation(expr.span, "rtw", (tree,))

    def parts(self, expr: Expr) -> tuple[Expr, ...]:
        """The run-time operands of an affine operation."""
        return tuple(child for child in children(expr) if not self.constant(child))

    def reads(self, expr: Expr) -> list[Expr]:
        """The reads and moves that an affine expression adds up."""
        if isinstance(expr, ReadExpression | MoveExpression):
            return [expr]
        if not self.is_affine(expr):
            return []
        return [read for part in self.parts(expr) for read in self.reads(part)]

    def tree(self, expr: Expr, read: Expr | None) -> Expr:
        """The affine expression over operands; `read` stays in place, any other gets a line of its own."""
        if isinstance(expr, Name) or self.constant(expr):
            return expr
        if expr is read:
            return self.body(expr)
        if isinstance(expr, Operation) and expr.keyword in ("affine", "rtw"):
            return self.tree(expr.arguments[0], read)
        if isinstance(expr, ReadExpression | MoveExpression):
            return self.operand(expr)
        if self.is_affine(expr):
            return rebuild(expr, tuple(self.tree(child, read) for child in children(expr)))
        return self.operand(expr)

    def body(self, expr: Expr) -> Expr:
        """An expression inside a read, in keyword operations; + - and constant factors stay."""
        if self.constant(expr):
            return expr
        parts = tuple(map(self.body, children(expr)))
        match expr:
            case Operation(keyword="affine"):
                return parts[0]
            case Power(exponent=exponent):
                return powers(parts[0], int(exponent.value), lambda factor: factor)
            case Binary(operator="*" | "/" | "@" as operator) if not self.is_affine(expr):
                return Operation(expr.span, _KEYWORD[operator], parts)
        return rebuild(expr, parts) if parts else expr


def _mul(a: Expr, b: Expr) -> Expr:
    return Operation(a.span, "mul", (a, b))


def powers(base: Expr, exponent: int, keep: Callable[[Expr], Expr]) -> Expr:
    """base ^ exponent as products of squares, from the lowest bit: e⁷ = (e · e²) · (e²)²; `keep` names a factor."""
    result: Expr | None = None
    square = base
    while True:
        if exponent % 2:
            result = square if result is None else _mul(keep(result), keep(square))
        exponent //= 2
        if not exponent:
            return base if result is None else result
        square = _mul(keep(square), keep(square))
