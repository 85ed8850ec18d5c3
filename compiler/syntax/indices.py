"""`v[k]`: what token k of a read holds, or a component.

    mean[j in y](u[j] * u[d])      u[j] theirs, u[d] a component, d a parameter
    repeat 3 as t
        rates[t]                   a component, another one in each pass

The index of a read around it is that; any other name that is a value of the program, or counts passes, counts
components. What is neither is theirs, too, and is reported when it is checked.
"""

from __future__ import annotations

from dataclasses import replace

from .nodes import Assign, Define, Expr, Name, Part, Place, Program, ReadExpression, Statement, TheirsExpression
from .traversal import children, counted, map_expressions, rebuild, statements


def components(program: Program) -> Program:
    """The program with its components told from what is theirs."""
    values = frozenset(p.name for p in program.parameters) | _named(program.body)
    body = map_expressions(program.body, lambda expr: _change(expr, frozenset(), values))
    return replace(program, body=tuple(definition_components(s, values) if isinstance(s, Define) else s for s in body))


def definition_components(definition: Define, known: frozenset[str]) -> Define:
    """The same of a `def`, whose parameters and names are values, too."""
    values = known | _named(definition.body) | set(definition.parameters)
    body = map_expressions(definition.body, lambda expr: _change(expr, frozenset(), values))
    return replace(definition, body=body, value=_change(definition.value, frozenset(), values))


def _named(body: tuple[Statement, ...]) -> frozenset[str]:
    """What its lines assign, and what counts the passes of its repeats."""
    return frozenset(s.name for s in statements(body) if isinstance(s, Assign)) | counted(body)


def _change(expr: Expr, indices: frozenset[str], values: frozenset[str]) -> Expr:
    match expr:
        case Part(operand=Name(name=name), places=(Place(low=Name(name=index), high=None),)):
            if index in indices or index not in values:
                return TheirsExpression(expr.span, name, index)
        case ReadExpression(index=index):
            indices |= {index}
    parts = tuple(_change(child, indices, values) for child in children(expr))
    return rebuild(expr, parts) if parts else expr
