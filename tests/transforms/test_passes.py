"""Passes: what a program computes stays the same after each, with every law on or off; schedules and layouts as
printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.compiler.compile import compile_program
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Graph
from innerloop.compiler.ir.printer import format_graph
from innerloop.compiler.ir.verify import verify
from innerloop.compiler.passes import PASSES, Pass, Setting, Strategy, optional
from innerloop.compiler.pipeline import choose, optimise
from innerloop.compiler.stages import Stage, show
from innerloop.compiler.transforms.canonicalize import LAW_NAMES
from innerloop.compiler.transforms.rewriter import simplify
from innerloop.programs import load

CASES = Path(__file__).parents[1] / "cases"
SHIPPED: dict[str, dict[str, Any]] = {
    "gradient_descent": {"d": 3, "steps": 4},
    "stochastic_gradient_descent": {"d": 3, "examples": 6},
    "sherman_morrison": {"d": 3, "examples": 6},
}


def same(one: Graph, other: Graph) -> None:
    """Both graphs give the same outputs on the same data."""
    data = read_data(one.signature, draw(one.signature, 5, 4, 0))
    np.testing.assert_allclose(evaluate(other, data), evaluate(one, data), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("law", LAW_NAMES)
@pytest.mark.parametrize("name", SHIPPED)
def test_a_law_changes_no_output(name: str, law: str) -> None:
    graph = graph_of(load(name), SHIPPED[name])
    laws = frozenset(LAW_NAMES)
    for chosen in (frozenset[str](), frozenset({law}), laws - {law}):
        simplified = simplify(graph, chosen)
        verify(simplified)
        same(graph, simplified)


SETTING = Setting(TARGETS["gpt2"])
STRATEGY = Strategy(heads=False, apart=True, carried=True)
RUN = [p for p in PASSES if p.applies(STRATEGY, SETTING.target)]


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("some", RUN, ids=lambda p: p.name)
def test_a_pass_changes_no_output(name: str, some: Pass) -> None:
    """Each pass by itself, and all the others without it; what schedules needs what cannot be left out."""
    graph = graph_of(load(name), SHIPPED[name])
    if not some.schedules:
        alone = some.run(graph, SETTING)
        verify(alone)
        same(graph, alone)
    rest = graph
    for p in RUN:
        if p is not some and not (p.schedules and some.needed):
            rest = p.run(rest, SETTING)
            verify(rest)
    same(graph, rest)


def test_optimise_is_all_of_them() -> None:
    for name, parameters in SHIPPED.items():
        graph = graph_of(load(name), parameters)
        same(graph, optimise(graph, "gpt2"))


def test_a_first_pass_that_uses_its_start_as_a_number_too() -> None:
    """The loop's start, 0.5, is also a number of its body: peeling must replace the one and not the other."""
    head = "program p()\n\ntokens (y)*\n    y : scalar\n\ns : scalar = 0.5\nrepeat 3\n"
    text = head + "    s = 0.5 / (1 + s ^ 2) * mean[j in y](2 + y[j])\noutput s\n"
    graph = graph_of(text, {})
    same(graph, optimise(graph, "gpt2"))


# Golden cases ------------------------------------------------------------------------------------

LINEAR_CASES = ("simplify", "heads", "unroll")
"""Passes whose golden program is compiled for `lsa`."""


@pytest.mark.parametrize("name", [p.name for p in PASSES])
def test_what_a_pass_does(name: str, golden: Callable[[Path, str], None]) -> None:
    """The graph before the pass and after it, of a program that it changes."""
    path = CASES / "passes" / f"{name}.icl"
    built = graph_of(path.read_text(encoding="utf-8"), {})
    own: dict[str, TargetName] = {"switch": "gelu", "delta": "deltanet"}
    target = "lsa" if name in LINEAR_CASES else own.get(name, "gpt2")
    steps = {"built": built, **choose(built, target, "heads" if name == "pair_moves" else "depth").steps}
    place = list(steps).index(name)
    before, after = (format_graph(graph) for graph in list(steps.values())[place - 1 : place + 1])
    assert before != after
    golden(path.with_suffix(".before"), before)
    golden(path.with_suffix(".after"), after)


def test_no_golden_is_of_a_pass_that_is_gone() -> None:
    assert {path.stem for path in (CASES / "passes").iterdir()} == {p.name for p in PASSES}


def test_the_choice_is_told_step_by_step() -> None:
    """The steps are those passes that apply to the strategy, in order; the last is what is lowered."""
    for target in TARGETS:
        name = "delta" if TARGETS[target].delta else "heads"
        chosen = choose(graph_of((CASES / "passes" / f"{name}.icl").read_text(encoding="utf-8"), {}), target)
        run = [p.name for p in PASSES if p.applies(chosen.strategy, TARGETS[target])]
        assert list(chosen.steps) == run
        assert chosen.graph is chosen.steps[run[-1]]


def test_what_is_left_out_is_not_run() -> None:
    graph = graph_of(load("sherman_morrison"), SHIPPED["sherman_morrison"])
    whole, less = choose(graph), choose(graph, without=("head_start", "hoist"))
    assert "head_start" in whole.steps
    assert "head_start" not in less.steps
    assert less.cost.layers > whole.cost.layers


@pytest.mark.parametrize("stage", ["schedule", "layout"])
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped(name: str, stage: Stage, golden: Callable[[Path, str], None]) -> None:
    parameters = SHIPPED[name] | {"d": 8}
    golden(CASES / stage / f"{name}.expected", show(load(name), stage, "gpt2", parameters) + "\n")


SMALL: list[tuple[Stage, Path]] = [("schedule", p) for p in sorted(CASES.glob("schedule/*.icl"))]
SMALL += [("layout", p) for p in sorted(CASES.glob("layout/*.icl"))]


@pytest.mark.parametrize(("stage", "path"), SMALL, ids=[p.stem for _, p in SMALL])
def test_small(stage: Stage, path: Path, golden: Callable[[Path, str], None]) -> None:
    printed = show(path.read_text(encoding="utf-8"), stage, "gpt2", {})
    golden(path.with_suffix(".expected"), printed + "\n")


# Names in the stream -----------------------------------------------------------------------------


def test_where_names_can_be_read() -> None:
    """A scan's names begin with its pass, once the states have moved, and not before."""
    weights = compile_program(load("sherman_morrison"), d=3, examples=5)
    found: dict[str, list[tuple[list[str], int, int]]] = {}
    for placement in weights.layout:
        found.setdefault(placement.name, []).append((sorted(placement.kinds), placement.first, placement.last))
    assert found["P"] == [(["y"], 4, 6), (["y"], 7, 7)]
    assert found["q"] == [(["y"], 5, 6)]
    assert found["w"] == [(["x", "y"], 0, 3), (["y"], 4, 6), (["y"], 7, 7), (["x", "y"], 8, 9)]


@pytest.mark.parametrize("name", optional())
def test_any_pass_or_law_can_be_left_out_of_programs_whose_loops_carry_products(name: str) -> None:
    for program in ("gradient_descent", "heavy_ball", "iterative_newton"):
        graph = graph_of(load(program), {"d": 2, "steps": 3}, program)
        optimise(graph, "gpt2", without=[name])
