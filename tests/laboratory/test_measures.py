"""Distances, references, sensitivities, nearest algorithms and shifts, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.compiler import DataError, interpret
from innerloop.laboratory.measures.distance import (
    implicit_weight_difference,
    implicit_weights,
    predicted,
    prediction_difference,
    squared_error_at,
    squared_prediction_difference,
)
from innerloop.laboratory.measures.nearest import nearest, nearest_of
from innerloop.laboratory.measures.references import (
    averaging,
    gradient_descent,
    nearest_neighbours,
    reference,
    references,
    ridge_regression,
    stochastic_gradient_descent,
)
from innerloop.laboratory.measures.sensitivity import alignment
from innerloop.laboratory.measures.shift import shift
from innerloop.laboratory.measures.subject import Subject
from innerloop.programs import load

from tests.support.models import D, compiled, descended, descent, dual, tasks

# Distances ---------------------------------------------------------------------------------------


def test_spd_of_two_rates_of_one_step() -> None:
    """ŷ = η b · x with b = Xᵀy/n: SPD = (η − η')² E (b · x)², and the prediction difference |η − η'| E |b · x|."""
    fields, _ = tasks()
    a, b = (Subject(dual(1, rate), "")(fields) for rate in (0.1, 0.3))
    x, y = fields["x"], fields["y"]
    moment = np.einsum("bn,bnd,bd->b", y, x[:, :-1], x[:, -1]) / y.shape[1]
    assert squared_prediction_difference(a, b) == pytest.approx([0.04 * (moment**2).mean()], rel=1e-5)
    assert prediction_difference(a, b) == pytest.approx([0.2 * np.abs(moment).mean()], rel=1e-5)


def test_components_of_an_output_are_summed() -> None:
    a, b = np.zeros((4, 3, 2)), np.full((4, 3, 2), 2.0)
    assert squared_prediction_difference(a, b) == pytest.approx([8.0] * 3)
    assert prediction_difference(a, b) == pytest.approx([np.sqrt(8)] * 3)


def test_predictions_of_different_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"\(4, 3\) and \(4, 1\)"):
        squared_prediction_difference(np.zeros((4, 3)), np.zeros((4, 1)))


def test_a_prediction_that_is_not_finite_names_its_task() -> None:
    with pytest.raises(DataError, match="task 1 is not finite"):
        predicted(lambda _: np.array([[0.0], [np.nan]]), {})


@pytest.mark.parametrize("wild", [np.nan, np.inf])
def test_a_model_that_diverges_at_a_row_has_an_infinite_loss_there(wild: float) -> None:
    predictions, targets = np.array([[1.0, wild]]), np.array([[3.0, 0.0]])
    assert squared_error_at(predictions, targets) == np.inf
    assert squared_error_at(predictions, targets, 0) == 4


def test_implicit_weights_of_compiled_ridge_are_those_of_numpy() -> None:
    fields, _ = tasks(20)
    model = Subject(compiled("sherman_morrison", examples=6, ridge=0.1), "")
    x, y = fields["x"][:, :-1], fields["y"]
    gram = np.einsum("bni,bnj->bij", x, x) + 0.1 * np.eye(D)
    expected = np.linalg.solve(gram, np.einsum("bn,bni->bi", y, x)[..., None])[..., 0]
    found = implicit_weights(model, fields, queries=4)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert implicit_weight_difference(found, expected + 0.5) == pytest.approx(0.25 * D, rel=1e-3)


def test_implicit_weights_need_enough_queries_of_vectors() -> None:
    fields, _ = tasks(4)
    with pytest.raises(DataError, match="1 queries do not determine 2"):
        implicit_weights(reference(averaging), fields, queries=1)
    with pytest.raises(DataError, match="implicit weights need vectors"):
        implicit_weights(reference(averaging), {"x": np.zeros((4, 3)), "y": np.zeros((4, 2))})


# References --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "settings", "algorithm", "same"),
    [
        ("gradient_descent", {"steps": 3, "rate": 0.2}, gradient_descent, {"steps": 3, "rate": 0.2}),
        ("stochastic_gradient_descent", {"examples": 6, "rate": 0.1}, stochastic_gradient_descent, {"rate": 0.1}),
        ("sherman_morrison", {"examples": 6, "ridge": 0.5}, ridge_regression, {"ridge": 0.5}),
    ],
)
def test_references_are_what_the_programs_compute(
    program: str, settings: dict[str, float], algorithm: object, same: dict[str, float]
) -> None:
    fields, _ = tasks(8)
    expected = interpret(load(program), **fields, d=D, **settings)
    np.testing.assert_allclose(predicted(reference(algorithm, **same), fields), expected, atol=1e-10)  # type: ignore[arg-type]


def test_least_squares_averaging_and_neighbours_by_hand() -> None:
    fields, _ = tasks(5)
    x, y = fields["x"], fields["y"]
    least, mean, near = (
        predicted(reference(f, **s), fields)
        for f, s in ((ridge_regression, {"ridge": 0.0}), (averaging, {}), (nearest_neighbours, {"count": 2}))
    )
    for task in range(5):
        for i in range(1, x.shape[1]):
            X, labels, query = x[task, :i], y[task, :i], x[task, i]
            w = np.linalg.lstsq(X, labels, rcond=None)[0]
            closest = np.argsort(np.linalg.norm(X - query, axis=1))[:2]
            assert least[task, i] == pytest.approx(w @ query, abs=1e-6)
            assert mean[task, i] == pytest.approx(labels @ X @ query / i)
            assert near[task, i] == pytest.approx(labels[closest].mean())
    assert not near[:, 0].any()


def test_references_are_of_regression() -> None:
    with pytest.raises(DataError, match="take the fields x and y, not s"):
        reference(averaging)({"s": np.zeros((2, 3, 2))})
    with pytest.raises(DataError, match=r"got \(2, 3, 2\), \(2, 5\)"):
        reference(averaging)({"x": np.zeros((2, 3, 2)), "y": np.zeros((2, 5))})


# Sensitivities -----------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [descent, dual])
def test_sensitivities_of_compiled_descent_are_its_weights(weights: object) -> None:
    fields, _ = tasks(20)
    model = Subject(weights(), "")  # type: ignore[operator]
    np.testing.assert_allclose(model.sensitivities(fields), descended(fields), atol=2e-4)


def test_a_token_without_the_field_has_no_sensitivity() -> None:
    with pytest.raises(DataError, match="holds no `y`"):
        Subject(dual(), "").sensitivities(tasks(4)[0], "y")
    with pytest.raises(DataError, match="has no field `z`"):
        Subject(dual(), "").sensitivities(tasks(4)[0], "z")


def test_alignment_of_opposites_and_of_nothing() -> None:
    a = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]])
    found = alignment(a, a * [[-2], [1], [1]])
    np.testing.assert_allclose(found.cosine, [-1, 1, 0])
    np.testing.assert_allclose(found.distance, [15, 0, 0])
    assert found.mean_distance == pytest.approx(5)
    with pytest.raises(DataError, match="cannot be compared"):
        alignment(a, a[:2])


# Nearest algorithms and shifts -------------------------------------------------------------------


def test_a_model_is_nearest_to_what_it_computes() -> None:
    fields, _ = tasks()
    known = {"GD": reference(gradient_descent, steps=2, rate=0.3), **references()}
    table = nearest({"ours": Subject(descent(), ""), "exact": known["least squares"]}, known, fields, D)
    assert table.nearest("ours") == "GD"
    assert table.nearest("exact") == "least squares"
    assert table.mean[0, 0] < 1e-6 < table.mean[0, 1]
    assert table.spd.shape == (2, len(known), 7)
    assert table.rows()[0][0] == "ours"
    assert table.rows()[0][-1] == "GD"
    with pytest.raises(DataError, match="no model `other`"):
        table.nearest("other")


def test_every_setting_has_a_line_of_its_own_tasks() -> None:
    settings, known = {}, references(noise=1.0)
    for noise in (0.0, 1.0):
        fields, labels = tasks(seed=3)
        y = labels[:, :-1] + noise * np.random.default_rng(1).standard_normal(labels[:, :-1].shape)
        settings[f"noise {noise:g}"] = ({"ridge": known["ridge 1, Bayes"]}, {**fields, "y": y})
    table = nearest_of(settings, known, D)
    assert table.models == ("noise 0", "noise 1")
    assert [table.nearest(name) for name in table.models] == ["ridge 1, Bayes"] * 2
    for (models, fields), line in zip(settings.values(), table.spd, strict=True):
        np.testing.assert_array_equal(nearest(models, known, fields, D).spd[0], line)


def test_rows_of_a_program_that_answers_at_its_query() -> None:
    fields, _ = tasks(10)
    table = nearest({"ours": Subject(dual(), "")}, references(rows=1), fields, D)
    assert table.spd.shape[2] == 1


def test_shifts_of_scale_and_divergence() -> None:
    """A model that says 0 has the loss s² E y²; one that diverges has an infinite one."""

    def draw(scale: float) -> tuple[dict[str, np.ndarray], np.ndarray]:
        fields, labels = tasks()
        return {"x": fields["x"], "y": scale * fields["y"]}, scale * labels

    _, labels = tasks()
    models = {"nothing": lambda f: np.zeros(f["x"].shape[:2]), "wild": lambda f: np.full(f["x"].shape[:2], np.inf)}
    found = shift("weight_scale", [1.0, 3.0], draw, models)
    np.testing.assert_allclose(found.loss["nothing"], np.array([1, 9]) * (labels[:, -1] ** 2).mean())
    assert np.isinf(found.loss["wild"]).all()
    assert np.isinf(found.spd).all()
