"""What `show` prints: a program at each stage of its way to weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from innerloop.artifact.errors import CompileError, Diagnostic, InnerloopError, faults_told
from innerloop.artifact.words import Optimize, TargetName

from .frontend.check import check
from .syntax.nodes import Program

Stage = Literal["core", "built", "graph", "instructions", "schedule", "depth", "layout", "report"]
STAGES = get_args(Stage)


def faults(program: Program, parameters: Mapping[str, object]) -> list[Diagnostic]:
    """All that is wrong with a program; with parameters, all that `compile` would find wrong with it and them."""
    found = check(program)
    if parameters and not found:
        from .frontend.bind import bind

        try:
            found = check(program, bind(program, parameters))
        except CompileError as error:
            found = list(error.diagnostics)
    return found


def show(
    text: str,
    stage: Stage,
    target: TargetName,
    parameters: Mapping[str, object],
    source: str = "program",
    optimize: Optimize = "depth",
    tolerance: float | None = None,
    after: str | None = None,
    without: Sequence[str] = (),
) -> str:
    """The program as it stands after `stage`; the report is of the cheapest weights within `tolerance`.

    after: for stage "graph", the pass after which it is printed, of those that the best strategy takes; by default the
    last. without: passes and laws to leave out (passes.py).

    Raises CompileError, and InnerloopError for a stage or a pass that there is not."""
    if stage not in STAGES:
        raise InnerloopError(f"there is no stage `{stage}`: stages are {', '.join(STAGES)}")
    if after is not None and stage != "graph":
        raise InnerloopError(f"stage `{stage}` is printed as it is: only the graph is printed after a pass")
    if stage in ("core", "built") and without:
        raise InnerloopError(f"stage `{stage}` stands before all passes: there is none to leave out")
    if stage == "core":
        from .frontend.core import core
        from .syntax.parse import parse

        program = parse(text, source)
        if found := faults(program, parameters):
            raise CompileError(found, text, source)
        return core(program)
    from .certify.tolerance import bounded
    from .compile import plan_for
    from .finish import weights_of
    from .ir.build import graph_of
    from .ir.critical_path import critical_path
    from .ir.printer import format_graph
    from .lengths import limited
    from .passes import pass_named
    from .pipeline import choose
    from .schedule.least_depth import format_depth, least_depth
    from .schedule.printer import format_instructions, format_layout, format_report, format_schedule

    with faults_told(text, source):
        if after is not None:
            pass_named(after)
        graph = graph_of(text, parameters, source)
        if stage == "built":
            return format_graph(graph)
        chosen = choose(graph, target, optimize, without)
        bounded(chosen.graph, tolerance)
        if after is not None and after not in chosen.steps:
            taken = ", ".join(chosen.steps)
            raise InnerloopError(f"pass `{after}` is not run for this program on {target}; what is run is {taken}")
        if stage == "graph":
            return format_graph(chosen.graph if after is None else chosen.steps[after])
        plan = plan_for(chosen.graph, target, "float32", None, optimize, tokens=limited(graph, chosen.graph, None))
        if stage == "instructions":
            return format_instructions(plan.schedule.instructions)
        if stage == "schedule":
            return format_schedule(plan.schedule)
        if stage == "depth":
            depth = least_depth(plan.schedule)
            told = format_depth(depth, target, critical_path(plan.graph, plan.target.parallel))
            return told if depth.shorter is None else f"{told}\n\n{format_schedule(depth.shorter)}"
        if stage == "layout":
            return format_layout(plan.schedule, plan.allocation)
        return f"{format_report(weights_of(plan, tolerance))}\n{'depth':16s} {least_depth(plan.schedule, None).verdict}"


def passes_listed() -> str:
    """A line for each pass, in order, and for each law, as `show --help` prints them."""
    from .passes import PASSES
    from .transforms.canonicalize import LAW_LINES

    rows = ["passes, in order; those with a star cannot be left out:"]
    rows += [f"  {p.name + ('*' if p.needed else ''):16s}{p.about}" for p in PASSES]
    rows += ["", "laws, which every pass applies:"]
    rows += [f"  {name:16s}{about}" for name, about in LAW_LINES.items()]
    return "\n".join(rows)
