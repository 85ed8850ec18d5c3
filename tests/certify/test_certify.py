"""A bound for every prediction: no error is above it, whatever the data; what is smaller than it is marked."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, interpret
from innerloop.programs import load
from innerloop.runtime import Certified, Transformer
from numpy.typing import NDArray

from benchmarks.certify import cells_of
from benchmarks.support.families import FAMILIES
from tests.runtime.test_diff import corrupted
from tests.support.commands import Command, npz, one_message
from tests.support.shared import compiled_once

D, EXAMPLES = 3, 10


@cache
def model(program: str, target: TargetName = "gpt2", dtype: Dtype = "float32", **parameters: Any) -> Transformer:
    weights = compiled_once(load(program), target=target, dtype=dtype, d=D, **parameters)
    return Transformer(weights, guard="raise")


def data(tasks: int = 16, seed: int = 3, scale: float = 1.0, noise: float = 0.0) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((tasks, EXAMPLES + 1, D)), rng.standard_normal((tasks, D, 1))
    y = (x @ w)[:, :-1, 0] + noise * rng.standard_normal((tasks, EXAMPLES))
    return {"x": scale * x, "y": scale * y}


def errors(found: Certified, program: str, fields: dict[str, NDArray[Any]], **parameters: Any) -> NDArray[Any]:
    truth = interpret(load(program), **fields, d=D, **parameters)
    return np.asarray(np.abs(found.prediction.astype(np.float64) - truth))


@pytest.mark.parametrize(
    ("program", "target"),
    [
        ("gradient_descent", "gpt2"),
        ("gradient_descent", "llama"),
        ("sherman_morrison", "gpt2"),
        ("sherman_morrison", "gelu"),
    ],
)
def test_a_bound_holds_and_is_no_larger_than_need_be(program: str, target: TargetName) -> None:
    fields, given = data(), {} if program == "gradient_descent" else {"examples": EXAMPLES}
    found = model(program, target, **given).certify(**fields)
    error = errors(found, program, fields, **given)
    assert found.bound.shape == found.prediction.shape == error.shape
    assert found.beyond == ()
    assert np.all(error <= found.bound)
    assert np.median(found.bound) < 300.0 * np.median(error)
    assert found.resolved[:, 1:].mean() > 0.9


def test_what_is_smaller_than_the_weights_resolve_is_marked() -> None:
    fields = data(scale=1e-3)
    found = model("gradient_descent", steps=10).certify(**fields)
    error = errors(found, "gradient_descent", fields, steps=10)
    assert np.all(error <= found.bound)
    assert np.abs(found.prediction).max() > 3.0 * np.abs(interpret(load("gradient_descent"), **fields, d=D)).max()
    assert not found.resolved.any()


def test_a_value_beyond_its_range_is_named_and_what_may_rest_on_it_has_no_bound() -> None:
    fields = data(tasks=4)
    fields["y"][2, 6] = 300.0
    found = model("recursive_least_squares", examples=EXAMPLES).certify(**fields)
    assert np.isinf(found.bound[2, 7:]).all()
    assert np.isfinite(found.bound[2, :7]).all()
    assert np.isfinite(found.bound[[0, 1, 3]]).all()
    assert any("y reached 300 in task 2" in said for said in found.beyond)
    assert not found.resolved[2, 7:].any()


def test_an_undecided_comparison_has_both_outcomes_within_the_bound() -> None:
    """The margin of the second example is 0 but for rounding: whether the perceptron learns from it, nobody knows."""
    x = np.array([[[1.0, 0.3, 0.1], [0.3, -1.0, 1e-9], [0.5, 0.5, 0.2]]])
    found = model("perceptron").certify(x=x, y=np.array([[1.0, 1.0]]))
    undecided = abs(x[0, 1] @ x[0, 2])
    assert found.bound[0, 2] >= undecided
    assert found.bound[0, 1] < 1e-3


def test_without_a_batch_dimension_there_is_none() -> None:
    fields = {name: array[0] for name, array in data().items()}
    found = model("gradient_descent").certify(**fields)
    assert found.prediction.shape == found.bound.shape == found.resolved.shape == (EXAMPLES + 1,)


def test_the_callers_calibration_is_asked_for() -> None:
    sample, fields = data(64, 1), data()
    weights = compiled_once(load("gradient_descent"), d=D, calibration=sample)
    found = Transformer(weights).certify(sample, **fields)
    assert np.all(errors(found, "gradient_descent", fields) <= found.bound)
    with pytest.raises(DataError, match="give the same data again"):
        Transformer(weights).certify(**fields)


def test_wrong_weights_have_no_certificate() -> None:
    weights, _ = corrupted(model("gradient_descent").weights, "w")
    with pytest.raises(InnerloopError, match="not what the program compiles to"):
        Transformer(weights, guard="off").certify(**data())


def test_a_lower_precision_than_compiled_for_has_none() -> None:
    weights = model("gradient_descent", dtype="float64").weights
    with pytest.raises(DataError, match="was compiled for float64 and runs in float32"):
        Transformer(weights, dtype="float32").certify(**data())


def test_trained_weights_have_none() -> None:
    from innerloop.laboratory.training.architecture import blank

    weights = blank(model("gradient_descent").weights)
    with pytest.raises(DataError, match="was trained, or changed, and not compiled"):
        Transformer(weights, guard="off").certify(**data())


def test_the_command(innerloop: Command, tmp_path: Path) -> None:
    model("gradient_descent").weights.save(tmp_path / "weights")
    fields = data(2)
    fields["x"][1] *= 1e-3
    fields["y"][1] *= 1e-3
    npz(tmp_path / "data.npz", **fields)
    shown = innerloop("run", "weights", "--data", "data.npz", "--certify")
    assert shown.status == 0
    assert "gradient_descent_bound" in shown.out
    assert "smaller than what these weights resolve" in shown.err
    assert innerloop("run", "weights", "--data", "data.npz", "--certify", "-o", "out.npz").status == 0
    out = np.load(tmp_path / "out.npz")
    assert out["gradient_descent_bound"].shape == out["gradient_descent"].shape == (2, EXAMPLES + 1)
    assert not out["gradient_descent_resolved"][1].any()
    fields["x"][0, 3] = 50.0
    npz(tmp_path / "far.npz", **fields)
    far = innerloop("run", "weights", "--data", "far.npz", "--certify", "-o", "far.csv")
    assert far.status == 0
    assert "x reached 50 in task 0" in far.err
    assert "nothing is known of 8 of 22 predictions" in far.err
    one_message(innerloop("run", "weights", "--data", "data.npz", "--calibrate", "data.npz"), "--calibrate is for")


def test_saved_weights_are_certified(tmp_path: Path) -> None:
    model("gradient_descent").weights.save(tmp_path / "weights")
    found = Transformer(Weights.load(tmp_path / "weights")).certify(**data())
    assert np.array_equal(found.bound, model("gradient_descent").certify(**data()).bound)


# Families of data -------------------------------------------------------------------------------


def none_above(program: str, target: TargetName, dtype: Dtype, tasks: int, families: tuple[str, ...]) -> None:
    cells = cells_of((program, target, dtype, families, tasks))
    assert cells
    assert [c for c in cells if c.above] == []
    assert any(c.unknown < c.predictions for c in cells)


ONE_LENGTH = tuple(name for name, family in FAMILIES.items() if not family.groups)


@pytest.mark.parametrize("target", ["gpt2", "llama", "lsa"])
def test_no_error_is_above_its_bound_on_any_family(target: TargetName) -> None:
    none_above("averaging", target, "float32", 4, ONE_LENGTH)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "target", "dtype"),
    [
        ("nearest_neighbour", "gpt2", "float32"),
        ("deep_features", "gpt2", "float32"),
        ("perceptron", "gelu", "float64"),
        ("nearest_neighbour", "gelu", "float64"),
        ("recursive_least_squares", "llama", "float32"),
        ("perceptron", "llama", "float32"),
    ],
)
def test_no_error_is_above_its_bound(program: str, target: TargetName, dtype: Dtype) -> None:
    none_above(program, target, dtype, 12, tuple(FAMILIES))


def test_where_the_program_has_no_answer_there_is_no_bound() -> None:
    weights = compiled_once("program p()\ntokens (x)*\n    x : scalar in [1, 2]\noutput log(x)\n")
    found = Transformer(weights, guard="off").certify(x=[[1.5], [-1.0]])
    assert np.isinf(found.bound[1]).all()


@pytest.mark.parametrize("worst", [[1.0, -1.1, 0.0], [-1e30, 1.0, 1.0]], ids=["a divisor of 0", "a huge field"])
def test_a_task_without_a_bound_costs_the_others_nothing(worst: list[float]) -> None:
    """A divisor far out was taken for one that overflows in every task, and a mean's usual size was that of all."""
    weights = compiled_once(OWN_BOUNDS)
    rng = np.random.default_rng(0)
    y = rng.uniform(0.5, 2.0, (3, 3))
    alone = Transformer(weights, guard="off").certify(y=y[[0, 2]]).bound
    y[1] = worst
    found = Transformer(weights, guard="off").certify(y=y).bound
    assert np.isinf(found[1]).any()
    assert np.all((found[[0, 2]] <= 2.0 * alone) & (alone <= 2.0 * found[[0, 2]]))


