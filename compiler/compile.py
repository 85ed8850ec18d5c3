"""The passes in order: text → Program → Graph → Tasks → Schedule → Allocation → Weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .allocate import Allocation, allocate
from .balance import balance
from .build import graph_of
from .calibrate import Ranges, calibrate, repetitions, samples
from .choose import named, optimise
from .constructions import Choice
from .emit import Emitter
from .empty import fill_empty
from .frame import Frame
from .graph import Graph
from .inexact import ErrorModel
from .layout import placements
from .lower import lower
from .report import all_finite, counts, first_tasks, fresh_tasks, measured
from .rotary_frame import RotaryFrame
from .schedule import Schedule, schedule
from .sparse import Floats, Matrix
from .targets import TARGETS, Target
from .tokens import TokenData, roles
from .tolerance import bounded, meet
from .weights import Body, Idle, InputRange, Norm, OutputSpec, Repeated, Sublayer, Weights

DTYPES = ("float32", "float64")
POSITIONS = 1025
"""Tokens that a program without a scan is compiled for, the rest token included."""


def compile_program(
    text: str,
    *,
    target: str = "gpt2",
    optimize: str = "depth",
    dtype: str = "float32",
    calibration: Mapping[str, ArrayLike] | None = None,
    source: str = "program",
    tolerance: float | None = None,
    **parameters: object,
) -> Weights:
    """Compiles a program to the weights of a transformer.

    target: the architecture (targets.py). optimize: "depth" takes the fewest layers, and of those the most exact
    construction; "width" the narrowest residual stream, and of those the fewest layers. dtype: the precision that
    the constructions are made for. calibration:
    sample data, field → [tasks, rows, *shape], from which ranges are taken (see calibrate.py for the default).
    source: the file's name, as errors print it. tolerance: the largest error of the output to accept on the report's
    tasks, in the output's own units; the cheapest constructions that meet it are chosen (tolerance.py). The other
    arguments are the program's parameters.

    Raises CompileError, with all that is wrong, for a program or parameters that do not fit.
    """
    graph = optimise(graph_of(text, parameters, source), target, optimize)
    bounded(graph, tolerance)
    with np.errstate(all="ignore"):  # what overflows is refused below, in words
        return weights_of(plan_for(graph, target, dtype, calibration), tolerance)


@dataclass(frozen=True)
class Plan:
    """A program on its way to weights: the graph as rewritten, its ranges, schedule and slots."""

    graph: Graph
    ranges: Ranges
    schedule: Schedule
    allocation: Allocation
    target: Target
    dtype: str
    fresh: TokenData
    """What the report's error is measured on."""
    choice: Choice = field(default_factory=dict)
    """What products and functions are built from, where not by default."""

    @property
    def model(self) -> ErrorModel:
        return ErrorModel(self.graph, self.ranges, self.dtype, self.target)


def plan_for(graph: Graph, target: str, dtype: str, calibration: Mapping[str, ArrayLike] | None) -> Plan:
    """The graph with ranges, sublayers and slots. Raises CompileError, and DataError for calibration data that does
    not fit."""
    architecture = named("target", target, TARGETS, graph)
    named("dtype", dtype, dict.fromkeys(DTYPES), graph)
    data = samples(graph, calibration)
    graph = fill_empty(graph, data)
    ranges = calibrate(graph, data)
    all_finite(graph, ranges)
    placed = balance(schedule(lower(graph, ranges, architecture)), dtype)
    fresh = fresh_tasks(graph) if calibration is None else first_tasks(data[0])
    return Plan(graph, ranges, placed, allocate(placed), architecture, dtype, fresh)


def weights_of(plan: Plan, tolerance: float | None) -> Weights:
    """The plan's weights; with a tolerance, from the cheapest constructions that meet it."""
    if tolerance is None:
        return finish(plan)

    def built(choice: Choice) -> Weights:
        placed = balance(schedule(lower(plan.graph, plan.ranges, plan.target, choice)), plan.dtype)
        return finish(replace(plan, schedule=placed, allocation=allocate(placed), choice=choice))

    return meet(plan.model, plan.schedule, plan.allocation, plan.fresh, tolerance, built)


def finish(plan: Plan) -> Weights:
    """The plan's weights, measured."""
    signature = plan.graph.signature
    assert signature is not None
    kind = RotaryFrame if plan.target.rotary else Frame
    frame = kind(plan.schedule, plan.allocation, signature, _positions(plan.graph), plan.dtype)
    emitted = Emitter(frame).emit()
    (result,) = plan.graph.results
    node = plan.graph[result]
    fields = {f.name: plan.schedule.tasks.fields.get(f.name) for f in signature.fields}
    weights = Weights(
        config=emitted.config,
        signature=signature,
        roles=roles(signature.pattern),
        embedding=_rounded(emitted.embedding, plan.dtype),
        positions=_round(emitted.positions, plan.dtype),
        body=_rounded_body(emitted.body, plan.dtype),
        final_norm=emitted.final_norm,
        readout=_rounded(emitted.readout, plan.dtype),
        readout_bias=np.zeros(node.size),
        output=OutputSpec(signature.name, node.shape, node.kinds),
        layout=placements(plan.schedule, plan.allocation, emitted.stream),
        inputs=tuple(
            InputRange(
                name,
                float(plan.schedule.tasks.atoms[atom].low.min()),
                float(plan.schedule.tasks.atoms[atom].high.max()),
            )
            for name, atom in fields.items()
            if atom is not None
        ),
        report=counts(plan.graph, plan.allocation, emitted),
    )
    return replace(weights, report=measured(weights, plan.model, plan.fresh, plan.choice))


def _positions(graph: Graph) -> int:
    """How many tokens the position table holds, the rest token included."""
    assert graph.signature is not None
    pattern = graph.signature.pattern
    if any(loop.kind is not None for loop in graph.loops()):
        return 1 + len(pattern.prefix) + len(pattern.suffix) + len(pattern.group) * repetitions(graph)
    return POSITIONS


# Rounding ----------------------------------------------------------------------------------------


def _round(array: Floats, dtype: str) -> Floats:
    return np.asarray(array.astype(dtype).astype(np.float64))


def _rounded(matrix: Matrix, dtype: str) -> Matrix:
    csr = matrix.csr.copy()
    csr.data = _round(csr.data, dtype)
    return Matrix(csr)


def _rounded_body(body: Body, dtype: str) -> Body:
    """The weights as numbers of that precision: what is saved and run is what was compiled, bit for bit."""

    def exact(part: Any) -> Any:
        if part is None:
            return None
        if isinstance(part, Norm):
            return Norm(_round(part.gain, dtype), _round(part.bias, dtype))
        return _rounded(part, dtype) if isinstance(part, Matrix) else _round(part, dtype)

    def one(item: Sublayer | Repeated) -> Sublayer | Repeated:
        match item:
            case Repeated():
                return replace(item, body=_rounded_body(item.body, dtype))
            case Idle():
                return item
            case _:
                return replace(item, **{n: exact(v) for n, v in vars(item).items()})

    return tuple(one(item) for item in body)
