"""What `show` prints: a program at each stage of its way to weights."""

from __future__ import annotations

from collections.abc import Mapping

from innerloop.artifact.errors import CompileError, Diagnostic, InnerloopError, faults_told
from innerloop.compiler.frontend.check import check
from innerloop.compiler.syntax.nodes import Program

STAGES = ("core", "graph", "schedule", "layout", "report")


def faults(program: Program, parameters: Mapping[str, object]) -> list[Diagnostic]:
    """All that is wrong with a program; with parameters, all that `compile` would find wrong with it and them."""
    found = check(program)
    if parameters and not found:
        from innerloop.compiler.frontend.bind import bind

        try:
            found = check(program, bind(program, parameters))
        except CompileError as error:
            found = list(error.diagnostics)
    return found


def show(
    text: str,
    stage: str,
    target: str,
    parameters: Mapping[str, object],
    source: str = "program",
    optimize: str = "depth",
    tolerance: float | None = None,
) -> str:
    """The program as it stands after `stage`; the report is of the cheapest weights within `tolerance`.

    Raises CompileError, and InnerloopError for a stage that there is not."""
    if stage not in STAGES:
        raise InnerloopError(f"there is no stage `{stage}`: stages are {', '.join(STAGES)}")
    if stage == "core":
        from innerloop.compiler.frontend.core import core
        from innerloop.compiler.syntax.parse import parse

        program = parse(text, source)
        if found := faults(program, parameters):
            raise CompileError(found, text, source)
        return core(program)
    from innerloop.compiler.certify.tolerance import bounded
    from innerloop.compiler.ir.build import graph_of
    from innerloop.compiler.ir.printer import format_graph
    from innerloop.compiler.schedule.printer import format_layout, format_report, format_schedule

    from .compile import plan_for, weights_of
    from .pipeline import optimise

    with faults_told(text, source):
        graph = optimise(graph_of(text, parameters, source), target, optimize)
        bounded(graph, tolerance)
        if stage == "graph":
            return format_graph(graph)
        plan = plan_for(graph, target, "float32", None, optimize)
        if stage == "schedule":
            return format_schedule(plan.schedule)
        if stage == "layout":
            return format_layout(plan.schedule, plan.allocation)
        return format_report(weights_of(plan, tolerance))
