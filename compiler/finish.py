"""From a plan to weights: the norm's constants as small, and constructions as cheap, as was asked for; and measured."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, floor, log2, log10, prod

import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.claims import InputRange
from innerloop.artifact.errors import CompileError
from innerloop.artifact.precisions import SHORT
from innerloop.artifact.tokens import roles
from innerloop.artifact.weights import Weights

from .certify.plan import Built, Plan
from .certify.report import counts, hopeless, measured
from .certify.slots import counts as slots_count
from .certify.slots import shrinkage
from .certify.tolerance import meet
from .certify.validate import validate
from .emit.backend import Backend, backend_of
from .emit.domains import domains
from .emit.emit import Emitted, emit
from .emit.layout import placements
from .emit.rounding import rounded, rounded_array, rounded_body
from .interpreter.moments import moments
from .ir.build import graph_of
from .numerics.sizes import SMALLEST
from .schedule.allocate import Allocation, allocate
from .schedule.balance import balance
from .schedule.constructions import Choice
from .schedule.instructions import Instructions
from .schedule.liveness import live
from .schedule.lower import lower
from .schedule.schedule import schedule
from .schedule.sublayers import Schedule
from .schedule.verify_schedule import verify_schedule


def arranged(instructions: Instructions, dtype: Dtype) -> tuple[Schedule, Allocation]:
    """The instructions in sublayers and slots, verified."""
    placed = balance(schedule(instructions), dtype)
    slots = allocate(placed, apart=dtype in SHORT)
    verify_schedule(placed, slots)
    return placed, slots


def backend(plan: Plan) -> Backend:
    return backend_of(plan.schedule, plan.allocation, plan.graph.signature, plan.n_positions, plan.dtype, plan.sizes)


def divides(plan: Plan) -> bool:
    """Whether the norm's constants can be so large that it divides by all divisors."""
    parts = backend(plan)
    try:
        next(s for width in parts.widths(16) if (s := parts.stream(width)) is not None)
    except CompileError:
        return False
    return True


def weights_of(plan: Plan, tolerance: float | None) -> Weights:
    """The plan's weights: with a tolerance, from the cheapest constructions that meet it; with a spread, with the
    largest constants of the norm that stay within it. Raises CompileError where there is no such thing."""
    weights = _weights(plan, tolerance)
    spread, bits = plan.certificate.spread, plan.certificate.bits
    while spread is not None and bits is not None and (had := weights.report.spread) > spread:
        message = f"target {plan.target.name} has no stream whose largest slot is {spread:.3g} times the median one"
        hint = f"a spread of {_above(had):g} is to be had; below that errors, or the other slots, are too large"
        none = plan.graph.signature.refusal(message, None, hint)
        if bits <= SMALLEST:
            raise none
        bits = max(SMALLEST, bits - ceil(log2(had / spread)))
        plan = replace(plan, certificate=replace(plan.certificate, bits=bits))
        try:
            weights = _weights(plan, tolerance)
        except CompileError as error:
            if tolerance is not None:
                raise
            raise none from error
    return weights


def _above(number: float) -> float:
    """The least number of two digits that is no less."""
    unit = 10.0 ** (floor(log10(number)) - 1)
    return ceil(number / unit) * unit


def _weights(plan: Plan, tolerance: float | None) -> Weights:
    return finish(plan) if tolerance is None else built(plan, tolerance).weights


def built(plan: Plan, tolerance: float) -> Built:
    """The plan with the constructions that meet the tolerance, and its weights."""
    certificate = replace(plan.certificate, tolerance=float(tolerance))

    def build(choice: Choice) -> Built:
        placed, slots = arranged(lower(plan.graph, plan.ranges, plan.target, choice, plan.dtype), plan.dtype)
        chosen = replace(plan, schedule=placed, allocation=slots, choice=choice, certificate=certificate)
        return Built(chosen, finish(chosen))

    return meet(plan.model, plan.schedule, plan.allocation, plan.fresh, tolerance, build)


def emitted_of(plan: Plan) -> Emitted:
    """The plan's arrays, and which of its instructions every head and neuron serves."""
    return emit(backend(plan))


def rounded_to(dtype: Dtype, emitted: Emitted) -> Emitted:
    """The arrays as numbers of that precision. Raises OverflowError where one is larger than the precision holds."""
    return replace(
        emitted,
        embedding=rounded(emitted.embedding, dtype),
        positions=rounded_array(emitted.positions, dtype),
        body=rounded_body(emitted.body, dtype),
        readout=rounded(emitted.readout, dtype),
    )


def finish(plan: Plan) -> Weights:
    """The plan's weights, measured. Raises CompileError for what they cannot hold."""
    signature = plan.graph.signature
    emitted, output = emitted_of(plan), plan.graph.output
    try:
        emitted = rounded_to(plan.dtype, emitted)
    except OverflowError as fault:
        raise hopeless(signature, emitted.config, str(fault)) from None
    read = graph_of(signature.text, signature.parameters, signature.source)
    runs, idle = ((), {}) if plan.target.linear else live(plan.schedule, plan.allocation, output.kinds)
    fields = {f.name: plan.schedule.instructions.fields.get(f.name) for f in signature.fields}
    weights = Weights(
        config=emitted.config,
        signature=signature,
        roles=roles(signature.pattern),
        embedding=emitted.embedding,
        positions=emitted.positions,
        body=emitted.body,
        final_norm=emitted.final_norm,
        readout=emitted.readout,
        readout_bias=np.zeros(prod(output.shape)),
        output=output,
        layout=placements(
            plan.graph, plan.schedule, plan.allocation, emitted.stream, moments(read, plan.graph, plan.fresh[0]), idle
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
    if slots_count(plan.target, plan.dtype, plan.sizes, emitted.stream):
        shrunk = shrinkage(weights, emitted.stream, plan.fresh)
        plan = replace(plan, shrunk=shrunk, certificate=replace(plan.certificate, shrunk=shrunk))
        weights = replace(weights, report=replace(weights.report, certificate=plan.certificate))
    report = measured(weights, plan.model, plan.fresh, plan.choice, plan.accept_error)
    weights = replace(weights, report=report)
    return replace(weights, report=replace(report, spread=validate(plan, weights, emitted.stream).spread))
