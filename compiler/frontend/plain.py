"""What is said by other operations: logic by arithmetic of 0 and 1, and the largest token by a sharp softmax.

    a and b                 a * b
    a or b                  1 - (1 - a) * (1 - b)
    not a                   1 - a
    max[j in K](e)          softmax[j in K](1e6 * e, e)
    min[j in K](e)          softmax[j in K](-(1e6 * e), e)
    argmax[j in K](s, v)    softmax[j in K](1e6 * s, v)

The softmax is off by what scores that are near to each other share: Σ pᵢ (top − sᵢ) is at most 1e-6 W(n / e) with n
tokens beside the top one, W Lambert's function: 2.8e-7 for one, 2.6e-6 for a hundred that are all as near.
Logits are then rounded by 0.06 where scores are about 1, which changes the shares of such scores and of no others.
"""

from __future__ import annotations

from dataclasses import replace

from ..syntax import smart_constructors as s
from ..syntax.nodes import Binary, Expr, Not, ReadExpression
from ..syntax.traversal import children, rebuild

SHARP = 1e6


def plain(expr: Expr) -> Expr:
    """`expr` without these, at any depth."""
    parts = tuple(map(plain, children(expr)))
    expr = rebuild(expr, parts) if parts else expr
    match expr:
        case Binary(operator="and", left=left, right=right):
            return Binary(expr.span, "*", left, right)
        case Binary(operator="or", left=left, right=right):
            return _opposite(Binary(expr.span, "*", _opposite(left), _opposite(right)))
        case Not(operand=operand):
            return _opposite(operand)
        case ReadExpression(how="max" | "min" | "argmax" as how, arguments=arguments):
            score = s.times(s.number(-SHARP if how == "min" else SHARP, expr.span), arguments[0], expr.span)
            return replace(expr, how="softmax", arguments=(score, arguments[-1]))
    return expr


def _opposite(expr: Expr) -> Expr:
    match expr:
        case Binary(operator="-", left=left, right=right) if s.constant(left) == 1:  # 1 − (1 − e) = e
            return right
    return Binary(expr.span, "-", s.number(1, expr.span), expr)
