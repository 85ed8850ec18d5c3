"""Validity: the arguments for which the error model of each operation holds, from the ranges that it is built for.

    operation            holds where
    product of GELUs     |a − a₀| ≤ R_a, |b − b₀| ≤ R_b, `ROOM` wider: what the squares give there is computed
    function             x is in the domain of its curve, `ROOM` wider: so is what neurons give there
    division             the divisor is in its range, `ROOM` wider: what the norm leaves grows with the square
    scored mean          |query · key| ≤ R: there the heads' sum is fitted
    sum of exp(score)    score ≤ t: there the rest token's weight is the whole divisor
    whatever is stored   within its range, `ROOM` wider: norms, closed neurons and margins of heads have so much room

On linear attention all holds anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Floats

from ..interpreter.reads import scores
from ..ir.graph import Affine, Attend, Constant, Divide, Function, Graph, Merge, Product, Value
from ..ir.operation_classes import Local, Positional, Reads, Source, Structural
from ..numerics import exponential_sums
from ..numerics.fit_smooth import domain
from ..schedule.constructions import CURVE, Choice
from .error_model import ErrorModel
from .inexact import Operand

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


def limits(model: ErrorModel, choice: Choice, value: Value) -> tuple[Limit, ...]:
    """What must hold for an operation's error to be what the model says."""
    return () if model.target.linear else tuple(_limits(model, choice, value))


def stored(graph: Graph) -> frozenset[Value]:
    """The values that the stream holds: what affine maps make only if a loop carries it on."""
    carried = {v for loop in graph.loops() for c in loop.carried for v in (c.initial, c.result)}
    made = {v for v in graph.values() if not isinstance(graph[v].op, Affine | Constant | Merge | Positional)}
    return frozenset(made | carried)


def _limits(model: ErrorModel, choice: Choice, value: Value) -> Iterator[Limit]:
    node, ranges = model.graph[value], model.ranges
    match node.op:
        case Product() if not model.target.gated:
            for index, operand in enumerate(node.operands):
                ball = ranges.ball(operand)
                radius = ROOM * np.where(ball.radius > 0.0, ball.radius, 1.0)
                yield Limit(index, ball.centre - radius, ball.centre + radius)
        case Function(name, arguments):
            ends = ranges.domain(name, node.operands[0])
            low, high = float(ends[0].min()), float(ends[1].max())
            chosen = choice.get(value)
            tolerance = chosen if isinstance(chosen, float) else CURVE[model.dtype]
            least, most = domain(name, arguments, low, high, tolerance, model.target.activation)
            room = 0.5 * (ROOM - 1.0) * (high - low)
            yield Limit(0, np.full(1, least - room), np.full(1, most + room))
        case Divide():
            near, far = ranges.tight(node.operands[1])
            yield Limit(1, np.where(near > 0.0, near / ROOM, near * ROOM), np.where(far > 0.0, far * ROOM, far / ROOM))
        case Attend("exp", _):
            yield Limit(None, np.full(1, -np.inf), np.full(1, exponential_sums.top(ranges.reach(value))), True)
        case Attend(how, _) if how != "softmax":
            reach = np.full(1, (1.0 + SLACK) * ranges.reach(value))
            yield Limit(None, -reach, reach, True)
        case Source() | Local() | Reads() | Structural():
            pass
        case other:
            assert_never(other)
    if value in stored(model.graph):
        held = np.full(1, ROOM * max(float(np.max(np.abs(ranges[value]), initial=0.0)), LEAST))
        yield Limit(None, -held, held)
