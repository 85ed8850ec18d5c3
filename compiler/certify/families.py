"""Families: which default tasks a program's weights are made for.

    before    what values did on each family of default tasks, the core first (default_tasks.py)
    after     ranges that hold for the core and for every family that is not too dear; the names of those that are

Wider ranges cost precision everywhere, on the core's tasks, too. The price of a family is by how much it raises the
error that the error model predicts for some of the core's tasks; together families may raise it `PRICE` times. A
family is too dear, besides, where the program is not finite on it, where it takes a divisor, or what a logarithm or a
root is taken of, out of one sign, where divisions would need another construction (divisor_range_reduction.py), and
where there is no room for its values.
Data like that leave the ranges, and the guard says so; `calibration=` gives ranges for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.errors import CompileError
from innerloop.artifact.progress import each
from innerloop.artifact.tokens import TokenData

from ..architectures.targets import Target
from ..interpreter.calibrate import Ranges, joined, observe_each, ranges_of
from ..interpreter.default_tasks import WILD, Sample
from ..interpreter.gathered import Seen
from ..interpreter.oracle import evaluate
from ..interpreter.task_families import Family
from ..ir.graph import Divide, Field, Function, Graph, Value
from ..numerics.approximant import NoFit
from ..numerics.functions import POINTWISE
from ..transforms.divisor_range_reduction import WIDE, widest
from .error_model import ErrorModel
from .predict import COPIES, SAFETY, Same, disturbed, predict

PRICE = 2.0
"""So many times may families raise the predicted error of the core's tasks."""
WIDER = 1.01
"""A range that grows no more than this is the same."""


def observed(graph: Graph, samples: Sequence[Sample], default: bool) -> list[tuple[Family, Seen]]:
    """What values do on each family's tasks; of default tasks on all but the wildest. Rows are kept of the core alone,
    which says where values crowd: of a long scan they are most of what compiling takes."""
    seen = observe_each(graph, [sample.data for sample in samples], WILD if default else 0.0)
    rows = [of if k == 0 else replace(of, rows={}) for k, of in enumerate(seen)]
    return list(zip([sample.family for sample in samples], rows, strict=True))


def affordable(
    graph: Graph,
    seen: Sequence[tuple[Family, Seen]],
    core: TokenData,
    target: Target,
    dtype: Dtype,
    holds: float = np.inf,
) -> tuple[Ranges, list[Family]]:
    """The ranges, and the families that they hold for; `core`: the tasks that prices are asked for; `holds`: the
    largest value that there is room for."""
    (_, first), *others = seen
    ranges = ranges_of(graph, first)
    signed = _signed(graph)
    possible = [
        (f, s, wider)
        for f, s in others
        if _finite(s) and _fits(graph, ranges, wider := joined(ranges, s), signed, dtype, holds)
    ]
    if not possible:
        return ranges, []
    truth, draws = evaluate(graph, core), Same()

    def error(ranges: Ranges) -> Floats:
        """Predicted for each output on the core's tasks; infinity where there is no construction."""
        try:
            found = predict(ErrorModel(graph, ranges, dtype, target), core, truth, {}, draws)
        except (CompileError, FloatingPointError, NoFit):
            return np.array([np.inf])
        return np.where(np.isfinite(found), found, np.inf)

    most = PRICE * error(ranges)
    everything = ranges
    for _, s, _ in possible:
        everything = joined(everything, s)
    if np.all(error(everything) <= most):
        return everything, [f for f, _, _ in possible]
    kept = []
    for family, s, _ in each("pricing wider ranges", possible):
        wider = joined(ranges, s)
        if not _grows(ranges, wider) or np.all(error(wider) <= most):
            ranges = wider
            kept.append(family)
    return ranges, kept


USELESS = 30.0
"""Ranges that errors make so many times as wide leave products and divisions no digits."""


def reached(graph: Graph, ranges: Ranges, data: TokenData, target: Target, dtype: Dtype) -> Ranges:
    """Ranges that hold for what the weights make of the data, too, rounding and fits included: where errors are of a
    value's own size a margin in the exact value does not hold them, and the guard would name the very data.
    `ranges`: such that every operation has a construction (lower.py)."""
    low, high = dict(ranges.low), dict(ranges.high)
    kept = set(_signed(graph))  # a divisor that errors take across 0 must not be refused for it

    def see(value: Value, array: Floats) -> None:
        if value in kept or isinstance(graph[value].op, Field) or not array.size or not np.isfinite(array).all():
            return
        flat = array.reshape(-1, array.shape[-1])
        below = np.minimum(0.0, flat.min(axis=0) - ranges.low[value])
        above = np.maximum(0.0, flat.max(axis=0) - ranges.high[value])
        low[value] = np.minimum(low[value], ranges.low[value] + SAFETY * below)
        high[value] = np.maximum(high[value], ranges.high[value] + SAFETY * above)

    disturbed(ErrorModel(graph, ranges, dtype, target), data, {}, COPIES, see)
    wider = [np.max((high[v] - low[v]) - USELESS * (ranges.high[v] - ranges.low[v]), initial=0.0) for v in low]
    if max(wider, default=0.0) > 0.0:  # errors that multiply would make the ranges useless: the guard names them
        return ranges
    return replace(ranges, low=low, high=high)


def _finite(seen: Seen) -> bool:
    return all(np.isfinite(ends).all() for side in (seen.low, seen.high) for ends in side.values())


def _grows(ranges: Ranges, wider: Ranges) -> bool:
    """Whether any value's range does, of the largest of its components'."""
    for value, low in ranges.low.items():
        size = max(np.abs(low).max(initial=0.0), np.abs(ranges.high[value]).max(initial=0.0))
        found = max(np.abs(wider.low[value]).max(initial=0.0), np.abs(wider.high[value]).max(initial=0.0))
        if found > WIDER * size:
            return True
    return False


def _signed(graph: Graph) -> list[Value]:
    """What must be of one sign."""
    found = []
    for node in map(graph.__getitem__, graph.values()):
        if isinstance(node.op, Divide):
            found.append(node.operands[1])
        elif isinstance(node.op, Function) and POINTWISE[node.op.name].keeps_sign:
            found.append(node.operands[0])
    return found


def _fits(graph: Graph, ranges: Ranges, wider: Ranges, signed: Sequence[Value], dtype: Dtype, holds: float) -> bool:
    """Whether values are no larger than the precision has room for, what divides, or is taken a logarithm or root of,
    keeps its sign, and divisors reach no further than one division goes, where they do not anyway."""
    if any(np.abs(ends).max(initial=0.0) > holds for side in (wider.low, wider.high) for ends in side.values()):
        return False
    for value in signed:
        for before, after in ((ranges.low[value], wider.low[value]), (-ranges.high[value], -wider.high[value])):
            if np.any((before > 0.0) & (after <= 0.0)):
                return False
    reach, wide = widest(graph, wider), max(WIDE[dtype], widest(graph, ranges) or 0.0)
    return reach is None or reach <= wide
