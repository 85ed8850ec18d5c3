"""`grad[w](e)` against finite differences of e, in the oracle; and the tidy text that it becomes."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.compiler.frontend.check import check
from innerloop.compiler.frontend.desugar import expand
from innerloop.compiler.interpreter.interpret import interpret
from innerloop.compiler.syntax.nodes import Output
from innerloop.compiler.syntax.parse import parse
from innerloop.compiler.syntax.traversal import statements
from innerloop.compiler.syntax.unparse import unparse
from numpy.typing import ArrayLike

STEP = 1e-6
HEAD = """program p(d, C : matrix[d, d])

tokens (s)*
    w : {type} on s
    v : vector[d] on s
    z : scalar on s

output {output}
"""

OF_VECTOR = [
    "dot(w, v)",
    "sum(w) * z",
    "sum(w)",
    "sum(w + 1)",
    "dot(w, C @ w) / 2",
    "sum((w @ C) ^ 3)",
    "sum(C @ w * v)",
    "dot(w, v) / (1 + dot(w, w))",
    "sum(v / (2 + w ^ 2))",
    "sum(z / (2 + w ^ 2))",
    "sum((w - v) / (1 + z ^ 2))",
    "sum(relu(w) - abs(w) + sign(w))",
    "sum(clip(w, -1, 0.5) * v)",
    "sum(sigmoid(w) * tanh(w) + exp(w / 2))",
    "log(1 + dot(w, w)) + sqrt(1 + sum(w ^ 4))",
    "dot(softmax(w), v)",
    "sum(max(w, v) * v) - sum(min(w, 0.5))",
    "sum(max(dot(w, v), w))",
    "sum(outer(w, v) * C) + dot(outer(v, w) @ v, v)",
    "sum((w < v) * w)",
    "-dot(-w, affine(2 * w - v))",
    "mul(z, dot(w, v)) - div(dot(w, v), 2 + z * z)",
    "mean[j in s](dot(w, v[j]) ^ 2 / 2)",
    "sum[j in s]((dot(w, v[j]) - z[j]) ^ 2 * z[j])",
    "dot(mean[j in s](z[j] * w), v)",
    "mean[j in s](tanh(dot(w, v)) * z[j] + dot(w, v[j]) / (1 + z[j] ^ 2))",
    "softmax[j in s](dot(w, v[j]), z[j])",
    "dot(softmax[j in s](dot(w, v[j]), v[j] + w), v)",
    "tanh(mean[j in s](dot(w, v[j])))",
    "mean[j in s](dot(mean[i in s](dot(w, v[i]) * w), v[j]))",
    "grad[w](dot(w, w) * z) @ v",
    "dot([dot(w, v), z * sum(w), 1] ^ 2, [1, 2, 3])",
    "sum([w, z * w] @ v + [w ^ 2, v] @ w)",
    "dot(concat(w, z * w ^ 2), concat(v, w))",
]
OF_MATRIX = [
    "sum(w @ v)",
    "dot(v, w @ v) + sum(v @ w)",
    "mean[j in s](sum((w @ v[j] - v) ^ 2))",
    "sum(w * C * z)",
    "sum(w)",
]
OF_SCALAR = ["sum(w * v)", "sum(tanh(w * C))", "w ^ 3 / 3 + sum(v / (2 + w ^ 2))", "sum(w + v) + sum(outer(v, v) * w)"]
CASES = [(t, e) for t, es in [("vector[d]", OF_VECTOR), ("matrix[d, d]", OF_MATRIX), ("scalar", OF_SCALAR)] for e in es]


@pytest.mark.parametrize(("type", "loss"), CASES)
def test_against_finite_differences(type: str, loss: str) -> None:
    random = np.random.default_rng(3)
    shape = {"vector[d]": (3,), "matrix[d, d]": (3, 3), "scalar": ()}[type]
    data = {"v": random.normal(size=(4, 3)), "z": random.normal(size=4)}
    w = random.normal(size=(4, *shape))
    fixed: dict[str, ArrayLike] = {"d": 3, "C": random.normal(size=(3, 3))}
    program = HEAD.format(type=type, output=f"grad[w]({loss})")
    assert check(parse(program)) == []
    found = interpret(program, w=w, **data, **fixed)
    assert found.shape == w.shape
    value = HEAD.format(type=type, output=loss)
    for place in np.ndindex(shape):
        step = np.zeros(w.shape)
        step[(slice(None), *place)] = STEP  # no loss takes w from another token, so that all tokens step at once
        up, down = (interpret(value, w=w + sign * step, **data, **fixed) for sign in (1, -1))
        np.testing.assert_allclose(found[(slice(None), *place)], (up - down) / (2 * STEP), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("loss", "derivative"),
    [
        ("mean[j in s]((dot(w, v[j]) - z[j]) ^ 2 / 2)", "mean[j in s]((dot(w, v[j]) - z[j]) * v[j])"),
        ("dot(w, v)", "v"),
        ("3 * dot(w, v) / 6", "0.5 * v"),
        ("dot(w, w) / 2", "w"),
        ("z", "0 * w"),
        ("dot(w, v) - dot(v, w)", "0 * w"),
        ("z - dot(v, w)", "-v"),
        ("sum(relu(w) * v)", "v * (w > 0)"),
        ("softmax[j in s](z[j], dot(w, v[j]))", "softmax[j in s](z[j], v[j])"),
    ],
)
def test_tidy(loss: str, derivative: str) -> None:
    program = expand(parse(HEAD.format(type="vector[d]", output=f"grad[w]({loss})")))
    (output,) = (s for s in statements(program.body) if isinstance(s, Output))
    assert unparse(output.value) == derivative
