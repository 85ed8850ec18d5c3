"""Linear self-attention: the published constructions come out of the programs, and what has no place is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from innerloop.artifact.parts import LinearAttention
from innerloop.compiler import CompileError, compile_program, interpret
from innerloop.programs import load
from innerloop.runtime import Transformer
from numpy.typing import NDArray

from tests.reference import CASES, LINEAR, Case, source
from tests.reference.measured import compiled

TASKS, N, D = 1000, 10, 10


def tasks(seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """x ~ U(−1, 1) [tasks, N + 1, D] and y = w · x [tasks, N], as von Oswald et al. 2022 draw them."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (TASKS, N + 1, D))
    return x, np.einsum("tnd,td->tn", x[:, :N], rng.standard_normal((TASKS, D)))


def published(x: NDArray[Any], y: NDArray[Any], steps: int, rate: float) -> NDArray[Any]:
    """Proposition 1 as printed: e ← e + P Σⱼ (W_V eⱼ)(eⱼᵀ W_Kᵀ W_Q e), W₀ = 0; minus the query's y entry [tasks]."""
    identity, zero = np.eye(D), np.zeros((D, 1))
    w_k = w_q = np.block([[identity, zero], [zero.T, 0.0]])
    w_v = np.block([[np.zeros((D, D)), zero], [zero.T, -1.0]])
    p = rate / N * np.eye(D + 1)
    e = np.concatenate([x, np.concatenate([y, np.zeros((TASKS, 1))], 1)[..., None]], 2)
    for _ in range(steps):
        context = e[:, :N]
        values = context @ w_v.T
        scores = (e @ w_q.T) @ (context @ w_k.T).transpose(0, 2, 1)
        e = e + scores @ values @ p.T
    return np.asarray(-e[:, N, D])


@pytest.mark.parametrize("steps", [1, 2, 12])
def test_the_dual_program_is_the_published_construction(steps: int) -> None:
    x, y = tasks()
    weights = compile_program(load("gradient_descent_dual"), target="lsa", d=D, steps=steps, rate=0.5)
    assert weights.config.n_layer == weights.report.layers == weights.report.critical_path == steps
    assert weights.config.n_head == 1
    assert weights.report.neurons == 0
    found = Transformer(weights)(x=x, y=y)[:, 0]
    np.testing.assert_allclose(found, published(x, y, steps, 0.5), rtol=0, atol=1e-6)


def test_the_weights_are_the_published_matrices() -> None:
    """W_K = W_Q pick x, W_V the residual, and P = −η on it (the 1/N is the mean's); the roles' flags take no part."""
    weights = compile_program(load("gradient_descent_dual"), target="lsa", d=3, steps=1, rate=0.5)
    (layer,) = [s for s in weights.sublayers() if isinstance(s, LinearAttention)]
    x = np.flatnonzero(weights.embedding.csr.toarray()[3:6].any(0))
    (r,) = np.flatnonzero(weights.readout.csr.toarray()[:, 0])
    query, key, value = (m.csr.toarray() for m in (layer.query, layer.key, layer.value))
    np.testing.assert_array_equal(query[x], np.eye(3))
    np.testing.assert_array_equal(key[x], np.eye(3))
    assert np.count_nonzero(query) == np.count_nonzero(key) == 3
    np.testing.assert_array_equal(np.argwhere(value), [[r, 0]])
    np.testing.assert_array_equal(np.argwhere(layer.output.csr.toarray()), [[0, r]])
    assert value[r, 0] * layer.output.csr.toarray()[0, r] == -0.5


@pytest.mark.parametrize("steps", [1, 4])
def test_alternating_tokens_take_one_layer_more(steps: int) -> None:
    x, y = tasks(1)
    weights = compile_program(load("gradient_descent_alternating"), target="lsa", d=D, steps=steps, rate=0.5)
    assert weights.config.n_layer == steps + 1
    found = Transformer(weights)(x=x, y=y)[:, -1]
    np.testing.assert_allclose(found, published(x, y, steps, 0.5), rtol=0, atol=1e-6)


def test_gd_plus_takes_a_layer_a_step() -> None:
    x, y = tasks(2)
    parameters: dict[str, Any] = {"d": D, "steps": 5, "rate": 0.5, "curvature": 0.02}
    weights = compile_program(load("gd_plus"), target="lsa", calibration={"x": x, "y": y}, **parameters)
    assert weights.config.n_layer == 5
    found = Transformer(weights)(x=x, y=y)
    np.testing.assert_allclose(found, interpret(load("gd_plus"), x=x, y=y, **parameters), rtol=0, atol=1e-6)


