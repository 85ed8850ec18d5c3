"""Layers of the delta rule: whole scans in one layer, the published recurrence, and what has no place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.parts import DeltaAttention
from innerloop.compiler import CompileError, Weights, compile_program, interpret
from innerloop.programs import load
from innerloop.runtime import Transformer
from numpy.typing import NDArray

from tests.reference import DELTA, case_of, source
from tests.reference.measured import compiled, numpy_run

Floats = NDArray[Any]
BATCH, TOKENS = 16, 12


def published(q: Floats, k: Floats, v: Floats, beta: Floats, alpha: Floats) -> Floats:
    """Yang et al. 2024 (arXiv 2412.06464), equation 10, as matrices, one sequence after another [batch, tokens, …]:
    S_t = S_{t−1} (α_t (I − β_t k_t k_tᵀ)) + β_t v_t k_tᵀ and o_t = S_t q_t."""
    found = np.zeros(v.shape)
    for b in range(len(q)):
        s = np.zeros((v.shape[-1], k.shape[-1]))
        for t in range(q.shape[1]):
            eye = np.eye(k.shape[-1])
            s = s @ (alpha[b, t] * (eye - beta[b, t] * np.outer(k[b, t], k[b, t]))) + beta[b, t] * np.outer(
                v[b, t], k[b, t]
            )
            found[b, t] = s @ q[b, t]
    return found


def text(body: str, fields: str = "", start: str = "w : vector[3] = 0", end: str = "output dot(w, x)") -> str:
    head = "program p(rate = 0.1)\n\ntokens (x y)* x\n    x : vector[3]\n    y : scalar\n"
    moved = f"{head}{fields}\nat y\n    u = move x from previous\n"
    return f"{moved}\n{start}\nscan y up to 8\n    {body}\n\nat x\n    {end}\n"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DELTA)
def test_a_whole_scan_is_one_layer(name: str, dtype: Any, tmp_path: Path) -> None:
    case = case_of(name)
    weights = compiled(case, "deltanet", dtype)
    assert (weights.config.n_layer, weights.config.n_head, weights.report.neurons) == (1, 1, 0)
    assert next(type(s) for s in weights.sublayers()) is DeltaAttention
    fields = case.data(seed=0, tasks=32)
    truth, least = case.answers(fields), {"float32": 2e-6, "float64": 1e-13}[dtype]
    model = Transformer(weights, guard="raise")
    found = model(**fields)
    np.testing.assert_allclose(found, truth, rtol=0, atol=least)
    np.testing.assert_allclose(numpy_run(weights, fields), truth, rtol=0, atol=least)
    assert weights.report.measured_error <= weights.report.predicted_error
    certified = model.certify(case.sample(), **{k: a[:4] for k, a in fields.items()})
    assert np.all(np.abs(found[:4] - truth[:4]) <= certified.bound)
    weights.save(tmp_path / name)
    np.testing.assert_array_equal(Transformer(Weights.load(tmp_path / name))(**fields), found)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_the_published_recurrence_with_gates(dtype: Any) -> None:
    """Rates and gates that the data say, |k| = 1, and one key that has to be stored exactly."""
    rng = np.random.default_rng(3)
    q, k, v = (rng.standard_normal((BATCH, TOKENS, size)) for size in (4, 4, 2))
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    beta, f = rng.uniform(0.0, 1.0, (BATCH, TOKENS)), rng.uniform(0.0, 0.5, (BATCH, TOKENS))
    rate = "beta : scalar on token in [0, 1]"
    gated = load("fast_weights").replace(rate, f"{rate}\n    f : scalar on token")
    gated = gated.replace("W + beta * outer(v - W @ k, k)", "(1 - f) * W + beta * outer(v - (1 - f) * W @ k, k)")
    fields = {"q": q, "k": k, "v": v, "beta": beta, "f": f}
    weights = compile_program(gated, target="deltanet", dtype=dtype, calibration=fields, d=4, m=2)
    assert weights.config.n_layer == 1
    found = Transformer(weights)(**fields)
    least = {"float32": 1e-5, "float64": 1e-13}[dtype]
    np.testing.assert_allclose(found, published(q, k, v, beta, 1.0 - f), rtol=0, atol=least)


def test_a_stream_goes_token_by_token() -> None:
    case = case_of("stochastic_gradient_descent")
    model = Transformer(compiled(case, "deltanet"))
    fields = case.data(seed=0, tasks=4)
    whole, stream = model(**fields), model.stream(batch=4)
    for t in range(fields["x"].shape[1]):
        np.testing.assert_allclose(stream.push(x=fields["x"][:, t]), whole[:, t], rtol=0, atol=1e-6)
        if t < fields["y"].shape[1]:
            stream.push(y=fields["y"][:, t])


@pytest.mark.parametrize(
    ("program", "layers"),
    [
        (text("w = w + rate * (y - dot(u, w)) * u"), 1),
        (text("w = w + rate * y * u - rate * dot(w, u) * u"), 1),
        (text("w = 0.9 * w + rate * (2 * y - dot(w, u)) * u"), 1),
        (text("w = w - (rate * dot(w, 2 * u) * u - (y + 1) * rate * u)"), 1),
        (text("w = w + rate * (y - dot(w, u)) * u / (0.5 + dot(u, u))", start="w : vector[3] = [1, 0, -2]"), 1),
        (text("w = 0.5 * w + u", end="output dot(w, x) + y0", fields="\nat x\n    y0 = 1\n"), 1),
        (text("w = w + u", end="output w"), 1),
        (text("s = s + 1\n    w = w + rate * (y - dot(w, u)) * u", start="w : vector[3] = 0\ns : scalar = 0",
              end="output dot(w, x) + s"), 1),
        (text("W = W - rate * outer(u, W.T @ u - [y, 1])".replace("W.T @ u", "transpose(W) @ u"),
              start="W : matrix[3, 2] = 0", end="output transpose(W) @ x"), 1),
        (text("w = w + rate * (y - dot(w, u + 1)) * (u + 1)"), 2),
    ],
)  # fmt: skip
def test_however_it_is_written(program: str, layers: int) -> None:
    rng = np.random.default_rng(1)
    fields = {"x": rng.standard_normal((BATCH, 7, 3)), "y": rng.standard_normal((BATCH, 6))}
    weights = compile_program(program, target="deltanet", dtype="float64", calibration=fields)
    assert weights.config.n_layer == layers
    found = Transformer(weights)(**fields)
    np.testing.assert_allclose(found, interpret(program, **fields), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("program", "said", "line"),
    [
        (source("perceptron"), "compares what it carries", 15),
        (source("oja"), "multiplies what it carries by itself", 0),
        (source("gradient_descent"), "has no mean over tokens", 0),
        (text("w = w + y * u"), "only adds", 0),
        (text("w = w + rate * (y - dot(w, u)) * x0", fields="    x0 : vector[3] on y\n"), "takes away no β k kᵀ", 0),
        (text("w = w + y * y * (y - dot(w, u)) * u"), "has a rate", 0),
        (text("w = w + rate * (y * y - dot(w, u)) * u"), "writes a value", 0),
        (text("w = w + rate * (y - dot(w, u)) * u", "    c : vector[3] on x, y\n", "w = c"), "starts `w` from what", 0),
    ],
)  # fmt: skip
def test_what_is_refused(program: str, said: str, line: int) -> None:
    given: dict[str, Any] = {"d": 3} if "(d" in program else {}
    with pytest.raises(CompileError, match=said) as refusal:
        compile_program(program, target="deltanet", **given)
    (told,) = refusal.value.diagnostics
    assert told.span is not None
    assert "deltanet" in told.message
    assert not line or told.span.line == line
