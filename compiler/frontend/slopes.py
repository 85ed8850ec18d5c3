"""Derivatives of functions of one number: program text to a tree.

before   "1 - f^2" of tanh, f for what it gives
after    1 - tanh(e)^2, with the place of what it is the derivative of
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from innerloop.artifact.span import Span

from ..syntax.nodes import Expr, Name, Output, Power
from ..syntax.parse import parse
from ..syntax.traversal import children, rebuild


@cache
def slope_of(text: str) -> Expr:
    """The tree of an expression."""
    (output,) = parse(f"program slope()\n\ntokens (t)*\n    v : scalar\n\noutput {text}\n").body
    assert isinstance(output, Output)
    return output.value


def substituted(expr: Expr, names: Mapping[str, Expr], span: Span) -> Expr:
    """The expression with other expressions for its names, and all else at one place."""
    if isinstance(expr, Name):
        return names[expr.name]
    if isinstance(expr, Power):
        expr = replace(expr, exponent=replace(expr.exponent, span=span))
    parts = tuple(substituted(part, names, span) for part in children(expr))
    here = replace(expr, span=span)
    return rebuild(here, parts) if parts else here
