"""The head of a program: its parameters, tokens and fields, and its `def`s, before any statement runs."""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from innerloop.artifact.errors import Diagnostic, near
from innerloop.artifact.span import Span

from ..syntax.builtins import FUNCTIONS
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
    Parameter,
    Program,
    Range,
    ReadExpression,
    Repeat,
    Scan,
    Statement,
    TheirsExpression,
    Type,
)
from ..syntax.shapes import Dimension, Shape, describe, of_type
from ..syntax.smart_constructors import constant as literal
from ..syntax.traversal import children, counted, statements, walk
from ..syntax.unparse import unparse_range
from .check_names import unknown_kind
from .check_pattern import check_pattern
from .check_shapes import Shapes
from .inline import Report, place
from .library import definitions, libraries

RESERVED_ARGUMENTS = frozenset(
    {
        "accept_error",
        "calibration",
        "certify",
        "dtype",
        "optimize",
        "rotation",
        "source",
        "spread",
        "target",
        "text",
        "tokens",
        "tolerance",
    }
)
"""Arguments of compile_program and interpret, which no field or parameter may be called."""

SIZE_HINT = "a size is made of whole numbers and parameters with + - * ^"


TENSOR = ("`tensor` is for parameters", "a matrix for each pass of a repeat: `A : tensor[steps, d, d]`, read as `A[t]`")
"""Message and hint."""


