"""Verification between passes: what must hold of any Graph, whatever made it.

every operand is placed before its use, in the same block or one around it: so there is no circle
components fit: matrices, bilinear forms and loops agree with the shapes of their operands
a loop's phi begins with what its final may leave, of one shape
"""

from __future__ import annotations

from typing import assert_never

from innerloop.artifact.errors import InternalError

from .graph import (
    SCORED,
    Affine,
    Attend,
    Block,
    BodyGraph,
    Constant,
    Delta,
    Divide,
    Final,
    Gather,
    Graph,
    Keep,
    Loop,
    Merge,
    Mine,
    Move,
    Node,
    Op,
    Phi,
    Product,
    Read,
    Theirs,
    Value,
)
from .operation_classes import Local, Positional, Reads, Source, Structural


def verify(graph: Graph) -> Graph:
    """The graph itself, if it is sound. Raises InternalError naming the value that is not."""
    _Verifier(graph).run()
    return graph


def _arity(op: Op) -> int | None:
    """How many operands an operation takes; None if its payload says."""
    match op:
        case Affine() | Read() | Merge():
            return None
        case Source() | Mine() | Theirs():
            return 0
        case Product() | Divide() | Keep() | Final():
            return 2
        case Attend():
            return 3
        case Delta():
            return 5
        case Local() | Move() | Gather() | Phi():
            return 1
        case other:
            assert_never(other)


