"""The promises of `affine(…)` and `rtw(…)`.

    affine(2 * a - B @ c + 1)                       names under + -, sum, and products with constants
    rtw(w - rate * mean[j in y](g[j]))              one read R in e = T(R), m ± T(R) or m × T(R)

T is constant and linear, m is affine in my names.
"""

from __future__ import annotations

from collections.abc import Callable

from innerloop.artifact.errors import Diagnostic
from innerloop.artifact.span import Span

from ..syntax.builtins import LINEAR
from ..syntax.nodes import (
    Array,
    Binary,
    Call,
    Compare,
    Expr,
    MoveExpression,
    Name,
    Negate,
    Not,
    Operation,
    Part,
    Power,
    ReadExpression,
    TheirsExpression,
)
from ..syntax.traversal import children, walk
from .inline import Report

Constant = Callable[[Expr], bool]


class _Broken(Exception):
    def __init__(self, what: str, span: Span) -> None:
        self.what, self.span = what, span


def check_promises(expr: Expr, constant: Constant, report: Report) -> None:
    """Reports what breaks the promise of each `affine` and `rtw` in `expr`."""
    for node in walk(expr):
        if not isinstance(node, Operation) or len(node.arguments) != 1:
            continue
        try:
            if node.keyword == "affine":
                affine(node.arguments[0], constant, None)
            elif node.keyword == "rtw":
                _read_transform_write(node, constant)
        except _Broken as broken:
            hint = {
                "affine": "`affine` holds names under + -, linear functions, products with and division by constants",
                "rtw": "`rtw` holds one read or move R in T(R), m ± T(R) or m × T(R): T constant, m affine in my names",
            }[node.keyword]
            report(Diagnostic(f"{broken.what} in `{node.keyword}`", broken.span, hint))


def affine(expr: Expr, constant: Constant, read: Expr | None) -> None:
    """Raises _Broken at the first part that is not affine in names and in `read`, which stands for a name."""
    if expr is read or constant(expr):
        return
    match expr:
        case Name() | TheirsExpression():
            return
        case Negate(operand=operand) | Not(operand=operand):
            affine(operand, constant, read)
        case Call(function=function, arguments=parts) if function in LINEAR:
            for part in parts:
                affine(part, constant, read)
        case Array(items=parts):
            for part in parts:
                affine(part, constant, read)
        case Part(operand=operand):
            affine(operand, constant, read)
        case Operation(keyword="affine", arguments=(operand,)):
            affine(operand, constant, read)
        case Binary(operator="+" | "-", left=left, right=right):
            affine(left, constant, read)
            affine(right, constant, read)
        case Binary(operator="/", left=left, right=right) | Operation(keyword="div", arguments=(left, right)):
            if not constant(right):
                raise _Broken("division by a run-time value", expr.span)
            affine(left, constant, read)
        case Binary(left=left, right=right) | Operation(keyword="dot" | "mul" | "outer", arguments=(left, right)):
            if not constant(left) and not constant(right):
                raise _Broken("a product of two run-time values", expr.span)
            affine(right if constant(left) else left, constant, read)
        case Power():
            raise _Broken("a product of two run-time values", expr.span)
        case ReadExpression():
            raise _Broken("a read" if read is None else "a second read", expr.span)
        case MoveExpression():
            raise _Broken("a move" if read is None else "a move beside the read", expr.span)
        case Call(function=function):
            raise _Broken(f"`{function}`", expr.span)
        case Operation(keyword=keyword):
            raise _Broken(f"`{keyword}`", expr.span)
        case Compare(operator=operator):
            raise _Broken(f"the comparison `{operator}`", expr.span)
        case _:
            raise _Broken("what is not affine", expr.span)


def _reads(expr: Expr) -> list[Expr]:
    """The outermost reads and moves."""
    if isinstance(expr, ReadExpression | MoveExpression):
        return [expr]
    return [read for child in children(expr) for read in _reads(child)]


def _read_transform_write(node: Operation, constant: Constant) -> None:
    expr = node.arguments[0]
    reads = _reads(expr)
    if not reads:
        raise _Broken("no read or move", node.span)
    if len(reads) > 1:
        raise _Broken("a second read or move", reads[1].span)
    read = reads[0]
    while isinstance(expr, Negate):
        expr = expr.operand
    match expr:
        case Binary(operator="*", left=left, right=right) | Operation(keyword="mul", arguments=(left, right)):
            if not constant(left) and not constant(right):
                scaled, factor = (left, right) if _reads(left) else (right, left)
                affine(factor, constant, None)
                _transformed(scaled, constant, read)
                return
    affine(expr, constant, read)


def _transformed(expr: Expr, constant: Constant, read: Expr) -> None:
    """T(R): linear in the read, with nothing added."""
    match expr:
        case Binary(operator="+" | "-"):
            raise _Broken("a sum under ×", expr.span)
    affine(expr, constant, read)
