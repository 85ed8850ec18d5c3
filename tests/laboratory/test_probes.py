"""Probes and patches: of arrays whose answer is known, and of compiled models, where the layout knows it."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.compiler import DataError, InnerloopError
from innerloop.laboratory.measures.patching import (
    followed,
    implied,
    layout_change,
    others,
    patch,
    pattern_change,
    placed,
)
from innerloop.laboratory.measures.probes import HELD, ProbeTarget, fit, probed, r_squared, target
from innerloop.laboratory.measures.products import read_products
from innerloop.laboratory.measures.subject import Subject
from innerloop.laboratory.measures.trained_probes import HIDDEN, choice, perceptron, pooled, several

from tests.support.models import descended, descent, dual, tasks

RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject(descent(), "compiled")


@pytest.fixture(scope="module")
def held(subject: Subject) -> ProbeTarget:
    return target(subject, tasks(400)[0], "w")


# Arrays ------------------------------------------------------------------------------------------


def test_a_linear_probe_finds_a_linear_map_beside_constants() -> None:
    h, matrix = RNG.standard_normal((200, 6)), RNG.standard_normal((6, 2))
    h[:, 5] = 2.0**17
    values = h[:, :5] @ matrix[:5] + 3
    probe = fit(h[:150].astype(np.float32), values[:150])
    np.testing.assert_allclose(probe(h[150:]), values[150:], atol=1e-4)
    assert not probe.weights[5].any()


def test_the_score_is_on_held_out_tasks() -> None:
    """With as many slots as tasks any values can be fitted, and none predicted."""
    stream = RNG.standard_normal((1, 100, 120))
    values = RNG.standard_normal((100, 1))
    assert probed(stream, values, "", "").score[0] < 0.2


def test_a_square_takes_the_perceptron() -> None:
    h = RNG.standard_normal((800, 3))
    values = h[:, :1] ** 2
    assert r_squared(fit(h[:600], values[:600])(h[600:]), values[600:]) < 0.2
    assert r_squared(perceptron(h[:600], values[:600])(h[600:]), values[600:]) > 0.9


def test_the_pooled_probe_finds_its_token() -> None:
    h = RNG.standard_normal((800, 4, 3))
    values = h[:, 2, :1]
    assert r_squared(pooled(h[:600], values[:600])(h[600:]), values[600:]) > 0.9


def test_the_pooled_probes_leave_out_what_is_noise() -> None:
    """v is the mean of ten labels' slots; 11 other tokens say nothing of it. With a uniform softmax R² is 0.48."""
    h = RNG.standard_normal((2000, 21, 8))
    values = h[:, 1::2, :2].mean(1)
    line, network = several(h[:1500], values[:1500], (0, HIDDEN))
    assert r_squared(line(h[1500:]), values[1500:]) > 0.999
    assert r_squared(network(h[1500:]), values[1500:]) > 0.99
    scores = choice(h[:1500], values[:1500] / values[:1500].std(0))
    assert np.exp(scores[1::2]).sum() / np.exp(scores).sum() > 0.999


def test_trained_probes_of_more_components_than_neurons_and_of_what_never_varies() -> None:
    rng = np.random.default_rng(0)
    h = rng.standard_normal((80, 3))
    many = h @ rng.standard_normal((3, 300))
    assert r_squared(perceptron(h[:60], many[:60])(h[60:]), many[60:]) > 0.95
    still = pooled(np.ones((60, 2, 3)), many[:60])
    np.testing.assert_allclose(still(np.ones((5, 2, 3))), np.tile(many[:60].mean(0), (5, 1)))


def test_the_dual_form_is_read_from_products_alone() -> None:
    """w = Σⱼ rⱼ xⱼ / n, rⱼ and xⱼ at token j."""
    h = RNG.standard_normal((2000, 10, 4))
    values = (h[..., :1] * h[..., 1:]).mean(1)
    (line,) = read_products(h[:1500], [values[:1500]])
    assert r_squared(line(h[1500:]), values[1500:]) > 0.999
    assert r_squared(pooled(h[:1500], values[:1500], HIDDEN)(h[1500:]), values[1500:]) < 0.3


def test_a_probe_needs_tasks() -> None:
    with pytest.raises(DataError, match="10 at least: got 4 and 4"):
        fit(np.zeros((4, 2)), np.zeros((4, 1)))


# The compiled model ------------------------------------------------------------------------------


def test_w_is_read_where_the_layout_names_it_and_not_before(subject: Subject, held: ProbeTarget) -> None:
    fields, _ = tasks(400)
    np.testing.assert_allclose(held.values, descended(fields), atol=1e-3)
    np.testing.assert_array_equal(held.held, [False, False, True, True])
    curve = probed(subject.stream(fields, held.token), held.values, "compiled", "w")
    assert curve.score[held.held].min() > HELD
    assert curve.score[~held.held].max() < 0.5
    assert curve.control.max() < 0.2


