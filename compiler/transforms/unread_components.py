"""Components that nothing reads go: of products, of what gathers and moves them, of sums.

    before   p = (u ⊗ u, y u)     m = mean[j in y](p[j])     w = 0.1 m[9:]
    after    p = y u              m = mean[j in y](p[j])     w = 0.1 m

So it is of one step of gradient descent from w = 0, where statistics of d² components are gathered for the d that are
read. What has a name, or is carried by a loop, stays whole; and all does where no product gets narrower, since sums
take no neurons.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Indices
from innerloop.artifact.sparse import Matrix, Values
from numpy.typing import NDArray

from ..ir.bilinear import Bilinear
from ..ir.graph import Affine, Gather, Graph, Move, Node, Product, Value
from ..ir.operation_classes import Local, Reads, Source, Structural
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, rebuild

Mask = NDArray[np.bool_]


def without_unread(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """The graph with narrower values, or the same graph where all of every product is read."""
    read = _read(graph)
    kept = {value: np.flatnonzero(mask) for value, mask in read.items() if not mask.all()}
    if not any(isinstance(graph[value].op, Product) for value in kept):
        return graph

    def visit(r: Rewriter, value: Value, node: Node) -> Value:
        return r.node(_narrowed(graph[value], node, kept, kept.get(value)))

    return rebuild(graph, visit, laws)


def _read(graph: Graph) -> dict[Value, Mask]:
    """Which components of each value are read. One at least: what reads none of a value reads its first. What gathers
    and moves a value has those that anything reads of it."""
    carried = {v for loop in graph.loops() for c in loop.carried for v in (c.initial, c.result, c.warm)}
    whole = {value for value in graph.values() if not _narrows(graph[value])} | carried | set(graph.results)
    read = {value: np.full(graph[value].size, value in whole) for value in graph.values()}
    for value in reversed(list(graph.values())):
        node, mask = graph[value], read[value]
        mask[:1] |= not mask.any()
        match node.op:
            case Affine(matrices, _):
                for operand, matrix in zip(node.operands, matrices, strict=True):
                    read[operand][matrix.csr[mask].indices] = True
            case Product(_, form):
                terms = mask[form.out]
                read[node.operands[0]][form.left[terms]] = True
                read[node.operands[1]][form.right[terms]] = True
            case Gather() | Move():
                read[node.operands[0]] |= mask
            case Source() | Local() | Reads() | Structural():
                for operand in node.operands:
                    read[operand][:] = True
            case other:
                assert_never(other)
    for value in graph.values():
        if isinstance(graph[value].op, Gather | Move):
            read[value] = read[graph[value].operands[0]]
    return read


def _narrows(node: Node) -> bool:
    return node.name is None and isinstance(node.op, Affine | Product | Gather | Move)


def _narrowed(old: Node, node: Node, kept: dict[Value, Indices], own: Indices | None) -> Node:
    """The node, whose operands are new ones, of these of its components, from those of its operands that are kept."""
    if own is not None:
        node = replace(node, shape=(own.size,))
    rows = np.arange(old.size) if own is None else own
    match old.op:
        case Affine(matrices, offset):
            found = tuple(
                Matrix(matrix.csr[rows][:, kept[operand]] if operand in kept else matrix.csr[rows])
                for operand, matrix in zip(old.operands, matrices, strict=True)
            )
            return replace(node, op=Affine(found, Values(offset.array[rows])))
        case Product(keyword, form):
            place = np.full(old.size, -1)
            place[rows] = np.arange(rows.size)
            terms = np.flatnonzero(place[form.out] >= 0)
            sides: list[Indices] = []
            sizes: list[int] = []
            for operand, factors, size in zip(old.operands, (form.left, form.right), form.sizes, strict=True):
                sides.append(np.searchsorted(kept[operand], factors[terms]) if operand in kept else factors[terms])
                sizes.append(kept[operand].size if operand in kept else size)
            left, right = sides
            out, coefficient = place[form.out[terms]], form.coefficient[terms]
            narrow = Bilinear(out, left, right, coefficient, rows.size, (sizes[0], sizes[1]))
            return replace(node, op=Product(keyword if own is None else "bilinear", narrow))
        case Source() | Local() | Reads() | Structural():
            return node
        case other:
            assert_never(other)