class Structure:
    """Checks the head of `program` and keeps what the statements need: shapes, and definitions without faults."""

    def __init__(self, program: Program, sizes: Mapping[str, Dimension], report: Report) -> None:
        self.program, self.sizes, self.report = program, sizes, report
        self.parameter_shapes: dict[str, Shape | None] = {}
        self.field_shapes: dict[str, Shape | None] = {}
        self.definitions: dict[str, Define] = {}
        self.sound: set[str] = set()
        self.shipped: set[str] = set()
        """The definitions that come from libraries."""

    def error(self, span: Span, message: str, hint: str | None = None) -> None:
        self.report(Diagnostic(message, span, hint))

    def check(self) -> None:
        self.parameters()
        self.uses()
        self.fields()
        self.define()

    def argument(self, name: str, span: Span, taken: Mapping[str, object]) -> None:
        """A field or parameter becomes a keyword argument in Python."""
        if name in taken:
            self.error(span, f"`{name}` is there twice", "fields and parameters have names of their own")
        if keyword.iskeyword(name):
            self.error(span, f"`{name}` is a Python keyword", "another name: this is an argument in Python")
        elif name in RESERVED_ARGUMENTS:
            self.error(span, f"`{name}` is taken: an argument of innerloop itself", "another name")

    def type(self, type: Type, sizes: Mapping[str, Dimension]) -> Shape | None:
        """The shape of a type; a dimension that is no size is reported."""
        for dimension in type.dimensions:
            size = of_type(Type(type.span, "vector", (dimension,)), sizes)
            if size is None:
                self.error(dimension.span, "this is no size", SIZE_HINT)
            elif isinstance(size[0], int) and size[0] < 1:
                self.error(dimension.span, f"this size is {size[0]}", "a size is 1 or more")
                return None
        return of_type(type, sizes)

    def parameters(self) -> None:
        shapes = self.parameter_shapes
        earlier: dict[str, Dimension] = {}
        for parameter in self.program.parameters:
            name = parameter.name
            self.argument(name, parameter.span, shapes)
            shape: Shape | None = ()
            if parameter.type is not None:
                shape = self.type(parameter.type, earlier)
                if parameter.type.base == "onehot":
                    self.error(parameter.type.span, "`onehot` is for fields", "a parameter is a `vector`")
            if parameter.default is not None:
                self.default(name, parameter.default, shape, earlier, parameter.type is not None)
            if parameter.range is not None:
                written = unparse_range(parameter.range)
                self.range(name, parameter.range.low, parameter.range.high, written)
                self.within(parameter, parameter.range)
            shapes.setdefault(name, shape)
            if shape == () and name in self.sizes:
                earlier[name] = self.sizes[name]

    def default(
        self, name: str, default: Expr, shape: Shape | None, earlier: Mapping[str, Dimension], typed: bool
    ) -> None:
        if not self.numbers(default, f"the default of `{name}`", self.parameter_shapes):
            return
        found = Shapes(self.parameter_shapes, earlier, self.report).of(default)
        if found is None or shape is None or found == shape or (typed and found == ()):
            return
        hint = "a parameter that is no scalar has a type: `A : matrix[d, d] = identity(d)`" if not typed else None
        self.error(default.span, f"`{name}` is a {describe(shape)}, and its default a {describe(found)}", hint)

    def numbers(self, expr: Expr, what: str, known: Mapping[str, object]) -> bool:
        """Whether `expr` holds only numbers, known names and functions; the rest is reported."""
        sound = True
        for node in walk(expr):
            if isinstance(node, Name) and node.name not in known:
                hint = near(node.name, known) or "it is made of numbers and the parameters before it"
                self.error(node.span, f"`{node.name}` is not known in {what}", hint)
                sound = False
            elif isinstance(node, TheirsExpression | ReadExpression | MoveExpression | Grad):
                self.error(node.span, f"{what} is not a constant", "it is made of numbers and parameters")
                return False
            elif isinstance(node, Call) and node.function not in FUNCTIONS:
                self.error(node.span, f"there is no function `{node.function}`", near(node.function, FUNCTIONS))
                sound = False
        return sound

    def fields(self) -> None:
        tokens = self.program.tokens
        shapes = self.field_shapes
        for field in self.program.fields:
            self.argument(field.name, field.span, {**self.parameter_shapes, **shapes})
            shapes.setdefault(field.name, self.type(field.type, self.sizes))
            if field.type.base == "tensor":
                self.error(field.type.span, *TENSOR)
            for kind, times in Counter(field.kinds).items():
                if times > 1:
                    self.error(field.span, f"`{field.name}` is twice on `{kind}`")
                if kind not in tokens.pattern.kinds:
                    message, hint = unknown_kind(kind, tokens)
                    if field.kinds == (field.name,):
                        hint = f"say where the field lives: `{field.name} : … on {tokens.pattern.kinds[0]}`"
                    self.error(field.span, message, hint)
            if field.low is not None and field.high is not None:
                self.range(field.name, field.low, field.high)
        check_pattern(self.program, self.report)

    def range(self, name: str, low: Expr, high: Expr, written: str | None = None) -> None:
        for bound in (low, high):
            constant = self.numbers(bound, f"the range of `{name}`", self.parameter_shapes)
            if constant and Shapes(self.parameter_shapes, self.sizes, self.report).of(bound):
                self.error(bound.span, "a range goes from one number to another")
        least, most = literal(low), literal(high)
        if least is not None and most is not None and least >= most:
            written = written or f"[{least:g}, {most:g}]"
            self.error(low.span, f"the range {written} is empty", "the first number is the smaller one")

    def within(self, parameter: Parameter, range: Range) -> None:
        """A default that is a number lies in the range."""
        value = None if parameter.default is None else literal(parameter.default)
        low, high = literal(range.low), literal(range.high)
        if value is None or low is None or high is None:
            return
        if not low <= value <= high or (value == low and range.open_low) or (value == high and range.open_high):
            message = f"the default of `{parameter.name}` is {value:g}, outside {unparse_range(range)}"
            self.error(parameter.span, message, "a default is a value like any other")

    def uses(self) -> None:
        """Libraries, whose definitions are sound."""
        for library in self.program.uses:
            if library.name not in libraries():
                listed = ", ".join(f"`{name}`" for name in libraries())
                hint = near(library.name, libraries()) or f"the libraries are {listed}"
                self.error(library.span, f"there is no library `{library.name}`", hint)
                continue
            for definition in definitions(library.name):
                self.definitions[definition.name] = definition
                self.sound.add(definition.name)
                self.shipped.add(definition.name)

    def define(self) -> None:
        """Definitions, one by one: a body knows the functions before it."""
        times = Counter(s.name for s in statements(self.program.body) if isinstance(s, Assign))
        constants: set[str] = set()
        for statement in self.program.body:
            match statement:
                case Assign(name=name, value=value):
                    if times[name] == 1 and self.is_constant(value, constants):
                        constants.add(name)
                case Define():
                    self.definition(statement, constants)

    def is_constant(self, expr: Expr, constants: set[str]) -> bool:
        if isinstance(expr, TheirsExpression | ReadExpression | MoveExpression | Grad):
            return False
        if isinstance(expr, Name):
            return expr.name in constants or expr.name in self.parameter_shapes
        return all(self.is_constant(child, constants) for child in children(expr))

    def definition(self, definition: Define, constants: set[str]) -> None:
        name = definition.name
        sound = True

        def error(span: Span, message: str, hint: str | None = None) -> None:
            nonlocal sound
            sound = False
            self.error(span, message, hint)

        if name in FUNCTIONS:
            error(place(definition), f"`{name}` is built in", "another name")
        elif name in self.definitions:
            error(place(definition), f"`{name}` is defined twice", "another name; `use` defines all of a library")
        for parameter, count in Counter(definition.parameters).items():
            if count > 1:
                error(place(definition), f"`{name}` has two parameters `{parameter}`")
        known = {*definition.parameters, *self.parameter_shapes, *constants}
        for node in self.parts_of(definition, known, error):
            match node:
                case Name(name=used) | TheirsExpression(name=used) | MoveExpression(name=used) | Grad(name=used) if (
                    used not in known
                ):
                    hint = f"a `def` knows its parameters, the program's, and constants: make `{used}` a parameter"
                    error(node.span, f"`{used}` is not known inside `{name}`", hint)
                case Call(function=function) if function == name:
                    error(node.span, f"`{name}` calls itself", "use `repeat` for what is done again and again")
                case Call(function=function) if function not in {*FUNCTIONS, *self.definitions, "mean"}:
                    error(node.span, f"there is no function `{function}`", "a `def` may call those before it")
                case Call(function=function, arguments=arguments) if function in self.definitions:
                    wanted = len(self.definitions[function].parameters)
                    if wanted != len(arguments):
                        takes = f"{wanted} argument{'s' if wanted > 1 else ''}"
                        error(node.span, f"`{function}` takes {takes}, not {len(arguments)}")
                    sound = sound and function in self.sound
        self.definitions.setdefault(name, definition)
        if sound:
            self.sound.add(name)

    def parts_of(self, definition: Define, known: set[str], error: Callable[..., None]) -> Iterator[Expr]:
        """Every expression of a definition with all inside, in order; `known` grows by what the lines before assign."""
        turns = counted(definition.body)
        for statement in statements(definition.body):
            match statement:
                case Assign(name=name, span=span) if name in self.parameter_shapes:
                    error(span, f"`{name}` is a parameter of the program and stays as it is")
                case Assign(value=value):
                    yield from walk(value)
                    known.add(statement.name)
                case Repeat(count=count, index=index):
                    yield from walk(count)
                    if index is not None and index.name in known - turns:
                        error(index.span, *taken(index.name))
                    known |= set() if index is None else {index.name}
                case Scan(limit=limit):
                    yield from walk(limit)
                case Output(span=span):
                    error(span, "the `output` of a `def` is its last line, and stands in no block")
        yield from walk(definition.value)


def taken(index: str) -> tuple[str, str]:
    """Message and hint for a name that cannot count passes."""
    return f"`{index}` has a meaning already, and cannot count passes", "another name"


def blocks_of_unknown_kind(body: tuple[Statement, ...], kinds: tuple[str, ...]) -> frozenset[str]:
    """The names that are assigned under an `at` or `scan` whose kind is none."""
    lost: set[str] = set()
    for statement in statements(body):
        if isinstance(statement, At | Scan) and statement.kind not in kinds:
            lost.update(s.name for s in statements(statement.body) if isinstance(s, Assign))
    return frozenset(lost)
