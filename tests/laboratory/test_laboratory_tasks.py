"""The streams of tasks: what they promise, statistically and by their seeds."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from innerloop.artifact.errors import InnerloopError
from innerloop.laboratory.training.kinds import eigenvalues
from innerloop.laboratory.training.tasks import TaskDistribution, names, task
from innerloop.programs import load

from tests.support.shared import compiled_once

MANY = 4000


def drawn(stream: TaskDistribution, seed: int = 0, batch: int = MANY, **options: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in stream.sample(jax.random.key(seed), batch, **options).items()}


def solved(fields: dict[str, np.ndarray]) -> np.ndarray:
    """The w [batch, d] that fits each task's examples."""
    return np.stack([np.linalg.lstsq(x, y, rcond=None)[0] for x, y in zip(fields["x"], fields["y"], strict=True)])


@pytest.mark.parametrize("name", names())
def test_a_key_says_all(name: str) -> None:
    stream = task(name)
    one, other, again = drawn(stream, 1, 3), drawn(stream, 2, 3), drawn(task(name), 1, 3)
    for field in one:
        np.testing.assert_array_equal(one[field], again[field])
        assert not np.array_equal(one[field], other[field])


def test_linear() -> None:
    fields = drawn(task("linear", d=3, n=8, weight_scale=2.0))
    assert fields["x"].shape == (MANY, 9, 3)
    assert fields["y"].shape == (MANY, 9)
    assert fields["x"].std() == pytest.approx(1, rel=0.02)
    w = solved(fields)
    np.testing.assert_allclose(np.einsum("bnd,bd->bn", fields["x"], w), fields["y"], atol=1e-3)
    assert w.std() == pytest.approx(2, rel=0.03)


def test_uniform_inputs_are_those_of_von_oswald() -> None:
    x = drawn(task("linear", inputs="uniform", input_scale=0.5))["x"]
    assert -0.5 <= x.min() < -0.49
    assert 0.49 < x.max() <= 0.5
    assert x.var() == pytest.approx(1 / 12, rel=0.02)


def test_noise_is_on_the_labels_alone() -> None:
    plain, noisy = (drawn(task(name, d=2, n=4)) for name in ("linear", "noisy_linear"))
    np.testing.assert_array_equal(plain["x"], noisy["x"])
    assert (noisy["y"] - plain["y"]).std() == pytest.approx(0.5, rel=0.03)


def test_sparse_weights_have_so_many_components() -> None:
    w = solved(drawn(task("sparse_linear", d=5, n=12, nonzeros=2), batch=500))
    assert ((np.abs(w) > 1e-4).sum(1) == 2).all()
    assert (np.abs(w) > 1e-4).mean(0) == pytest.approx(np.full(5, 0.4), abs=0.1)


def test_skewed_inputs_have_the_eigenvalues_that_are_said() -> None:
    for options in ({"power": 2.0}, {"eigenvalues": [4.0, 1.0, 0.25]}):
        stream = task("skewed_linear", d=3, **options)
        x = drawn(stream)["x"].reshape(-1, 3)
        np.testing.assert_allclose(np.cov(x.T), np.diag(eigenvalues(stream.parameters)), atol=0.1)
    np.testing.assert_allclose(eigenvalues(task("skewed_linear", d=3).parameters).mean(), 1)


def test_discrete_tasks_are_those_of_the_pool() -> None:
    stream = task("discrete_linear", d=3, n=40, tasks=4, noise=0.01)
    pool, w = np.asarray(stream.pool()), solved(drawn(stream, batch=400))
    distance = np.linalg.norm(w[:, None] - pool, axis=-1)
    assert distance.min(1).max() < 0.05
    assert sorted(set(distance.argmin(1))) == [0, 1, 2, 3]
    other = np.asarray(task("discrete_linear", d=3, tasks=4, pool=1).pool())
    assert not np.allclose(pool, other)
    with pytest.raises(InnerloopError, match="no finite pool"):
        task("linear").pool()


def test_a_mixture_has_tasks_of_each_kind_with_its_own_parameters() -> None:
    stream = task("mixed", d=4, n=12, of=["linear", "sparse_linear"], nonzeros=1, noise=0.5)
    fields = drawn(stream, batch=800)
    found = [np.linalg.lstsq(x, y, rcond=None) for x, y in zip(fields["x"], fields["y"], strict=True)]
    exact = np.array([squares.sum() < 1e-6 for _, squares, _, _ in found])  # of linear, which has no noise
    assert exact.mean() == pytest.approx(0.5, abs=0.06)
    w = np.stack([solution for solution, _, _, _ in found])
    assert ((np.abs(w[exact]) > 1e-3).sum(1) == 4).mean() > 0.98
    small = np.sort(np.abs(w[~exact]), axis=1)[:, :3]  # what noise leaves of the others
    assert np.sqrt((small**2).mean()) < 0.3


def test_a_mixture_has_the_parameters_of_its_kinds_alone() -> None:
    """`of=[linear, noisy_linear]` drew no noise, and what no kind has was said to shift."""
    assert task("mixed", of=["linear", "noisy_linear"]).parameters["noise"] == 0.5
    assert task("mixed", of=["sparse_linear", "noisy_linear"]).parameters["noise"] == 0.0
    assert "noise" not in task("mixed", of=["linear", "logistic"]).parameters
    with pytest.raises(InnerloopError, match="task mixed has no parameter `power`"):
        task("mixed", of=["linear", "sparse_linear"], power=2.0)


