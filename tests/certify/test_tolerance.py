"""`tolerance=`: the cheapest constructions that meet it, or a refusal that names the operation."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.claims import Report
from innerloop.artifact.errors import CompileError
from innerloop.compiler.certify.predict import SAFETY, contributions
from innerloop.compiler.certify.tolerance import Option, cheapest, options
from innerloop.compiler.compile import compile_program, plan_for
from innerloop.compiler.finish import finish, weights_of
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Product
from innerloop.compiler.numerics.square_banks import Squares
from innerloop.compiler.numerics.square_tables import SHIFTED
from innerloop.compiler.pipeline import optimise
from innerloop.compiler.schedule.lower import lower
from innerloop.compiler.schedule.schedule import schedule
from innerloop.programs import load

from tests.support.commands import Command

SHIPPED: dict[str, dict[str, Any]] = {
    "gradient_descent": {"d": 3, "steps": 4},
    "stochastic_gradient_descent": {"d": 3, "examples": 8},
    "sherman_morrison": {"d": 3, "examples": 8},
}


@pytest.fixture(scope="module")
def plans() -> dict[str, Any]:
    """The shipped programs, calibrated once."""
    graphs = {name: optimise(graph_of(load(name), p, "program"), "gpt2") for name, p in SHIPPED.items()}
    return {name: plan_for(graph, "gpt2", "float32", None) for name, graph in graphs.items()}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_tolerance_is_met_with_fewer_neurons_the_looser_it_is(name: str, plans: dict[str, Any]) -> None:
    neurons = []
    for tolerance in (1e-2, 1e-3, 3e-4, 1.5e-4):
        report = weights_of(plans[name], tolerance).report
        assert report.measured_error <= tolerance
        assert report.predicted_error <= SAFETY * tolerance
        assert report.measured_error <= report.predicted_error <= 100 * report.measured_error
        neurons.append(report.neurons)
    assert all(loose <= tight for loose, tight in pairwise(neurons))
    assert neurons[0] < 0.4 * weights_of(plans[name], None).report.neurons


@pytest.mark.parametrize("name", SHIPPED)
def test_what_float32_cannot_hold_is_refused_with_the_operation(name: str, plans: dict[str, Any]) -> None:
    with pytest.raises(CompileError, match="float32 cannot meet a tolerance of 1e-08") as error:
        weights_of(plans[name], 1e-8)
    (fault,) = error.value.diagnostics
    assert fault.span is not None
    assert fault.hint is not None
    assert "float64" in fault.hint


def test_float64_meets_it_then() -> None:
    parameters = SHIPPED["sherman_morrison"]
    exact = compile_program(load("sherman_morrison"), dtype="float64", **parameters)
    chosen = compile_program(load("sherman_morrison"), dtype="float64", tolerance=1e-8, **parameters)
    assert chosen.report.measured_error <= 1e-8
    assert chosen.report.neurons < 0.8 * exact.report.neurons  # functions of position and moves stay


@pytest.mark.parametrize("tolerance", [0, -1e-3, float("nan"), float("inf"), "1e-3", True, [1e-3], 10**400])
def test_what_is_no_tolerance(tolerance: Any) -> None:
    with pytest.raises(CompileError, match="not a positive number"):
        compile_program(load("gradient_descent"), d=2, tolerance=tolerance)


OUTER = """program products(d)

tokens (x)*
    u : vector[d] on x
    v : vector[d] on x

at x
    output outer(u, v)
