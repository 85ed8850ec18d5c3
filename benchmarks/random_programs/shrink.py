"""A program that fails, made small: what can be left out while the same happens is.

w : vector[d] = 0                              w : vector[d] = 0
repeat 3                                       repeat 3
    g = tanh(w) * mean[j in y](y[j])      →        w = tanh(w)
    w = 0.5 * w + tanh(g)
output w + sum(x)                              output w
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from innerloop.artifact.errors import CompileError
from innerloop.compiler.syntax.nodes import Assign, Expr, Output, ReadExpression
from innerloop.compiler.syntax.parse import parse
from innerloop.compiler.syntax.traversal import children, statements


def shrink(text: str, fails: Callable[[str], bool], seconds: float) -> str:
    """The smallest text found in that time that still fails."""
    end = time.monotonic() + seconds
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(text):
            if time.monotonic() > end:
                return text
            if fails(candidate):
                text, smaller = candidate, True
                break
    return text


def _smaller(text: str) -> Iterator[str]:
    """Texts with a statement less, a block's head less, or a part of an expression in its place; large parts first."""
    lines = text.split("\n")
    first = next((n for n, line in enumerate(lines) if line.startswith("tokens")), 0) + 1
    for n in range(len(lines) - 1, first, -1):
        if not lines[n].strip():
            continue
        own = _indent(lines[n])
        end = n + 1
        while end < len(lines) and lines[end].strip() and _indent(lines[end]) > own:
            end += 1
        yield "\n".join(lines[:n] + lines[end:])
        if end > n + 1:
            yield "\n".join(lines[:n] + [line[4:] for line in lines[n + 1 : end]] + lines[end:])
    yield text.replace("  visible context", "", 1) if "  visible context" in text else ""
    try:
        program = parse(text)
    except CompileError:
        return
    for statement in statements(program.body):
        if isinstance(statement, Assign | Output):
            yield from _parts(text, statement.value)


def _parts(text: str, expr: Expr) -> Iterator[str]:
    for child in children(expr):
        if not isinstance(expr, ReadExpression):
            yield f"{text[: expr.span.start]}({text[child.span.start : child.span.end]}){text[expr.span.end :]}"
    for child in children(expr):
        yield from _parts(text, child)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
