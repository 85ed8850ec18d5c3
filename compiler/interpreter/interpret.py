"""Interpretation: a program's text and its data, run by the oracle.

before   interpret(text, x=X, y=Y, d=8)       fields and parameters by name, as the program calls them
after    the output [batch, rows, *shape] at the tokens that give one; of several, each by its name
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from innerloop.artifact.errors import DataError, near
from innerloop.artifact.tokens import read_data
from numpy.typing import ArrayLike

from .oracle import evaluate

if TYPE_CHECKING:
    from ..syntax.nodes import Program


def interpret(program: str | Program, /, **arguments: ArrayLike) -> Any:
    """What a program computes, in float64: [batch, rows, *shape] over the tokens that give output; of several outputs
    a dict, name to array.

    `program` is source text; the keyword arguments are its fields, [batch, rows, *shape] (see tokens.py),
    and its parameters. Without a batch dimension in the data the result has none.

    Raises CompileError for a program or parameters that are not sound, DataError for data that does not fit.
    """
    from ..ir.build import graph_of  # running a graph needs no parser
    from ..syntax.parse import parse

    tree = parse(program) if isinstance(program, str) else program
    fields, parameters = [f.name for f in tree.fields], [p.name for p in tree.parameters]
    for name in arguments:
        if name not in fields and name not in parameters:
            listed = ", ".join(f"`{n}`" for n in fields), ", ".join(f"`{n}`" for n in parameters) or "none"
            hint = near(name, fields + parameters) or f"its fields are {listed[0]}; its parameters {listed[1]}"
            raise DataError(f"{tree.name} takes no `{name}`: {hint}")
    graph = graph_of(tree, {n: arguments[n] for n in parameters if n in arguments})
    data = read_data(graph.signature, {n: arguments[n] for n in fields if n in arguments})
    result = evaluate(graph, data)
    return graph.output.named(result if data.batched else result[0])
