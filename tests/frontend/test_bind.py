"""Parameters to values, and what is said of those that do not fit."""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest
from innerloop.artifact.errors import CompileError
from innerloop.compiler import compile_program, interpret
from innerloop.compiler.frontend.bind import bind
from innerloop.compiler.frontend.check_structure import RESERVED_ARGUMENTS
from innerloop.compiler.syntax.parse import parse

PROGRAM = parse(
    """program p(d, steps = 10, rate = 0.1, A : matrix[d, d] = identity(d) / rate, b : vector[d] = 1)

tokens (x)*
    x : vector[d]

w : vector[2 * d - 2] = 0
repeat steps
    w = w + rate
output x
""",
    "p.icl",
)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rate": 1.0}, "parameter `rate` is 1, outside (0, 1)\n  hint: it must be above 0 and below 1"),
        ({"d": 5}, "parameter `d` is 5, outside [1, 4]\n  hint: it must be at least 1 and at most 4"),
        ({"b": [0.5, 2.5]}, "parameter `b` holds 2.5, outside [0, d)\n  hint: it must be at least 0 and below 2"),
    ],
)
def test_ranges_of_parameters(given: dict[str, object], said: str) -> None:
    head = "program p(d in [1, 4], rate = 0.5 in (0, 1), b : vector[d] = 1 in [0, d))"
    program = parse(f"{head}\n\ntokens (x)*\n    x : vector[d]\n\noutput x\n", "p.icl")
    assert bind(program, {"d": 2, "rate": 0.5, "b": [0, 1.5]})["rate"] == 0.5
    with pytest.raises(CompileError) as refused:
        bind(program, {"d": 2, **given})
    assert said.split("\n")[0] in str(refused.value)
    assert said.split("\n")[1] in str(refused.value)


def test_defaults_in_order() -> None:
    bound = bind(PROGRAM, {"d": 2, "rate": 0.5})
    assert (bound["d"], bound["steps"], bound["rate"]) == (2, 10, 0.5)
    assert [type(bound[name]) for name in ("d", "steps", "rate")] == [int, int, float]
    np.testing.assert_array_equal(bound["A"], 2 * np.eye(2))
    np.testing.assert_array_equal(bound["b"], [1, 1])


@pytest.mark.parametrize("value", [8, 8.0, np.int64(8), np.float32(8), np.array(8)])
def test_whole_numbers_of_any_type(value: object) -> None:
    assert bind(PROGRAM, {"d": value})["d"] == 8


def test_no_steps() -> None:
    assert bind(PROGRAM, {"d": 2, "steps": 0})["steps"] == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "parameter `d` has no value"),
        ({"d": 0}, "parameter `d` is 0"),
        ({"d": -3}, "parameter `d` is -3"),
        ({"d": 2.5}, "parameter `d` is 2.5"),
        ({"d": "8"}, "parameter `d` is '8'"),
        ({"d": True}, "parameter `d` is True"),
        ({"d": None}, "parameter `d` is None"),
        ({"d": [1, 2]}, "parameter `d` has shape [2]"),
        ({"d": float("nan")}, "parameter `d` holds NaN or infinity"),
        ({"d": 1}, "this size is 0"),
        ({"d": 2, "steps": -1}, "parameter `steps` is -1"),
        ({"d": 2, "rate": float("inf")}, "parameter `rate` holds NaN or infinity"),
        ({"d": 2, "rat": 0.2}, "did you mean `rate`?"),
        ({"d": 2, "A": [1, 2]}, "parameter `A` has shape [2]"),
        ({"d": 2, "A": [[1, 2], [3]]}, "parameter `A` has rows of unequal length"),
        ({"d": 2, "A": [[1, 2], [3, float("nan")]]}, "parameter `A` holds NaN or infinity"),
        ({"d": 2, "rate": 0}, "parameter `A` holds NaN or infinity"),
    ],
)
def test_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(CompileError) as refused:
        bind(PROGRAM, given)
    assert said in str(refused.value)


def test_all_faults_at_once() -> None:
    with pytest.raises(CompileError) as refused:
        bind(PROGRAM, {"d": 0, "steps": 1.5, "rat": 1})
    assert [d.message for d in refused.value.diagnostics] == [
        "p has no parameter `rat`",
        "parameter `d` is 0",
        "parameter `steps` is 1.5",
    ]


@pytest.mark.parametrize("n", [0, -1, 2000, 100_000])
@pytest.mark.parametrize(
    "body",
    [
        "output sum(identity(n)) * v",
        "def f(u) = sum(identity(n)) * u\noutput f(v)",
        "def f(k, u) = sum(identity(k)) * u\noutput f(n, v)",
        "k = n + 0\nz : vector[k] = 1\noutput sum(z) * v",
        "k = n + 0\noutput sum(identity(k)) * v",
    ],
)
def test_a_size_anywhere_is_a_size(n: int, body: str) -> None:
    text = f"program p(n)\ntokens (x)*\n    v : scalar on x\n{body}\n"
    with pytest.raises(CompileError, match=r"size is -?\d+|`n` (is|must)"):
        interpret(text, v=np.ones((1, 2)), n=n)


def test_a_size_in_a_range_is_one() -> None:
    text = "program p(n)\ntokens (x)*\n    v : scalar on x in [0, sum(identity(n - 3))]\noutput v\n"
    with pytest.raises(CompileError, match="size is -1"):
        interpret(text, v=np.ones((1, 2)), n=2)


def test_the_compilers_own_arguments_are_reserved() -> None:
    assert {*signature(compile_program).parameters} - {"parameters"} == RESERVED_ARGUMENTS
