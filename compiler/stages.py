"""What `show` prints: a program at each stage of its way to weights."""

from __future__ import annotations

from collections.abc import Mapping

from .check import check
from .errors import CompileError, Diagnostic, InnerloopError, faults_told
from .syntax import Program

STAGES = ("core", "graph", "schedule", "layout", "report")


def faults(program: Program, parameters: Mapping[str, object]) -> list[Diagnostic]:
    """All that is wrong with a program; with parameters, all that `compile` would find wrong with it and them."""
    found = check(program)
    if parameters and not found:
        from .bind import bind

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
        from .core import core
        from .parse import parse

        program = parse(text, source)
        if found := faults(program, parameters):
            raise CompileError(found, text, source)
        return core(program)
    from .build import graph_of
    from .choose import optimise
    from .compile import plan_for, weights_of
    from .format_graph import format_graph
    from .format_plan import format_layout, format_report, format_schedule
    from .tolerance import bounded

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
