"""The passes in order: text → Program → Graph → Instructions → Schedule → Allocation → Weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.claims import Placement
from innerloop.artifact.errors import DataError, faults_told
from innerloop.artifact.progress import begun
from innerloop.artifact.tokens import read_data
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import Optimize, TargetName
from numpy.typing import ArrayLike

from .afford import afford, afford_samples
from .architectures.sixteen_bits import verify_precision, verify_spread
from .architectures.targets import TARGETS, Learned
from .certify.certificate import TASKS, certificate, enough, fresh_tasks, own_tasks
from .certify.families import affordable, observed, reached
from .certify.plan import Plan
from .certify.predict import COPIES
from .certify.report import all_finite, some_finite
from .certify.tolerance import bounded
from .emit.layout import Holding, holdings
from .finish import arranged, built, divides, weights_of
from .interpreter.default_tasks import Sample, core_tasks, samples
from .interpreter.gathered import Seen
from .interpreter.task_families import CORE, Family
from .ir.build import graph_of
from .ir.graph import Graph
from .ir.verify import verify
from .lengths import limited, positions, verify_positions, verify_tokens
from .numerics.sizes import sizes_of
from .passes import tightened
from .pipeline import named, optimise
from .schedule.lower import lower
from .transforms.divide_by_curves import divide_by_curves
from .transforms.divisor_range_reduction import WIDE, narrow, widest
from .transforms.guard_empty_divisors import fill_empty, guard_counts


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
    spread: float | None = None,
    **parameters: object,
) -> Weights:
    """Compiles a program to the weights of a transformer.

    target: the architecture (targets.py). optimize: "depth" takes the fewest layers, and of those the most exact
    construction; "width" the narrowest residual stream, and of those the fewest layers; "heads" is "depth" with fewer
    heads where moves of a one-hot field share them, through which no gradient passes (pair_moves.py). dtype: the
    precision that the constructions are made for. calibration: sample data, field → [tasks, rows, *shape], from which
    ranges are taken (see default_tasks.py for the default).
    source: the file's name, as errors print it. tolerance: the largest error of the output to accept on the report's
    tasks, in the output's own units; the cheapest constructions that meet it are chosen (tolerance.py). certify: on how
    many tasks the report's errors are measured (certificate.py). accept_error: hand out weights, too, whose error is of
    the output's own size. tokens: how long sequences may be, the rest token not counted, and how long the default data
    are (by default 1,024, and data of 40 groups; with a scan its limit says both: lengths.py). rotation: make weights
    that stay right where the stream is rotated (an orthogonal matrix in front of every matrix that reads it, its
    transpose behind every one that writes it); llama in float32. spread: the largest slot over the median one, at most
    (`Report.spread`): the norm's constants are then made so small, for data of one scale, and the norm as inexact as
    they make it; llama and gpt2 in float32. The other arguments are the program's parameters.

    Raises CompileError, with all that is wrong, for a program or parameters that do not fit.
    """
    # what overflows is refused below, in words
    with faults_told(text, source), np.errstate(all="ignore"):
        begun("rewriting the program")
        read = graph_of(text, parameters, source)
        verify_tokens(read, tokens)
        afford(read, tokens)
        graph = _optimised(read, target, dtype, optimize, rotation, tokens)
        tokens = limited(read, graph, tokens)
        bounded(graph, tolerance)
        enough(graph, certify)
        plan = plan_for(graph, target, dtype, calibration, optimize, certify, accept_error, rotation, tokens, spread)
        some_finite(read, plan.fresh[0])
        return weights_of(plan, tolerance)


def plan_of(weights: Weights, calibration: Mapping[str, ArrayLike] | None = None) -> Plan:
    """The plan that these weights were made by, from their program's text and their certificate.

    calibration: the data that the weights were compiled with, where those were the caller's.

    Raises DataError where the data is wanting, or where what comes out is not what the weights hold: they were made
    from other data, or by another version of the compiler.
    """
    signature, made = weights.signature, weights.report.certificate
    optimize: Optimize = "depth"
    tolerance, tasks, rotation, shrunk, tokens, spread = None, TASKS, False, 0.0, None, None
    if made is not None:
        optimize, tolerance, tasks = made.optimize, made.tolerance, made.certify
        rotation, shrunk, tokens, spread = made.rotation, made.shrunk, made.tokens, made.spread
    if made is not None and made.default != (calibration is None):
        raise DataError(
            f"{signature.name} was compiled with ranges from calibration data of the caller's: give the same data again"
            if calibration is None
            else f"{signature.name} was compiled without calibration data: give none"
        )
    target, dtype = weights.config.target, weights.config.dtype
    with faults_told(signature.text, signature.source), np.errstate(all="ignore"):
        read = graph_of(signature.text, signature.parameters, signature.source)
        graph = _optimised(afford(read, tokens), target, dtype, optimize, rotation, tokens)
        plan = plan_for(graph, target, dtype, calibration, optimize, tasks, True, rotation, tokens, spread)
        if made is not None:
            plan = replace(plan, shrunk=shrunk, certificate=replace(plan.certificate, bits=made.bits))
        plan = plan if tolerance is None else built(plan, tolerance).plan
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
    spread: float | None = None,
) -> Plan:
    """The graph with ranges, sublayers and slots; `optimize` is what it was rewritten for, the rest as in
    `compile_program`. Raises CompileError, and DataError for calibration data that does not fit."""
    architecture = named("target", target, TARGETS, graph)
    named("dtype", dtype, dict.fromkeys(get_args(Dtype)), graph)
    verify_precision(graph, architecture, dtype, rotation)
    verify_spread(graph, architecture, dtype, spread)
    bits = None if spread is None else sizes_of(dtype, rotation).rms.bits
    n_positions = positions(graph, tokens)
    verify_positions(graph, architecture, dtype, n_positions)
    default = calibration is None
    own = None if calibration is None else [Sample(CORE, (read_data(graph.signature, calibration),))]
    drawn = samples(graph, tokens) if own is None else own
    graph = fill_empty(graph, drawn[0].data)
    signature, core = graph.signature, core_tasks(drawn)
    afford_samples(graph, core, COPIES)

    def planned(graph: Graph, seen: list[tuple[Family, Seen]]) -> Plan:
        ranges, families = affordable(graph, seen, core, architecture, dtype, sizes_of(dtype, rotation, bits).holds)
        all_finite(graph, ranges)
        instructions = lower(graph, ranges, architecture, dtype=dtype)
        if not default:
            wider = reached(graph, ranges, core, architecture, dtype)
            if wider is not ranges:
                ranges, instructions = wider, lower(graph, wider, architecture, dtype=dtype)
        placed, slots = arranged(instructions, dtype)
        own, left = fresh_tasks(graph, ranges, families, certify, tokens) if default else ([], 0)
        if not own:
            own, left = own_tasks(graph, ranges, drawn[0].data[0], certify)
        made = certificate(signature, own, left, drawn, families, default, optimize, certify, tokens)
        made = replace(made, rotation=rotation, spread=None if spread is None else float(spread), bits=bits)
        return Plan(graph, ranges, placed, slots, architecture, dtype, n_positions, tuple(own), made, accept_error)

    def wide(plan: Plan) -> bool:
        """Whether divisions need another construction."""
        reach = widest(graph, plan.ranges)
        by_digits = isinstance(architecture.positions, Learned)
        return reach is not None and ((by_digits and reach > WIDE[dtype]) or not divides(plan))

    seen = observed(graph, drawn, default)
    plan = planned(graph, seen)
    if wide(plan) and len(seen) > 1:  # no family is worth another construction
        plan = planned(graph, seen[:1])
    if wide(plan):
        graph = verify(tightened(verify(narrow(graph, plan.ranges)), architecture))
        return planned(graph, observed(graph, drawn, default))
    return plan


def _optimised(
    built: Graph, target: TargetName, dtype: Dtype, optimize: Optimize, rotation: bool, tokens: int | None
) -> Graph:
    """The graph as the target's best strategy writes it down in this precision."""
    architecture = named("target", target, TARGETS, built)
    named("dtype", dtype, dict.fromkeys(get_args(Dtype)), built)
    by_curves = sizes_of(dtype, rotation).curves and architecture.gated
    return optimise(divide_by_curves(guard_counts(built)) if by_curves else built, target, optimize, (), dtype, tokens)
