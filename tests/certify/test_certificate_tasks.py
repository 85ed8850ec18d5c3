"""The tasks that a certificate is measured on: how many, of which lengths, in the ranges; and what is refused aloud."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.tokens import output_rows, read_data
from innerloop.compiler import CompileError, compile_program
from innerloop.compiler.certify.certificate import fresh_tasks, own_tasks
from innerloop.compiler.compile import plan_for
from innerloop.compiler.interpreter.calibrate import observe, ranges_of
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Field
from innerloop.compiler.pipeline import optimise
from innerloop.programs import load

from tests.reference import case_of
from tests.support.commands import Command, one_message

DESCENT = load("gradient_descent")
STEEP = """program steep()

tokens (s)*
    s : scalar in [-1, 1]

output (1 + s ^ 2) / (1e-7 + s ^ 2) - 1 / (1e-7 + s ^ 2)
"""
"""1 up to rounding, of terms of up to 1e7."""


def plan(text: str, **parameters: Any) -> Any:
    return plan_for(optimise(graph_of(text, parameters)), "gpt2", "float32", None)


def test_they_are_of_several_lengths_and_in_the_ranges_and_others_are_counted() -> None:
    made = plan(DESCENT, d=2)
    some, left = fresh_tasks(made.graph, made.ranges, [], 64)
    assert [len(data.sequence) for data in some] == [81, 21, 5]
    assert sum(data.batch for data in some) + left == 64
    x = next(v for v in made.graph.values() if made.graph[v].op == Field("x"))
    low, high = made.ranges[x]
    wide = replace(
        made.ranges,
        low={
            v: a if isinstance(made.graph[v].op, Field) else 1e9 * np.minimum(a, -1.0)
            for v, a in made.ranges.low.items()
        },
        high={
            v: a if isinstance(made.graph[v].op, Field) else 1e9 * np.maximum(a, 1.0)
            for v, a in made.ranges.high.items()
        },
    )
    some, left = fresh_tasks(made.graph, wide, [], 64)
    assert left == 0
    ends = [data.fields["x"][:, output_rows(data.sequence, ("x",))] for data in some]
    at_ends = [np.isclose(held, low.min()) | np.isclose(held, high.max()) for held in ends]
    assert all(held.all(axis=2).any() for held in at_ends)  # a row in a corner
    narrow = replace(made.ranges, low={v: 0.0 * a for v, a in made.ranges.low.items()})
    none, every = fresh_tasks(made.graph, narrow, [], 64)
    assert (none, every) == ([], 64)


def test_those_of_the_caller_are_whole_and_cut_short() -> None:
    graph = graph_of(DESCENT, {"d": 2})
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, 21, 2)), rng.standard_normal((50, 20))
    data = read_data(graph.signature, {"x": x, "y": y})
    ranges = ranges_of(graph, observe(graph, [data]))
    some, left = own_tasks(graph, ranges, data, 64)
    assert left == 0
    assert [(data.batch, len(data.sequence)) for data in some] == [(8, 41), (24, 11), (32, 5)]
    assert {tuple(row) for row in some[2].fields["x"][:, 0]} <= {tuple(row) for row in x[:, 0]}


def test_cut_short_they_stay_in_the_ranges_under_a_visible_context() -> None:
    """A mean over fewer tokens is larger, and what is compiled for whole tasks is not for it."""
    text = """
program p(d)
tokens (x y)* x visible context
    x : vector[d] on x
    y : scalar on y
at y
    u = move x from previous
M = mean[j in y](y[j] * u[j])
at x
    output M / (1 + x ^ 2)
"""
    rng = np.random.default_rng(0)
    fields = {"x": rng.standard_normal((64, 21, 2)), "y": rng.standard_normal((64, 20))}
    report = compile_program(text, d=2, calibration=fields).report
    assert report.predicted_error < 1e-2 * report.output_rms
    assert report.certificate is not None
    assert "more left the ranges" in report.certificate.measured_on


def test_more_of_them_are_measured_where_more_are_asked_for() -> None:
    report = compile_program(DESCENT, d=2, certify=200).report
    assert report.certificate is not None
    assert report.certificate.certify == 200
    assert 150 <= report.tasks <= 200
    for wrong in (3, 2.5, True, "many"):
        with pytest.raises(CompileError, match=r"certify is .*: not a whole number from 8"):
            compile_program(DESCENT, d=2, certify=wrong)  # type: ignore[arg-type]


def test_an_error_beyond_the_output_is_refused_and_accepted_where_asked(innerloop: Command) -> None:
    with pytest.raises(CompileError, match="cannot hold this program with these parameters: its output is"):
        compile_program(STEEP)
    report = compile_program(STEEP, accept_error=True).report
    assert report.predicted_error > report.output_rms
    path = Path("steep.icl")
    path.write_text(STEEP)
    one_message(innerloop("compile", path, "-o", "out"), "errors of")
    assert not Path("out").exists()
    done = innerloop("compile", path, "--accept-error", "-o", "out")
    assert done.status == 0
    assert re.search(r"errors of up to [\d.]+ are to be expected, \d+ % of the output's rms of 1;", done.err)
    quiet = innerloop("compile", "gradient_descent", "-p", "d=2", "--certify", "16", "-o", "quiet")
    assert (quiet.status, quiet.err) == (0, "")


def test_tasks_that_rounding_turns_over_are_left_out_and_counted() -> None:
    """nearest_neighbour, whose 64 tasks hold a near tie that GELUs decide otherwise than the oracle."""
    case = case_of("nearest_neighbour")
    report = compile_program(load("nearest_neighbour"), **case.parameters).report
    assert report.predicted_error < 1e-3 * report.output_rms
    assert report.certificate is not None
    assert report.certificate.measured_on.endswith("; 1 left out, in which rounding decides, as the guard says")
    assert report.tasks + 1 == sum(map(int, re.findall(r"(\d+) tasks of", report.certificate.measured_on)))