"""


def test_products_of_two_vectors_share_their_squares() -> None:
    d = 6
    plain = compile_program(OUTER, d=d).report
    shared = compile_program(OUTER, d=d, tolerance=2e-3).report
    assert shared.measured_error <= 2e-3
    assert plain.neurons - shared.neurons == 8 * 2 * d * d - 2 * (d * d + 2 * d)


MIXED = OUTER.replace("output outer(u, v)", "output outer(u, u) + outer(u, v + 5)")
"""Equal factors, and factors that crowd away from 0."""

BANKS = [
    *(Squares(bank, 1, halved, shared) for bank in (1, 2, 3) for halved in (False, True) for shared in (False, True)),
    *(Squares(bank, 1, False, shared) for bank in SHIFTED for shared in (False, True)),
]
EXACT = [Squares("exact", 1, halved, shared) for halved in (False, True) for shared in (False, True)]


@pytest.fixture(scope="module")
def mixed() -> dict[str, Any]:
    graph = optimise(graph_of(MIXED, {"d": 3}, "program"), "gpt2")
    return {dtype: plan_for(graph, "gpt2", dtype, None) for dtype in ("float32", "float64")}


@pytest.mark.parametrize(("dtype", "squares"), [*(("float32", s) for s in BANKS), *(("float64", s) for s in EXACT)])
def test_every_construction_is_as_exact_as_its_model(mixed: dict[str, Any], dtype: Dtype, squares: Squares) -> None:
    plan = mixed[dtype]
    products = [v for v in plan.graph.values() if isinstance(plan.graph[v].op, Product)]
    assert products
    report = _built(plan, dict.fromkeys(products, squares))
    assert report.measured_error <= report.predicted_error <= 20 * report.measured_error


def test_the_neurons_counted_are_the_neurons_built(plans: dict[str, Any]) -> None:
    """Of two choices, by their difference: what moves and clears values is in both."""
    for plan in plans.values():
        offered = options(plan.schedule, plan.allocation, "float32")
        assert all(len(some) > 3 for some in offered.values())
        counted, built = [], []
        for index in (0, 2, -1):
            some = {value: options_[index] for value, options_ in offered.items()}
            counted.append(sum(o.neurons for o in some.values()))
            built.append(_built(plan, {v: o.construction for v, o in some.items()}).neurons)
        assert np.diff(counted).tolist() == np.diff(built).tolist()


def _built(plan: Any, choice: Any) -> Report:
    placed = schedule(lower(plan.graph, plan.ranges, plan.target, choice))
    return finish(replace(plan, schedule=placed, choice=choice)).report


def test_a_cheaper_construction_contributes_more(plans: dict[str, Any]) -> None:
    plan = plans["sherman_morrison"]
    offered = options(plan.schedule, plan.allocation, "float32")
    truth = evaluate(plan.graph, plan.fresh[0])
    each = {v: [some[0].construction, some[-1].construction] for v, some in offered.items()}
    parts = contributions(plan.model, plan.fresh[0], truth, each)
    reached = [both for both in parts.values() if any(both)]  # the scan's first pass stands in front for lowering alone
    assert len(reached) >= 4
    assert all(precise < cheap for precise, cheap in reached)


def test_the_cheapest_choice_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        offered = {v: [Option(float(k), int(n)) for k, n in enumerate(rng.integers(1, 100, 4))] for v in range(3)}
        parts = {v: rng.uniform(0.0, 1.0, 4).tolist() for v in range(3)}
        every = [(i, j, k) for i in range(4) for j in range(4) for k in range(4)]
        # A little less than the budget, for what the bins round up.
        fits = [c for c in every if sum(parts[v][c[v]] for v in range(3)) <= 1.0 - 0.004]
        best = min((sum(offered[v][c[v]].neurons for v in range(3)) for c in fits), default=None)
        found = cheapest(offered, parts, 1.0)
        if found is not None:
            index = [int(found[v]) for v in range(3)]  # type: ignore[arg-type]
            assert sum(parts[v][index[v]] for v in range(3)) <= 1.0
        if best is not None:
            assert found is not None
            assert sum(offered[v][index[v]].neurons for v in range(3)) <= best


def test_the_command_line_takes_a_tolerance(tmp_path: Path, innerloop: Command) -> None:
    text = tmp_path / "products.icl"
    text.write_text(OUTER, encoding="utf-8")
    shown = innerloop("show", str(text), "-p", "d=2", "--stage", "report", "--tolerance", "1e-3")
    assert shown.status == 0, shown.err
    refused = innerloop("compile", str(text), "-p", "d=2", "--tolerance", "-1", "-o", str(tmp_path / "w"))
    assert refused.status == 1
    assert "tolerance is -1.0: not a positive number" in refused.err
