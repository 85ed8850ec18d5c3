"""Codes: which products have an operand that is 0 or 1 in each component, by what it is made of.

before    a graph
after     for such products, which operand it is: neurons are closed by it, and no squares (emit/ungated_neurons.py)
"""

from __future__ import annotations

from innerloop.artifact.arrays import Dtype
from innerloop.artifact.precisions import SHORT

from ...ir.graph import Affine, Constant, Field, Graph, Product, Value
from .counts import Terms


def codes(graph: Graph, dtype: Dtype | None = None) -> dict[Value, int]:
    """The products of which one operand is a code, 0 or 1 in each component, and which; of two the latter. Made of
    one-hot fields: what comparisons decide is no product (predicate.py). In 16 bits of such fields alone: a code that
    was moved or multiplied is not 1 to the last bit there, and what closes neurons is many times what they pass on."""
    if not any(f.onehot for f in graph.signature.fields):
        return {}
    terms, found = Terms(graph), dict[Value, int]()
    for value in graph.values():
        operands = graph[value].operands
        if isinstance(graph[value].op, Product):
            known = [terms.known[terms.terms[o, None]] for o in operands]
            binary = [k for k, of in enumerate(known) if of.counts and (of.high <= 1.0).all()]
            binary = [k for k in binary if dtype not in SHORT or _given(graph, operands[k])]
            if binary:
                found[value] = binary[-1]
    return found


def _given(graph: Graph, value: Value) -> bool:
    """Whether it is read from the fields of a token itself."""
    node = graph[value]
    return isinstance(node.op, Field | Constant) or (
        isinstance(node.op, Affine) and all(_given(graph, operand) for operand in node.operands)
    )
