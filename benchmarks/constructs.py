"""What of the language a program uses, by names that a table can count."""

from __future__ import annotations

from innerloop.compiler.syntax.nodes import (
    Array,
    Assign,
    At,
    Binary,
    ByStep,
    Call,
    Compare,
    Define,
    Expr,
    Grad,
    MoveExpression,
    Negate,
    Operation,
    Output,
    Power,
    Program,
    ReadExpression,
    Repeat,
    Scan,
    Statement,
)
from innerloop.compiler.syntax.parse import parse
from innerloop.compiler.syntax.traversal import children, statements


def constructs(text: str) -> set[str]:
    """Of a text that parses: `repeat`, `repeat in a scan`, `mean`, `a read in a read`, `tanh`, `visible context` …"""
    program = parse(text)
    found = _head(program) | _blocks(program.body, ())
    for statement in statements(program.body):
        if isinstance(statement, Assign | Output | Define):
            found |= _expression(statement.value, False)
    return found


def _head(program: Program) -> set[str]:
    tokens = program.tokens
    found = {f"a field: {field.type.base}" for field in program.fields}
    told = {
        "visible context": tokens.visible_context,
        "a prefix": bool(tokens.prefix),
        "a suffix": bool(tokens.suffix),
        "a group of several kinds": len(tokens.group) > 1,
        "a kind in two places": len(tokens.kinds) < len(tokens.prefix + tokens.group + tokens.suffix),
        "a field on several kinds": any(len(field.kinds) > 1 for field in program.fields),
        "a declared range": any(field.low is not None for field in program.fields),
        "a parameter with a type": any(parameter.type is not None for parameter in program.parameters),
    }
    return found | {what for what, holds in told.items() if holds}


def _blocks(body: tuple[Statement, ...], around: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for statement in body:
        match statement:
            case At() | Repeat() | Scan():
                which = type(statement).__name__.lower()
                found |= {"a counted repeat"} if isinstance(statement, Repeat) and statement.index else set()
                found.add(" in ".join((which, *around)))
                found |= _blocks(statement.body, (which, *around))
            case Assign(type=type_):
                found.add("an assignment" if type_ is None else f"an assignment: {type_.base}")
            case Define():
                found.add("def")
            case Output():
                found.add("output" if not around else "output in at")
    return found


def _expression(expr: Expr, reads: bool) -> set[str]:
    found: set[str] = set()
    match expr:
        case Binary(operator="^"):
            found.add("a constant power")
        case Binary(operator=name) | Compare(operator=name) | Call(function=name) | Operation(keyword=name):
            found.add(name if not isinstance(expr, Call) or name not in "fg" else "a call of a def")
        case Negate():
            found.add("unary -")
        case Power():
            found.add("^")
        case Array():
            found.add("an array")
        case ByStep():
            found.add("a constant by step")
        case Grad():
            found.add("grad")
        case MoveExpression(source=source, kind=kind, back=back):
            far = " n" if back is not None else " K" if kind is not None and source == "previous" else ""
            found.add(f"move from {source}{far}")
        case ReadExpression(how=how):
            found.add(f"{how} over tokens" if not reads else "a read in a read")
            reads = True
    for child in children(expr):
        found |= _expression(child, reads)
    return found