@pytest.mark.parametrize("of", [["linear"], ["linear", "linear"], ["linear", "sine"], "linear", [1, 2], [[1], [2]]])
def test_what_cannot_be_mixed(of: object) -> None:
    with pytest.raises(InnerloopError, match=r"task mixed: of=.*: must be a list of at least two of linear, noisy"):
        task("mixed", of=of)


def test_logistic_labels_follow_the_sigmoid() -> None:
    fields = drawn(task("logistic", d=1, n=200, weight_scale=3.0), batch=400)
    assert set(np.unique(fields["y"])) == {0.0, 1.0}
    assert fields["y"].mean() == pytest.approx(0.5, abs=0.02)
    slopes = np.einsum("bnd,bn->b", fields["x"], fields["y"] - 0.5)
    assert np.abs(slopes).mean() > 5 * np.sqrt(201) / 2 / 2  # far more than chance gives


def test_sines() -> None:
    fields = drawn(task("sine", n=30), batch=500)
    x, y = fields["x"][..., 0], fields["y"]
    assert -5 <= x.min() < x.max() <= 5
    for at in range(0, 500, 50):
        basis = np.stack([np.sin(x[at]), np.cos(x[at])], -1)
        (a, b), *_ = np.linalg.lstsq(basis, y[at], rcond=None)
        np.testing.assert_allclose(basis @ [a, b], y[at], atol=1e-3)
        assert 0.09 < np.hypot(a, b) < 5.01
        assert b > -1e-3  # phases are from 0 to π


@pytest.mark.parametrize("form", ["real", "complex", "orthogonal"])
@pytest.mark.parametrize("start", ["gaussian", "sparse"])
def test_sequences_turn_by_one_matrix(form: str, start: str) -> None:
    states = drawn(task("autoregressive", d=4, n=12, form=form, start=start, start_scale=1.5), batch=200)["x"]
    assert states.shape == (200, 12, 4, 2) if form == "complex" else (200, 12, 4)
    flat = states.reshape(200, 12, -1)
    norms = np.linalg.norm(flat, axis=-1)
    np.testing.assert_allclose(norms, np.broadcast_to(norms[:, :1], norms.shape), rtol=1e-4)
    if form != "orthogonal":
        pairs = flat.reshape(200, 12, -1, 2)
        z = pairs[..., 0] + 1j * pairs[..., 1]
        moved = np.abs(z[:, 0]) > 1e-3
        ratio = z[:, 1] / np.where(moved, z[:, 0], 1)
        np.testing.assert_allclose(z[:, 2], np.where(moved, ratio * z[:, 1], 0), atol=2e-4)
        np.testing.assert_allclose(z[:, 0].imag, 0, atol=1e-6)
    if start == "sparse":
        assert ((np.abs(flat[:, 0]) > 1e-6).sum(-1) == 1).all()
        np.testing.assert_allclose(np.abs(flat[:, 0]).max(-1), 1.5, rtol=1e-5)
        assert 0.3 < (flat[:, 0].sum(-1) > 0).mean() < 0.7


def test_fewer_dimensions_and_points() -> None:
    fields = drawn(task("linear", d=5, n=9), batch=3, points=4, dimensions=2)
    assert fields["x"].shape == (3, 5, 5)
    assert (fields["x"][..., 2:] == 0).all()
    assert (fields["x"][..., :2] != 0).all()


def test_truths_stand_beside_outputs() -> None:
    regression, sequence = task("linear", d=2, n=3), task("autoregressive", d=2, n=5)
    fields, states = drawn(regression, batch=2), drawn(sequence, batch=2)
    whole, truth = regression.compared(fields["y"], fields)
    np.testing.assert_array_equal(whole, truth)
    _, one = regression.compared(np.zeros((2, 1)), fields)
    np.testing.assert_array_equal(one, fields["y"][:, -1:])
    last, truth = task("linear", d=2, n=3, rows="query").compared(fields["y"], fields)
    np.testing.assert_array_equal(last, fields["y"][:, -1:])
    outputs = states["x"][:, 1:]  # at all tokens but the first: as if each knew its own state only
    found, truth = sequence.compared(outputs, states)
    np.testing.assert_array_equal(truth, states["x"][:, 2:])
    assert found.shape == truth.shape


def test_errors_name_task_value_and_mend() -> None:
    for name, options, said in (
        ("liner", {}, "no task `liner`; did you mean `linear`"),
        ("linear", {"nois": 1.0}, "task linear has no parameter `nois`; It has|it has"),
        ("noisy_linear", {"nois": 1.0}, "did you mean `noise`"),
        ("noisy_linear", {"noise": -1.0}, "noise=-1.0: must be a number of at least 0"),
        ("linear", {"d": 0}, "d=0: must be a whole number of at least 1"),
        ("linear", {"inputs": "cauchy"}, "inputs='cauchy': must be 'normal' or 'uniform'"),
        ("linear", {"rows": "last"}, "rows='last': must be 'all' or 'query'"),
        ("sparse_linear", {"d": 3, "nonzeros": 4}, "nonzeros=4: must be at most d=3"),
        ("skewed_linear", {"d": 3, "eigenvalues": [1.0]}, "has 1 numbers, and d=3"),
        ("autoregressive", {"d": 3}, "d=3: rotations of the plane need an even number"),
    ):
        with pytest.raises(InnerloopError, match=said):
            task(name, **options)


def test_a_program_has_to_take_what_a_task_gives() -> None:
    weights = compiled_once(load("gradient_descent_dual"), target="lsa", d=3)
    task("linear", d=3).verify(weights)
    with pytest.raises(InnerloopError, match=r"task autoregressive gives x \[4\]; gradient_descent_dual takes"):
        task("autoregressive").verify(weights)
