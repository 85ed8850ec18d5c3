"""Schedules broken on purpose, for what should see it."""

from __future__ import annotations

from collections.abc import Callable

from innerloop.artifact.arrays import Dtype
from innerloop.compiler.schedule.sublayers import Placed, Schedule, SublayerPlan

LOG = """program log_of_a_state()

tokens (s)*
    s : vector[2]

v = 1 + s ^ 2
repeat 2
    a = softmax(-log(v) - s / v)
    v = 0.2 + mean[j in s](a[j])
output a
"""


def sublayers(made: Schedule) -> list[SublayerPlan]:
    return list(made.walk())


def where(made: Schedule, wanted: Callable[[Placed], bool]) -> tuple[int, Placed]:
    """The first placed task that is wanted, and its sublayer."""
    return next((t, p) for t, sublayer in enumerate(sublayers(made)) for p in sublayer.placed if wanted(p))


def move(made: Schedule, one: Placed, to: int) -> None:
    for sublayer in sublayers(made):
        sublayer.placed = [p for p in sublayer.placed if p is not one]
    sublayers(made)[to].placed.append(one)


def log_moved(made: Schedule, dtype: Dtype = "float32") -> Schedule:
    """LOG's, balanced as no balancing may: its logarithm stands after the update of the state that it is taken of."""
    time, log = where(made, lambda p: getattr(p.instruction.op, "name", "") == "log")
    after = next(t for t in range(time, 99) if sublayers(made)[t].changes) + 2
    move(made, log, after + (after - time) % 2)
    return made
