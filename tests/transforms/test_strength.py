"""Products that a loop carries: the same outputs in fewer layers, and forms taken apart rightly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import read_data
from innerloop.compiler import compile_program
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.bilinear import Bilinear, after, canonical, factored, flipped
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.critical_path import graph_depth
from innerloop.compiler.ir.graph import Graph
from innerloop.compiler.ir.verify import verify
from innerloop.compiler.pipeline import optimise
from innerloop.compiler.transforms.rewriter import simplify
from innerloop.compiler.transforms.separate_reads import separate_reads
from innerloop.compiler.transforms.stability import drifts
from innerloop.compiler.transforms.strength_reduction import strengthen
from innerloop.programs import load

HEAD = "program p()\n\ntokens (x y)* x\n    x : vector[2]\n    y : scalar\n\nat y\n    u = move x from previous\n\n"
MOMENTS = "S = mean[j in y](outer(u[j], u[j]))\nb = mean[j in y](y[j] * u[j])\n"


def shorter(graph: Graph, reassociate: bool = True) -> Graph:
    """The graph after the pass, which leaves its outputs."""
    found = verify(strengthen(graph, reassociate=reassociate))
    data = read_data(graph.signature, draw(graph.signature, 5, 4, 0))
    np.testing.assert_allclose(evaluate(found, data), evaluate(graph, data), rtol=1e-9, atol=1e-9)
    return found


def of(text: str, parameters: dict[str, Any]) -> Graph:
    return separate_reads(simplify(graph_of(text, parameters)))


SAVED = {
    "right": "M = 0.1 * S\nrepeat 3\n    M = 2 * M - M @ S @ M\nat x\n    output dot(M @ b, x)\n",
    "left": "M = 0.1 * S\nrepeat 3\n    M = 2 * M - M @ (S @ M)\nat x\n    output dot(M @ b, x)\n",
    "a sum": "M = 0.1 * S\nrepeat 3\n    M = 0.5 * M + S - M @ S @ M + identity(2)\nat x\n    output dot(M @ b, x)\n",
    "the last": "w : vector[2] = 0\nrepeat 3\n    w = w - 0.1 * (S @ w - b)\noutput w\n",
    "read after the loop": "M = 0.1 * S\nrepeat 3\n    M = M - relu(M) @ M\nat x\n    output dot(M @ b, x)\n",
    "at some": (
        "at y\n    r = y\nat x\n    r = 0\nrepeat 3\n    r = r - 0.1 * dot(mean[j in y](r[j] * u[j]), b)\noutput r\n"
    ),
}
SPARED = {
    "no product": "w : vector[2] = 0\nrepeat 3\n    w = relu(w - b)\noutput w\n",
    "what stays not": "w : vector[2] = 0.1\nrepeat 3\n    w = 0.1 * w * w - b\noutput w\n",
    "a scan": "w : vector[2] = 0.5\nscan y up to 5\n    w = w - 0.1 * (dot(w, u) - y) * u\noutput w\n",
}


@pytest.mark.parametrize("body", SAVED.values(), ids=SAVED)
def test_what_is_carried_leaves_the_outputs_and_saves_layers(body: str) -> None:
    graph = of(HEAD + MOMENTS + body, {})
    assert graph_depth(shorter(graph)) < graph_depth(graph)


def test_newtons_iteration_keeps_correcting_itself_unless_asked() -> None:
    graph = of(HEAD + MOMENTS + SAVED["right"], {})
    assert graph_depth(shorter(graph, reassociate=False)) == graph_depth(graph)


def test_a_newton_step_is_a_layer_on_request() -> None:
    text = load("iterative_newton")
    for steps in (4, 9):
        graph = of(text, {"d": 2, "steps": steps})
        assert graph_depth(shorter(graph)) // 2 + 1 <= steps + 4


@pytest.mark.parametrize("body", SPARED.values(), ids=SPARED)
def test_what_saves_nothing_is_not_carried(body: str) -> None:
    graph = of(HEAD + MOMENTS + body, {})
    carried = [len(loop.carried) for loop in graph.loops()]
    assert [len(loop.carried) for loop in shorter(graph).loops()] == carried


@pytest.mark.parametrize("name", ["gradient_descent", "stochastic_gradient_descent", "sherman_morrison"])
def test_the_shipped_programs_have_nothing_to_carry(name: str) -> None:
    graph = optimise(graph_of(load(name), {"d": 3}), "gpt2")
    assert [len(loop.carried) for loop in strengthen(graph).loops()] == [len(loop.carried) for loop in graph.loops()]


def test_a_dual_step_is_a_layer() -> None:
    text = load("gradient_descent_dual")
    report = compile_program(text, d=3, steps=5).report
    assert report.layers == 6
    assert report.measured_error < 1e-5


# Forms -------------------------------------------------------------------------------------------


def form(size: int, sizes: tuple[int, int], seed: int) -> Bilinear:
    rng = np.random.default_rng(seed)
    out, left, right = (rng.integers(n, size=20) for n in (size, *sizes))
    return Bilinear(out, left, right, rng.standard_normal(20), size, sizes)


def test_forms_of_the_same_map_are_the_same() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 3)), rng.standard_normal((5, 4))
    some = form(2, (3, 4), 1)
    order = rng.permutation(20)
    again = Bilinear(some.out[order], some.left[order], some.right[order], some.coefficient[order], 2, (3, 4))
    np.testing.assert_allclose(canonical(some).apply(a, b), some.apply(a, b), atol=1e-12)
    assert np.array_equal(canonical(some).out, canonical(again).out)
    np.testing.assert_allclose(flipped(some).apply(b, a), some.apply(a, b), atol=1e-12)
    matrix = Matrix(rng.standard_normal((3, 6)))
    c = rng.standard_normal((5, 6))
    np.testing.assert_allclose(after(some, matrix).apply(c, b), some.apply(matrix.apply(c), b), atol=1e-12)


@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), (2, 3, 4, 1), (1, 3, 2, 4), (1, 1, 4, 3)])
def test_products_of_matrices_are_associative(sizes: tuple[int, int, int, int]) -> None:
    """(A C) B = A (C B) for A [n, k], C [k, m], B [m, p]."""
    n, k, m, p = sizes
    rng = np.random.default_rng(0)
    a, c, b = (rng.standard_normal((4, s)) for s in (n * k, k * m, m * p))
    known = Bilinear.dot(k, m, p)
    outer = factored(Bilinear.dot(n, m, p), Bilinear.dot(n, k, m), known)
    assert outer is not None
    found = outer.apply(a, known.apply(c, b))
    np.testing.assert_allclose(found, Bilinear.dot(n, m, p).apply(Bilinear.dot(n, k, m).apply(a, c), b), atol=1e-12)


def test_what_does_not_factor_is_left() -> None:
    assert factored(Bilinear.dot(3, 3, 3), Bilinear.mul(9), Bilinear.dot(3, 3, 3)) is None
    assert factored(form(2, (3, 4), 1), form(3, (3, 3), 2), form(2, (3, 4), 3)) is None


@pytest.mark.parametrize(
    ("step", "grows"), [("2 * w", True), ("w + 0.1 * mean[j in s](s[j])", False), ("0.5 * w + s", False)]
)
def test_an_error_that_doubles_each_pass_drifts(step: str, grows: bool) -> None:
    graph = graph_of(f"program p()\n\ntokens (s)*\n    s : scalar\n\nw = s\nrepeat 8\n    w = {step}\noutput w\n", {})
    (loop,) = graph.loops()
    assert drifts(graph, loop.carried[0].phi) is grows
