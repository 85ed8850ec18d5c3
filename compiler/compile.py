"""The passes in order: text → Program → Graph → Instructions → Schedule → Allocation → Weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import get_args

import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.claims import InputRange, Placement
from innerloop.artifact.errors import CompileError, DataError, faults_told
from innerloop.artifact.precisions import SHORT
from innerloop.artifact.progress import begun
from innerloop.artifact.tokens import read_data, roles
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import Optimize, TargetName
from numpy.typing import ArrayLike

from .afford import afford
from .architectures.sixteen_bits import verify_precision
from .architectures.targets import TARGETS, Learned
from .certify.certificate import TASKS, certificate, enough, fresh_tasks, own_tasks
from .certify.families import affordable, observed, reached
from .certify.plan import Built, Plan
from .certify.report import all_finite, counts, measured, some_finite
from .certify.slots import counts as slots_count
from .certify.slots import shrinkage
from .certify.tolerance import bounded, meet
from .certify.validate import validate
from .emit.backend import Backend, backend_of
from .emit.domains import domains
from .emit.emit import Emitted, emit
from .emit.layout import Holding, holdings, placements
from .emit.rounding import rounded, rounded_array, rounded_body
from .interpreter.calibrate import Seen
from .interpreter.default_tasks import CORE, Family, Sample, core_tasks, samples
from .interpreter.moments import moments
from .ir.build import graph_of
from .ir.graph import Graph
from .ir.verify import verify
from .lengths import limited, positions, verify_positions, verify_tokens
from .numerics.sizes import sizes_of
from .passes import tightened
from .pipeline import named, optimise
from .schedule.allocate import Allocation, allocate
from .schedule.balance import balance
from .schedule.constructions import Choice
from .schedule.instructions import Instructions
from .schedule.liveness import live
from .schedule.lower import lower
from .schedule.schedule import schedule
from .schedule.sublayers import Schedule
from .schedule.verify_schedule import verify_schedule
from .transforms.divide_by_curves import divide_by_curves
from .transforms.divisor_range_reduction import WIDE, narrow, widest
from .transforms.guard_empty_divisors import fill_empty


def compile_program(
    text: str,
    *,
    target: TargetName = "gpt2",
    optimize: Optimize = "depth",
    dtype: Dtype = "float32",
    calibration: Mapping[str, ArrayLike] | None = None,
    source: str = "program",
    tolerance: float | None = None,
    certify: int = TASKS,
    accept_error: bool = False,
    tokens: int | None = None,
    rotation: bool = False,
    **parameters: object,
) -> Weights:
    """Compiles a program to the weights of a transformer.

    target: the architecture (targets.py). optimize: "depth" takes the fewest layers, and of those the most exact
    construction; "width" the narrowest residual stream, and of those the fewest layers. dtype: the precision that
    the constructions are made for. calibration:
    sample data, field → [tasks, rows, *shape], from which ranges are taken (see default_tasks.py for the default).
    source: the file's name, as errors print it. tolerance: the largest error of the output to accept on the report's
    tasks, in the output's own units; the cheapest constructions that meet it are chosen (tolerance.py). certify: on how
    many tasks the report's errors are measured (certificate.py). accept_error: hand out weights, too, whose error is of
    the output's own size. tokens: how long sequences may be, the rest token not counted, and how long the default data
    are (by default 1,024, and data of 40 groups; with a scan its limit says both: lengths.py). rotation: make weights
    that stay right where the stream is rotated (an orthogonal matrix in front of every matrix that reads it, its
    transpose behind every one that writes it); llama in float32. The other arguments are the program's parameters.

    Raises CompileError, with all that is wrong, for a program or parameters that do not fit.
    """
    # what overflows is refused below, in words
    with faults_told(text, source), np.errstate(all="ignore"):
        begun("rewriting the program")
        built = graph_of(text, parameters, source)
        verify_tokens(built, tokens)
        afford(built, tokens)
        graph = _optimised(built, target, dtype, optimize, rotation)
        tokens = limited(built, graph, tokens)
        bounded(graph, tolerance)
        enough(graph, certify)
        plan = plan_for(graph, target, dtype, calibration, optimize, certify, accept_error, rotation, tokens)
        some_finite(built, plan.fresh[0])
        return weights_of(plan, tolerance)


def plan_of(weights: Weights, calibration: Mapping[str, ArrayLike] | None = None) -> Plan:
    """The plan that these weights were made by, from their program's text and their certificate.

    calibration: the data that the weights were compiled with, where those were the caller's.

    Raises DataError where the data is wanting, or where what comes out is not what the weights hold: they were made
    from other data, or by another version of the compiler.
    """
    signature, made = weights.signature, weights.report.certificate
    optimize: Optimize = "depth"
    tolerance, tasks, rotation, shrunk, tokens = None, TASKS, False, 0.0, None
    if made is not None:
        optimize, tolerance, tasks = made.optimize, made.tolerance, made.certify
        rotation, shrunk, tokens = made.rotation, made.shrunk, made.tokens
    if made is not None and made.default != (calibration is None):
        raise DataError(
            f"{signature.name} was compiled with ranges from calibration data of the caller's: give the same data again"
            if calibration is None
            else f"{signature.name} was compiled without calibration data: give none"
        )
    target, dtype = weights.config.target, weights.config.dtype
    with faults_told(signature.text, signature.source), np.errstate(all="ignore"):
        read = graph_of(signature.text, signature.parameters, signature.source)
        graph = _optimised(afford(read, tokens), target, dtype, optimize, rotation)
        plan = plan_for(graph, target, dtype, calibration, optimize, tasks, True, rotation, tokens)
        plan = replace(plan, shrunk=shrunk)
        plan = plan if tolerance is None else _built(plan, tolerance).plan
    held = holdings(plan.schedule, plan.allocation)
    if len(held) != len(weights.layout) or not all(map(_alike, held, weights.layout)):
        raise DataError(
            f"{signature.name} does not compile to these weights again: they were made from other calibration data, or "
            "by another version of innerloop. Compile the program again"
        )
    return plan


def _alike(held: Holding, placed: Placement) -> bool:
    """Whether a saved placement is where, and for the range for which, the name is held."""
    v = held.variable
    same = (v.name, v.shape, v.kinds, held.first, held.last) == (
        placed.name, placed.shape, placed.kinds, placed.first, placed.last,
    )  # fmt: skip
    return same and np.allclose(v.low, placed.low, 1e-6, 0.0) and np.allclose(v.high, placed.high, 1e-6, 0.0)


def plan_for(
    graph: Graph,
    target: TargetName,
    dtype: Dtype,
    calibration: Mapping[str, ArrayLike] | None,
    optimize: Optimize = "depth",
    certify: int = TASKS,
    accept_error: bool = False,
    rotation: bool = False,
    tokens: int | None = None,
) -> Plan:
    """The graph with ranges, sublayers and slots; `optimize` is what it was rewritten for, the rest as in
    `compile_program`. Raises CompileError, and DataError for calibration data that does not fit."""
    architecture = named("target", target, TARGETS, graph)
    named("dtype", dtype, dict.fromkeys(get_args(Dtype)), graph)
    verify_precision(graph, architecture, dtype, rotation)
    n_positions = positions(graph, tokens)
    verify_positions(graph, architecture, dtype, n_positions)
    default = calibration is None
    own = None if calibration is None else [Sample(CORE, (read_data(graph.signature, calibration),))]
    drawn = samples(graph, tokens) if own is None else own
    graph = fill_empty(graph, drawn[0].data)
    signature, core = graph.signature, core_tasks(drawn)

    def planned(graph: Graph, seen: list[tuple[Family, Seen]]) -> Plan:
        ranges, families = affordable(graph, seen, core, architecture, dtype, sizes_of(dtype, rotation).holds)
        all_finite(graph, ranges)
        instructions = lower(graph, ranges, architecture)
        if not default:
            wider = reached(graph, ranges, core, architecture, dtype)
            if wider is not ranges:
                ranges, instructions = wider, lower(graph, wider, architecture)
        placed, slots = _placed(instructions, dtype)
        own, left = fresh_tasks(graph, ranges, families, certify, tokens) if default else ([], 0)
        if not own:
            own, left = own_tasks(graph, ranges, drawn[0].data[0], certify)
        made = certificate(signature, own, left, drawn, families, default, optimize, certify, tokens)
        made = replace(made, rotation=rotation)
        return Plan(graph, ranges, placed, slots, architecture, dtype, n_positions, tuple(own), made, accept_error)

    def wide(plan: Plan) -> bool:
        """Whether divisions need another construction."""
        reach = widest(graph, plan.ranges)
        by_digits = isinstance(architecture.positions, Learned)
        return reach is not None and ((by_digits and reach > WIDE[dtype]) or not _divides(_backend(plan)))

    seen = observed(graph, drawn, default)
    plan = planned(graph, seen)
    if wide(plan) and len(seen) > 1:  # no family is worth another construction
        plan = planned(graph, seen[:1])
    if wide(plan):
        graph = verify(tightened(verify(narrow(graph, plan.ranges)), architecture))
        return planned(graph, observed(graph, drawn, default))
    return plan


def _optimised(built: Graph, target: TargetName, dtype: Dtype, optimize: Optimize, rotation: bool) -> Graph:
    """The graph as the target's best strategy writes it down in this precision."""
    architecture = named("target", target, TARGETS, built)
    named("dtype", dtype, dict.fromkeys(get_args(Dtype)), built)
    by_curves = sizes_of(dtype, rotation).curves and architecture.gated
    return optimise(divide_by_curves(built) if by_curves else built, target, optimize)


