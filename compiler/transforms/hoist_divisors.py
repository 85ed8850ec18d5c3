"""Quotients inside reads: what divides and is of one side is divided where that side is, as 1/b.

    before   mean[y]((mine₀ · theirs₀) / theirs₁ · theirs₂)
    after    r = 1 / theirs₁                                   at y
             mean[y](mine₀ · theirs₀ · theirs₃ · theirs₂)      theirs₃ = r

The body is then made of products, which heads compute (separate_reads.py). A divisor that mixes mine and theirs stays.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir.bilinear import Bilinear
from ..ir.builder import GraphBuilder
from ..ir.graph import Divide, Graph, Mine, Node, Product, Read, Theirs, Value
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, rebuild


def quotients(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """The graph without divisions by one side in the bodies of reads."""

    def visit(r: Rewriter, _: Value, node: Node) -> Value:
        return r.node(_inverted(r, node, node.op) if isinstance(node.op, Read) else node)

    return rebuild(graph, visit, laws)


def _inverted(r: Rewriter, node: Node, read: Read) -> Node:
    """The read, of which every divisor that is a leaf is a factor."""
    mine, theirs = list(node.operands[: read.mine]), list(node.operands[read.mine :])
    body = GraphBuilder()
    names: dict[Value, Value] = {}
    over = frozenset({read.over})
    for value in read.body.block:
        inner = read.body[value]
        operands = tuple(names[o] for o in inner.operands)
        leaf = read.body[inner.operands[1]].op if isinstance(inner.op, Divide) else None
        if not isinstance(leaf, Mine | Theirs):
            names[value] = body.node(replace(inner, operands=operands))
            continue
        side, kinds = (mine, node.kinds) if isinstance(leaf, Mine) else (theirs, over)
        divisor = side[leaf.index]
        shape = r[divisor].shape
        one = r.affine([], shape, kinds, 1.0)
        side.append(r.node(Node(Divide(), (one, divisor), shape, kinds, None, inner.span)))
        factor = body.node(Node(type(leaf)(len(side) - 1), (), shape, inner.kinds, None, inner.span))
        each = np.arange(inner.size)
        which = each if shape else np.zeros(inner.size, np.int64)
        form = Bilinear(each, each, which, 1.0, inner.size, (inner.size, body[factor].size))
        names[value] = body.node(
            Node(Product("bilinear", form), (operands[0], factor), inner.shape, inner.kinds, None, inner.span)
        )
    found = body.finish_body(tuple(names[v] for v in read.body.results))
    return replace(node, op=replace(read, mine=len(mine), body=found), operands=(*mine, *theirs))
