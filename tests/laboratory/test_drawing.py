"""A task's stream as fields and targets, as it is and as it shifts."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.compiler import InnerloopError
from innerloop.laboratory.drawing import changed, drawing, input_size, shifts
from innerloop.laboratory.training.tasks import fitted, names, task

from tests.reference import source
from tests.support.models import D, descent, dual
from tests.support.shared import compiled_once


def test_targets_are_the_labels_at_the_outputs() -> None:
    of = task("linear", d=D, n=4)
    fields, targets = drawing(of, descent())(3, 5)
    np.testing.assert_array_equal(targets, fields["y"])
    again, query = drawing(of, dual())(3, 5)
    np.testing.assert_array_equal(again["x"], fields["x"])
    np.testing.assert_array_equal(query, fields["y"][:, -1:])


def test_rows_without_a_truth_are_nan() -> None:
    weights = compiled_once(source("mesa_layer"), d=D, length=5)
    fields, targets = drawing(fitted("autoregressive", input_size(weights), {"n": 5, "field": "s"}), weights)(0, 3)
    np.testing.assert_array_equal(targets[:, :-1], fields["s"][:, 1:])
    assert np.isnan(targets[:, -1]).all()


def test_the_query_alone_may_count() -> None:
    _, targets = drawing(task("linear", d=D, n=4, rows="query"), descent())(0, 3)
    assert np.isnan(targets[:, :-1]).all()
    assert np.isfinite(targets[:, -1]).all()


@pytest.mark.parametrize("name", names())
def test_every_task_can_be_shifted_as_it_says(name: str) -> None:
    of = task(name)
    for what, (values, usual) in shifts(of).items():
        assert usual in values
        for value in values:
            assert changed(of, what, value).parameters[what] == value


@pytest.mark.parametrize(("what", "factor"), [("input_scale", 2.0), ("weight_scale", 3.0)])
def test_a_scale_shifts_the_labels(what: str, factor: float) -> None:
    draw = drawing(task("linear", d=D, n=4), descent())
    (_, plain), (_, shifted) = draw(1, 50), draw(1, 50, **{what: factor})
    np.testing.assert_allclose(shifted, factor * plain, rtol=1e-5)


def test_noise_and_skew_make_the_task_that_has_them() -> None:
    of = task("linear", d=4, n=7, weight_scale=2.0)
    noisy, skewed = changed(of, "noise", 0.5), changed(of, "power", 1.0)
    assert (noisy.name, noisy.parameters["noise"], noisy.parameters["weight_scale"]) == ("noisy_linear", 0.5, 2.0)
    assert (skewed.name, skewed.parameters["noise"], skewed.parameters["n"]) == ("skewed_linear", 0.0, 7)
    assert changed(noisy, "power", 1.0).parameters["noise"] == 0.5


def test_what_can_shift() -> None:
    assert set(shifts(task("linear"))) == {"input_scale", "weight_scale", "noise", "power"}
    assert set(shifts(task("linear", inputs="uniform"))) == {"input_scale", "weight_scale", "noise"}
    assert set(shifts(task("skewed_linear", d=2, eigenvalues=[1.0, 2.0]))) == {"weight_scale", "noise"}
    assert set(shifts(task("sine"))) == set()
    with pytest.raises(InnerloopError, match="has no parameter `noise`"):
        changed(task("sine"), "noise", 1.0)


def test_the_size_of_an_input_is_the_models() -> None:
    assert fitted("linear", input_size(descent()), {}).parameters["d"] == D
    assert fitted("linear", input_size(descent()), {"d": 7}).parameters["d"] == 7
    assert fitted("sine", input_size(descent()), {}).name == "sine"
    with pytest.raises(InnerloopError, match="takes x"):
        drawing(fitted("linear", input_size(descent()), {"d": 7}), descent())
