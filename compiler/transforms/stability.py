"""Drift: whether rounding of a name that a loop carries grows from pass to pass.

A product that is carried is rounded every pass, and never again what it stands for. Where the rest of the loop takes
that error up (r' = r − mean p, p' = p − (x xᵀ) mean p: what p is off stays as it is) little is lost. In
Newton's iteration X = M S doubles what it is off each pass, and the steps no longer correct themselves.

Found by disturbing the name, with the float64 oracle, in the first pass and in the last: what the output makes of the
one must be no more than a few times what it makes of the other for each pass between.
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import read_data

from ..interpreter.default_tasks import draw, repetitions
from ..interpreter.oracle import evaluate
from ..ir.graph import Graph, Value

TASKS, GROUPS = 4, 6
SMALL = 1e-7
"""The disturbance, of the name's own size."""
GROWTH = 4.0


def drifts(graph: Graph, phi: Value) -> bool:
    """Whether an error of what a loop carries as `phi` grows faster than one more such error a pass would."""
    signature = graph.signature
    groups = tuple(min(times, GROUPS) for times in repetitions(graph))
    data = read_data(signature, draw(signature, groups, TASKS, seed=1))
    sizes: list[float] = []

    def run(disturbed: int) -> Floats:
        passes = 0

        def observe(value: Value, array: Floats) -> Floats | None:
            nonlocal passes
            if value != phi:
                return None
            passes += 1
            if disturbed < 0:
                sizes.append(float(np.abs(array).max(initial=0.0)))
            if passes - 1 != disturbed:
                return None
            rng = np.random.default_rng(0)
            return np.asarray(array + SMALL * max(sizes) * rng.choice([-1.0, 1.0], array.shape))

        return evaluate(graph, data, observe)

    exact = run(-1)
    if not sizes or not np.isfinite(max(sizes)) or max(sizes) == 0.0:
        return not sizes or max(sizes) > 0.0
    first, last = (float(np.abs(run(k) - exact).max()) for k in (0, len(sizes) - 1))
    return not first <= GROWTH * len(sizes) * last
