"""What a loop carries from constants, of constants alone, is known when compiling and costs no depth."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.errors import CompileError
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler.compile import compile_program
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Graph
from innerloop.compiler.ir.verify import verify
from innerloop.compiler.pipeline import choose
from innerloop.compiler.transforms import constant_steps as file
from innerloop.compiler.transforms.constant_steps import constant_steps
from innerloop.runtime import Transformer

from tests.reference import case_of, source

HEAD = "program p(n = 3)\n\ntokens (x)* q\n    x : scalar on x, q\n\nw : scalar = 0\nt = 1\n"


def loops(graph: Graph) -> list[str]:
    return ["repeat" if loop.kind is None else "scan" for loop in graph.loops()]


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("repeat n\n    w = w + x / t\n    t = t + 1\n", []),
        ("repeat n\n    t = 2 * sqrt(t)\n    w = tanh(w + t)\n", []),  # all is constant
        ("repeat n\n    repeat 2\n        t = t / 2\n        w = w + t * x\n", []),
        ("repeat n\n    s = 0.5\n    repeat 2\n        s = s / 2\n        w = w + s * x\n", ["repeat"]),
        ("scan x up to 9\n    s = 1\n    repeat 2\n        s = s / 2\n        w = w / 2 + s * x\n", ["scan"]),
        ("repeat n as k\n    w = w + x / k\n", []),
        ("repeat n as k\n    repeat 2 as l\n        w = w / l + x * 0.5 ^ k\n", []),
        ("repeat n as k\n    w = tanh(w + x)\n", ["repeat"]),
        ("scan x up to 9\n    repeat 2 as k\n        w = w / 2 + [3, 4] @ [k, 1] * x\n", ["scan"]),
        ("repeat n\n    w = tanh(w + x)\n    t = t + 1\n", ["repeat"]),  # nobody reads t
        ("repeat n\n    k = 2\n    w = w + k * x\n", ["repeat"]),  # k is the same in every pass
        ("repeat n\n    w = w + x / t\n    t = t + x ^ 2\n", ["repeat"]),
        ("repeat n\n    w = w + x / t\n    at q\n        t = 2\n", ["repeat"]),  # not one number at all tokens
        ("scan x up to 9\n    w = w + x / t\n    t = t + 1\n", ["scan"]),
    ],
)
def test_repeats_whose_passes_differ_by_constants_are_written_out(body: str, left: list[str]) -> None:
    graph = graph_of(f"{HEAD}{body}output w + t\n", {})
    found = verify(constant_steps(graph))
    assert loops(found) == left
    data = read_data(graph.signature, draw(graph.signature, 4, 3, 0))
    np.testing.assert_allclose(evaluate(found, data), evaluate(graph, data), rtol=1e-12, atol=1e-12)


BY_LAYER = """program p(d, n = 3, rates : vector[n] = 0.1, A : tensor[n, d, d] = 0)

tokens (x)* q  visible context
    x : vector[d] on x, q

z = x
repeat n as k
    z = z + rates[k] * mean[j in x](dot(A[k] @ z, z[j]) * x[j])
output z
"""


@pytest.mark.parametrize(("target", "layers"), [("gpt2", 6), ("llama", 6), ("lsa", 3)])
def test_constants_by_layer_cost_no_layer(target: TargetName, layers: int) -> None:
    """A preconditioner and a rate for each layer (Ahn et al. 2023): as many layers as with the same in all."""
    random = np.random.default_rng(0)
    rates, A = random.uniform(0.1, 0.5, 3), random.normal(size=(3, 2, 2))
    x = random.normal(size=(64, 6, 2))
    weights = compile_program(BY_LAYER, target=target, d=2, rates=rates, A=A, calibration={"x": x})
    found = Transformer(weights)(x=x)
    z = x
    for k in range(3):
        scores = z @ A[k].T @ np.swapaxes(z[:, :-1], 1, 2)
        z = z + rates[k] * scores @ x[:, :-1] / 5
    assert weights.config.n_layer == layers
    np.testing.assert_allclose(found, z, rtol=1e-5, atol=1e-5 * np.abs(z).max())


def test_a_repeat_too_long_to_write_out_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(f"{HEAD}repeat 50\n    w = w + x / t\n    t = t + 1\noutput w\n", {})
    monkeypatch.setattr(file, "MOST", 50)
    assert loops(constant_steps(graph)) == ["repeat"]


@pytest.mark.parametrize("target", ["gpt2", "llama"])
@pytest.mark.parametrize(
    ("name", "layers"), [("fista", 22), ("chebyshev_iteration", 9), ("incremental_gradient", 27), ("lasso", 52)]
)
def test_layers(name: str, layers: int, target: TargetName) -> None:
    """FISTA of 20 steps, Chebyshev's iteration of 8, 18 updates of SGD in 3 epochs, 50 steps of ISTA, whose relus are
    comparisons in attention where the norm is no LayerNorm."""
    found = choose(graph_of(source(name), case_of(name).parameters), target)
    assert found.cost.layers == layers - (3 if name == "incremental_gradient" and target == "llama" else 0)
    assert found.strategy.switched == (name in ("fista", "lasso") and target == "llama")


@pytest.mark.parametrize(
    "loop", ["t = 0\nrepeat 3\n    w = w * log(t)\n    t = t + 1", "repeat 3 as k\n    w = w * log(k - 1)"]
)
def test_constants_that_are_no_numbers_are_refused(loop: str) -> None:
    """Folded, −∞ times 0 would be nothing, and the weights exactly that."""
    text = f"program p()\n\ntokens (x)* q\n    x : scalar on x, q\n\nw = x\n{loop}\noutput w\n"
    with pytest.raises(CompileError, match="the output is not finite, whatever the data"):
        compile_program(text)
