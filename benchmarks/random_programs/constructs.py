"""What of the language a program uses, by names that a table can count."""

from __future__ import annotations

from innerloop.compiler.syntax.nodes import (
    Array,
    Assign,
    At,
    Binary,
    Call,
    Compare,
    Define,
    Expr,
    Grad,
    MoveExpression,
    Name,
    Negate,
    Not,
    Number,
    Operation,
    Output,
    Part,
    Power,
    Program,
    ReadExpression,
    Repeat,
    Scan,
    Statement,
)
from innerloop.compiler.syntax.parse import parse
from innerloop.compiler.syntax.traversal import children, counted, statements, walk


def constructs(text: str) -> set[str]:
    """Of a text that parses: `repeat`, `repeat in a scan`, `mean`, `a read in a read`, `tanh`, `visible context` …"""
    program = parse(text)
    found = _head(program) | _blocks(program.body, ())
    turns = counted(program.body)
    layers = {parameter.name for parameter in program.parameters if parameter.type and parameter.type.base == "tensor"}
    for statement in statements(program.body):
        if isinstance(statement, Assign | Output | Define):
            found |= _expression(statement.value, False)
            stepped = [node for node in walk(statement.value) if _by_step(node, turns)]
            found |= {"a component by step" for _ in stepped}
            found |= {"a matrix by step" for node in stepped if isinstance(node, Part) and _name(node) in layers}
    return found


def _by_step(expr: Expr, turns: frozenset[str]) -> bool:
    """Whether it is a component that differs from pass to pass."""
    places = children(expr)[1:] if isinstance(expr, Part) else ()
    return any(isinstance(node, Name) and node.name in turns for place in places for node in walk(place))


def _name(part: Part) -> str | None:
    """What it is a part of, if that has a name."""
    whole = children(part)[0]
    return whole.name if isinstance(whole, Name) else None


def _head(program: Program) -> set[str]:
    tokens = program.tokens.pattern
    found = {f"a field: {field.type.base}" for field in program.fields}
    told = {
        "visible context": tokens.visible_context,
        "a prefix": bool(tokens.prefix),
        "a suffix": bool(tokens.suffix),
        "several groups": len(tokens.cuts) > 0,
        "a group of several kinds": len(tokens.group) > 1,
        "a kind in two places": len(tokens.kinds) < len(tokens.prefix + tokens.group + tokens.suffix),
        "a field on several kinds": any(len(field.kinds) > 1 for field in program.fields),
        "a declared range": any(field.low is not None for field in program.fields),
        "a parameter with a type": any(parameter.type is not None for parameter in program.parameters),
        "use": bool(program.uses),
        "a parameter with a range": any(parameter.range is not None for parameter in program.parameters),
    }
    return found | {what for what, holds in told.items() if holds}


def _blocks(body: tuple[Statement, ...], around: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for statement in body:
        match statement:
            case At() | Repeat() | Scan():
                which = type(statement).__name__.lower()
                found |= (
                    {"a number that a repeat carries"}
                    if isinstance(statement, Repeat) and _schedules(statement)
                    else set()
                )
                found |= {"a counted repeat"} if isinstance(statement, Repeat) and statement.index else set()
                found.add(" in ".join((which, *around)))
                found |= {"a scan backwards"} if isinstance(statement, Scan) and statement.backwards else set()
                found |= _blocks(statement.body, (which, *around))
            case Assign(type=type_):
                found.add("an assignment" if type_ is None else f"an assignment: {type_.base}")
            case Define(body=body):
                found.add("def" if not body else "a def with lines of its own")
            case Output(answer=answer):
                found.add("output" if not around else "output in at")
                found |= {"several outputs"} if answer is not None else set()
    return found


def _schedules(loop: Repeat) -> bool:
    """Whether it makes a name of nothing but that name and numbers."""
    for line in loop.body:
        if isinstance(line, Assign) and not isinstance(line.value, Name):
            leaves = [node for node in walk(line.value) if not children(node)]
            names = {node.name for node in leaves if isinstance(node, Name)}
            if names == {line.name} and all(isinstance(node, Name | Number) for node in leaves):
                return True
    return False


def _expression(expr: Expr, reads: bool) -> set[str]:
    found: set[str] = set()
    match expr:
        case Binary(operator="^"):
            found.add("a constant power")
        case Binary(operator=name) | Compare(operator=name) | Call(function=name) | Operation(keyword=name):
            found.add(name if not isinstance(expr, Call) or name not in "fg" else "a call of a def")
            if isinstance(expr, Call) and name in ("max", "min") and len(expr.arguments) == 1:
                found.add(f"{name} of components")
        case Negate():
            found.add("unary -")
        case Not():
            found.add("not")
        case Power():
            found.add("^")
        case Array():
            found.add("an array")
        case Part(places=places):
            found |= {"a component" if place.high is None else "a slice" for place in places}
        case Grad():
            found.add("grad")
        case MoveExpression(source=source, kind=kind, back=back):
            far = " n" if back is not None else " K" if kind is not None and source == "previous" else ""
            found.add(f"move from {source}{far}")
        case ReadExpression(how=how, arguments=arguments):
            found.add(f"{how} over tokens" if not reads else "a read in a read")
            reads = True
            if isinstance(arguments[0], Binary) and isinstance(arguments[0].left, Call):
                found |= {"a sum weighed by exp"} if arguments[0].left.function == "exp" else set()
    for child in children(expr):
        found |= _expression(child, reads)
    return found
