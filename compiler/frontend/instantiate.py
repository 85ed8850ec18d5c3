"""One call of a definition: its body and value with the arguments for its parameters, and names of its own.

    def f(v)                    f_m = a + b          a name for an argument that is no name and no constant
        m = m + sum(v)    →
        output m * v            f_m * …

`f_m` is a name that the program has nowhere else; another call of f assigns `f_m_1`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count

from innerloop.artifact.span import Span

from ..syntax.nodes import (
    Assign,
    At,
    Call,
    Define,
    Expr,
    Grad,
    MoveExpression,
    Name,
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
from ..syntax.traversal import children, counted, rebuild, statements, walk

MAXIMUM_SIZE = 10_000
MAXIMUM_DEPTH = 150
"""An expanded expression has at most so many operations, nested so deep."""


class Refused(Exception):
    """A call that cannot be inlined; the message goes on from the function's name."""

    def __init__(self, message: str, hint: str) -> None:
        self.message, self.hint = message, hint


class Instances:
    """Makes instances for one program, whose names are `taken`."""

    def __init__(self, program: Program) -> None:
        self.turns = set(counted(program.body))
        """What counts the passes of repeats, in instances too."""
        self.constants = {parameter.name for parameter in program.parameters}
        assigned = Counter(s.name for s in statements(program.body) if isinstance(s, Assign))
        self.taken = self.constants | self.turns | {field.name for field in program.fields} | set(assigned)
        for statement in program.body:
            if isinstance(statement, Assign) and assigned[statement.name] == 1:
                self.constants |= {statement.name} if all(map(self._is_constant, walk(statement.value))) else set()

    def of(self, definition: Define, call: Call, shipped: bool) -> tuple[list[Statement], Expr]:
        """What runs before the call's line, and what stands for the call; `shipped` definitions are told by the call's
        place, for their own is in another file. Raises Refused."""
        names = dict(zip(definition.parameters, call.arguments, strict=True))
        run: list[Statement] = []
        if definition.body:
            run = self._given(definition, names, call)
            for statement in statements(definition.body):
                if isinstance(statement, Assign) and statement.name not in names:
                    names[statement.name] = Name(call.span, self._fresh(definition.name, statement.name))
            for turn in counted(definition.body):
                fresh = self._fresh(definition.name, turn)
                names[turn] = Name(call.span, fresh)
                self.turns.add(fresh)
            run += [self._statement(statement, names) for statement in definition.body]
        value = self.substitute(definition.value, names)
        if not shipped:
            return run, value
        moved = [_moved(statement, call.span) for statement in run]
        given = {id(node) for argument in call.arguments for node in walk(argument)}
        return moved, _at(value, call.span, given)

    def _given(self, definition: Define, names: dict[str, Expr], call: Call) -> list[Statement]:
        """A line for each argument that the body assigns, or that is neither a name nor made of constants. What counts
        passes has to be made of constants, and stays as it is: in another definition they are not known yet."""
        counting = {n.name for s in statements(definition.body) for n in _counting(s) if isinstance(n, Name)}
        assigned = {s.name for s in statements(definition.body) if isinstance(s, Assign)}
        lines: list[Statement] = []
        for name, argument in list(names.items()):
            if _theirs(argument, frozenset()):
                hint = f"at the token read, give it a name first: `e = {definition.name}(…)`, and read `e[j]`"
                raise Refused("runs lines of its own, and so cannot take theirs inside a read", hint)
            plain = isinstance(argument, Name) or name in counting or all(map(self._is_constant, walk(argument)))
            if plain and name not in assigned:
                continue
            fresh = Name(argument.span, self._fresh(definition.name, name))
            lines.append(Assign(call.span, fresh.name, argument.span, None, argument))
            names[name] = fresh
        return lines

    def _is_constant(self, node: Expr) -> bool:
        if isinstance(node, Name):
            return node.name in self.constants | self.turns
        return not isinstance(node, TheirsExpression | ReadExpression | MoveExpression | Grad | Call)

    def _fresh(self, function: str, name: str) -> str:
        tried = (f"{function}_{name}" + (f"_{k}" if k else "") for k in count())
        fresh = next(t for t in tried if t not in self.taken)
        self.taken.add(fresh)
        return fresh

    def _statement(self, statement: Statement, names: Mapping[str, Expr]) -> Statement:
        def inside(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
            return tuple(self._statement(inner, names) for inner in body)

        match statement:
            case Assign(name=name, type=type, value=value):
                own = names[name]
                assert isinstance(own, Name)
                if type is not None:
                    type = replace(type, dimensions=tuple(self.substitute(d, names) for d in type.dimensions))
                return replace(statement, name=own.name, type=type, value=self.substitute(value, names))
            case Output(value=value):
                return replace(statement, value=self.substitute(value, names))
            case At(kind=kind, body=body):
                return replace(statement, kind=self._kind(kind, names), body=inside(body))
            case Repeat(count=passes, index=index, body=body):
                if index is not None:
                    index = replace(index, name=_plain_name(names[index.name], index.name, "counts by"))
                return replace(statement, count=self.substitute(passes, names), index=index, body=inside(body))
            case Scan(kind=kind, limit=limit, body=body):
                limit = self.substitute(limit, names)
                return replace(statement, kind=self._kind(kind, names), limit=limit, body=inside(body))
        raise AssertionError(statement)

    def substitute(self, expr: Expr, arguments: Mapping[str, Expr]) -> Expr:
        """`expr` with arguments for names. Raises Refused."""
        match expr:
            case Name(name=name) if name in arguments:
                return arguments[name]
            case TheirsExpression(name=name, index=index) if name in arguments:
                return self._at_token(arguments[name], name, index)
            case MoveExpression(name=name, kind=kind):
                if name in arguments:
                    name = _plain_name(arguments[name], name, "moves")
                return replace(expr, name=name, kind=None if kind is None else self._kind(kind, arguments))
            case Grad(name=name) if name in arguments:
                expr = replace(expr, name=_plain_name(arguments[name], name, "differentiates by"))
            case ReadExpression(index=index, over=over):
                expr = replace(expr, over=self._kind(over, arguments))
                taken = {n.index for a in arguments.values() for n in walk(a) if isinstance(n, TheirsExpression)}
                if index in taken | self.turns:
                    fresh = next(f"{index}_{k}" for k in range(1, 10_000) if f"{index}_{k}" not in taken | self.turns)
                    parts = tuple(_rename(argument, index, fresh) for argument in expr.arguments)
                    expr = replace(expr, index=fresh, arguments=parts)
        parts = tuple(self.substitute(child, arguments) for child in children(expr))
        return rebuild(expr, parts) if parts else expr

    def _kind(self, kind: str, arguments: Mapping[str, Expr]) -> str:
        """A kind of token, or the one that an argument names."""
        return kind if kind not in arguments else _plain_name(arguments[kind], kind, "reads tokens of kind")

    def _at_token(self, argument: Expr, parameter: str, index: str) -> Expr:
        """`argument` as the token `index` holds it."""
        match argument:
            case Name(name=name) if name in self.constants | self.turns:
                return argument
            case Part(operand=operand):  # its places are constants
                return replace(argument, operand=self._at_token(operand, parameter, index))
            case Name(name=name, span=span):
                return TheirsExpression(span, name, index)
            case TheirsExpression() | ReadExpression() | MoveExpression() | Grad():
                hint = "give the argument a name on a line of its own first"
                raise Refused(f"reads `{parameter}[{index}]`, which its argument cannot give", hint)
        parts = tuple(self._at_token(child, parameter, index) for child in children(argument))
        return rebuild(argument, parts) if parts else argument


def _theirs(expr: Expr, read: frozenset[str]) -> bool:
    """Whether it takes theirs of a read around it; `read` are the indices of reads inside."""
    match expr:
        case TheirsExpression(index=index):
            return index not in read
        case ReadExpression(index=index):
            read |= {index}
    return any(_theirs(child, read) for child in children(expr))


def _plain_name(argument: Expr, parameter: str, verb: str) -> str:
    if isinstance(argument, Name):
        return argument.name
    raise Refused(f"{verb} `{parameter}`, so its argument must be a name", "give the argument a name first")


def _rename(expr: Expr, index: str, fresh: str) -> Expr:
    if isinstance(expr, TheirsExpression) and expr.index == index:
        return replace(expr, index=fresh)
    if isinstance(expr, ReadExpression) and expr.index == index:
        return expr
    return rebuild(expr, tuple(_rename(child, index, fresh) for child in children(expr)))


def limit(expr: Expr, call: Call) -> None:
    """Raises Refused for what has become too large or too deep."""
    level: tuple[Expr, ...] = (expr,)
    size = 0
    for _ in range(MAXIMUM_DEPTH):
        size += len(level)
        level = tuple(child for node in level for child in children(node))
        if not level:
            return
        if size > MAXIMUM_SIZE:
            break
    raise Refused("expands to too large an expression", "give parts of it names of their own, on lines of their own")


def _counting(statement: Statement) -> Iterable[Expr]:
    """All of what says how often a block runs."""
    match statement:
        case Repeat(count=passes) | Scan(limit=passes):
            return walk(passes)
    return ()


def _moved(statement: Statement, span: Span) -> Statement:
    """A statement at another place of the text, whole."""
    match statement:
        case Assign(type=type, value=value):
            if type is not None:
                type = replace(type, span=span, dimensions=tuple(_at(d, span, ()) for d in type.dimensions))
            return replace(statement, span=span, name_span=span, type=type, value=_at(value, span, ()))
        case Output(value=value):
            return replace(statement, span=span, value=_at(value, span, ()))
        case At(body=body):
            return replace(statement, span=span, body=tuple(_moved(inner, span) for inner in body))
        case Repeat(count=passes, body=body):
            inside = tuple(_moved(inner, span) for inner in body)
            return replace(statement, span=span, count=_at(passes, span, ()), body=inside)
        case Scan(limit=most, body=body):
            inside = tuple(_moved(inner, span) for inner in body)
            return replace(statement, span=span, limit=_at(most, span, ()), body=inside)
    raise AssertionError(statement)


def _at(expr: Expr, span: Span, kept: set[int] | tuple[()]) -> Expr:
    """`expr` at one place, but for the nodes whose ids are kept."""
    if id(expr) in kept:
        return expr
    match expr:
        case Power(exponent=exponent):
            expr = replace(expr, exponent=replace(exponent, span=span))
        case Part(places=places):
            expr = replace(expr, places=tuple(replace(place, span=span) for place in places))
    parts = tuple(_at(child, span, kept) for child in children(expr))
    here = replace(expr, span=span)
    return rebuild(here, parts) if parts else here
