"""Rewriting: one graph in, a smaller one out, by a table of laws.

    before                                   after
    w0 : constant 0                          b  = gather mean y of v
    repeat 10                                w1 = 0.1 * b                 (the first pass, folded)
        r  = gather mean y of v              repeat 9
        …                                        …

Every pass that builds a graph does it through `Rewriter`, which applies the laws node by node:
what is constant is computed, chains of affine maps become one, equal nodes become one, and what
does not change in a loop moves out in front of it. `simplify` is the pass that does nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

import numpy as np

from .graph import (
    Affine,
    Block,
    Carried,
    Constant,
    Divide,
    Function,
    Graph,
    GraphBuilder,
    Keep,
    Kinds,
    Loop,
    Node,
    Phi,
    Product,
    Softmax,
    Value,
)  # fmt: skip
from .oracle import divide, function, softmax
from .sparse import Bilinear, Floats, Matrix, Values
from .syntax import Span

_LEFT_OUT: ContextVar[frozenset[str]] = ContextVar("laws left out", default=frozenset())


@contextmanager
def without_laws(names: frozenset[str]) -> Iterator[None]:
    """Every pass that is run inside leaves these laws out."""
    token = _LEFT_OUT.set(names)
    try:
        yield
    finally:
        _LEFT_OUT.reset(token)


class Rewriter(GraphBuilder):
    """A graph builder that simplifies as it adds. `laws` may name the laws to apply; by default all."""

    def __init__(self, laws: frozenset[str] | None = None) -> None:
        super().__init__()
        self._known: list[dict[object, Value]] = [{}]
        self._depth: dict[Value, int] = {}
        chosen = (frozenset(LAW_NAMES) if laws is None else laws) - _LEFT_OUT.get()
        self._laws = [law for name, law in LAWS.items() if name in chosen]
        self._share, self._hoist = "share" in chosen, "hoist" in chosen

    def open(self) -> None:
        super().open()
        self._known.append({})

    def close(self, kind: str | None, count: int, carried: tuple[Carried, ...], span: Span | None = None) -> Loop:
        self._known.pop()
        return super().close(kind, count, carried, span)

    def drop(self) -> None:
        self._known.pop()
        super().drop()

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
        self.data.nodes[value]["node"] = replace(node, name=name)
        return True

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


# The laws ----------------------------------------------------------------------------------------


def _constant(r: Rewriter, value: Value) -> Floats | None:
    op = r[value].op
    return op.values.array.ravel() if isinstance(op, Constant) else None


def fold(r: Rewriter, node: Node) -> Node:
    """f(constants) = constant, where the value lives everywhere or is zero-preserving about kinds."""
    if not node.operands or not isinstance(node.op, (Affine, Product, Divide, Function, Softmax)):
        return node
    values = [_constant(r, o) for o in node.operands]
    if any(v is None for v in values):
        return node
    known = [v for v in values if v is not None]
    match node.op:
        case Affine(matrices, offset):
            result = offset.array + sum((m.apply(v) for m, v in zip(matrices, known, strict=True)), np.zeros(node.size))
        case Product(_, form):
            result = form.apply(*known)
        case Divide():
            result = divide(known[0], known[1])
        case Function(name, arguments):
            result = function(name, arguments, known[0])
        case _:
            result = softmax(known[0])
    return replace(node, op=Constant(Values(result.reshape(node.shape))), operands=())


def scale(r: Rewriter, node: Node) -> Node:
    """a · constant is affine in a; 0 · a = 0; a / constant is affine; what a constant keeps is affine."""
    if isinstance(node.op, Keep) and (decides := _constant(r, node.operands[0])) is not None:
        x = decides[list(node.op.which)]
        kept = np.flatnonzero(x > 0.0 if node.op.strict else x >= 0.0)
        matrix = Matrix.of(kept, kept, 1.0, (node.size,) * 2)
        affine = Affine((matrix,), Values(np.zeros(node.size)))
        return chain(r, replace(node, op=affine, operands=node.operands[1:]))
    if isinstance(node.op, Divide) and (divisor := _constant(r, node.operands[1])) is not None and np.all(divisor):
        matrix = Matrix.of(
            np.arange(node.size), np.arange(node.size), 1 / np.broadcast_to(divisor, (node.size,)), (node.size,) * 2
        )
        return replace(node, op=Affine((matrix,), Values(np.zeros(node.size))), operands=node.operands[:1])
    if not isinstance(node.op, Product):
        return node
    form = node.op.form
    for index, mine, other in ((0, form.left, form.right), (1, form.right, form.left)):
        value = _constant(r, node.operands[index])
        if value is not None:
            matrix = Matrix.of(form.out, other, form.coefficient * value[mine], (form.size, form.sizes[1 - index]))
            return chain(
                r,
                replace(node, op=Affine((matrix,), Values(np.zeros(node.size))), operands=(node.operands[1 - index],)),
            )
    return node


def chain(r: Rewriter, node: Node) -> Node:
    """A (B v + c) + d = (A B) v + (A c + d); equal operands are one term; zero terms go."""
    if not isinstance(node.op, Affine):
        return node
    terms: dict[Value, Matrix] = {}
    offset = node.op.offset.array.copy()
    for matrix, operand in zip(node.op.matrices, node.operands, strict=True):
        inner = r[operand]
        if isinstance(inner.op, Constant):
            offset += matrix.apply(inner.op.values.array.ravel())
        elif isinstance(inner.op, Affine) and inner.kinds >= node.kinds:
            offset += matrix.apply(inner.op.offset.array)
            for m, o in zip(inner.op.matrices, inner.operands, strict=True):
                terms[o] = terms[o] + matrix @ m if o in terms else matrix @ m
        else:
            terms[operand] = terms[operand] + matrix if operand in terms else matrix
    kept = [(o, m) for o, m in terms.items() if m.nnz]
    if not kept:
        return replace(node, op=Constant(Values(offset.reshape(node.shape))), operands=())
    kept.sort(key=lambda term: term[0])
    return replace(node, op=Affine(tuple(m for _, m in kept), Values(offset)), operands=tuple(o for o, _ in kept))


LAWS: dict[str, Callable[[Rewriter, Node], Node]] = {"fold": fold, "scale": scale, "chain": chain}
"""f(constants) is a constant; a product with a constant is affine; affine of affine is affine."""

LAW_NAMES = (*LAWS, "share", "hoist")
"""Of those and of two that are about places: equal nodes become one, what does not change in a loop moves out of it."""


# Passes ------------------------------------------------------------------------------------------

Visit = Callable[[Rewriter, Value, Node], Value]


def rebuild(
    graph: Graph,
    visit: Visit | None = None,
    laws: frozenset[str] | None = None,
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


def copy_block(r: Rewriter, graph: Graph, block: Block, names: dict[Value, Value], visit: Visit | None = None) -> None:
    """Writes `block` of `graph` through `r`; `names` maps old values to new ones and grows."""
    for item in block:
        if isinstance(item, Loop):
            copy_loop(r, graph, item, names, visit)
            continue
        node = graph[item]
        node = replace(node, operands=tuple(names[o] for o in node.operands))
        names[item] = r.node(node) if visit is None else visit(r, item, node)


def copy_loop(r: Rewriter, graph: Graph, loop: Loop, names: dict[Value, Value], visit: Visit | None = None) -> None:
    loop_from(r, graph, loop, {c: names[c.initial] for c in loop.carried}, loop.count, names, visit)


def loop_from(
    r: Rewriter,
    graph: Graph,
    loop: Loop,
    initial: dict[Carried, Value],
    count: int,
    names: dict[Value, Value],
    visit: Visit | None = None,
) -> None:
    """The loop, begun with these values of what it carries and run so many times."""
    if count == 0 and loop.kind is None:
        names.update({c.final: initial[c] for c in loop.carried})
        return
    r.open()
    for c in loop.carried:
        names[c.phi] = r.node(replace(graph[c.phi], operands=(initial[c],)), place=False)
    copy_block(r, graph, loop.body, names, visit)
    carried = []
    for c in loop.carried:
        final = r.node(replace(graph[c.final], operands=(initial[c], names[c.result])), place=False)
        warm = None if c.warm is None else names[c.warm]
        carried.append(Carried(initial[c], names[c.phi], names[c.result], final, warm))
        names[c.final] = final
    r.close(loop.kind, count, tuple(carried), loop.span)


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
    for value in graph.values():  # a named sum of what is there anyway costs nothing, and a trace can show it
        node = graph[value]
        if node.name is not None and isinstance(node.op, Affine) and needed.issuperset(node.operands):
            needed.add(value)
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

    return replace(graph, data=graph.data.subgraph(needed).copy(), block=filtered(graph.block))


def simplify(graph: Graph, laws: frozenset[str] | None = None) -> Graph:
    """The laws, and nothing else."""
    return rebuild(graph, None, laws)
