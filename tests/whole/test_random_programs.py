"""Random programs of all of the language: none is silently wrong, and none crashes the compiler.

The first seeds of the benchmark (`make random-programs` runs 10,000), a few of them quick; and what was found so far.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from innerloop.compiler import Weights
from innerloop.compiler.compile import compile_program
from innerloop.compiler.ir.build import graph_of
from innerloop.runtime.guard.interpreted import Interpreter

from benchmarks.random_programs import verdicts
from benchmarks.random_programs.constructs import constructs
from benchmarks.random_programs.drawn import FAULTS, drawn, line_of
from benchmarks.random_programs.shrink import shrink
from benchmarks.random_programs.verdicts import judge
from tests.support.against_oracle import checked, error

QUICK, ALL = 4, 76


def faults(seeds: range) -> list[str]:
    lines = [line_of(seed) for seed in seeds]
    return [f"seed {line.seed}: {line.verdict}" for line in lines if line.verdict.result in FAULTS]


def test_a_few_random_programs() -> None:
    assert faults(range(QUICK)) == []


@pytest.mark.slow
@pytest.mark.parametrize("start", range(QUICK, ALL, 24))
def test_random_programs(start: int) -> None:
    assert faults(range(start, start + 24)) == []


def test_the_generator_draws_all_of_the_language() -> None:
    used: dict[str, int] = {}
    for seed in range(200):
        for what in constructs(next(drawn(seed)).text):
            used[what] = used.get(what, 0) + 1
    everything = re.split(", |\n", EVERYTHING.strip())
    assert sorted(what for what in everything if used.get(what, 0) < 2) == []


EVERYTHING = """
relu, abs, sign, clip, sigmoid, tanh, sin, cos, erf, softplus, exp, log, sqrt, sum, softmax, max, min, identity
transpose, diag, row_sums, column_sums, concat, a component, a slice
affine, dot, mul, outer, div, rtw, +, -, *, /, @, ^, unary -, <, <=, >, >=, ==, and, or, not, an array
argmax, logsumexp, max of components, min of components
mean over tokens, sum over tokens, softmax over tokens, max over tokens, min over tokens, argmax over tokens
logsumexp over tokens
a read in a read, move from previous, move from first, move from last, move from previous n, move from previous K
grad, def, a def with lines of its own, a call of a def, use, solve, inverse, size
output, output in at, several outputs, a sum weighed by exp
at, repeat, scan, a scan backwards, repeat in repeat, repeat in scan, scan in repeat, at in repeat, repeat in at
a counted repeat, a component by step, a matrix by step, a number that a repeat carries, a constant power
visible context, a prefix, a suffix, several groups, a group of several kinds, a kind in two places
a field on several kinds, a declared range, a parameter with a type, a parameter with a range
a field: scalar, a field: vector, a field: matrix, a field: onehot
an assignment: scalar, an assignment: vector, an assignment: matrix
"""
"""By the names of benchmarks/random_programs/constructs.py."""


def test_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that promise more than they hold are warned of, and silent where no interpreter runs beside them; an
    exception is a crash, and is told with its place."""
    text = HEAD + "output p * tanh(s) * mean[j in y](y[j] ^ 2)\n"
    assert judge("program p()\n", "gpt2", "float32", 1) is None
    right, refused = judge(text, "gpt2", "float32", 1), judge(text, "lsa", "float32", 1)
    assert right is not None
    assert refused is not None
    assert refused.result == "refused"
    assert right.result in ("right", "warned")
    assert right.tasks["right"] >= 40
    assert 0.0 < right.worst <= 1.0

    def promising(*args: Any, **options: Any) -> Weights:
        weights = compile_program(*args, **options)
        return replace(weights, report=replace(weights.report, predicted_error=1e-3 * right.worst * right.certificate))

    monkeypatch.setattr(verdicts, "compile_program", promising)
    warned = judge(text, "gpt2", "float32", 1)
    assert warned is not None
    assert warned.result == "warned"
    monkeypatch.setattr(Interpreter, "graph", None)
    silent = judge(text, "gpt2", "float32", 1)
    assert silent is not None
    assert silent.result == "silent"
    assert silent.worst > 100.0

    def faulty(*args: Any, **options: Any) -> Weights:
        raise KeyError("q")

    monkeypatch.setattr(verdicts, "compile_program", faulty)
    crashed = judge(text, "gpt2", "float32", 1)
    assert crashed is not None
    assert (crashed.result, crashed.said) == ("crashed", "KeyError: 'q' in test_random_programs.py:faulty")


