"""The least depth: what it proves is so, and a schedule that is too long is told so."""

from __future__ import annotations

from itertools import product

import pytest
from innerloop.artifact.words import TargetName
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.critical_path import critical_path
from innerloop.compiler.ir.graph import Graph
from innerloop.compiler.passes import nominal_schedule
from innerloop.compiler.pipeline import optimise
from innerloop.compiler.schedule.allocate import allocate
from innerloop.compiler.schedule.instructions import Instruction
from innerloop.compiler.schedule.least_depth import format_depth, least_depth
from innerloop.compiler.schedule.schedule import schedule
from innerloop.compiler.schedule.sublayers import Schedule
from innerloop.compiler.schedule.verify_schedule import verify_schedule
from innerloop.compiler.stages import show
from innerloop.programs import load

HEAD = "program order()\n\ntokens (s)*\n    s : scalar in [1, 2]\n    r : scalar on s in [1, 2]\n\n"
LATE = f"{HEAD}a = s / (1 + s)\nb = r / (2 + r)\noutput a + tanh(tanh(tanh(b)))\n"
"""The first division has time, the second has not; in order of the text the second waits for the first."""
SIDE_BY_SIDE = f"{HEAD}output s / (1 + s) + r / (2 + r) + r / (3 + s)\n"


def placed(text: str, target: TargetName = "gpt2", **parameters: object) -> tuple[Graph, Schedule]:
    graph = optimise(graph_of(text, parameters), target)
    return graph, nominal_schedule(graph, TARGETS[target])


@pytest.mark.parametrize("target", ["gpt2", "llama", "neox"])
@pytest.mark.parametrize(
    ("program", "parameters"),
    [("gradient_descent", {"d": 2, "steps": 3}), ("sherman_morrison", {"d": 2, "examples": 4}),
     ("conjugate_gradient", {"d": 2, "steps": 2}), ("newton_logistic", {"d": 2})],
)  # fmt: skip
def test_the_schedule_of_programs_that_ship_is_least(
    program: str, parameters: dict[str, int], target: TargetName
) -> None:
    graph, made = placed(load(program), target, **parameters)
    depth = least_depth(made)
    assert critical_path(graph, TARGETS[target].parallel) <= depth.paths <= depth.least
    assert depth.least == depth.found == depth.scheduled
    assert depth.verdict == f"{depth.scheduled} layers are least: proved"


@pytest.mark.parametrize(("target", "asked"), [("gpt2", (6, 4)), ("llama", (6, 4)), ("neox", (8, 6))])
def test_a_shorter_schedule_is_found_and_is_sound(target: TargetName, asked: tuple[int, int]) -> None:
    _, made = placed(LATE, target)
    depth = least_depth(made)
    assert (depth.scheduled, depth.least) == asked
    assert depth.shorter is not None
    assert depth.shorter.length == 2 * depth.found == 2 * depth.least
    verify_schedule(depth.shorter, allocate(depth.shorter))
    assert depth.verdict == f"{asked[1]} layers do, and are least: a shorter schedule than this one of {asked[0]}"


def test_a_bad_schedule_is_told_so() -> None:
    _, made = placed(load("gradient_descent"), d=2, steps=2)
    first = next(i for i in made.instructions.block if isinstance(i, Instruction))
    late = schedule(made.instructions, {("attention", first.out): 4})
    assert late.length == made.length + 4
    depth = least_depth(late)
    assert (depth.scheduled, depth.found, depth.least) == (late.length // 2, made.length // 2, made.length // 2)


def test_what_divisions_ask_is_proved_by_trying_all_places() -> None:
    """Three divisors at once, from the start: each attention sublayer apart from the others, by hand."""
    _, made = placed(SIDE_BY_SIDE)
    apart = [
        t
        for t in product(range(2, 20, 2), repeat=3)
        if all(abs(a - b) >= 4 for a, b in zip(t, t[1:] + t[:1], strict=True))
    ]
    by_hand = min(max(t) + 2 for t in apart)
    depth = least_depth(made)
    assert 2 * depth.least == by_hand == made.length
    assert depth.paths < depth.least
    assert depth.programs > 0


def test_what_is_not_proved_is_said() -> None:
    graph, made = placed(LATE)
    said = format_depth(least_depth(made, None), "gpt2", critical_path(graph))
    assert said.splitlines()[-1] == "4 layers at least; whether fewer than 6 do is open: no integer program was solved"


def test_show_prints_what_is_proved_and_the_shorter_schedule() -> None:
    told = show(LATE, "depth", "gpt2", {}).splitlines()
    assert told[3].split()[:2] == ["proved", "4"]
    assert told[4].startswith("4 layers do")
    assert "4 layers" in told[6]
    assert show(load("averaging"), "report", "gpt2", {"d": 2}).splitlines()[-1].startswith("depth   ")
