"""Layers and widths of the compiled programs beside the published constructions, in two tables; or the depths of longer
programs beside their critical paths.

    python -m benchmarks.layers [--depths | --proofs [--seconds 60]]

`--depths` and `--proofs` schedule and compile nothing; `--proofs` says of every program that ships, with the parameters
of tests/reference, how many layers no schedule of its graph goes below (least_depth.py). Layers count loops unrolled.
The error is the largest of the output over its root mean square, on the report's fresh tasks: x, w ~ N(0, I), noiseless
labels, 40 examples in context. The second table compiles for d = 4, 8, 16 and 32.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any

from innerloop.artifact.words import Optimize, TargetName
from innerloop.compiler import Weights, compile_program
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.critical_path import critical_path
from innerloop.compiler.passes import nominal_schedule
from innerloop.compiler.pipeline import choose
from innerloop.compiler.schedule.least_depth import least_depth
from innerloop.programs import load, names

from tests.reference import case_of

from .support.tables import early, show


@dataclass(frozen=True)
class Line:
    """A program on a target; `count` is the parameter that layers are counted by, at each of `at`; of K, `asked` (a, b)
    allows a K + b."""

    program: str
    count: str
    at: tuple[int, ...]
    asked: tuple[int, int]
    anchor: str
    target: TargetName = "gpt2"
    optimize: Optimize = "depth"
    parameters: dict[str, Any] = field(default_factory=dict)


LINES = (
    Line("gradient_descent_dual", "steps", (1, 2, 10), (1, 0), "von Oswald 2022, Prop. 1: K", "lsa"),
    Line("gradient_descent_alternating", "steps", (1, 2, 10), (1, 1), "Prop. 3: 2 for one step", "lsa"),
    Line("gradient_descent_alternating", "steps", (1, 2, 10), (1, 1), "the same"),
    Line("gradient_descent_dual", "steps", (1, 2, 10), (1, 1), "–"),
    Line("gd_plus", "steps", (1, 2, 10), (1, 0), "von Oswald 2022: one a step", "lsa", parameters={"curvature": 0.001}),
    Line("gradient_descent", "steps", (1, 4, 10), (1, 1), "torchwright: 7 for 4 steps"),
    Line("gradient_descent", "steps", (1, 4, 10), (1, 1), "torchwright: 7 for 4 steps", "gelu"),
    Line("gradient_descent", "steps", (1, 4, 10), (1, 2), "–", optimize="width", parameters={"rate": 0.05}),
    Line("stochastic_gradient_descent", "examples", (4, 40), (1, 2), "Akyürek 2022: 9 an update"),
    Line("stochastic_gradient_descent", "examples", (4, 40), (2, 1), "Akyürek 2022: 9 an update", optimize="width"),
    Line("stochastic_gradient_descent", "examples", (4, 40), (1, 2), "Akyürek 2022: 9 an update", "gelu"),
    Line("sherman_morrison", "examples", (4, 40), (2, 3), "Akyürek 2022: 14 an update"),
    Line("sherman_morrison", "examples", (4, 40), (2, 3), "Akyürek 2022: 14 an update", "gelu"),
    Line("gradient_descent", "steps", (1, 4, 10), (1, 1), "torchwright: 7 for 4 steps", "llama"),
    Line("stochastic_gradient_descent", "examples", (4, 40), (1, 2), "Akyürek 2022: 9 an update", "llama"),
    Line("sherman_morrison", "examples", (4, 40), (2, 3), "Akyürek 2022: 14 an update", "llama"),
    Line("gradient_descent", "steps", (1, 4, 10), (1, 3), "–", "neox"),
    Line("stochastic_gradient_descent", "examples", (4, 40), (2, 2), "–", "neox"),
    Line("sherman_morrison", "examples", (4, 40), (4, 2), "–", "neox"),
    Line("iterative_newton", "steps", (1, 2, 6), (2, 4), "Fu 2023: k + 8, widths unbounded", parameters={"d": 4}),
)  # fmt: skip

WIDTHS = (
    Line("gradient_descent", "steps", (4,), (1, 1), "statistics"),
    Line("gradient_descent", "steps", (4,), (1, 2), "heads", optimize="width"),
    Line("stochastic_gradient_descent", "examples", (10,), (1, 2), "one layer an update"),
    Line("stochastic_gradient_descent", "examples", (10,), (2, 1), "two layers an update", optimize="width"),
    Line("gradient_descent_dual", "steps", (4,), (1, 0), "heads", "lsa"),
)
DEPTHS: tuple[tuple[str, dict[str, int], int | None], ...] = (
    ("algorithm_selection", {}, None),
    ("adam", {}, None),
    ("newton_logistic", {}, None),
    ("lasso", {}, None),
    ("fista", {"steps": 20}, 24),
    ("chebyshev_iteration", {"steps": 8}, 12),
    ("linear_discriminant_analysis", {"classes": 3}, 16),
)
"""Programs of d = 4 whose steps take several operations each, and how many layers were asked for."""
POWER = {"statistics": 2, "one layer an update": 2, "heads": 1, "two layers an update": 1}
"""Of d that the width of each construction grows with."""
DIMENSIONS = (4, 8, 16, 32)


def compiled(line: Line, count: int, **more: Any) -> Weights:
    parameters = {"d": 8} | line.parameters | {line.count: count} | more
    return compile_program(load(line.program), target=line.target, optimize=line.optimize, **parameters)


def layers_row(line: Line) -> list[str]:
    reports = [compiled(line, count).report for count in line.at]
    last, (slope, plus) = reports[-1], line.asked
    missed = any(r.layers > slope * count + plus for r, count in zip(reports, line.at, strict=True))
    letter = {"steps": "K", "examples": "n"}[line.count]
    return [
        line.program,
        _target(line),
        (f"{slope} " if slope > 1 else "") + letter + (f" + {plus}" if plus else "") + ("  MISSED" if missed else ""),
        ", ".join(str(c) for c in line.at),
        ", ".join(str(r.layers) for r in reports),
        ", ".join(str(r.critical_path) for r in reports),
        str(last.width),
        f"{last.slots} / {last.live}",
        f"{last.neurons:,}",
        f"{last.nonzeros:,} / {last.parameters:,}",
        f"{last.measured_error / last.output_rms:.0e}",
        line.anchor,
    ]


def width_row(line: Line) -> list[str]:
    every = [compiled(line, line.at[0], d=d, rate=_steady(line, d)).report for d in DIMENSIONS]
    power = POWER[line.anchor]
    return [
        line.program,
        _target(line),
        line.anchor,
        "O(d)" if power == 1 else "O(d²)",
        ", ".join(str(r.layers) for r in every),
        ", ".join(str(r.width) for r in every),
        ", ".join(str(r.slots) for r in every),
        ", ".join(f"{r.slots / d**power:.2f}" for r, d in zip(every, DIMENSIONS, strict=True)),
    ]


def depths_row(program: str, parameters: dict[str, int], asked: int | None, target: TargetName) -> list[str]:
    chosen = choose(graph_of(load(program), {"d": 4} | parameters, program), target)
    least = critical_path(chosen.graph, TARGETS[target].parallel)
    told = ", ".join(f"{name} = {value}" for name, value in parameters.items())
    return early([program, told or "–", target, str(asked or "–"), str(chosen.cost.layers), str(least)])


def proofs_row(program: str, target: TargetName, seconds: float) -> list[str]:
    chosen = choose(graph_of(load(program), case_of(program).parameters, program), target)
    depth = least_depth(nominal_schedule(chosen.graph, TARGETS[target]), seconds)
    critical = critical_path(chosen.graph, TARGETS[target].parallel)
    figures = (depth.scheduled, critical, depth.paths, depth.least, depth.programs)
    return early([program, target, *map(str, figures), depth.verdict])


def _target(line: Line) -> str:
    return f"{line.target}{', width' if line.optimize == 'width' else ''}"


def _steady(line: Line, d: int) -> float:
    """A rate at which short prefixes do not diverge at any d."""
    return (0.4 if line.program == "gradient_descent" else 0.08) / d


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depths", action="store_true", help="only the depths of longer programs")
    parser.add_argument("--proofs", action="store_true", help="only the least depths of programs that ship, proved")
    parser.add_argument("--seconds", type=float, default=60.0, help="of an integer program, at most")
    options = parser.parse_args()
    targets: tuple[TargetName, ...] = ("gpt2", "llama")
    if options.proofs:
        show(
            "least depths, proved",
            ("program", "target", "layers", "critical path", "with loops", "proved", "integer programs", "verdict"),
            ("program", "target", "verdict"),
            [proofs_row(program, target, options.seconds) for program in names() for target in targets],
            width=170,
        )
        return
    if options.depths:
        show(
            "depths of longer programs, d = 4",
            ("program", "parameters", "target", "asked", "layers", "critical path"),
            ("program", "parameters", "target"),
            [depths_row(*line, target) for line in DEPTHS for target in targets],
        )
        return
    show(
        "layers against the published constructions, d = 8 (iterative_newton 4)",
        ("program", "target", "asked", "K or n", "layers", "critical path", "width", "slots / live", "neurons",
         "nonzeros / parameters", "error", "published"),
        ("program", "target", "asked", "published"),
        [layers_row(line) for line in LINES],
        width=210,
    )  # fmt: skip
    show(
        f"widths at d = {', '.join(map(str, DIMENSIONS))}",
        ("program", "target", "construction", "width", "layers", "residual width", "slots", "slots / d or d²"),
        ("program", "target", "construction", "width"),
        [width_row(line) for line in WIDTHS],
        width=170,
    )


if __name__ == "__main__":
    main()
