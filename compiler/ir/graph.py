"""The graph: every value of a program once, each made by one typed operation (single assignment).

The whole intermediate representation is on this page, but for what the position alone says (positional.py); what
passes ask of an operation is its class (operation_classes.py). A value is a number; `Graph.data` has one frozen
`Node` for each, whose operands are the graph's edges. Order and nesting are in `Graph.block`: a tuple of values
and loops. Values of an outer block are visible in an inner one; what a loop changes goes through `Carried`.

Components are flattened row-major: a node of shape (4, 8) has 32, and the maps in `Affine` and `Product` act on those.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from innerloop.artifact.outputs import OutputSpec
from innerloop.artifact.signature import Kinds, Signature
from innerloop.artifact.span import Span
from innerloop.artifact.sparse import Matrix, Values

from .bilinear import Bilinear
from .operation_classes import Local, Reads, Source, Structural
from .positional import PositionalOp

if TYPE_CHECKING:
    import networkx as nx

Value = int

GRAPHS = 16
"""Of so many graphs it is remembered what follows from them."""


@dataclass(frozen=True, slots=True)
class Field(Source):
    """A field of the data; lives on the kinds that hold it."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant(Source):
    """The same numbers at every token."""

    values: Values


@dataclass(frozen=True, slots=True)
class Affine(Local):
    """Σₖ matrices[k] @ operand[k] + offset."""

    matrices: tuple[Matrix, ...]
    offset: Values


@dataclass(frozen=True, slots=True)
class Product(Local):
    """A bilinear map of two operands; `keyword` is dot, mul or outer, or bilinear for any other."""

    keyword: str
    form: Bilinear


@dataclass(frozen=True, slots=True)
class Divide(Local):
    """operand[0] / operand[1], component by component, equal shapes or a scalar divisor; 0/0 is 0.

    `again`: the divisor is a quotient itself, and hardly smaller than what that was divided by
    (divisor_range_reduction.py)."""

    again: bool = False


@dataclass(frozen=True, slots=True)
class Function(Local):
    """A function of one operand, component by component: relu abs sign clip sigmoid tanh exp log sqrt,
    the comparisons `positive` (x > 0) and `nonnegative` (x ≥ 0), and `reciprocal` (1/x, and 0 at 0), which passes write
    for divisors with several components. `arguments` are constants (clip: low, high)."""

    name: str
    arguments: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Keep(Local):
    """Component o of operand[1] where component which[o] of operand[0] is positive (`strict`: > 0, or ≥ 0), else 0."""

    strict: bool
    which: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Softmax(Local):
    """Softmax over the components of one operand."""


@dataclass(frozen=True, slots=True)
class Move(Reads):
    """The operand as held by another token: the one `back` before me (`kind` None), the last `kind` token before me, or
    the first or last `kind` token that I see; of none, 0. `source` is previous, first or last."""

    source: str
    kind: str | None = None
    back: int = 1


@dataclass(frozen=True, slots=True)
class Gather(Reads):
    """mean or sum of one operand over the `over` tokens that I see; of none, 0."""

    how: str
    over: str


SCORED = frozenset({"softmax", "exp"})
"""Reads that weigh values by exp(score)."""


@dataclass(frozen=True, slots=True)
class Attend(Reads):
    """Over the `over` tokens j that I see the mean or sum of (query · key[j]) value[j], a head of linear attention; or
    softmax, the mean of value[j] weighted by exp(query · key[j]); or exp, their sum. Of none, 0.
    Operands: query (mine), key and value (theirs), as vectors. A softmax may have a 0 beside them, its logit `rest`."""

    how: str
    over: str
    rest: float | None = None


@dataclass(frozen=True, slots=True)
class Delta(Reads):
    """What the tokens up to me leave in a matrix S [m, n] that those of `over` write by the delta rule, read by a
    query, S q (artifact/reference/delta_rule.py). Operands: query (mine); key, value, rate and what is forgotten
    (theirs). Key and value stand `back` tokens before who writes them; the rate is divided by `divisor`[0] +
    `divisor`[1] |key|²; `start`: S before them."""

    over: Kinds
    start: Values
    divisor: tuple[float, float] = (1.0, 0.0)
    back: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Read(Reads):
    """A read whose body mixes mine and theirs; the first `mine` operands are held here, the rest at the token read."""

    how: str
    over: str
    mine: int
    body: BodyGraph


