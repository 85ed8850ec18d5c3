"""A fit as program text: the family's, with what was found as defaults, so that it compiles as it stands.

    program gradient_descent(d, steps = 1, rate = 0.1)   →   program gradient_descent(d = 3, steps = 3, rate = 0.137…)

Where a matrix was found, whose own size must not be a symbol, the sizes stand in the text as numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.compiler.syntax.nodes import Assign, Define, Expr, Name, Output, Program, Repeat, Scan
from innerloop.compiler.syntax.parse import parse
from innerloop.compiler.syntax.traversal import statements, walk
from innerloop.compiler.syntax.unparse import unparse_parameter, unparse_type

from .edits import head
from .fit import Fitted


def written(fitted: Fitted, said: str) -> str:
    """The text; `said` stands above it as a comment."""
    family = fitted.candidate.family
    known: dict[str, object] = {**family.given, **fitted.counts, **fitted.values}
    tree = parse(family.text)
    if any(np.ndim(value) for value in fitted.values.values()):
        tree = parse(_with_sizes(tree, {n: int(str(v)) for n, v in family.given.items()}))
    parts = []
    for parameter in tree.parameters:
        if parameter.name in known:
            typed = "" if parameter.type is None else f" : {unparse_type(parameter.type)}"
            parts.append(f"{parameter.name}{typed} = {_number(np.asarray(known[parameter.name], np.float64))}")
        else:
            parts.append(unparse_parameter(parameter))
    _, start, end = head(tree.text)
    comment = "".join(f"# {line}\n" for line in said.splitlines())
    return f"{comment}{tree.text[:start]}{', '.join(parts)}{tree.text[end:]}"


def _with_sizes(tree: Program, sizes: Mapping[str, int]) -> str:
    """The text with numbers in the place of these names; they are still parameters, of no use."""
    text = tree.text
    uses = {node.span.start: node for expr in _expressions(tree) for node in walk(expr) if isinstance(node, Name)}
    for start in sorted(uses, reverse=True):
        if uses[start].name in sizes:
            text = f"{text[:start]}{sizes[uses[start].name]}{text[uses[start].span.end :]}"
    return text


def _expressions(tree: Program) -> Iterator[Expr]:
    for parameter in tree.parameters:
        yield from parameter.type.dimensions if parameter.type else ()
        yield from [parameter.default] if parameter.default is not None else ()
    for field in tree.fields:
        yield from field.type.dimensions
    for statement in statements(tree.body):
        match statement:
            case Assign(type=type, value=value):
                yield from type.dimensions if type is not None else ()
                yield value
            case Output(value=value) | Define(value=value):
                yield value
            case Repeat(count=count):
                yield count
            case Scan(limit=limit):
                yield limit


def _number(value: Floats) -> str:
    if value.ndim:
        return f"[{', '.join(_number(part) for part in value)}]"
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
