"""Rewriting: one graph in, a smaller one out, by a table of laws.

    before                                   after
    w0 : constant 0                          b  = gather mean y of v
    repeat 10                                w1 = 0.1 * b                 (the first pass, folded)
        r  = gather mean y of v              repeat 9
        …                                        …

Every pass that builds a graph does it through `Rewriter`, which applies the laws (canonicalize.py) node by node:
what is constant is computed, chains of affine maps become one, equal nodes become one, and what
does not change in a loop moves out in front of it. `simplify` is the pass that does nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.signature import Kinds
from innerloop.artifact.span import Span
from innerloop.artifact.sparse import Matrix, Values

from ..ir.bilinear import Bilinear
from ..ir.builder import GraphBuilder
from ..ir.graph import Affine, Block, Carried, Constant, Graph, Loop, Node, Phi, Product, Value
from .canonicalize import ALL_LAWS, LAWS, Laws


@dataclass(frozen=True)
class Mark:
    """What a rewriter had written at some time."""

    values: int
    blocks: tuple[int, ...]
    """How much stood in each open block, the outermost first."""
    known: tuple[Mapping[object, Value], ...]
    named: int


class Rewriter(GraphBuilder):
    """A graph builder that applies `laws` as it adds."""

    def __init__(self, laws: Laws = ALL_LAWS) -> None:
        super().__init__()
        self._known: list[dict[object, Value]] = [{}]
        self._depth: dict[Value, int] = {}
        self._nameless: list[tuple[Value, Node]] = []
        """Values that got a name later, and what they were before."""
        self._laws = [law for name, law in LAWS.items() if name in laws]
        self._share, self._hoist = "share" in laws, "hoist" in laws

    def open(self) -> None:
        super().open()
        self._known.append({})

    def _end(self) -> Block:
        self._known.pop()
        return super()._end()

    def node(self, node: Node, *, place: bool = True) -> Value:
        if not place:
            value = super().node(node, place=False)
            depth = len(self._blocks) - 1
            self._depth[value] = depth if isinstance(node.op, Phi) else depth - 1
            return value
        for law in self._laws:
            node = law(self, node)
        if (
            isinstance(node.op, Affine)
            and node.op.matrices == (Matrix.identity(node.size),)
            and not np.any(node.op.offset.array)
        ):
            same = self[node.operands[0]]
            if same.shape == node.shape and same.kinds == node.kinds and node.name in (None, same.name):
                return node.operands[0]
        key = (node.op, node.operands, node.shape, node.kinds)
        if self._share:
            for known in self._known:
                if key in known and self._named(known[key], node.name):
                    return known[key]
        depth = max((self._depth[o] for o in node.operands), default=0) if self._hoist else len(self._blocks) - 1
        value = self._append(node, depth)
        self._known[depth][key] = value
        return value

    def outside(self, value: Value) -> bool:
        """Whether the value stands in front of the loop whose body is open."""
        return self._depth[value] < len(self._blocks) - 1

    def _append(self, node: Node, depth: int) -> Value:
        value = super().node(node, place=False)
        self._blocks[depth].append(value)
        self._depth[value] = depth
        return value

    def _named(self, value: Value, name: str | None) -> bool:
        """Whether `value` may also serve as `name`: it has that name, or gets it now."""
        node = self[value]
        if name is None or node.name == name:
            return True
        if node.name is not None:
            return False
        self._nameless.append((value, node))
        self.data[value] = replace(node, name=name)
        return True

    # Trials -------------------------------------------------------------------------------------

    def mark(self) -> Mark:
        """A place to come back to by `undo`."""
        known = tuple(dict(known) for known in self._known)
        return Mark(len(self.data), tuple(map(len, self._blocks)), known, len(self._nameless))

    def since(self, mark: Mark) -> Block:
        """What the outermost block got since."""
        return tuple(self._blocks[0][mark.blocks[0] :])

    def undo(self, mark: Mark) -> None:
        """Forgets all that was written since `mark`, which must be of the body that is open now."""
        if len(mark.blocks) != len(self._blocks):
            raise ValueError("undo to a mark of another loop")
        while len(self._nameless) > mark.named:
            value, node = self._nameless.pop()
            self.data[value] = node
        for value in range(mark.values, len(self.data)):
            del self.data[value]
            del self._depth[value]
        for block, length in zip(self._blocks, mark.blocks, strict=True):
            del block[length:]
        self._known = [dict(known) for known in mark.known]

    # Short hands for passes that write new nodes ------------------------------------------------

    def constant(self, array: object, kinds: Kinds) -> Value:
        values = Values(array)  # type: ignore[arg-type]
        return self.node(Node(Constant(values), (), values.array.shape, kinds))

    def affine(
        self, terms: list[tuple[Matrix, Value]], shape: tuple[int, ...], kinds: Kinds, offset: Floats | float = 0.0,
        name: str | None = None, span: Span | None = None,
    ) -> Value:  # fmt: skip
        size = int(np.prod(shape, dtype=int))
        op = Affine(tuple(m for m, _ in terms), Values(np.broadcast_to(np.asarray(offset, float).ravel(), (size,))))
        return self.node(Node(op, tuple(v for _, v in terms), shape, kinds, name, span))

    def product(
        self, form: Bilinear, a: Value, b: Value, kinds: Kinds, keyword: str = "bilinear", span: Span | None = None
    ) -> Value:
        return self.node(Node(Product(keyword, form), (a, b), (form.size,), kinds, None, span))


# Passes ------------------------------------------------------------------------------------------

Visit = Callable[[Rewriter, Value, Node], Value]
CopyLoop = Callable[[Rewriter, Graph, Loop, dict[Value, Value]], None]
"""Writes a loop through the rewriter; the names grow."""


def rebuild(
    graph: Graph,
    visit: Visit | None = None,
    laws: Laws = ALL_LAWS,
    names: dict[Value, Value] | None = None,
) -> Graph:
    """The graph written again through a Rewriter, each placed node by `visit(rewriter, old value, node with new
    operands)`.

    `names`, old values to new, is filled as it goes, for a `visit` that must look something up.
    """
    r = Rewriter(laws)
    names = {} if names is None else names
    copy_block(r, graph, graph.block, names, visit)
    return prune(r.finish(tuple(names[v] for v in graph.results), graph.signature))


def copy_block(
    r: Rewriter,
    graph: Graph,
    block: Block,
    names: dict[Value, Value],
    visit: Visit | None = None,
    loop: CopyLoop | None = None,
) -> None:
    """Writes `block` of `graph` through `r`; `names` maps old values to new ones and grows. `loop` copies loops, where
    they are not to stay as they are."""
    for item in block:
        if isinstance(item, Loop):
            if loop is None:
                copy_loop(r, graph, item, names, visit)
            else:
                loop(r, graph, item, names)
            continue
        node = graph[item]
        node = replace(node, operands=tuple(names[o] for o in node.operands))
        names[item] = r.node(node) if visit is None else visit(r, item, node)


def copy_loop(
    r: Rewriter,
    graph: Graph,
    loop: Loop,
    names: dict[Value, Value],
    visit: Visit | None = None,
    inner: CopyLoop | None = None,
) -> None:
    """The loop as it is, `inner` for the loops in it."""
    loop_from(r, graph, loop, {c: names[c.initial] for c in loop.carried}, loop.count, names, visit, inner=inner)


def loop_from(
    r: Rewriter,
    graph: Graph,
    loop: Loop,
    initial: dict[Carried, Value],
    count: int,
    names: dict[Value, Value],
    visit: Visit | None = None,
    warm: Mapping[Carried, Value] | None = None,
    inner: CopyLoop | None = None,
) -> None:
    """The loop, begun with these values of what it carries and run so many times; `warm`: new values, for
    `Carried.warm`."""
    if count == 0 and loop.kind is None:
        names.update({c.final: initial[c] for c in loop.carried})
        return
    r.open()
    for c in loop.carried:
        names[c.phi] = r.node(replace(graph[c.phi], operands=(initial[c],)), place=False)
    copy_block(r, graph, loop.body, names, visit, inner)
    carried = []
    for c in loop.carried:
        final = r.node(replace(graph[c.final], operands=(initial[c], names[c.result])), place=False)
        first = warm[c] if warm is not None else None if c.warm is None else names[c.warm]
        carried.append(Carried(initial[c], names[c.phi], names[c.result], final, first))
        names[c.final] = final
    r.close(loop.kind, count, tuple(carried), loop.span, loop.backwards)


def prune(graph: Graph) -> Graph:
    """Without what no result needs. A carried name is needed if its final value is, or its phi is needed by one that
    is."""
    needed: set[Value] = set()
    loop_of = {v: c for loop in graph.loops() for c in loop.carried for v in (c.phi, c.final)}
    stack = list(graph.results)
    while stack:
        value = stack.pop()
        if value in needed:
            continue
        needed.add(value)
        stack.extend(graph[value].operands)
        if value in loop_of:
            c = loop_of[value]
            stack.extend((c.initial, c.phi, c.result, c.final))
            if c.warm is not None:
                stack.append(c.warm)

    def shown(block: Block) -> None:
        """A named sum of what is there anyway costs nothing, and a trace can show it."""
        for item in block:
            if isinstance(item, Loop):
                if any(c.phi in needed for c in item.carried):  # else the loop goes
                    shown(item.body)
                continue
            node = graph[item]
            if node.name is not None and isinstance(node.op, Affine) and needed.issuperset(node.operands):
                needed.add(item)

    shown(graph.block)
    return _keep(graph, needed)


def _keep(graph: Graph, needed: set[Value]) -> Graph:
    def filtered(block: Block) -> Block:
        kept: list[Value | Loop] = []
        for item in block:
            if not isinstance(item, Loop):
                if item in needed:
                    kept.append(item)
                continue
            carried = tuple(c for c in item.carried if c.phi in needed)
            if carried:
                kept.append(replace(item, carried=carried, body=filtered(item.body)))
        return tuple(kept)

    return replace(graph, data={v: node for v, node in graph.data.items() if v in needed}, block=filtered(graph.block))


def simplify(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """The laws, and nothing else."""
    return rebuild(graph, None, laws)