def _placed(instructions: Instructions, dtype: Dtype) -> tuple[Schedule, Allocation]:
    """The instructions in sublayers and slots, verified."""
    placed = balance(schedule(instructions), dtype)
    slots = allocate(placed, apart=dtype in SHORT)
    verify_schedule(placed, slots)
    return placed, slots


def _divides(backend: Backend) -> bool:
    """Whether the norm's constants can be so large that it divides by all divisors."""
    try:
        next(s for width in backend.widths(16) if (s := backend.stream(width)) is not None)
    except CompileError:
        return False
    return True


def _backend(plan: Plan) -> Backend:
    signature, rotation = plan.graph.signature, plan.certificate.rotation
    return backend_of(plan.schedule, plan.allocation, signature, plan.n_positions, plan.dtype, rotation)


def weights_of(plan: Plan, tolerance: float | None) -> Weights:
    """The plan's weights; with a tolerance, from the cheapest constructions that meet it."""
    return finish(plan) if tolerance is None else _built(plan, tolerance).weights


def _built(plan: Plan, tolerance: float) -> Built:
    """The plan with the constructions that meet the tolerance, and its weights."""
    certificate = replace(plan.certificate, tolerance=float(tolerance))

    def build(choice: Choice) -> Built:
        placed, slots = _placed(lower(plan.graph, plan.ranges, plan.target, choice), plan.dtype)
        chosen = replace(plan, schedule=placed, allocation=slots, choice=choice, certificate=certificate)
        return Built(chosen, finish(chosen))

    return meet(plan.model, plan.schedule, plan.allocation, plan.fresh, tolerance, build)


