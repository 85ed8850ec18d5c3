"""Text to syntax tree.

    "w = w - rate * g"  →  Assign("w", …, Binary("-", Name("w"), Binary("*", Name("rate"), Name("g"))))

The grammar is grammar.lark; a field without `on` is given the kind of its own name. Syntax errors are
worded in syntax_errors.py.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Any

from innerloop.artifact.errors import CompileError, Diagnostic
from innerloop.artifact.limits import DEEPEST, LARGEST_TEXT
from innerloop.artifact.signature import Pattern
from innerloop.artifact.span import Span
from lark import Token, Tree
from lark.exceptions import LarkError, UnexpectedCharacters, UnexpectedToken
from lark.indenter import DedentError
from lark.visitors import Transformer_NonRecursive, v_args

from . import nodes as syntax
from .grammar import lark
from .indices import components, definition_components
from .nodes import Expr
from .syntax_errors import SyntaxFault, describe_fault, indentation_fault, stand_in

MAXIMUM_ERRORS = 20


@lru_cache(maxsize=8)  # a compile asks for one text several times
def parse(text: str, source: str = "program") -> syntax.Program:
    """The syntax tree of `text`; `source` is the file's name, as errors print it.

    Raises CompileError with every syntax error that can be told apart, in text order.
    """
    if len(text) > LARGEST_TEXT:
        said = f"a program of {len(text):,} characters; at most {LARGEST_TEXT:,} are read: is it another file?"
        raise CompileError([Diagnostic(said)], source=source)
    text = text.removeprefix("\ufeff")  # a byte-order mark
    whole = text.removesuffix("\n") + "\n"
    faults: list[Diagnostic] = []
    current = whole
    while True:
        outcome = _attempt(current)
        if isinstance(outcome, Tree):
            break
        faults.append(outcome.diagnostic)
        mended = stand_in(current, outcome) if len(faults) < MAXIMUM_ERRORS else None
        if mended is None:
            break
        current = mended
    if faults or not isinstance(outcome, Tree):
        raise CompileError(faults, text, source)
    program = _TreeBuilder(text, source).transform(outcome)
    assert isinstance(program, syntax.Program)
    return program


def parse_library(text: str) -> tuple[syntax.Define, ...]:
    """The `def`s of a text that holds nothing else. Raises Lark's errors."""
    found = _TreeBuilder(text, "library").transform(lark().parse(text, "library"))
    assert isinstance(found, tuple)
    return found


def is_library(text: str) -> bool:
    """Whether it is a text of `def`s alone, without faults."""
    try:
        return bool(parse_library(text))
    except (LarkError, RecursionError):
        return False


def _attempt(text: str) -> Tree[Token] | SyntaxFault:
    """The parse tree, or the first thing that is wrong."""
    fault = indentation_fault(text)
    if fault is not None:
        return fault
    try:
        tree = lark().parse(text, "start")
    except (UnexpectedToken, UnexpectedCharacters) as error:
        return describe_fault(text, error)
    except DedentError:
        return SyntaxFault(Diagnostic("this indentation matches no block"), None)
    return _too_deep(tree) or tree


def _too_deep(tree: Tree[Token]) -> SyntaxFault | None:
    depth: dict[int, int] = {}
    chain: dict[int, int] = {}  # of `a + b - c …` and `a * b / c …`, which are nested to the left
    for node in tree.iter_subtrees():
        below = (depth[id(child)] for child in node.children if isinstance(child, Tree))
        depth[id(node)] = here = 1 + max(below, default=0)
        chain[id(node)] = 1 + chain.get(id(node.children[0]), 0) if node.data in _OPERATORS else 0
        if here > DEEPEST:  # expressions and blocks, so that passes may recurse
            long = chain[id(node)] > DEEPEST // 2
            said = f"this is nested more than {DEEPEST} deep"
            said = f"this chain has about {DEEPEST} operators or more" if long else said
            hint = "give parts of it names of their own, on lines of their own"
            return SyntaxFault(Diagnostic(said, _span(node.meta), hint), None)
    return None


def _span(at: Any) -> Span:
    """Of a lark Meta or Token."""
    return Span(at.start_pos, at.end_pos, at.line, at.column)


