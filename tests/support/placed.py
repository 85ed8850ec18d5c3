"""Programs as the compiler places them, for schedules to be broken."""

from __future__ import annotations

from collections.abc import Mapping

from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.compiler.interpreter.calibrate import calibrate
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.pipeline import optimise
from innerloop.compiler.schedule.allocate import Allocation, allocate
from innerloop.compiler.schedule.instructions import Atom
from innerloop.compiler.schedule.lower import lower
from innerloop.compiler.schedule.schedule import schedule
from innerloop.compiler.schedule.sublayers import Schedule
from numpy.typing import ArrayLike

DIVIDED = """program divided_by_a_state()

tokens (s)*
    s : scalar in [1, 2]

w : scalar = 1
r : scalar = 1
repeat 3
    r = (s + 0.1 * r) / (1 + w)
    w = 0.5 * w + 0.1 * s
output r + w
"""


TWICE = """program two_quotients()

tokens (s)*
    s : scalar

v = mean[j in s](s[j])
w = v / (1 + v ^ 2)
u = w + v
output u / (1 + u ^ 2)
"""


def placed(
    text: str, target: TargetName = "gpt2", data: Mapping[str, ArrayLike] | None = None, **parameters: object
) -> tuple[Schedule, Allocation]:
    """As the compiler places it for these data, in float32 and without balancing."""
    graph = optimise(graph_of(text, parameters), target, "depth")
    read = read_data(graph.signature, draw(graph.signature, 4, 16, 0) if data is None else data)
    made = schedule(lower(graph, calibrate(graph, [read]), TARGETS[target], dtype="float32"))
    return made, allocate(made)


def atom(made: Schedule, label: str) -> Atom:
    return next(a for a, info in enumerate(made.instructions.atoms) if info.label == label)
