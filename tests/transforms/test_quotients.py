"""Divisions inside reads, by what is mine or theirs alone."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, compile_program, interpret
from innerloop.runtime import Transformer

HEAD = """
program p(d)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous
at x
    output """
BODIES = [
    "mean[j in y](dot(x, u[j]) / (1 + dot(u[j], u[j])) * y[j])",
    "sum[j in y](y[j] * u[j] / (1 + dot(x, x)))",
    "mean[j in y](x * y[j] / (1 + u[j] ^ 2))",
    "mean[j in y](x * u[j] / (1 + x ^ 2) / (1 + y[j] ^ 2))",
    "softmax[j in y](dot(x, u[j]) / (1 + dot(u[j], u[j])), y[j])",
    "sum[j in y](dot(x, u[j]) / (1 + dot(u[j], u[j])) * y[j])",
]


TURNS = ("llama", "gpt2", "llama", "gpt2", "llama", "gpt2")
"""Heads of linear attention would save two layers of the last one, and lose two digits."""


@pytest.mark.parametrize(("body", "target"), list(zip(BODIES, TURNS, strict=True)))
def test_a_quotient_by_one_side_is_taken_where_that_side_is(body: str, target: TargetName) -> None:
    rng = np.random.default_rng(0)
    fields = {"x": rng.standard_normal((32, 9, 3)), "y": rng.standard_normal((32, 8))}
    weights = compile_program(HEAD + body + "\n", target=target, d=3, calibration=fields)
    truth = interpret(HEAD + body + "\n", **fields, d=3)
    error = float(np.abs(Transformer(weights, guard="raise")(**fields) - truth).max())
    assert error <= min(weights.report.predicted_error, 1e-5 * float(np.abs(truth).max()))


def test_a_divisor_that_mixes_both_is_refused_by_name() -> None:
    with pytest.raises(CompileError, match=r"this divisor mixes mine \(`x`\) and theirs \(`u\[j\]`\)"):
        compile_program(HEAD + "mean[j in y](y[j] / (2 + dot(x, u[j]) ^ 2))\n", d=3)
