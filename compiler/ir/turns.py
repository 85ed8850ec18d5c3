"""What is constant in each pass of a repeat, as a table that it carries: a pass reads the first row and drops it.

    repeat 3 as t                      r = [rate / 1, rate / 2, rate / 3]
        w = w - rate / t * g     →     repeat 3
                                           w = w - r[0] * g
                                           r = r without its first row, and 0 at the end

Of repeats inside each other the outer one carries a table of tables: its first row is what the inner one starts from.
A table starts from constants and reads only constants, so that constant_steps.py makes numbers of its rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix, Values

from ..frontend.constants import evaluate
from ..syntax.nodes import Expr
from .build_expressions import AffineTerms
from .builder import GraphBuilder
from .graph import Affine, Carried, Constant, Final, Node, Phi, Value


@dataclass(frozen=True)
class Turn:
    """A repeat that is open: what counts its passes, how many there are, how many loops are open in its body, and what
    it carries. `tables`: the phi of each table, by its numbers or by the row that it starts from."""

    name: str
    count: int
    depth: int
    carried: list[Carried]
    tables: dict[object, Value] = field(default_factory=dict)


def table(expr: Expr, known: Mapping[str, object], turns: Sequence[Turn]) -> Floats:
    """The values of `expr` in all passes, [count of each turn …, *shape]."""
    passes = product(*(range(1, turn.count + 1) for turn in turns))
    values = [evaluate(expr, {**known, **dict(zip((t.name for t in turns), at, strict=True))}) for at in passes]
    return np.reshape(np.stack(values), (*(turn.count for turn in turns), *values[0].shape))


def value_in(builder: GraphBuilder, turns: Sequence[Turn], values: Floats, kinds: Kinds) -> AffineTerms:
    """The row of this pass, of `values` [count of each turn …, *shape]."""
    key: object = (values.shape, values.tobytes())
    row = AffineTerms.constant(values)
    for turn in turns:
        if key not in turn.tables:
            turn.tables[key] = _carried(builder, turn, row, kinds)
        phi = turn.tables[key]
        key, shape = phi, row.shape[1:]
        first = Matrix.of(np.arange(prod(shape)), np.arange(prod(shape)), 1.0, (prod(shape), prod(row.shape)))
        row = AffineTerms.of(phi, row.shape).through(first, shape)
    return row


def _carried(builder: GraphBuilder, turn: Turn, start: AffineTerms, kinds: Kinds) -> Value:
    """The phi of a table that begins with `start`, which stands in front of the repeat."""
    shape, size, row = start.shape, prod(start.shape), prod(start.shape[1:])
    if start.terms:
        op = Affine(tuple(m for m, _ in start.terms), Values(start.offset))
        initial = builder.within(Node(op, tuple(v for _, v in start.terms), shape, kinds), turn.depth - 1)
    else:
        initial = builder.within(Node(Constant(Values(start.offset.reshape(shape))), (), shape, kinds), turn.depth - 1)
    phi = builder.node(Node(Phi(), (initial,), shape, kinds), place=False)
    rest = Matrix.of(np.arange(size - row), np.arange(row, size), 1.0, (size, size))
    result = builder.within(Node(Affine((rest,), Values(np.zeros(size))), (phi,), shape, kinds), turn.depth)
    final = builder.node(Node(Final(), (initial, result), shape, kinds), place=False)
    turn.carried.append(Carried(initial, phi, result, final))
    return phi
