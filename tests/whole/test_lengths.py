"""How long sequences may be: `tokens=`, or a scan's limit."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from innerloop.artifact.errors import CompileError, DataError
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program, interpret
from innerloop.compiler.compile import plan_of
from innerloop.programs import load
from innerloop.runtime import Transformer


@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_longer_than_the_usual_sums_too(target: str) -> None:
    """A sum over 700 tokens is in its range, and as exact as was said; in 1,025 and more positions."""
    text = "program total(d)\ntokens (x)*\n    x : vector[d]\noutput sum[j in x](x[j])\n"
    weights = compile_program(text, target=target, tokens=1400, d=1)  # type: ignore[arg-type]
    assert weights.config.n_positions == 1401
    x = np.abs(np.random.default_rng(0).standard_normal((1, 1400, 1)))[:, ::-1] * 0.05
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Transformer(weights)(x=x)
    assert np.abs(found - interpret(text, x=x, d=1)).max() <= weights.report.predicted_error


def test_what_is_longer_is_refused(tmp_path: Path) -> None:
    weights = compile_program(load("averaging"), d=2, tokens=9)
    x, y = np.ones((1, 5, 2)), np.ones((1, 4))
    assert np.isfinite(Transformer(weights)(x=x, y=y)).all()
    with pytest.raises(DataError, match=r"compiled for at most 4 times, 9 tokens: .* tokens="):
        Transformer(weights)(x=np.ones((1, 6, 2)), y=np.ones((1, 5)))
    weights.save(tmp_path / "short")
    assert plan_of(Weights.load(tmp_path / "short")).n_positions == 10


@pytest.mark.parametrize("tokens", [0, 2, True, "many", 2.0**30, 2**40])
def test_no_such_length(tokens: object) -> None:
    with pytest.raises(CompileError, match=r"tokens is .*: not a whole number from 3 to 1,048,575"):
        compile_program(load("averaging"), d=2, tokens=tokens)  # type: ignore[arg-type]


def test_a_scan_says_it_itself() -> None:
    with pytest.raises(CompileError, match="takes as many as its `up to` says"):
        compile_program(load("sherman_morrison"), d=2, tokens=50)


def test_a_scan_that_is_left_out_says_it_all_the_same(tmp_path: Path) -> None:
    """No output reads what the scan makes, and no layer is left of it: sample data were longer than it allows."""
    text = "program p()\ntokens (y)*\n    y : scalar\ns = 0\nscan y up to 8\n    s = s + y\noutput mean[j in y](y[j])\n"
    weights = compile_program(text)
    weights.save(tmp_path / "short")
    assert weights.config.n_positions == plan_of(Weights.load(tmp_path / "short")).n_positions == 9
    assert Transformer(weights)(y=np.ones((1, 8))).shape == (1, 8)
    with pytest.raises(DataError, match="compiled for at most 8 times"):
        Transformer(weights)(y=np.ones((1, 9)))


def test_learned_positions_are_told_apart_so_far() -> None:
    """Beyond 4,096 tokens a copy from the token before found another (off by 2.8); a llama's angles go on."""
    with pytest.raises(CompileError, match="tells 4,096 tokens apart, and these are 5,000"):
        compile_program(load("averaging"), d=2, tokens=5000)
    with pytest.raises(CompileError, match="tells 4,096 tokens apart"):
        compile_program(load("sherman_morrison"), d=1, examples=3000)
