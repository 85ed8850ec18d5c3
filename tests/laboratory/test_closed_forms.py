"""The closed forms that figures hold training against, each against draws or the compiled weights."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from innerloop.artifact.errors import InnerloopError
from innerloop.compiler import Weights, compile_program
from innerloop.laboratory import figures
from innerloop.laboratory.figures import Setting, huang_cot
from innerloop.laboratory.figures.streams import answers, cross_entropy
from innerloop.laboratory.reproduce import reproduce
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import TaskDistribution, task
from innerloop.laboratory.training.train import train

# Machinery ---------------------------------------------------------------------------------------


def test_stages_are_one_run(tmp_path: Path, dual: Weights) -> None:
    """As it stood after 20 and 50 steps, and after a kill the same from the stage that was done."""
    stream = task("linear", d=3, n=4, rows="query")
    start = Model.fresh(dual, 0)
    setting = Setting(tmp_path / "stages")
    first, last = setting.stages("run", start, stream, ends=(20, 50), batch=8, rate=1e-2)
    whole = train(start, stream, steps=50, batch=8, rate=1e-2, schedule="constant")
    assert (first.losses.size, last.losses.size) == (20, 50)
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


def test_cross_entropy_of_even_odds() -> None:
    fields = {"next": jnp.eye(4)[None]}
    assert float(cross_entropy("next")(jnp.zeros((1, 4, 4)), fields)) == pytest.approx(np.log(4))


# Closed forms ------------------------------------------------------------------------------------


def test_steps_that_are_written_out() -> None:
    """The compiled layer, asked again and again, is gradient descent; its matrices are η I; one step's best loss."""
    compiled = compile_program(huang_cot.PROGRAM, target="lsa", d=huang_cot.D, rate=huang_cot.RATE)
    fields = huang_cot.stream(True).drawn(600, 3)
    found = huang_cot.rolled_out(compiled, fields, 3)
    assert found[3] == pytest.approx(huang_cot.many_steps(fields["x"], 3), rel=0.1)
    for matrix in huang_cot.step_matrices(compiled).values():
        np.testing.assert_allclose(matrix, huang_cot.RATE * np.eye(huang_cot.D), atol=1e-6)
    np.testing.assert_allclose(answers(compiled, fields), fields["next"], atol=1e-4)
    x = np.random.default_rng(0).standard_normal((4000, huang_cot.N, huang_cot.D))
    best = min(huang_cot.many_steps(x, 1, rate) for rate in np.linspace(0.5, 0.8, 31))
    assert huang_cot.one_step() == pytest.approx(best, rel=0.02)


# Every figure at toy size ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["huang_cot"])
def test_a_figure_runs(name: str, tmp_path: Path) -> None:
    """Next to no training: it comes to its checks, numbers and picture, whatever they say."""
    result = reproduce(figures.figure(name), tmp_path / name, share=0.002)
    assert all(np.isfinite(check.measured) for check in result.checks)
    assert (tmp_path / name / f"{name}.png").exists()


def test_tasks_of_a_figure_are_no_others() -> None:
    """Two streams of one name differ by their parameters, which a checkpoint records."""
    with_steps, without = huang_cot.stream(True), huang_cot.stream(False)
    assert isinstance(with_steps, TaskDistribution)
    assert with_steps.parameters != without.parameters
