"""Domains: what leaves the place where a construction is right is named, whether it has a name or not; what only looks
as if it did is not."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import TargetName
from innerloop.compiler import compile_program, interpret
from innerloop.compiler.numerics.activations import GELU, SILU
from innerloop.compiler.numerics.fit_smooth import domain, fit
from innerloop.compiler.numerics.functions import function
from innerloop.programs import load
from innerloop.runtime import RangeError, RangeWarning, Transformer

GATED = ("gpt2", "llama")
VECTOR = "x : vector[d] on t"


def compiled(
    body: str, target: TargetName = "gpt2", fields: str = "x : scalar on t\n    z : scalar on t", **calibration: Any
) -> Weights:
    text = f"program p({'d' if '[d]' in fields else 'n = 1'})\n\ntokens (t)*\n    {fields}\n\n{body}\n"
    parameters: dict[str, Any] = {"d": 4} if "[d]" in fields else {}
    return compile_program(text, target=target, calibration=calibration, **parameters)


def warned(weights: Weights, **data: Any) -> list[RangeWarning]:
    return told(Transformer(weights), **data)


def told(model: Transformer, **data: Any) -> list[RangeWarning]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model(**data)
    return [w.message for w in caught if isinstance(w.message, RangeWarning)]


def vectors(seed: int = 0) -> np.ndarray:
    """256 tasks of three vectors, of which one has 5 in every component: their sum stays below 10."""
    x = np.random.default_rng(seed).standard_normal((256, 3, 4)).clip(-2.5, 2.5)
    x[0, 0], x[1, 0] = [5, -5, 5, -5], [-5, 5, -5, 5]
    return x


@pytest.mark.parametrize("target", GATED)
@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("sigmoid(0.2 * sum(x))", "the argument of `sigmoid(0.2 * sum(x))` at 6:8 reached 4 "),
        ("tanh(0.2 * sum(x))", "the argument of `tanh(0.2 * sum(x))` at 6:8 reached 4 "),
        ("exp(0.1 * sum(x) ^ 2)", " at 6:"),
    ],
)
def test_what_has_no_name_is_named_by_its_expression_and_place(target: TargetName, expression: str, named: str) -> None:
    weights = compiled(f"output {expression}", target, VECTOR, x=vectors())
    said = [str(w) for w in warned(weights, x=np.full((1, 1, 4), 5.0))]
    assert said
    assert named in said[0]
    assert "layer 0, token 0 (task 0)" in said[0]
    assert not warned(weights, x=vectors())


@pytest.mark.parametrize("target", GATED)
def test_level_functions_stay_level_beyond_their_fit(target: TargetName) -> None:
    for name in ("sigmoid", "tanh"):
        weights = compiled(f"output {name}(0.2 * sum(x))", target, VECTOR, x=vectors())
        found = Transformer(weights, guard="off")(x=np.full((1, 1, 4), 5.0))
        assert abs(float(found[0, 0])) <= 1.0
        assert abs(float(found[0, 0]) - interpret(weights.signature.text, x=np.full((1, 1, 4), 5.0), d=4)[0, 0]) < 0.2


@pytest.mark.parametrize("activation", [GELU, SILU])
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "abs", "clip", "exp", "log", "sqrt", "reciprocal"])
def test_a_fitted_curve_is_the_function_wherever_its_domain_says(name: str, activation: Any) -> None:
    low, high, tolerance = 0.5, 20.0, 3e-7
    arguments = (-40.0, 4.0) if name == "clip" else ()
    ends = domain(name, arguments, low, high, tolerance, activation)
    assert ends[0] <= low
    assert ends[1] >= high
    inside = np.linspace(max(ends[0], -60.0), min(ends[1], 60.0), 5001)
    truth = function(name, arguments, inside)
    found, _ = fit(name, arguments, low, high, tolerance, activation).neurons(inside)
    size = np.abs(function(name, arguments, np.linspace(low, high, 99))).max()
    assert np.abs(found - truth).max() <= 20 * tolerance * size


def test_one_factor_may_leave_its_range_where_the_other_is_small() -> None:
    rng = np.random.default_rng(1)
    x, z = rng.uniform(-1, 1, (2, 64, 4))
    weights = compiled("a = 2 * x + 1\nb = 3 * z\noutput a * b", x=x, z=z)
    for p, q, out in ((1.0, 0.05, False), (1.0, 1.05, False), (1.06, 1.06, False)):
        assert bool(warned(weights, x=[[p]], z=[[q]])) is out
    text = weights.signature.text.replace("a = 2 * x + 1\nb = 3 * z\noutput a * b", "output (2 * x + 1) * (x + 3 * z)")
    weights = compile_program(text, calibration={"x": x, "z": z})
    assert not warned(weights, x=[[1.0]], z=[[-0.6]])
    (named, *_) = warned(weights, x=[[1.09]], z=[[1.6]])
    assert "reached" in str(named)


def test_factors_and_what_comes_of_them_are_both_watched() -> None:
    """A square that is too large is wrong, and slots that hold too much would open closed neurons elsewhere."""
    rng = np.random.default_rng(0)
    weights = compiled(
        "output sum(x) * dot([1, -1, 1, -1], x)", "gpt2", "x : vector[4] on t", x=rng.standard_normal((64, 5, 4))
    )
    x = np.array([[[4.0, -0.8, 4.0, -0.8]]])
    said = [str(w) for w in warned(weights, x=np.clip(x, weights.inputs[0].low, weights.inputs[0].high))]
    assert any(message.startswith("a factor of `sum(x) * dot([1, -1, 1, -1], x)` at 6:8 reached") for message in said)
    assert any(message.startswith("`sum(x) * dot([1, -1, 1, -1], x)` at 6:8 reached") for message in said)


def test_a_divisor_is_watched_where_it_divides() -> None:
    x = np.random.default_rng(2).uniform(1, 2, (64, 4))
    z = np.random.default_rng(3).uniform(-1, 1, (64, 4))
    weights = compiled("output z / (x - 0.5)", x=x, z=z)
    assert not warned(weights, x=x, z=z)
    said = [str(w) for w in warned(weights, x=[[0.50001]], z=[[0.1]])]
    assert any("0.5)` at 7:8 reached 1" in one for one in said), said


@pytest.mark.slow
def test_labels_with_noise_name_the_quotient_that_noiseless_ones_never_let_grow() -> None:
    """y − w · u is next to nothing on noiseless labels once there are d examples."""
    rng = np.random.default_rng(4)
    text = load("recursive_least_squares")
    x = rng.standard_normal((256, 13, 2))
    y = np.einsum("bnd,bd->bn", x, rng.standard_normal((256, 2)))
    weights = compile_program(text, d=2, examples=12, calibration={"x": x, "y": y[:, :12]})
    assert not warned(weights, x=x[:64], y=y[:64, :12])
    noisy = y[:8, :12] + 3 * rng.standard_normal((8, 12))
    found = warned(weights, x=x[:8], y=noisy)
    assert any("reached" in str(w) and " at " in str(w) for w in found)
    exact = interpret(text, x=x[:8], y=noisy, d=2, examples=12)
    off = np.abs(Transformer(weights, guard="off")(x=x[:8], y=noisy) - exact).max(1)
    bad = {task for w in found for task in w.tasks}
    assert set(np.flatnonzero(off > weights.report.predicted_error)) <= bad


def test_scores_of_linear_attention_are_watched() -> None:
    """Inputs that are all large together: w · u grows far beyond what it was compiled for."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((128, 6, 8)).clip(-2, 2)
    y = np.einsum("bnd,bd->bn", x, rng.standard_normal((128, 8)))[:, :5]
    weights = compile_program(
        load("gradient_descent"), optimize="width", d=8, steps=2, rate=0.05, calibration={"x": x, "y": y}
    )
    assert [d.construction for d in weights.domains].count("scores") >= 1
    assert not warned(weights, x=x, y=y)
    said = [str(w) for w in warned(weights, x=np.full((1, 6, 8), 2.0), y=np.full((1, 5), 8 * y.max()))]
    assert any("a score of `mean[j in y](" in one for one in said), said


