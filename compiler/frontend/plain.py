"""What is said by other operations: logic by arithmetic of 0 and 1, and the largest token by a sharp softmax.

    a and b                 a * b
    a or b                  1 - (1 - a) * (1 - b)
    not a                   1 - a
    max[j in K](e)          softmax[j in K](1e6 * e, e)
    min[j in K](e)          softmax[j in K](-(1e6 * e), e)
    argmax[j in K](s, v)    softmax[j in K](1e6 * s, v)
    logsumexp(v)            log(sum(exp(v)))
    logsumexp[j in K](s)    t + log(sum[j in K](exp(s - t)) + 1 - mean[j in K](1)),  t = max[i in K](s of i)

The softmax is off by what scores that are near to each other share: Σ pᵢ (top − sᵢ) is at most 1e-6 W(n / e) with n
tokens beside the top one, W Lambert's function: 2.8e-7 for one, 2.6e-6 for a hundred that are all as near.
Logits are then rounded by 0.06 where scores are about 1, which changes the shares of such scores and of no others.
Of a logsumexp the same t stands outside and inside, so that it need not be the maximum; the logarithm is of 1 to n, and
of 1 where nothing is read.
"""

from __future__ import annotations

from dataclasses import replace

from ..syntax import smart_constructors as s
from ..syntax.nodes import Binary, Call, Expr, Not, ReadExpression, TheirsExpression
from ..syntax.traversal import children, rebuild

HARD_SCALE = 1e6
"""What the scores of max, min and argmax are multiplied by in a softmax, which then takes one token or component."""


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
            score = s.times(s.number(-HARD_SCALE if how == "min" else HARD_SCALE, expr.span), arguments[0], expr.span)
            return replace(expr, how="softmax", arguments=(score, arguments[-1]))
        case Call(function="logsumexp", arguments=(v,)):
            return s.call("log", s.call("sum", s.call("exp", v)))
        case ReadExpression(how="logsumexp", arguments=(score,)):
            return _logsumexp(expr, score)
    return expr


def _logsumexp(expr: ReadExpression, score: Expr) -> Expr:
    at, one, inner = expr.span, s.number(1, expr.span), f"{expr.index}_{expr.index}"
    largest = replace(expr, how="max", index=inner, arguments=(_read_by(score, expr.index, inner),))
    top = plain(largest)
    above = replace(expr, how="sum", arguments=(s.call("exp", Binary(at, "-", score, top)),))
    none = Binary(at, "-", one, replace(expr, how="mean", arguments=(one,)))
    return Binary(at, "+", top, s.call("log", Binary(at, "+", above, none)))


def _read_by(expr: Expr, index: str, other: str) -> Expr:
    """The expression with another index; what is read inside it has one of its own."""
    if isinstance(expr, TheirsExpression) and expr.index == index:
        return replace(expr, index=other)
    parts = tuple(_read_by(child, index, other) for child in children(expr))
    return rebuild(expr, parts) if parts else expr


def _opposite(expr: Expr) -> Expr:
    match expr:
        case Binary(operator="-", left=left, right=right) if s.constant(left) == 1:  # 1 − (1 − e) = e
            return right
    return Binary(expr.span, "-", s.number(1, expr.span), expr)