def emitted_of(plan: Plan) -> Emitted:
    """The plan's arrays, and which of its instructions every head and neuron serves."""
    return emit(_backend(plan))


def finish(plan: Plan) -> Weights:
    """The plan's weights, measured."""
    signature = plan.graph.signature
    emitted, output = emitted_of(plan), plan.graph.output
    built = graph_of(signature.text, signature.parameters, signature.source)
    runs, idle = ((), {}) if plan.target.linear else live(plan.schedule, plan.allocation, output.kinds)
    fields = {f.name: plan.schedule.instructions.fields.get(f.name) for f in signature.fields}
    weights = Weights(
        config=emitted.config,
        signature=signature,
        roles=roles(signature.pattern),
        embedding=rounded(emitted.embedding, plan.dtype),
        positions=rounded_array(emitted.positions, plan.dtype),
        body=rounded_body(emitted.body, plan.dtype),
        final_norm=emitted.final_norm,
        readout=rounded(emitted.readout, plan.dtype),
        readout_bias=np.zeros(prod(output.shape)),
        output=output,
        layout=placements(
            plan.graph, plan.schedule, plan.allocation, emitted.stream, moments(built, plan.graph, plan.fresh[0]), idle
        ),
        inputs=tuple(
            InputRange(
                name,
                float(plan.schedule.instructions.atoms[atom].low.min()),
                float(plan.schedule.instructions.atoms[atom].high.max()),
            )
            for name, atom in fields.items()
            if atom is not None
        ),
        report=replace(counts(plan.graph, plan.allocation, emitted), certificate=plan.certificate),
        domains=domains(plan.graph, plan.schedule, plan.allocation, emitted.stream, plan.dtype),
        live=runs,
    )
    if slots_count(plan.target, plan.dtype, plan.certificate.rotation, emitted.stream):
        shrunk = shrinkage(weights, emitted.stream, plan.fresh)
        plan = replace(plan, shrunk=shrunk, certificate=replace(plan.certificate, shrunk=shrunk))
        weights = replace(weights, report=replace(weights.report, certificate=plan.certificate))
    report = measured(weights, plan.model, plan.fresh, plan.choice, plan.accept_error)
    weights = replace(weights, report=report)
    return replace(weights, report=replace(report, spread=validate(plan, weights, emitted.stream).spread))
