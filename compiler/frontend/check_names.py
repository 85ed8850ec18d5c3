"""Where names may be used: known, living here, and at the right token.

    at x
        output dot(w, y)      `y` lives at `y` tokens: an error at `x`

Parameters and constants live everywhere; any other name where it was assigned.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from innerloop.artifact.errors import Diagnostic, near
from innerloop.artifact.span import Span

from ..syntax import elsewhere
from ..syntax.builtins import FUNCTIONS
from ..syntax.nodes import (
    Call,
    Define,
    Expr,
    Grad,
    MoveExpression,
    Name,
    Program,
    ReadExpression,
    TheirsExpression,
    TokensDeclaration,
)
from ..syntax.traversal import children, walk
from .inline import Report
from .library import definitions, libraries

Kinds = frozenset[str]
FARTHEST = 64
"""How many tokens back a move can reach."""


@dataclass(frozen=True)
class Held:
    """What is known of a name at one point of the program.

    `shared` values are the same at all tokens. A name's value consists of `versions`, one for each assignment that it
    may come from, and was computed from those in `sources`: sets of numbers, each as the bits of one.
    """

    kinds: Kinds
    constant: bool = False
    shared: bool = False
    versions: int = 0
    sources: int = 0


@dataclass(frozen=True)
class Scope:
    """The names at one point: `here` are the kinds of token that run the line, `flowing` what a scan assigns."""

    program: Program
    parameters: frozenset[str]
    names: Mapping[str, Held]
    here: Kinds
    flowing: frozenset[str]
    assigned: frozenset[str]
    """All names that the program assigns anywhere."""
    faulty: frozenset[str]
    """Names whose only assignments have errors; nothing more is said of them."""
    definitions: Mapping[str, Define]
    turns: Container[str] = ()
    """Names that count the passes of the repeats around."""


def unknown_kind(kind: str, tokens: TokensDeclaration) -> tuple[str, str]:
    """Message and hint."""
    listed = ", ".join(f"`{k}`" for k in tokens.pattern.kinds)
    return f"`{kind}` is no kind of token", near(kind, list(tokens.pattern.kinds)) or f"the kinds are {listed}"


def neighbours(tokens: TokensDeclaration, back: int = 1) -> list[tuple[str, str]]:
    """The pairs of kinds (before, after) that can stand so far apart; groups may repeat or be absent."""
    pattern = tokens.pattern
    often = (times for times in product(range(back + 2), repeat=len(pattern.groups)) if sum(times) <= back + 1)
    runs = map(pattern.line, often)
    return list(dict.fromkeys(pair for run in runs for pair in zip(run, run[back:], strict=False)))


def listed(kinds: Iterable[str]) -> str:
    return " and ".join(f"`{kind}`" for kind in sorted(kinds))


def check_names(expr: Expr, scope: Scope, report: Report) -> None:
    """Reports every name, kind and function in `expr` that cannot stand where it does."""
    _Uses(scope, report).visit(expr, ())


class _Uses:
    def __init__(self, scope: Scope, report: Report) -> None:
        self.scope, self.report = scope, report

    def error(self, span: Span, message: str, hint: str | None = None) -> None:
        self.report(Diagnostic(message, span, hint))

    def visit(self, expr: Expr, reads: tuple[ReadExpression, ...]) -> None:
        match expr:
            case Name(name=name, span=span):
                self.mine(name, span)
            case TheirsExpression():
                self.theirs(expr, reads)
            case MoveExpression(span=span) if reads:
                hint = "move it on a line of its own before, and read the name"
                self.error(span, "a move cannot stand inside a read", hint)
            case MoveExpression():
                self.move(expr)
            case Call():
                self.call(expr)
            case Grad():
                self.grad(expr)
            case ReadExpression(over=over, index=index, span=span):
                if index in self.scope.turns:
                    self.error(span, f"`{index}` counts the passes of the repeat around", "another letter")
                if over not in self.scope.program.tokens.pattern.kinds:
                    self.error(span, *unknown_kind(over, self.scope.program.tokens))
                if any(read.index == index for read in reads):
                    self.error(span, f"`{index}` is the index of the read around this one", "use another letter")
                reads = (*reads, expr)
        for child in children(expr):
            self.visit(child, reads)

    def held(self, name: str, span: Span) -> Held | None:
        """What is known of a name that is no parameter; an unknown one is reported."""
        held = self.scope.names.get(name)
        if held is None and name not in self.scope.faulty:
            self.unknown(name, span)
        return held

    def unknown(self, name: str, span: Span) -> None:
        scope = self.scope
        if name in scope.assigned:
            message = f"`{name}` is used before it is assigned"
            self.error(span, message, "give it a first value above; before a `repeat` or `scan` if it is carried along")
            return
        hint = near(name, [*scope.parameters, *scope.names])
        if name in scope.definitions or name in FUNCTIONS:
            hint = f"`{name}` is a function: `{name}(…)`"
        elif hint is None and name in scope.program.tokens.pattern.kinds:
            hint = f"`{name}` is a kind of token, and holds no field of that name"
        self.error(span, f"`{name}` is not known", hint or elsewhere.VALUES.get(name))

    def mine(self, name: str, span: Span) -> None:
        scope = self.scope
        if name in scope.parameters:
            return
        held = self.held(name, span)
        if held is None or scope.here <= held.kinds:
            return
        missing = scope.here - held.kinds
        hint = f"it lives at {listed(held.kinds)} only"
        if len(scope.here) > 1 and len(scope.here & held.kinds) == 1:
            hint += f"; put the line under `at {next(iter(scope.here & held.kinds))}`"
        elif {(k, h) for k in held.kinds for h in scope.here} & set(neighbours(scope.program.tokens)):
            hint += f"; `move {name} from previous` brings it"
        self.error(span, f"`{name}` does not live at {listed(missing)}", hint)

    def theirs(self, expr: TheirsExpression, reads: tuple[ReadExpression, ...]) -> None:
        name, index, span = expr.name, expr.index, expr.span
        if name in self.scope.parameters or name in self.scope.turns:
            what = "a parameter" if name in self.scope.parameters else "the number of the pass"
            self.error(span, f"`{name}` is {what}, the same at every token", f"write `{name}`")
            return
        read = next((read for read in reversed(reads) if read.index == index), None)
        if read is None:
            hint = f"theirs, `{name}[{index}]` stands in a read, `sum[{index} in K](…)`; a component is `{name}[1]`"
            if reads:
                hint = f"the index of this read is `{reads[-1].index}`"
            self.error(span, f"`{index}` is no index here", hint)
            return
        if read is not reads[-1]:
            hint = "compute the inner read first, on a line of its own, and read that name"
            self.error(span, f"an inner read cannot use the outer `{index}`", hint)
            return
        held = self.held(name, span)
        if held is not None:
            self.elsewhere(name, held, read.over, span, "read")

    def elsewhere(self, name: str, held: Held, kind: str, span: Span, verb: str) -> None:
        """`name` is taken from tokens of `kind`."""
        if name in self.scope.flowing:
            hint = "inside a `scan` only mine can be used; read it after the block"
            message = f"`{name}` is assigned in this scan, and cannot be {verb} from other tokens"
            self.error(span, message, hint)
        elif kind in self.scope.program.tokens.pattern.kinds and kind not in held.kinds:
            self.error(span, f"`{name}` does not live at `{kind}`", f"it lives at {listed(held.kinds)} only")

    def move(self, expr: MoveExpression) -> None:
        scope, name, span = self.scope, expr.name, expr.span
        if name in scope.parameters or name in scope.turns:
            what = "a parameter" if name in scope.parameters else "the number of the pass"
            self.error(span, f"`{name}` is {what}, the same at every token", f"write `{name}`")
            return
        held = self.held(name, span)
        tokens = scope.program.tokens
        if expr.kind is not None and expr.kind not in tokens.pattern.kinds:
            self.error(span, *unknown_kind(expr.kind, tokens))
        if expr.back is not None and expr.back.value not in range(1, FARTHEST + 1):
            self.error(expr.back.span, f"this is {expr.back.text} tokens back", f"a whole number from 1 to {FARTHEST}")
            return
        if held is None:
            return
        if expr.kind is not None:
            self.elsewhere(name, held, expr.kind, span, "moved")
            return
        back = 1 if expr.back is None else int(expr.back.value)
        far = "before" if back == 1 else f"{back} before"
        before = {b for b, after in neighbours(tokens, back) if after in scope.here}
        if name in scope.flowing:
            self.elsewhere(name, held, "", span, "moved")
        elif not before:
            self.error(span, f"no token stands {far} {listed(scope.here)}", "this move would always give 0")
        elif before - held.kinds:
            where = f"{listed(before - held.kinds)}, which can stand {far} {listed(scope.here)}"
            hint = f"it lives at {listed(held.kinds)} only"
            if back > 1 and len(held.kinds) == 1:
                (kind,) = held.kinds
                hint += f". The last one is `p = move {name} from previous {kind}`,\n"
                hint += f"and on a line after it the one before that `move p from previous {kind}`"
            self.error(span, f"`{name}` does not live at {where}", hint)

    def call(self, expr: Call) -> None:
        name = expr.function
        definition = self.scope.definitions.get(name)
        if definition is not None:
            wanted = len(definition.parameters)
            if wanted != len(expr.arguments):
                takes = f"{wanted} argument{'s' if wanted > 1 else ''}"
                self.error(expr.span, f"`{name}` takes {takes}, not {len(expr.arguments)}")
        elif name not in FUNCTIONS and name != "mean":
            hint = elsewhere.called(name) or near(name, [*FUNCTIONS, *self.scope.definitions])
            for library in libraries():
                if name in {d.name for d in definitions(library)}:
                    hint = f"`use {library}`, after the first line, brings it"
            if name in self.scope.names or name in self.scope.parameters:
                hint = f"`{name}` is a value; a product is `{name} * (…)`"
            self.error(expr.span, f"there is no function `{name}`", hint)

    def grad(self, expr: Grad) -> None:
        scope, name = self.scope, expr.name
        if name in scope.parameters or name in scope.turns:
            what = "a parameter" if name in scope.parameters else "the number of the pass"
            hint = f"give it a name of its own: `{name}_1 = {name}`"
            self.error(expr.span, f"grad is by a name, and `{name}` is {what}", hint)
            return
        before = scope.names.get(name)
        self.mine(name, expr.span)
        if before is None:
            return
        said: set[str] = set()
        for node in walk(expr.operand):
            if not isinstance(node, Name | TheirsExpression | MoveExpression) or node.name in said:
                continue
            other = scope.names.get(node.name)
            if node.name == name and not isinstance(node, Name):
                message = f"grad is by my `{name}`, and here stands `{name}` of another token"
                self.error(node.span, message, "give that value a name of its own, which is held fixed")
                said.add(node.name)
            elif other is not None and node.name != name and other.sources & before.versions:
                hint = f"write `{node.name}` out inside grad, so that it can be differentiated"
                self.error(node.span, f"`{node.name}` is computed from `{name}`, and grad would hold it fixed", hint)
                said.add(node.name)