def test_a_softmax_that_rounding_decides_is_named() -> None:
    text = load("nearest_neighbour")
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((64, 6, 2)), rng.standard_normal((64, 5))
    weights = compile_program(text, d=2, calibration={"x": x, "y": y})
    assert not warned(weights, x=x, y=y)
    x[0, 5] = 0.5 * (x[0, 1] + x[0, 2])  # as near to the one as to the other, and nearer than to the rest
    x[0, 1:3] = x[0, 5] + 0.01 * (x[0, 1:3] - x[0, 5])
    said = [str(w) for w in warned(weights, x=x[:1], y=y[:1])]
    assert any("undecided at layer" in one and "token 10" in one for one in said), said


@pytest.mark.parametrize("target", GATED)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_comparison_that_rounding_decides_is_named(target: TargetName, sign: float) -> None:
    """What the sample holds, an exact 0, is decided; what only nearly is 0 is not."""
    x = np.random.default_rng(8).standard_normal((64, 8)) * 3
    x[0, 0] = 0.0
    weights = compiled(f"output sign({sign} * x)", target, "x : scalar on t", x=x)
    model = Transformer(weights, guard="raise")
    assert np.array_equal(model(x=x), sign * np.sign(x))
    wide = float(np.abs(x).max())
    for near in (1e-9, -1e-8):
        with pytest.raises(RangeError, match=r"undecided at layer 0, token 1 \(task 0\)"):
            model(x=[[1.0, near * wide]])
    assert np.array_equal(model(x=[[1e-3, -1e-3]]), [[sign, -sign]])


