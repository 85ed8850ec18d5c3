"""The oracle runs a repeat once for neighbouring tokens that are alike: what is seen of it is the same, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.tokens import read_data
from innerloop.compiler.interpreter import oracle
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Value
from innerloop.compiler.transforms.rewriter import simplify

PROGRAM = """
program settling(d)

tokens (x y)* x
    x : vector[d]
    y : scalar
    z : scalar on x, y

at y
    u = move x from previous

s = mean[j in y](u[j] * y[j])
t = mean[j in y](outer(u[j], u[j]))
v : vector[d] = z
w : vector[d] = 0
repeat 4
    {body}

at x
    output dot(w, x)
"""
BODIES = {
    "local": ("w = w - 0.3 * (t @ w - s)", 6),
    "of its own input": ("w = w - 0.3 * (t @ w - s) + z", 11),
    "what it does not compute": ("w = s", 6),
    "what it does not compute and most tokens tell apart": ("w = v", 11),
    "a read": ("w = w - 0.3 * mean[j in y]((dot(w, u[j]) - y[j]) * u[j])", 11),
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_seen_is_the_same(name: str) -> None:
    body, tokens = BODIES[name]
    text = PROGRAM.format(body=body)
    graph = simplify(graph_of(text, {"d": 3}))
    draw = np.random.default_rng(0)
    data = read_data(
        graph.signature,
        {"x": draw.standard_normal((7, 6, 3)), "y": draw.standard_normal((7, 5)), "z": draw.standard_normal((7, 11))},
    )
    (carried,) = (c for loop in graph.loops() for c in loop.carried)
    found: list[int] = []

    def look(value: Value, array: Floats, _: Indices | None) -> None:
        if value == carried.phi:
            found.append(array.shape[1])

    def run(looks: bool) -> tuple[list[tuple[Value, bytes]], Floats]:
        seen: list[tuple[Value, bytes]] = []
        output = oracle.evaluate(
            graph, data, lambda value, array: seen.append((value, array.tobytes())), looks=looks, look=look
        )
        return seen, output

    (seen, output), (whole, expected) = run(True), run(False)
    assert seen == whole
    assert np.array_equal(output, expected)
    assert found == [tokens] * 4 + [11] * 4
