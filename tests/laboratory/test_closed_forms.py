"""The closed forms that figures hold training against, each against draws or the compiled weights."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from innerloop.artifact.errors import InnerloopError
from innerloop.compiler import Weights
from innerloop.laboratory import figures
from innerloop.laboratory.figures import (
    Setting,
    drift,
    huang_cot,
    wang_td,
    zhang_pcr,
)
from innerloop.laboratory.figures.shared.layers import half_loss, preconditioner
from innerloop.laboratory.figures.shared.streams import answers, cross_entropy
from innerloop.laboratory.reproduce import reproduce, signed
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import TaskDistribution, task
from innerloop.laboratory.training.train import train
from innerloop.programs import load

from tests.support.shared import compiled_once

# Machinery ---------------------------------------------------------------------------------------


def test_stages_are_one_run(tmp_path: Path, dual: Weights) -> None:
    """As it stood after 20 and 50 steps, and after a kill the same from the stage that was done."""
    stream = task("linear", d=3, n=4, rows="query")
    start = Model.fresh(dual, 0)
    setting = Setting(tmp_path / "stages")
    first, last = setting.stages("run", start, stream, ends=(20, 50), batch=8, rate=1e-2)
    whole = train(start, stream, steps=50, batch=8, rate=1e-2, schedule="constant")
    assert (first.losses.size, last.losses.size) == (20, 50)
    assert setting.runs["run"].startswith("50 steps of 8 tasks each of linear")
    again = Setting(tmp_path / "stages").stages("run", start, stream, ends=(20, 50), batch=8, rate=1e-2)
    for name, value in whole.parameters.items():
        np.testing.assert_array_equal(np.asarray(last.parameters[name]), np.asarray(value))
        np.testing.assert_array_equal(np.asarray(again[0].parameters[name]), np.asarray(first.parameters[name]))


def test_plain_gradient_descent_moves_along_the_gradient(dual: Weights) -> None:
    """Each step as long as the rate times the gradient: half the rate goes half as far."""
    stream, start = task("linear", d=3, n=4, rows="query"), Model.of(dual)

    def moved(rate: float) -> np.ndarray:
        found = train(start, stream, steps=1, batch=64, rate=rate, clip=None, schedule="constant", optimiser="sgd")
        return np.concatenate([np.ravel(found.parameters[n] - start.parameters[n]) for n in start.parameters])

    far = moved(1e-2)
    np.testing.assert_allclose(moved(5e-3), far / 2, atol=1e-6)
    assert np.abs(far).max() > 10 * np.abs(far[far != 0]).min()  # Adam's are all of one size
    with pytest.raises(InnerloopError, match="optimiser='momentum': must be 'adam' or 'sgd'"):
        train(start, stream, steps=1, optimiser="momentum")  # type: ignore[arg-type]


def test_runs_that_differ_in_their_seed_alone_are_said_together() -> None:
    trained = {"a_0": "9 steps of x, seed 0; rate 1, seed 0", "a_1": "9 steps of x, seed 1; rate 1, seed 1"}
    trained["b"] = "9 steps of y, seed 4; rate 1, seed 4"
    said = signed({"command": "reproduce", "innerloop": "1", "weights": {}, "trained": trained})
    assert said.endswith("a_0, a_1: 9 steps of x; rate 1; b: 9 steps of y, seed 4; rate 1, seed 4")


def test_cross_entropy_of_even_odds() -> None:
    fields = {"next": jnp.eye(4)[None]}
    assert float(cross_entropy("next")(jnp.zeros((1, 4, 4)), fields)) == pytest.approx(np.log(4))


# Closed forms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("components", [1, 3])
def test_loss_of_principal_components(components: int) -> None:
    fields = zhang_pcr.TASKS.drawn(40_000, 3)
    weights = zhang_pcr.compiled(components)
    assert half_loss(weights, fields) == pytest.approx(zhang_pcr.losses()[components], rel=0.03)
    expected = [1 / g if k < components else 0 for k, g in enumerate(zhang_pcr.gammas())]
    np.testing.assert_allclose(preconditioner(weights), np.diag(expected), atol=1e-6)


def test_plateaus_are_where_the_loss_stands() -> None:
    curve = [1.0, 0.999, 0.998, 0.9, 0.7, 0.5, 0.499, 0.4985, 0.498, 0.3, 0.2]
    found = zhang_pcr.plateaus(curve)
    assert [(p.first, p.last) for p in found] == [(0, 2), (5, 8)]
    assert found[1].loss(np.array(curve)) == pytest.approx(0.49875)


@pytest.mark.parametrize("merged", [False, True])
def test_small_heads_begin_at_the_loss_of_no_component(merged: bool) -> None:
    """Layers of the start's form compute x_qᵀ A (1/n) Σ yⱼ xⱼ: the closed loss is the loss on draws."""
    model, stays = zhang_pcr.begun(zhang_pcr.compiled(1), 0, merged)
    assert zhang_pcr.exact_loss(model.weights(model.parameters)) == pytest.approx(zhang_pcr.losses()[0], rel=1e-3)
    louder = {n: v if n in stays else 10 * v for n, v in model.parameters.items()}
    weights = model.weights(louder)
    fields = zhang_pcr.TASKS.drawn(40_000, 3)
    assert zhang_pcr.exact_loss(weights) == pytest.approx(half_loss(weights, fields), rel=0.03)
    assert zhang_pcr.exact_loss(weights) < 0.999 * zhang_pcr.losses()[0]


