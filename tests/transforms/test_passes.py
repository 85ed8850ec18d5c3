"""Passes: what a program computes stays the same after each, with every law on or off; schedules and layouts as
printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.tokens import read_data
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.compiler.compile import compile_program
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Graph
from innerloop.compiler.ir.verify import verify
from innerloop.compiler.pipeline import optimise
from innerloop.compiler.stages import show
from innerloop.compiler.transforms.canonicalize import LAW_NAMES
from innerloop.compiler.transforms.legalise import legalise
from innerloop.compiler.transforms.pack_symmetric import pack_symmetric
from innerloop.compiler.transforms.peel_repeat import peel
from innerloop.compiler.transforms.peel_scan import head_start
from innerloop.compiler.transforms.rewriter import simplify
from innerloop.compiler.transforms.separate_reads import divide_factor, invariant, separate_reads
from innerloop.compiler.transforms.strength_reduction import strengthen
from innerloop.programs import load

CASES = Path(__file__).parents[1] / "cases"
SHIPPED: dict[str, dict[str, Any]] = {
    "gradient_descent": {"d": 3, "steps": 4},
    "stochastic_gradient_descent": {"d": 3, "examples": 6},
    "sherman_morrison": {"d": 3, "examples": 6},
}


def same(one: Graph, other: Graph) -> None:
    """Both graphs give the same outputs on the same data."""
    assert one.signature is not None
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


PASSES: dict[str, Callable[[Graph], Graph]] = {
    "simplify": simplify,
    "separate_reads": separate_reads,
    "legalise": lambda graph: legalise(graph, TARGETS["gpt2"]),
    "peel": peel,
    "invariant": invariant,
    "divide_factor": divide_factor,
    "strengthen": lambda graph: strengthen(graph, reassociate=True),
    "pack_symmetric": pack_symmetric,
    "head_start": head_start,
}


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("without", PASSES)
def test_a_pass_changes_no_output(name: str, without: str) -> None:
    """Each pass by itself where it can stand alone, and all the others without it."""
    graph = graph_of(load(name), SHIPPED[name])
    alone = PASSES[without](graph)
    verify(alone)
    same(graph, alone)
    rest = graph
    for key, step in PASSES.items():
        if key != without:
            rest = step(rest)
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


@pytest.mark.parametrize("stage", ["schedule", "layout"])
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped(name: str, stage: str, golden: Callable[[Path, str], None]) -> None:
    parameters = SHIPPED[name] | {"d": 8}
    golden(CASES / stage / f"{name}.expected", show(load(name), stage, "gpt2", parameters) + "\n")


@pytest.mark.parametrize(
    "path", sorted(CASES.glob("schedule/*.icl")) + sorted(CASES.glob("layout/*.icl")), ids=lambda p: p.stem
)
def test_small(path: Path, golden: Callable[[Path, str], None]) -> None:
    printed = show(path.read_text(encoding="utf-8"), path.parent.name, "gpt2", {})
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
