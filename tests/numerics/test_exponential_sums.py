"""Sums weighed by exp(score), at the ends of what scores may be."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.words import TargetName
from innerloop.compiler import compile_program, interpret
from innerloop.runtime import RangeWarning, Transformer

TEXT = """program weighed(scale)

tokens (x)* q
    x : scalar on x in [-1, 1]
    q : scalar in [-1, 1]
    v : scalar on x

at q
    output sum[j in x](exp(scale * q * x[j]) * v[j])
"""


@pytest.mark.parametrize(("target", "dtype"), [("gpt2", "float32"), ("llama", "float32"), ("gpt2", "float64")])
def test_scores_of_any_size_keep_the_digits_of_the_sum(target: TargetName, dtype: Dtype) -> None:
    """Of one sign, so that nothing cancels: every sum to some units of its own size, however small the others are; of
    no token it is 0; beyond the scores of the calibration the guard names the score."""
    rng = np.random.default_rng(0)
    fields = {
        "x": rng.uniform(0.5, 1, (40, 12)),
        "q": np.linspace(-1, 1, 40)[:, None],
        "v": rng.uniform(1, 2, (40, 12)),
    }
    weights = compile_program(TEXT, target=target, dtype=dtype, calibration=fields, scale=20)
    model = Transformer(weights, guard="off")
    found, exact = np.asarray(model(**fields), np.float64), interpret(TEXT, **fields, scale=20)
    assert exact.max() > 1e8 * exact.min() > 0.0
    most = {"float32": 1e-5, "float64": 1e-13}[dtype]
    assert np.abs(found / exact - 1.0).max() <= most
    assert np.abs(found - exact).max() <= weights.report.predicted_error
    assert model(x=np.zeros((1, 0)), v=np.zeros((1, 0)), q=[[0.7]]) == 0.0
    with pytest.warns(RangeWarning, match="a score of"):
        Transformer(weights)(**fields | {"q": 1.5 * fields["q"]})


@pytest.mark.parametrize(
    "body",
    [
        "sum[j in x](exp(q * x[j]))",
        "mean[j in x](exp(q * x[j] - x[j]) * v[j])",
        "sum[j in x](-exp(q * x[j]) * exp(x[j] * q ^ 2) / (2 + v[j]) + x[j] - (v[j] - exp(-x[j] * q)) * [q, 1])",
        "grad[q](sum[j in x](exp(q * x[j]) * v[j]))",
        "mean[j in x](exp(q) * exp(x[j]))",
    ],
)
def test_every_way_to_write_it(body: str) -> None:
    rng = np.random.default_rng(1)
    fields = {"x": rng.uniform(-1, 1, (8, 5)), "q": rng.uniform(-1, 1, (8, 1)), "v": rng.uniform(-1, 1, (8, 5))}
    text = TEXT[: TEXT.index("    output")].replace("scale", "") + f"    output {body}\n"
    weights = compile_program(text, calibration=fields)
    found, exact = np.asarray(Transformer(weights)(**fields)), interpret(text, **fields)
    assert np.abs(found - exact).max() <= weights.report.predicted_error <= 1e-3


def test_the_interpreter_sums_what_is_written() -> None:
    x, v = [0.5, -0.2], [1.0, 3.0]
    exact = np.exp(0.5 * 2 * 0.7) + 3 * np.exp(-0.2 * 2 * 0.7)
    np.testing.assert_allclose(interpret(TEXT, x=x, q=[0.7], v=v, scale=2), [exact])