OWN_BOUNDS = """program own()
tokens (y)*
    y : scalar in [0.5, 2]
m = sum[j in y](y[j])
output 1 / (0.1 + m) + mean[j in y](y[j])
"""


@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_an_equality_has_a_bound_whether_or_not_the_sample_holds_it(target: TargetName) -> None:
    """Default data are no whole numbers: 0 was then decided as the sign of what rounding left of it, and certified as
    if it were undecided (bound 80; on gpt2 rightly: off by 2.5)."""
    text = "program p()\ntokens (y)*\n    y : scalar in [0, 5]\noutput 5 * (y == 3)\n"
    found = Transformer(compiled_once(text, target=target), guard="off").certify(y=np.arange(6.0)[None])
    assert np.array_equal(found.prediction, [[0.0, 0.0, 0.0, 5.0, 0.0, 0.0]])
    assert np.max(found.bound) < 1e-4


@pytest.mark.parametrize("counted", ["1", "y[j] > 0"])
def test_a_count_that_is_asked_for_has_a_certificate(counted: str) -> None:
    """What rewrites make of a sum, n · mean, is 3 but for rounding (the oracle of them said no, and 4 was predicted);
    a sum of ones is the count itself, and no product."""
    text = f"program p()\ntokens (y)*\n    y : scalar\nc = sum[j in y]({counted})\noutput c == 3\n"
    report = compiled_once(text).report
    assert report.output_rms > 0.1
    assert report.predicted_error < 1e-5
    assert report.measured_error < 1e-6