def test_a_program_is_made_small() -> None:
    text = HEAD + "repeat 3\n    at y\n        s = 0.5 * s + tanh(y)\n    p = p * s\noutput p + tanh(s)\n"
    small = shrink(text, lambda some: checked(some) is not None and "tanh" in some, 60.0)
    assert small.endswith("\noutput (tanh(s))\n")
    assert "repeat" not in small


FOUND = {
    "a state read by another state's change": """
t : scalar = 0
repeat 3
    s = 0.5 * s + mean[j in y](t * y[j] + y[j])
    t = t + s
output t
""",
    "a start that the rest token holds": """
scan x up to 20
    s = 0.5 * s + sum(x)
output s
""",
    "a scan after a scan": """
scan x up to 20
    s = s * s
scan y up to 19
    s = 0.5 * s + y
output s
""",
    "a repeat in a scan": """
scan y up to 20
    repeat 2
        p = tanh(p * y)
output p
""",
    "a start that the body uses as a number": """
repeat 3
    s = 0.5 / (1 + s ^ 2) + mean[j in y](y[j])
output s
""",
    "a state that lives at more tokens after a pass": """
t = 0
repeat 3
    at y
        t = 0.5 * y
    repeat 1
        t = mean[j in x](s[j])
output t
""",
    "a repeat after a scan, at some tokens": """
scan x up to 20
    s = s * s
at y
    repeat 3
        s = 0.5 * s + y
output s
""",
    "a divisor of two kinds of token": """
q = 2 + mean[j in y](y[j] ^ 2)
at x
    s = sum(x) / q
at y
    s = y / q
output s
""",
    "a name that only a block that never runs assigns": """
repeat 2
    repeat 0
        t = s
    s = 0.5 * s
output s
""",
    "a root of what is 0 on all data": """
q = sqrt(mean[j in y](0 * y[j] * y[j]))
output q + s
""",
    "a root of what is 0 at the start of a scan": """
q = mean[j in y](y[j]) - mean[j in y](y[j])
scan x up to 20
    q = sqrt(q * q)
output q + s
""",
    "a matrix that is not the identity": """
output mean[j in y](s * y[j] + sum(p))
""",
}
"""What random programs found, a program for each fault."""

HEAD = """program found(d = 2)

tokens (x y)* x
    x : vector[d]
    y : scalar

p : vector[d] = 1
s : scalar = 0.5
"""


@pytest.mark.parametrize("name", FOUND)
def test_what_random_programs_found(name: str) -> None:
    text = HEAD + FOUND[name]
    graph = graph_of(text, {})
    for repetitions in (1, 5):
        found = error(text, graph, repetitions, 3, dtype="float64")
        assert found is not None
        assert found < 1e-6


def test_no_certificate_promises_more_than_the_oracle_holds() -> None:
    """An exact program's error was certified as 0, and float64 is off by a unit wherever sums are made in another
    order."""
    text = """program found()

tokens (y)*
    y : scalar

r = y
repeat 2
    r = -r + 0.05
output r
"""
    report = compile_program(text, target="lsa", dtype="float64").report
    assert report.output_rms * 2.0**-53 < report.predicted_error < report.output_rms * 1e-13
    verdict = judge(text, "lsa", "float64", 528)
    assert verdict is not None
    assert verdict.result == "right"


def test_the_error_of_a_constant_is_predicted() -> None:
    report = compile_program(HEAD + "p = tanh(p)\noutput p\n").report
    assert 0.0 < report.measured_error <= report.predicted_error < 1e-6