@dataclass(frozen=True, slots=True)
class Mine(Structural):
    index: int


@dataclass(frozen=True, slots=True)
class Theirs(Structural):
    index: int


@dataclass(frozen=True, slots=True)
class Merge(Structural):
    """operand[k] at the tokens of kinds[k]; the kinds are disjoint."""

    kinds: tuple[Kinds, ...]


@dataclass(frozen=True, slots=True)
class Phi(Structural):
    """What a loop's pass begins with: operand[0] at first, then what the pass before ended with."""


@dataclass(frozen=True, slots=True)
class Final(Structural):
    """What a loop leaves: operands (initial, result of the body)."""


Op = (
    Field | Constant | PositionalOp | Affine | Product | Divide | Function | Keep | Softmax
    | Move | Gather | Attend | Delta | Read | Mine | Theirs | Merge | Phi | Final
)  # fmt: skip


# The graph ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    op: Op
    operands: tuple[Value, ...]
    shape: tuple[int, ...]
    kinds: Kinds
    """The kinds of token at which the value lives."""
    name: str | None = None
    """The program's name for it, if it has one."""
    span: Span | None = None

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Carried:
    """A name that a loop carries: `phi` inside the body, `result` at its end, `final` after the loop. `warm`, in front
    of a scan (see peel_scan.py): what the body makes of `initial` at each token of the scan."""

    initial: Value
    phi: Value
    result: Value
    final: Value
    warm: Value | None = None


@dataclass(frozen=True, slots=True)
class Loop:
    """`repeat count` (kind None), or `scan kind up to count`; what a scan backwards leaves lives at the kind alone."""

    kind: str | None
    count: int
    carried: tuple[Carried, ...]
    body: Block
    span: Span | None = None
    backwards: bool = False

    @property
    def passes(self) -> int:
        """How often a compiled transformer runs the body: once less where the first pass stands in front."""
        return self.count - any(c.warm is not None for c in self.carried)


Block = tuple["Value | Loop", ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Nodes:
    data: dict[Value, Node]

    def __getitem__(self, value: Value) -> Node:
        return self.data[value]

    def digraph(self) -> nx.DiGraph[Value]:
        """The values, each with its `node`, and an edge from every operand to what is made of it, for networkx."""
        import networkx as nx

        found: nx.DiGraph[Value] = nx.DiGraph()
        found.add_nodes_from((value, {"node": node}) for value, node in self.data.items())
        found.add_edges_from((operand, value) for value, node in self.data.items() for operand in node.operands)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class BodyGraph(_Nodes):
    """The body of a read, over leaves `Mine(k)` and `Theirs(k)`; it has no loops. `results` are (value,) for mean and
    sum, (score, value) for softmax and exp."""

    block: tuple[Value, ...]
    results: tuple[Value, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Graph(_Nodes):
    """A program; `results` are its outputs, which live at the same tokens."""

    block: Block
    results: tuple[Value, ...]
    signature: Signature

    @property
    def output(self) -> OutputSpec:
        nodes = [self[value] for value in self.results]
        return OutputSpec.of(self.signature, [node.shape for node in nodes], nodes[0].kinds)

    def loops(self, block: Block | None = None) -> Iterator[Loop]:
        for item in self.block if block is None else block:
            if isinstance(item, Loop):
                yield item
                yield from self.loops(item.body)

    def values(self, block: Block | None = None) -> Iterator[Value]:
        """All values in order, a loop's phis before its body and its finals after it."""
        for item in self.block if block is None else block:
            if isinstance(item, Loop):
                yield from (c.phi for c in item.carried)
                yield from self.values(item.body)
                yield from (c.final for c in item.carried)
            else:
                yield item
