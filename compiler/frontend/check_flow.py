"""The statements in order: what each name is at each point, and what a statement may not do.

    w : vector[d] = 0                 w: a constant, everywhere
    repeat steps                      w is carried: no constant inside
        w = w - rate * …
    at y
        u = move x from previous      u lives at y tokens

A loop's first line knows what its last line left, so sharing and dependence are found by going over
the program until nothing changes (`settled`).
"""

from __future__ import annotations

from innerloop.artifact.limits import LARGEST_SIZE
from innerloop.artifact.span import Span

from ..syntax.nodes import (
    Assign,
    At,
    Expr,
    Name,
    Output,
    Repeat,
    Scan,
    Statement,
)
from ..syntax.shapes import Dimension, Shape, describe, dimension
from .check_expressions import Expressions
from .check_loops import assigned
from .check_names import Held, Kinds, unknown_kind
from .check_outputs import fault
from .check_reads import Sharing
from .check_structure import TENSOR, taken

COUNT_HINT = "a count is made of whole numbers and parameters with + - * ^"


class Flow(Expressions):
    """One pass over the statements."""

    def run(self) -> None:
        self.body(self.program.body)
        if not self.outputs:
            hint = "say which value the tokens give: `output e`, or under `at K`"
            self.line = self.program.span
            self.error(self.program.span, "the program has no `output`", hint)

    def body(self, body: tuple[Statement, ...]) -> None:
        for statement in body:
            self.line = statement.span
            self.names.step += 1
            self.constants_at[id(statement)] = self.names.constants(self.names.step)
            match statement:
                case Assign():
                    self.assign(statement)
                case Output():
                    self.output(statement)
                case At():
                    self.at(statement)
                case Repeat():
                    self.repeat(statement)
                case Scan():
                    self.scan(statement)

    # statements

    def assign(self, statement: Assign) -> None:
        name, value = statement.name, statement.value
        shape = self.expression(value)
        if name in self.parameters:
            hint = f"a value that changes has a name of its own: `{name}_1 : scalar = {name}`"
            self.error(statement.name_span, f"`{name}` is a parameter and stays as it is", hint)
            return
        stretched = False
        if statement.type is not None:
            declared = self.structure.type(statement.type, self.sizes)
            if statement.type.base == "onehot":
                self.error(statement.type.span, "`onehot` is for fields", "this is a `vector`")
            if statement.type.base == "tensor":
                self.error(statement.type.span, *TENSOR)
            if shape is not None and declared is not None and shape not in ((), declared):
                self.error(value.span, f"`{name}` is a {describe(declared)}, and this a {describe(shape)}")
            stretched, shape = shape == () and declared != (), declared
        known = self.shapes.get(name)
        if known is not None and shape is not None and known != shape:
            hint = f"a scalar is stretched under a type: `{name} : {describe(known)} = …`"
            self.error(
                statement.name_span,
                f"`{name}` is a {describe(known)} and stays one; this is a {describe(shape)}",
                hint if shape == () and not stretched else "another name",
            )
        self.shapes[name] = known if known is not None else shape
        self.hold(name, value, shape)

    def hold(self, name: str, value: Expr, shape: Shape | None) -> None:
        """Notes what `name` is from here on."""
        whole = self.here == self.everywhere and not self.flowing and "at" not in self.blocks
        constant = whole and self.constant(value)
        shared = whole and Sharing(self.program.tokens, self.names).shared(value)
        sources = self.sources(value)
        held = Held(self.here, constant, shared, self.version(), sources)
        before = self.names.get(name)
        if before is not None and not before.kinds <= self.here:
            held = Held(
                before.kinds | self.here, False, False, before.versions | held.versions, before.sources | held.sources
            )
        size = dimension(value, self.sizes) if held.constant and shape == () else None
        self.sizes.pop(name, None)
        if size is not None:
            self.sizes[name] = size
        self.names[name] = held

    def output(self, statement: Output) -> None:
        self.expression(statement.value)
        self.outputs.append((statement, self.here))
        if (found := fault(self.outputs)) is not None:
            self.error(*found)
        if "scan" in self.blocks:
            self.error(statement.span, "`output` inside a `scan`", "put it after the block")
        elif "repeat" in self.blocks:
            self.error(statement.span, "`output` inside a `repeat`", "put it after the block")

    def at(self, statement: At) -> None:
        if "scan" in self.blocks:
            hint = "a scan runs at tokens of one kind"
            self.error(statement.span, "`at` inside a `scan`", hint)
        elif "at" in self.blocks:
            self.error(statement.span, "`at` inside an `at`", "a token has one kind: one block after the other")
        kinds = self.kind(statement.kind, statement.span)
        self.inside("at", kinds, statement.body)

    def kind(self, kind: str, span: Span) -> Kinds:
        if kind in self.everywhere:
            return frozenset({kind})
        self.error(span, *unknown_kind(kind, self.program.tokens))
        return frozenset()

    def inside(self, block: str, here: Kinds, body: tuple[Statement, ...]) -> None:
        outer = self.here, self.blocks
        self.here, self.blocks = here, (*self.blocks, block)
        self.body(body)
        self.here, self.blocks = outer

    def count(self, expr: Expr, least: int, what: str) -> Dimension | None:
        """A number of passes or tokens."""
        if self.expression(expr) not in ((), None):
            self.error(expr.span, f"this {what} is no scalar")
            return None
        size = dimension(expr, self.sizes)
        if not self.constant(expr):
            if self.held(expr):
                hint = f"the {what} is known when compiling: made of numbers and parameters"
                self.error(expr.span, f"this {what} is not a constant", hint)
        elif size is None:
            self.error(expr.span, f"this {what} is no whole number", COUNT_HINT)
        elif isinstance(size, int) and size < least:
            self.error(expr.span, f"this {what} is {size}", f"it is {least} or more")
        return size

    def repeat(self, statement: Repeat) -> None:
        count = self.count(statement.count, 0, "count")
        before, start = self.enter(statement)
        counted = statement.index is not None and self.turn(statement.index, count)
        self.inside("repeat", self.here, statement.body)
        if counted and statement.index is not None:
            del self.names[statement.index.name]
        self.leave(statement, before, start)
        if count == 0:  # the block never runs, and leaves nothing new
            self.names.restore(before)

    def turn(self, index: Name, count: Dimension | None) -> bool:
        """Notes what counts the passes of a repeat, if the name is free."""
        name, span = index.name, index.span
        if name in self.names or name in self.parameters or name in self.assigned or name in self.everywhere:
            self.error(span, *taken(name))
            return False
        if isinstance(count, int) and count > LARGEST_SIZE:
            self.error(span, f"this repeat has {count:,} passes", f"up to {LARGEST_SIZE:,} are counted")
        self.turns[name], self.shapes[name] = count, ()
        self.names[name] = Held(self.everywhere, False, True, self.version())
        return True

    def scan(self, statement: Scan) -> None:
        for block in ("at", "scan"):
            if block in self.blocks:
                around, hint = "an" if block == "at" else "a", "a scan stands at the top level, or in a `repeat`"
                self.error(statement.span, f"`scan` inside {around} `{block}`", hint)
                break
        kinds = self.kind(statement.kind, statement.span)
        self.count(statement.limit, 1, "limit")
        if statement.backwards:
            self.sees_ahead(statement)
        for name in sorted(assigned(statement) & set(self.names)):
            if not kinds <= self.names[name].kinds:
                hint = f"give it a first value at `{statement.kind}`, or use another name inside"
                message = f"`{name}` is carried by this scan, and does not live at `{statement.kind}`"
                self.error(statement.span, message, hint)
        before, start = self.enter(statement)
        outer, self.flowing = self.flowing, self.flowing | assigned(statement)
        self.inside("scan", kinds, statement.body)
        self.flowing = outer
        self.leave(statement, before, start)

    def sees_ahead(self, statement: Scan) -> None:
        """A token takes what the one after it ended with: it has to see it."""
        tokens, kind = self.program.tokens, statement.kind
        if not tokens.pattern.visible_context:
            hint = "write `tokens …  visible context`: tokens of the context then see each other"
            self.error(statement.span, "a scan backwards, where no token sees those after it", hint)
        elif kind in tokens.pattern.suffix:
            hint = "give the tokens after the context a kind of their own"
            self.error(statement.span, f"a scan backwards along `{kind}`, which stands after the context, too", hint)
