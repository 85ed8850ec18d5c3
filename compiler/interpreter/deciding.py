"""What comparisons decide by: the values whose 0 rounding may turn into more or less.

y >= 0, y given      what rounds is a share of y: its 0 stays 0
y - w * x >= 0       decides
a == b               decides, by a − b, and asks for its 0, whatever the sample holds
"""

from __future__ import annotations

from typing import assert_never

import numpy as np

from ..ir.graph import (
    Affine,
    Field,
    Graph,
    Keep,
    Merge,
    Move,
    Value,
)
from ..ir.operation_classes import Local, Reads, Source, Structural


def deciding(graph: Graph) -> frozenset[Value]:
    """What comparisons decide by, and is no field's own."""
    kept = {graph[v].operands[0] for v in graph.values() if isinstance(graph[v].op, Keep)}
    return frozenset(v for v in kept if not _given(graph, v))


def equalities(graph: Graph) -> frozenset[Value]:
    """Of those what `a == b` decides by, which is built as x ≥ 0 and not x > 0."""
    strict: dict[bool, set[Value]] = {True: set(), False: set()}
    for node in map(graph.__getitem__, graph.values()):
        if isinstance(node.op, Keep):
            strict[node.op.strict].add(node.operands[0])
    return deciding(graph) & strict[True] & strict[False]


def _given(graph: Graph, value: Value) -> bool:
    """Whether it is of the data itself, copied or scaled: what rounds is then a share of it, and 0 stays 0."""
    node = graph[value]
    match node.op:
        case Field():
            return True
        case Affine(matrices, offset):
            single = len(matrices) == 1 and np.diff(matrices[0].csr.indptr).max(initial=0) <= 1
            if not single or offset.array.any():
                return False
        case Move() | Merge():
            pass
        case Source() | Local() | Reads() | Structural():
            return False
        case other:
            assert_never(other)
    return all(_given(graph, operand) for operand in node.operands)
