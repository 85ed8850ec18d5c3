"""Validity: the arguments for which the error model of each operation holds, from the ranges that it is built for.

    operation            holds where
    product of GELUs     |a − a₀| ≤ R_a, |b − b₀| ≤ R_b, `ROOM` wider: what the squares give there is computed
    function             x is in the range of its curve, `ROOM` wider: so is what neurons give there; a kink's, twice
    division             the divisor is in its range, `ROOM` wider: what the norm leaves grows with the square
    scored mean          |query · key| ≤ R: there the heads' sum is fitted
    whatever is stored   within its range, `ROOM` wider: norms, closed neurons and margins of heads have so much room

On linear attention all holds anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .fit import piecewise
from .graph import Affine, Attend, Constant, Count, Divide, Function, Graph, Merge, Product, Value
from .inexact import ErrorModel, Operand
from .oracle_read import scores
from .sparse import Floats

SLACK = 1e-3
"""Of a range: a fit does not end abruptly."""
ROOM = 1.5
"""Of radii and magnitudes."""
LEAST = 1e-6
"""What is 0 on the whole sample may be so much."""


@dataclass(frozen=True, eq=False)
class Limit:
    """Of an operation's result (`operand` None), of an operand, or of the products of query and key (`scored`)."""

    operand: int | None
    low: Floats
    high: Floats
    scored: bool = False

    def seen(self, array: Floats, operand: Operand) -> Floats:
        """What is limited, for the operation's result [tasks, tokens, size]: [tasks, tokens, …]."""
        if self.scored:
            return scores(operand(0), operand(1), operand(3) > 0.0)
        return array if self.operand is None else operand(self.operand)


def limits(model: ErrorModel, value: Value) -> tuple[Limit, ...]:
    """What must hold for an operation's error to be what the model says."""
    return () if model.target.linear else tuple(_limits(model, value))


def stored(graph: Graph) -> frozenset[Value]:
    """The values that the stream holds: what affine maps make only if a loop carries it on."""
    carried = {v for loop in graph.loops() for c in loop.carried for v in (c.initial, c.result)}
    made = {v for v in graph.values() if not isinstance(graph[v].op, Affine | Constant | Count | Merge)}
    return frozenset(made | carried)


def _limits(model: ErrorModel, value: Value) -> Iterator[Limit]:
    node, ranges = model.graph[value], model.ranges
    match node.op:
        case Product() if not model.target.rotary:
            for index, operand in enumerate(node.operands):
                ball = ranges.ball(operand)
                radius = ROOM * np.where(ball.radius > 0.0, ball.radius, 1.0)
                yield Limit(index, ball.centre - radius, ball.centre + radius)
        case Function(name, arguments):
            low, high = (np.asarray(end) for end in ranges.domain(name, node.operands[0]))
            least, most = float(low.min()), float(high.max())
            beyond = (most - least) * (1.0 if piecewise(name, arguments) else 0.5 * (ROOM - 1.0))
            yield Limit(0, np.full(1, least - beyond), np.full(1, most + beyond))
        case Divide():
            low, high = ranges.tight(node.operands[1])
            yield Limit(1, np.where(low > 0.0, low / ROOM, low * ROOM), np.where(high > 0.0, high * ROOM, high / ROOM))
        case Attend(how, _) if how != "softmax":
            reach = np.full(1, (1.0 + SLACK) * ranges.reach(value))
            yield Limit(None, -reach, reach, True)
    if value in stored(model.graph):
        most = np.full(1, ROOM * max(float(np.max(np.abs(ranges[value]), initial=0.0)), LEAST))
        yield Limit(None, -most, most)