def test_steps_that_are_written_out() -> None:
    """The compiled layer, asked again and again, is gradient descent; its matrices are η I; one step's best loss."""
    compiled = compiled_once(huang_cot.PROGRAM, target="lsa", d=huang_cot.D, rate=huang_cot.RATE)
    fields = huang_cot.stream(True).drawn(600, 3)
    found = huang_cot.rolled_out(compiled, fields, 3)
    assert found[3] == pytest.approx(huang_cot.many_steps(fields["x"], 3), rel=0.1)
    for matrix in huang_cot.step_matrices(compiled).values():
        np.testing.assert_allclose(matrix, huang_cot.RATE * np.eye(huang_cot.D), atol=1e-6)
    np.testing.assert_allclose(answers(compiled, fields), fields["next"], atol=1e-4)
    x = np.random.default_rng(0).standard_normal((4000, huang_cot.N, huang_cot.D))
    best = min(huang_cot.many_steps(x, 1, rate) for rate in np.linspace(0.5, 0.8, 31))
    assert huang_cot.one_step() == pytest.approx(best, rel=0.02)


def test_values_of_a_chain() -> None:
    """Draws are pairs: rewards and the values of Bellman's equation; the compiled layers are TD(0)."""
    fields = wang_td.STREAM.drawn(4000, 3)
    value, after = fields["value"][::2], fields["value"][1::2]
    off = value - fields["gained"][::2] - wang_td.DISCOUNT * after
    assert abs(off.mean()) < 5 * off.std() / len(off) ** 0.5  # v(s) = E r + γ v(s')
    np.testing.assert_array_equal(fields["after"][:, :-1], fields["phi"][:, 1:-1])
    np.testing.assert_array_equal(fields["after"][::2, -1], fields["phi"][::2, -1])
    weights = compiled_once(load("temporal_difference"), target="lsa", d=wang_td.D, steps=2, rate=0.2, discount=0.9)
    few = {name: held[:50] for name, held in fields.items()}
    exact = wang_td.temporal_differences(few, 2, 0.2)
    np.testing.assert_allclose(answers(weights, few)[:, 0], exact, atol=1e-5)
    nothing = wang_td.difference(jnp.zeros((len(fields["value"]), 1)), fields)
    assert float(nothing) == pytest.approx((fields["gained"][::2] ** 2).mean(), rel=1e-5)


@pytest.mark.parametrize("name", list(drift.TASKS))
def test_where_training_should_end(name: str) -> None:
    """M of least loss: no other diagonal near it has less, on the same draws, and it is their least within 3 %."""
    fields = drift.TASKS[name].drawn(60_000, 3)
    x, y = fields["x"][:, :-1], fields["y"][:, :-1]
    # E (x_qᵀ M b − y_q)² is quadratic in the diagonal of M: its least solves linear equations.
    step = fields["x"][:, -1] * np.einsum("bn,bnd->bd", y, x) / drift.N
    least = np.linalg.lstsq(step, fields["y"][:, -1], rcond=None)[0]
    np.testing.assert_allclose(least, np.diag(drift.destinations()[name]), rtol=0.06)


def test_what_has_moved() -> None:
    """Nothing at first; a rate of half as much moves r, and no other variable."""
    begun, halved = (compiled_once(load("gradient_descent_dual"), target="lsa", d=drift.D, rate=r) for r in (0.6, 0.3))
    fields = drift.TASKS["own"].drawn(50, 3)
    assert set(drift.moved(begun, begun, fields).values()) == {0.0}
    moved = drift.moved(halved, begun, fields)
    assert moved["x"] == moved["roles"] == 0
    assert moved["r"] > 0.01
    assert drift.unexplained(halved, fields) < 1e-9


# Every figure at toy size ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("trained_sooner")
@pytest.mark.parametrize("name", ["zhang_pcr", "huang_cot", "wang_td", "drift", "gatmiry_loop"])
def test_a_figure_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One seed, next to no training: it comes to its checks, numbers and picture, whatever they say."""
    monkeypatch.setattr(import_module(f"innerloop.laboratory.figures.{name}"), "SEEDS", (0,))
    result = reproduce(figures.figure(name), tmp_path / name, share=0.002)
    assert all(np.isfinite(check.measured) for check in result.checks)
    assert (tmp_path / name / f"{name}.png").exists()


def test_tasks_of_a_figure_are_no_others() -> None:
    """Two streams of one name differ by their parameters, which a checkpoint records."""
    with_steps, without = huang_cot.stream(True), huang_cot.stream(False)
    assert isinstance(with_steps, TaskDistribution)
    assert with_steps.parameters != without.parameters