def test_ties_of_a_program_that_starts_from_nothing_are_no_alarm() -> None:
    """The perceptron's first comparison is of w = 0."""
    weights = compile_program(load("perceptron"), d=3, examples=6)
    rng = np.random.default_rng(9)
    x = rng.standard_normal((32, 7, 3))
    y = np.sign(np.einsum("bnd,bd->bn", x, rng.standard_normal((32, 3))))[:, :6]
    assert any(d.construction == "comparison" for d in weights.domains)
    assert not warned(weights, x=x, y=y)


def test_outputs_below_what_the_weights_resolve_are_named() -> None:
    weights = compile_program(load("ridge"), d=2, steps=2)
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((3, 6, 2)), rng.standard_normal((3, 5))
    x[1] *= 1e-5
    y[1] *= 1e-5
    (said,) = warned(weights, x=x, y=y)
    assert "the outputs of task 1 are at most" in str(said)
    assert "smaller than what these weights resolve" in str(said)
    assert said.tasks == (1,)


def test_a_warning_says_in_which_tasks() -> None:
    weights = compiled("output sigmoid(0.2 * sum(x))", "gpt2", VECTOR, x=vectors())
    x = vectors()
    x[[3, 200], 1] = 5.0
    left, wrong = warned(weights, x=x)
    assert left.tasks == wrong.tasks == (3, 200)
    assert str(left).endswith("(and so it is in 2 tasks)")
    assert "are off by" in str(wrong)


def test_a_stream_is_guarded_as_a_whole_sequence_is() -> None:
    weights = compiled("output sigmoid(0.2 * sum(x))", "gpt2", VECTOR, x=vectors())
    stream = Transformer(weights, guard="raise").stream()
    stream.push(x=np.zeros(4))
    with pytest.raises(RangeError, match="reached 4 at layer 0, token 1"):
        stream.push(x=np.full(4, 5.0))


def test_domains_are_saved_and_a_folder_of_before_them_loads(tmp_path: Path) -> None:
    weights = compiled("output sigmoid(0.2 * sum(x))", "gpt2", VECTOR, x=vectors())
    weights.save(tmp_path / "new")
    again = Weights.load(tmp_path / "new")
    assert len(again.domains) == len(weights.domains) > 0
    for one, two in zip(again.domains, weights.domains, strict=True):
        assert (one.construction, one.what, one.kinds) == (two.construction, two.what, two.kinds)
        assert np.array_equal(one.low, two.low)
        assert np.array_equal(one.matrix.csr.toarray(), two.matrix.csr.toarray())
    assert warned(again, x=np.full((1, 1, 4), 5.0))
    entries = json.loads((tmp_path / "new" / "config.json").read_text())
    assert entries["domains"]


@pytest.mark.parametrize("target", GATED)
def test_what_is_steep_near_0_is_right_nearer_to_it_than_the_sample_goes(target: TargetName) -> None:
    """No sample holds the least of what logs, roots and reciprocals take; half of it is right, and so is what is
    multiplied by the reciprocal."""
    body = "at t\n    output log(x) + sqrt(x) + sum([z, z] / [x, x + 1])"
    sample = np.random.default_rng(0).uniform(0.25, 1.0, (64, 4))
    weights = compiled(body, target, x=sample, z=sample)
    x = np.full((1, 4), 0.5 * sample.min())
    found = Transformer(weights, guard="off")(x=x, z=x)
    truth = np.log(x) + np.sqrt(x) + 1.0 + x / (x + 1.0)
    assert np.abs(np.asarray(found) - truth).max() <= 5.0 * weights.report.each[0].predicted_error