_OPERATORS = ("add", "subtract", "multiply", "divide", "contract", "either", "both")
_Origin = tuple[str, str | None, syntax.Number | None]
"""Of a move: its source, kind and how far back."""


def _binary(operator: str) -> Any:
    """The method that builds it, and below a type's."""
    return lambda _, meta, parts: syntax.Binary(_span(meta), operator, parts[0], parts[1])


def _type(base: str) -> Any:
    return lambda _, meta, parts: syntax.Type(_span(meta), base, tuple(parts))


@v_args(meta=True)
class _TreeBuilder(Transformer_NonRecursive[Token, Any]):
    """Parse tree to syntax tree, rule by rule."""

    def __init__(self, text: str, source: str) -> None:
        super().__init__()
        self.text, self.source = text, source

    # expressions

    def number(self, meta: Any, parts: list[Token]) -> syntax.Number:
        return syntax.Number(_span(meta), float(parts[0]), str(parts[0]))

    def mine(self, meta: Any, parts: list[Token]) -> Expr:
        return syntax.Name(_span(meta), str(parts[0]))

    def place(self, meta: Any, parts: list[Any]) -> syntax.Place:
        return syntax.Place(_span(meta), parts[0], parts[1])

    def part(self, meta: Any, parts: list[Any]) -> Expr:
        """Of `name[index]` indices.py says whether it is theirs."""
        return syntax.Part(_span(meta), parts[0], tuple(parts[1:]))

    def negate(self, meta: Any, parts: list[Expr]) -> Expr:
        return syntax.Negate(_span(meta), parts[0])

    add, subtract, multiply, divide, contract, either, both = map(_binary, ("+", "-", "*", "/", "@", "or", "and"))

    def negation(self, meta: Any, parts: list[Expr]) -> Expr:
        return syntax.Not(_span(meta), parts[0])

    def compare(self, meta: Any, parts: list[Any]) -> Expr:
        return syntax.Compare(_span(meta), str(parts[1]), parts[0], parts[2])

    def power(self, meta: Any, parts: list[Expr]) -> Expr:
        base, exponent = parts
        if isinstance(exponent, syntax.Number):
            return syntax.Power(_span(meta), base, exponent)
        return syntax.Binary(_span(meta), "^", base, exponent)

    def call(self, meta: Any, parts: list[Any]) -> Expr:
        return syntax.Call(_span(meta), str(parts[0]), tuple(parts[1:]))

    inside = call

    def operation(self, meta: Any, parts: list[Any]) -> Expr:
        return syntax.Operation(_span(meta), str(parts[0]), tuple(parts[1:]))

    def read(self, meta: Any, parts: list[Any]) -> Expr:
        how, index, over, *arguments = parts
        return syntax.ReadExpression(_span(meta), str(how), str(index), str(over), tuple(arguments))

    def grad(self, meta: Any, parts: list[Any]) -> Expr:
        return syntax.Grad(_span(meta), str(parts[0]), parts[1])

    def move(self, meta: Any, parts: list[Any]) -> Expr:
        return syntax.MoveExpression(_span(meta), str(parts[0]), *parts[1])

    def origin(self, meta: Any, parts: list[Token | None]) -> _Origin:
        match parts:
            case [which, Token(type="NUMBER") as back]:
                return str(which), None, self.number(back, [back])
            case [which, kind]:
                return str(which), None if kind is None else str(kind), None
        raise AssertionError(parts)

    def array(self, meta: Any, parts: list[Expr]) -> Expr:
        return syntax.Array(_span(meta), tuple(parts))

    # types

    scalar, vector, matrix, tensor, onehot = map(_type, ("scalar", "vector", "matrix", "tensor", "onehot"))

    # statements

    def block(self, meta: Any, parts: list[Any]) -> tuple[Any, ...]:
        return tuple(parts)

    names = block

    def assign(self, meta: Any, parts: list[Any]) -> syntax.Statement:
        name, type, value = parts
        return syntax.Assign(_head(name, value.span), str(name), _span(name), type, value)

    def at(self, meta: Any, parts: list[Any]) -> syntax.Statement:
        return syntax.At(_head(meta, _span(parts[0])), str(parts[0]), parts[1])

    def repeat(self, meta: Any, parts: list[Any]) -> syntax.Statement:
        count, index, body = parts
        end = count.span if index is None else index.span
        return syntax.Repeat(_head(meta, end), count, index, body)

    def index(self, meta: Any, parts: list[Token]) -> syntax.Name:
        return syntax.Name(_span(parts[0]), str(parts[0]))

    answer = index

    def scan(self, meta: Any, parts: list[Any]) -> syntax.Statement:
        kind, backwards, limit, body = parts
        return syntax.Scan(_head(meta, limit.span), str(kind), backwards is not None, limit, body)

    def backwards(self, meta: Any, parts: list[Any]) -> str:
        return "backwards"

    def output(self, meta: Any, parts: list[Any]) -> syntax.Statement:
        return syntax.Output(_head(meta, parts[1].span), *parts)

    def result(self, meta: Any, parts: list[Expr]) -> Expr:
        return parts[0]

    def define(self, meta: Any, parts: list[Any]) -> syntax.Statement:
        (name, *parameters), *body, value = parts
        span = _head(name, value.span)
        return syntax.Define(span, str(name), tuple(map(str, parameters)), tuple(body), value)

    def use(self, meta: Any, parts: list[Token]) -> syntax.Name:
        return syntax.Name(_span(parts[0]), str(parts[0]))

    def library(self, meta: Any, parts: list[syntax.Define]) -> tuple[syntax.Define, ...]:
        return tuple(definition_components(part, frozenset()) for part in parts)

    # the program

    def parameter(self, meta: Any, parts: list[Any]) -> syntax.Parameter:
        name, type, default, within = parts
        return syntax.Parameter(_span(name), str(name), type, default, within)

    def within(self, meta: Any, parts: list[Any]) -> syntax.Range:
        _, begin, low, _, high, end = parts
        return syntax.Range(_span(meta), low, high, begin == "(", end == ")")

    def kinds(self, meta: Any, parts: list[Token]) -> tuple[str, ...]:
        return tuple(map(str, parts))

    group = on = kinds

    def groups(self, meta: Any, parts: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        return parts

    def visible(self, meta: Any, parts: list[Token]) -> bool:
        return True

    def range(self, meta: Any, parts: list[Expr]) -> tuple[Expr, Expr]:
        return parts[0], parts[1]

    def field(self, meta: Any, parts: list[Any]) -> syntax.FieldDeclaration:
        name, type, kinds, range = parts
        low, high = range or (None, None)
        return syntax.FieldDeclaration(_span(name), str(name), type, kinds or (str(name),), low, high)

    def tokens(
        self, meta: Any, parts: list[Any]
    ) -> tuple[syntax.TokensDeclaration, tuple[syntax.FieldDeclaration, ...]]:
        prefix, groups, suffix, visible, *fields = parts
        cuts = tuple(accumulate(map(len, groups[:-1])))
        pattern = Pattern(prefix, sum(groups, ()), suffix, bool(visible), cuts)
        head = self.text[meta.start_pos : meta.end_pos].split("\n", 1)[0].split("#", 1)[0].rstrip()
        span = Span(meta.start_pos, meta.start_pos + len(head), meta.line, meta.column)
        return syntax.TokensDeclaration(span, pattern), tuple(fields)

    def start(self, meta: Any, parts: list[Any]) -> syntax.Program:
        name = parts[0]
        parameters = tuple(part for part in parts if isinstance(part, syntax.Parameter))
        place = next(index for index, part in enumerate(parts) if isinstance(part, tuple))
        tokens, fields = parts[place]
        body = tuple(parts[place + 1 :])
        uses = tuple(part for part in parts if isinstance(part, syntax.Name))
        program = syntax.Program(_span(name), str(name), parameters, uses, tokens, fields, body, self.text, self.source)
        return components(program)


def _head(start: Any, end: Span) -> Span:
    """From where `start` begins to where `end` ends: a statement without its block."""
    return Span(start.start_pos, end.end, start.line, start.column)
