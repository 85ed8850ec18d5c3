"""Codes: which products have an operand that is 0 or 1 in each component, by what it is made of.

before    a graph
after     for such products, which operand it is: neurons are closed by it, and no squares (emit/ungated_neurons.py)
"""

from __future__ import annotations

from ...ir.graph import Graph, Product, Value
from .counts import Terms


def codes(graph: Graph) -> dict[Value, int]:
    """The products of which one operand is a code, 0 or 1 in each component, and which; of two the latter. Made of
    one-hot fields: what comparisons decide is no product (predicate.py)."""
    if not any(f.onehot for f in graph.signature.fields):
        return {}
    terms, found = Terms(graph), dict[Value, int]()
    for value in graph.values():
        if isinstance(graph[value].op, Product):
            known = [terms.known[terms.terms[o, None]] for o in graph[value].operands]
            binary = [k for k, of in enumerate(known) if of.counts and (of.high <= 1.0).all()]
            if binary:
                found[value] = binary[-1]
    return found
