"""The laws of rewriting: a node that is about to be added, and what it may be added as instead.

fold     f(constants) is a constant          scale    a product with a constant is affine
chain    affine of affine is affine
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.sparse import Matrix, Values

from ..interpreter.local_operations import local
from ..ir.builder import GraphBuilder
from ..ir.graph import Affine, Constant, Divide, Keep, Node, Product, Value
from ..ir.operation_classes import Local


def _constant(r: GraphBuilder, value: Value) -> Floats | None:
    op = r[value].op
    return op.values.array.ravel() if isinstance(op, Constant) else None


def fold(r: GraphBuilder, node: Node) -> Node:
    """f(constants) = constant, where the value lives everywhere or is zero-preserving about kinds."""
    if not node.operands or not isinstance(node.op, Local) or isinstance(node.op, Keep):
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
        case Local():
            result = local(node.op, known)
        case other:
            assert_never(other)
    return replace(node, op=Constant(Values(result.reshape(node.shape))), operands=())


def scale(r: GraphBuilder, node: Node) -> Node:
    """a · constant is affine in a; 0 · a = 0; a / constant is affine; what a constant keeps is affine."""
    if isinstance(node.op, Keep) and (decides := _constant(r, node.operands[0])) is not None:
        x = decides[list(node.op.which)]
        kept = np.flatnonzero(x > 0.0 if node.op.strict else x >= 0.0)
        matrix = Matrix.of(kept, kept, 1.0, (node.size, node.size))
        affine = Affine((matrix,), Values(np.zeros(node.size)))
        return chain(r, replace(node, op=affine, operands=node.operands[1:]))
    if isinstance(node.op, Divide) and (divisor := _constant(r, node.operands[1])) is not None and np.all(divisor):
        matrix = Matrix.of(
            np.arange(node.size),
            np.arange(node.size),
            1 / np.broadcast_to(divisor, (node.size,)),
            (node.size, node.size),
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


def chain(r: GraphBuilder, node: Node) -> Node:
    """A (B v + c) + d = (A B) v + (A c + d); equal operands are one term; zero terms go."""
    if not isinstance(node.op, Affine):
        return node
    terms: dict[Value, Matrix] = {}
    offset = node.op.offset.array.copy()
    for matrix, operand in zip(node.op.matrices, node.operands, strict=True):
        inner = r[operand]
        if isinstance(inner.op, Constant):
            offset += matrix.apply(inner.op.values.array.ravel())
        elif isinstance(inner.op, Affine):  # and it lives wherever the node does (verify.py)
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


LAWS: dict[str, Callable[[GraphBuilder, Node], Node]] = {"fold": fold, "scale": scale, "chain": chain}

LAW_LINES = {
    "fold": "an operation on constants is a constant",
    "scale": "a product with a constant is affine",
    "chain": "affine of affine is affine",
    "share": "equal nodes become one",
    "hoist": "what does not change in a loop moves out of it",
}
"""What each law says; the last two are about places, and rewriter.py has them."""
LAW_NAMES = tuple(LAW_LINES)

Laws = frozenset[str]
"""Those of `LAW_NAMES` that a pass applies."""
ALL_LAWS: Laws = frozenset(LAW_NAMES)
