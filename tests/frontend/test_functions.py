"""Every function of the language means something everywhere: to the oracle, as a constant, folded, as a derivative, and
on every target. The reference is the naive reading of the language (reference/naive.py)."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, compile_program, interpret
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.compiler.syntax.builtins import FUNCTIONS
from numpy.typing import NDArray

from tests.reference import WALKED, naive
from tests.reference.measured import numpy_run

D = 3
EXACT = ("sum", "identity", "transpose", "diag", "row_sums", "column_sums", "concat", "size")
"""What linear attention holds: linear, or constant."""
CALLS = {
    "clip": "clip({0}, 0.6, 1.5)",
    "max": "(max({0}, 1.2 - {0}) * max({0}))",
    "min": "(min({0}, 1.2 - {0}) * min({0}))",
    "argmax": "(argmax({0}) * {0})",
    "identity": "(identity(3) @ {0})",
    "transpose": "(transpose(outer({0}, [1, -1])) @ [1, 2, 3] @ [[1, 2, 3], [0, 1, -1]])",
    "concat": "(concat({0}, dot({0}, [1, 2, 3])) @ [[1, 0, 2], [0, 1, 1], [2, 0, 0], [1, 3, 1]])",
    "size": "(size({0}) * {0})",
    "diag": "(diag({0}) @ [1, 2, 3] + diag(outer([1, 2, 3], {0})))",
    "row_sums": "row_sums(outer({0}, [1, 2]))",
    "column_sums": "column_sums(outer([1, 2], {0}))",
}
"""How a function is called where it does not take x alone."""
HEAD = "program p()\n\ntokens (x)*\n    x : vector[3] in [0.3, 2]\n\n"


def call(name: str, argument: str) -> str:
    """As a program writes it."""
    return CALLS.get(name, f"{name}({{0}})").format(argument)


def meaning(name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of vectors [..., 3]."""
    known = {name: naive.FUNCTIONS[name], "outer": np.outer, "dot": np.dot}
    found = np.array([eval(call(name, "x"), known, {"x": row}) for row in x.reshape(-1, D)], np.float64)
    return found.reshape(*x.shape[:-1], *found.shape[1:])


def sample() -> NDArray[np.float64]:
    return np.random.default_rng(1).uniform(0.3, 2.0, (20, 4, D))


def test_the_reference_knows_exactly_the_functions_of_the_language() -> None:
    assert set(naive.FUNCTIONS) == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_data(name: str) -> None:
    x = sample()
    np.testing.assert_allclose(interpret(HEAD + f"output {call(name, 'x')}\n", x=x), meaning(name, x), rtol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_a_constant(name: str) -> None:
    """In the default of a parameter, and of a name that is a constant."""
    x, value = sample(), np.array([0.5, 0.9, 1.7])
    shape = "scalar" if name in ("sum", "logsumexp") else "vector[3]"
    head = HEAD.replace("p()", f"p(c : vector[3] = [0.5, 0.9, 1.7], e : {shape} = {call(name, 'c')})")
    wanted = x * meaning(name, value[None])[0]
    np.testing.assert_allclose(interpret(head + "output e * x\n", x=x), wanted, rtol=1e-12)
    np.testing.assert_allclose(interpret(head + f"n = {call(name, 'c')}\noutput n * x\n", x=x), wanted, rtol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_derivative_of_a_function(name: str) -> None:
    """Against differences; x is nowhere within a step of a kink."""
    x, step = sample(), 1e-6
    weights = np.array([0.3, -1.0, 0.7])
    used = call(name, "x")
    loss = used if name in ("sum", "logsumexp") else f"dot([0.3, -1, 0.7], {used})"

    def value(x: NDArray[np.float64]) -> NDArray[np.float64]:
        found = meaning(name, x)
        return found if name in ("sum", "logsumexp") else found @ weights

    wanted = np.stack([(value(x + step * e) - value(x - step * e)) / (2 * step) for e in np.eye(D)], axis=-1)
    found = interpret(HEAD + f"output grad[x]({loss})\n", x=x)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("target", WALKED)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_on_a_target(name: str, target: TargetName) -> None:
    text, x = HEAD + f"output {call(name, '(x - 0.1)')}\n", sample()
    if TARGETS[target].linear and name not in EXACT:
        with pytest.raises(CompileError):
            compile_program(text, target=target, calibration={"x": x})
        return
    weights = compile_program(text, target=target, calibration={"x": x})
    found = numpy_run(weights, {"x": x})
    assert np.abs(found - meaning(name, x - 0.1)).max() <= weights.report.predicted_error