HEAVY_BALL = """program heavy_ball(d, steps = 3, rate = 0.2, momentum = 0.5)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

at example
    r = y
at query
    r = 0
v = 0
repeat steps
    v = momentum * v - rate * mean[j in example](dot(x, x[j]) * r[j])
    r = r + v
at query
    output -r
"""


def test_a_loop_that_is_no_sum_is_written_out() -> None:
    x, y = tasks(3)
    weights = compile_program(HEAVY_BALL, target="lsa", d=D)
    assert weights.config.n_layer == 3
    found = Transformer(weights)(x=x, y=y)
    np.testing.assert_allclose(found, interpret(HEAVY_BALL, x=x, y=y, d=D), rtol=0, atol=1e-6)


CAUSAL = """program prefix(d)

tokens (step)*
    x : vector[d]
    y : scalar on step

output mean[j in step](dot(x, x[j]) * y[j]) + sum[j in step](y[j])
"""


def test_causal_attention_counts_what_a_token_sees() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((20, 30, 3)), rng.standard_normal((20, 30))
    text = CAUSAL.replace("x : vector[d]\n", "x : vector[d] on step\n")
    weights = compile_program(text, target="lsa", d=3)
    assert weights.config.causal
    np.testing.assert_allclose(Transformer(weights, guard="off")(x=x, y=y), interpret(text, x=x, y=y, d=3), atol=2e-5)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("lasso", 11, "target lsa has no MLP: `relu` has no place"),
        ("gradient_descent", 18, "target lsa has no MLP: a product within one token has no place"),
        ("sherman_morrison", 15, "target lsa has no scan"),
    ],
)
def test_what_has_no_place_is_refused_by_name(name: str, line: int, message: str) -> None:
    with pytest.raises(CompileError) as error:
        compile_program(source(name), target="lsa", d=3)
    (fault,) = error.value.diagnostics
    assert fault.span is not None
    assert message in fault.message
    assert fault.span.line == line


@pytest.mark.parametrize("case", [c for c in CASES if c.program not in LINEAR], ids=lambda case: case.program)
def test_every_other_program_is_refused_at_a_line_of_its_own(case: Case) -> None:
    for dtype in ("float32", "float64"):
        with pytest.raises(CompileError, match="target lsa") as error:
            compiled(case, "lsa", dtype)
        assert all(fault.span is not None for fault in error.value.diagnostics)


SCAN = """program total()

tokens (e)*
    y : scalar on e

w : scalar = 0
scan e up to 5
    w = w + y
output w
"""
AT_SOME = """program some(d)

tokens (e)* q  visible context
    x : vector[d] on e, q
    y : scalar on e

at e
    r = y
    repeat 3
        r = r - 0.1 * mean[j in e](dot(x, x[j]) * r[j])
at q
    r = 0
output r
"""


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (SCAN, 7, "target lsa has no scan"),
        (AT_SOME, 10, "target lsa has no head that reads one token alone"),
    ],
)
def test_what_one_token_does_by_itself_is_refused(text: str, line: int, message: str) -> None:
    with pytest.raises(CompileError, match=message) as error:
        compile_program(text.replace("(d)", "(d = 2)"), target="lsa")
    (fault,) = error.value.diagnostics
    assert fault.span is not None
    assert fault.span.line == line


def test_tokens_that_cannot_be_told_apart_are_refused() -> None:
    text = """program mixed(d)

tokens (a b)*
    x : vector[d] on a, b

output mean[j in a](dot(x, x[j]) * x[j])
"""
    with pytest.raises(CompileError, match="reads `a` tokens, and what it reads lives at others too"):
        compile_program(text, target="lsa", d=2)


def test_tokens_that_context_must_not_see_are_refused() -> None:
    """Linear attention has no way to hide the last x from those before it."""
    text = (
        "program p()\n\ntokens (x y)* x  visible context\n    x : scalar\n    y : scalar\n\noutput sum[j in x](x[j])\n"
    )
    with pytest.raises(CompileError, match="target lsa hides no `x` token from those before the context's end"):
        compile_program(text, target="lsa")