def test_the_stream_is_that_of_the_trace(subject: Subject, held: ProbeTarget) -> None:
    fields, _ = tasks(400)
    stream = subject.stream(fields, held.token)
    matrix = placed(subject.weights, "w", held.first, "x").matrix.csr.toarray()
    np.testing.assert_allclose(stream[held.first] @ matrix, held.values, atol=1e-5)
    np.testing.assert_array_equal(subject.stream(fields, None)[:, :, held.token], stream)


def test_names_that_no_layer_holds_are_told(subject: Subject) -> None:
    fields, _ = tasks(20)
    with pytest.raises(InnerloopError, match="holds no `v`"):
        target(subject, fields, "v")
    with pytest.raises(DataError, match="no `u` at token"):
        target(subject, fields, "u")
    with pytest.raises(DataError, match="the same in every task"):
        target(subject, {**fields, "y": np.zeros_like(fields["y"])}, "w")


# Patches -----------------------------------------------------------------------------------------


def test_others_leave_no_task_its_own() -> None:
    values = np.arange(9.0)[:, None]
    found = others(values)
    assert sorted(found[:, 0]) == list(range(9))
    assert (found != values).all()


def test_what_followed_in_closed_form() -> None:
    moved = RNG.standard_normal(50)
    assert followed(moved, moved) == pytest.approx((1, 1))
    assert followed(0.5 * moved, moved) == pytest.approx((0.75, 0.5))
    assert followed(np.zeros(50), moved) == pytest.approx((0, 0))
    assert followed(moved, np.zeros(50)) == (0, 0)


def test_w_put_into_the_layouts_slots_moves_the_prediction_as_it_says(subject: Subject, held: ProbeTarget) -> None:
    """ŷ = w · x: another w moves it by (w* − w) · x."""
    fields, _ = tasks(400)
    wanted = others(held.values)
    expected = ((wanted - held.values) * fields["x"][:, -1]).sum(1)
    moved = implied(subject, fields, held, wanted)
    assert followed(moved, expected) == pytest.approx((1, 1), abs=1e-4)


def test_the_change_is_on_slots_that_vary(subject: Subject, held: ProbeTarget) -> None:
    fields, _ = tasks(400)
    stream = subject.stream(fields, held.token)[held.first]
    placement = placed(subject.weights, "w", held.first, "x")
    change = layout_change(placement, stream, others(held.values))
    assert not change[:, stream.std(0) == 0].any()
    np.testing.assert_allclose((stream + change) @ placement.matrix.csr.toarray(), others(held.values), atol=1e-5)


def test_a_patch_along_the_probe_is_followed_where_w_is_held(subject: Subject, held: ProbeTarget) -> None:
    fields, _ = tasks(400)
    wanted = others(held.values)
    expected = implied(subject, fields, held, wanted)
    found = patch(subject, fields, held, wanted, expected)
    assert np.isnan(found.explained[: held.first]).all()
    assert found.explained[held.first] > 0.98
    assert found.slope[held.first] == pytest.approx(1, abs=0.02)
    with pytest.raises(DataError, match="no directions `other`"):
        patch(subject, fields, held, wanted, expected, "other")


def test_the_pattern_takes_along_what_goes_with_the_value() -> None:
    """h = (v, 2v, noise): the pattern moves both slots that hold v, in proportion."""
    v = RNG.standard_normal((300, 1))
    h = np.concatenate([v, 2 * v, RNG.standard_normal((300, 1))], 1)
    change = pattern_change(fit(h, v), h, v + 1)
    np.testing.assert_allclose(change, np.broadcast_to([1.0, 2.0, 0.0], h.shape), atol=0.1)


def test_a_patch_within_a_loop_reaches_the_output() -> None:
    """By linear attention r at the query is only added to: a change of it after any layer moves −r by its negation."""
    model, (fields, _) = Subject(dual(3), ""), tasks(10)
    before, delta = model(fields), RNG.standard_normal(10)
    change = np.zeros((10, model.weights.config.d_model))
    (slot,) = np.flatnonzero(model.weights.readout.csr.toarray()[:, 0])
    change[:, slot] = delta
    for layer in range(model.layers + 1):
        np.testing.assert_allclose(model.patched(fields, layer, -1, change)[:, 0], before[:, 0] - delta, atol=1e-5)
    np.testing.assert_allclose(model.patched(fields, 1, -1, 0 * change), before, atol=1e-6)


def test_the_layout_is_asked_layer_by_layer() -> None:
    with pytest.raises(DataError, match="no `w` at `x` after layer 1"):
        placed(descent(), "w", 1, "x")
