"""`v[k]`: what token k of a read holds, or a component.

    mean[j in y](u[j] * u[d])      u[j] theirs, u[d] a component, d a parameter

The index of a read around it is that; any other name that is a value of the program counts components. What is neither
stays theirs, and is reported when it is checked.
"""

from __future__ import annotations

from dataclasses import replace

from .nodes import Assign, Define, Expr, Name, Part, Place, Program, ReadExpression, TheirsExpression
from .traversal import children, map_expressions, rebuild, statements


def components(program: Program) -> Program:
    """The program with its components told from what is theirs."""
    known = {p.name for p in program.parameters}
    known |= {s.name for s in statements(program.body) if isinstance(s, Assign)}

    values = frozenset(known)
    body = map_expressions(program.body, lambda expr: _change(expr, frozenset(), values))
    return replace(program, body=tuple(definition_components(s, values) if isinstance(s, Define) else s for s in body))


def definition_components(definition: Define, known: frozenset[str]) -> Define:
    """The same of a `def`, whose parameters and names are values, too."""
    assigned = {s.name for s in statements(definition.body) if isinstance(s, Assign)}
    values = known | assigned | set(definition.parameters)
    body = map_expressions(definition.body, lambda expr: _change(expr, frozenset(), values))
    return replace(definition, body=body, value=_change(definition.value, frozenset(), values))


def _change(expr: Expr, indices: frozenset[str], values: frozenset[str]) -> Expr:
    match expr:
        case TheirsExpression(name=name, index=index, span=span) if index not in indices and index in values:
            return Part(span, Name(span, name), (Place(span, Name(span, index), None),))
        case ReadExpression(index=index):
            indices |= {index}
    parts = tuple(_change(child, indices, values) for child in children(expr))
    return rebuild(expr, parts) if parts else expr
