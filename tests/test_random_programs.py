"""Random programs: each compiles and agrees with the oracle, or is refused with a message for the user."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.strategies import integers
from innerloop.compiler.build import graph_of
from innerloop.compiler.compile import compile_program

from .against_oracle import checked, error
from .reference.programs import random_program


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-3), ("float64", 1e-5)])
def test_random_programs_agree_with_the_oracle(dtype: str, tolerance: float) -> None:
    # most seeds are programs that the checker refuses
    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
    @given(integers(0, 2**32 - 1), integers(1, 4))
    def run(seed: int, repetitions: int) -> None:
        text = random_program(Random(seed))
        graph = checked(text)
        assume(graph is not None)
        assert graph is not None
        found = error(text, graph, repetitions, seed % 2**16, dtype=dtype)
        assert found is None or found < tolerance, text

    run()


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


def test_the_error_of_a_constant_is_predicted() -> None:
    report = compile_program(HEAD + "p = tanh(p)\noutput p\n").report
    assert 0.0 < report.measured_error <= report.predicted_error < 1e-6