class _Verifier:
    def __init__(self, graph: Graph | BodyGraph, body_of: Node | None = None, sizes: tuple[int, ...] = ()) -> None:
        """`body_of`: the read whose body the graph is; `sizes` are those of its operands."""
        self.graph, self.body_of, self.sizes = graph, body_of, sizes
        self.placed: set[Value] = set()

    def run(self) -> None:
        self._block(self.graph.block, frozenset())
        for result in self.graph.results:
            self._hold(result in self.placed, result, "is a result, and is placed nowhere")
            alike = isinstance(self.graph, BodyGraph) or self.graph[result].kinds == self.graph.output.kinds
            self._hold(alike, result, "is a result at other tokens than the first")
        for value in self.graph.data:
            self._hold(value in self.placed, value, "is placed nowhere")

    def _hold(self, condition: bool, value: Value, fault: str) -> None:
        if not condition:
            name = ""
            if value in self.graph.data:
                name = f" ({self.graph[value].name or type(self.graph[value].op).__name__})"
            raise InternalError(f"value {value}{name} {fault}")

    def _block(self, block: Block, scope: frozenset[Value]) -> frozenset[Value]:
        """`scope`: what may be used; returns it with what this block adds."""
        for item in block:
            if isinstance(item, Loop):
                scope = self._loop(item, scope)
                continue
            self._hold(not isinstance(self.graph[item].op, Phi | Final), item, "is placed outside of its loop")
            self._place(item)
            self._operands(item, scope)
            self._node(item)
            scope |= {item}
        return scope

    def _place(self, value: Value) -> None:
        self._hold(value in self.graph.data, value, "is placed, and not in the graph")
        self._hold(value not in self.placed, value, "is placed twice")
        self.placed.add(value)

    def _operands(self, value: Value, scope: frozenset[Value]) -> None:
        for operand in self.graph[value].operands:
            self._hold(operand in scope, value, f"uses value {operand}, which is not known there")

    def _loop(self, loop: Loop, scope: frozenset[Value]) -> frozenset[Value]:
        for c in loop.carried:
            phi, final = self.graph[c.phi], self.graph[c.final]
            begins = isinstance(phi.op, Phi) and phi.operands == (c.initial,)
            self._hold(begins, c.phi, "is no phi of its initial value")
            ends = isinstance(final.op, Final) and final.operands == (c.initial, c.result)
            self._hold(ends, c.final, "is no final of its initial value and result")
            for value in (c.initial, c.result, c.final):
                self._hold(self.graph[value].shape == phi.shape, value, f"is carried, and not of the shape {phi.shape}")
            if c.warm is not None:
                warm = self.graph[c.warm]
                fits = loop.kind in warm.kinds and warm.shape == phi.shape and c.warm in scope
                self._hold(fits, c.warm, f"is no first pass of a scan over {loop.kind}")
            self._place(c.phi)
            self._operands(c.phi, scope)
            if loop.backwards:
                self._hold(
                    final.kinds == {loop.kind}, c.final, f"is left by a scan, and lives at {sorted(final.kinds)}"
                )
            if loop.kind is not None:
                self._hold(phi.kinds == {loop.kind}, c.phi, f"is carried by a scan, and lives at {sorted(phi.kinds)}")
        inner = self._block(loop.body, scope | {c.phi for c in loop.carried})
        for c in loop.carried:
            self._place(c.final)
            self._operands(c.final, scope | {c.result} if c.result in inner else scope)
        return scope | {c.final for c in loop.carried}

    def _node(self, value: Value) -> None:
        node = self.graph[value]
        operands = [self.graph[o] for o in node.operands]
        arity = _arity(node.op)
        self._hold(arity is None or arity == len(operands), value, f"has {len(operands)} operands, and takes {arity}")
        if isinstance(self.graph, Graph):
            unknown = node.kinds - set(self.graph.signature.pattern.kinds)
            self._hold(not unknown and bool(node.kinds), value, f"lives at {sorted(node.kinds)}")
        sizes = [operand.size for operand in operands]
        self._hold(self._fits(node, sizes), value, f"of shape {node.shape} does not fit operands of sizes {sizes}")
        match node.op:
            case Merge(kinds):
                parts = [kind for part in kinds for kind in part]
                self._hold(len(parts) == len(set(parts)), value, "merges kinds that overlap")
                self._hold(
                    set(parts) >= node.kinds, value, f"lives at {sorted(node.kinds)}, and merges {sorted(parts)}"
                )
                for part, operand in zip(kinds, operands, strict=True):
                    self._hold(
                        part <= operand.kinds, value, f"merges at {sorted(part)} what lives at {sorted(operand.kinds)}"
                    )
            case Gather(_, over) | Attend(_, over) | Read(_, over):
                mine = node.op.mine if isinstance(node.op, Read) else 1 if isinstance(node.op, Attend) else 0
                theirs = operands[mine:]
                for operand in theirs:
                    self._hold(over in operand.kinds, value, f"reads at {over} what lives at {sorted(operand.kinds)}")
                if isinstance(node.op, Read):
                    results = 2 if node.op.how in SCORED else 1
                    self._hold(
                        len(node.op.body.results) == results, value, f"is a {node.op.how} read of {results} results"
                    )
                    _Verifier(node.op.body, node, tuple(sizes)).run()
            case Local():
                for operand in operands:
                    self._hold(node.kinds <= operand.kinds, value, f"uses what lives at {sorted(operand.kinds)} only")
            case Source() | Reads() | Structural():
                pass
            case other:
                assert_never(other)

    def _fits(self, node: Node, sizes: list[int]) -> bool:
        match node.op:
            case Constant(values):
                return values.array.shape == node.shape
            case Positional():
                return node.shape == node.op.shape
            case Affine(matrices, offset):
                return [m.shape for m in matrices] == [(node.size, s) for s in sizes] and offset.array.shape == (
                    node.size,
                )
            case Product(_, form):
                return form.size == node.size and list(form.sizes) == sizes and _inside(node)
            case Divide():
                return sizes[0] == node.size and sizes[1] in (1, node.size)
            case Keep(_, which):
                return len(which) == sizes[1] == node.size and all(0 <= c < sizes[0] for c in which)
            case Local() | Move() | Gather():
                return sizes[0] == node.size
            case Attend():
                return sizes[0] == sizes[1] and sizes[2] == node.size
            case Delta(_, start):
                return sizes == [*start.array.shape[::-1][:1] * 2, node.size, 1, 1] and len(start.array) == node.size
            case Merge(kinds):
                return len(kinds) == len(sizes) and set(sizes) == {node.size}
            case Read(_, _, mine, body):
                return 0 <= mine <= len(sizes) and body[body.results[-1]].size == node.size
            case Mine(index) | Theirs(index):
                if self.body_of is None or not isinstance(self.body_of.op, Read):
                    return False
                place = index if isinstance(node.op, Mine) else self.body_of.op.mine + index
                return place < len(self.sizes) and self.sizes[place] == node.size
            case Source() | Structural():
                return True
            case other:
                assert_never(other)


def _inside(node: Node) -> bool:
    """Whether the entries of a bilinear form are components that there are."""
    assert isinstance(node.op, Product)
    form = node.op.form
    ends = ((form.out, form.size), (form.left, form.sizes[0]), (form.right, form.sizes[1]))
    return all(not index.size or (index.min() >= 0 and index.max() < size) for index, size in ends)
