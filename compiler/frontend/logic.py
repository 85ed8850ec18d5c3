"""`and`, `or` and `not` as arithmetic of 0 and 1.

a and b     a * b
a or b      1 - (1 - a) * (1 - b)
not a       1 - a
"""

from __future__ import annotations

from ..syntax import smart_constructors as s
from ..syntax.nodes import Binary, Expr, Not
from ..syntax.traversal import children, rebuild


def arithmetic(expr: Expr) -> Expr:
    """`expr` without these words, at any depth."""
    parts = tuple(map(arithmetic, children(expr)))
    expr = rebuild(expr, parts) if parts else expr
    match expr:
        case Binary(operator="and", left=left, right=right):
            return Binary(expr.span, "*", left, right)
        case Binary(operator="or", left=left, right=right):
            return _opposite(Binary(expr.span, "*", _opposite(left), _opposite(right)))
        case Not(operand=operand):
            return _opposite(operand)
    return expr


def _opposite(expr: Expr) -> Expr:
    match expr:
        case Binary(operator="-", left=left, right=right) if s.constant(left) == 1:  # 1 − (1 − e) = e
            return right
    return Binary(expr.span, "-", s.number(1, expr.span), expr)
