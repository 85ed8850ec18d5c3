"""The demonstration: honest tasks, closed forms that are right, and the whole of it on a few tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from innerloop.commands.cli import main
from innerloop.commands.demo import (
    EXAMPLES,
    SETTINGS,
    UNSEEN,
    DemoTasks,
    diabetes_tasks,
    gradient_steps,
    r_squared,
    ridge_regression,
    squared_error,
    wider,
)
from innerloop.programs import dataset
from innerloop.runtime.plots import FORMATS, error_curves


def patients(x: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in np.ascontiguousarray(x.reshape(-1, x.shape[-1]))}


def test_queries_are_of_patients_that_nothing_else_saw() -> None:
    tasks, calibration = diabetes_tasks(UNSEEN)
    unseen = patients(tasks.x[:, -1])
    assert len(unseen) == UNSEEN
    assert not unseen & patients(tasks.x[:, :-1])
    assert not unseen & patients(calibration.x)


def test_no_patient_comes_twice_in_a_task() -> None:
    tasks, calibration = diabetes_tasks(20, 20)
    for x in [*tasks.x, *calibration.x]:
        assert len(patients(x)) == EXAMPLES + 1


def test_the_unseen_do_not_scale_the_data() -> None:
    tasks, _ = diabetes_tasks(1000, 0)
    pool = np.array([np.frombuffer(p) for p in patients(tasks.x[:, :-1])])
    assert len(pool) == len(dataset("diabetes")[1]) - UNSEEN
    np.testing.assert_allclose(pool.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(pool.std(0), 1, atol=1e-12)


def test_tasks_are_the_same_every_time() -> None:
    np.testing.assert_array_equal(diabetes_tasks(3)[0].x, diabetes_tasks(3)[0].x)


def test_the_calibration_reaches_further_than_the_patients_do() -> None:
    _, known = diabetes_tasks(1, 300)
    data = wider(known, (1.0, 0.8))
    assert data["x"].shape == known.x.shape
    assert data["y"].shape == known.context.shape
    assert np.abs(data["x"]).max() > 1.2 * np.abs(known.x[:, -1]).max()
    longest = (known.x[:, :-1] ** 2).sum(-1).max()
    assert (data["x"][:, :-1] ** 2).sum(-1).max() == pytest.approx(longest)  # stable steps stay stable


@pytest.fixture
def some() -> DemoTasks:
    return diabetes_tasks(3, 0)[0]


def test_ridge_regression_is_the_normal_equations_at_every_prefix(some: DemoTasks) -> None:
    found = ridge_regression(some, 2.0)
    for n in range(EXAMPLES + 1):
        x, y = some.x[1, :n], some.y[1, :n]
        assert found[1, n] == pytest.approx(
            np.linalg.solve(x.T @ x + 2 * np.eye(10), x.T @ y) @ some.x[1, n], abs=1e-12
        )


def test_gradient_steps_are_gradient_descent_at_every_prefix(some: DemoTasks) -> None:
    found = gradient_steps(some, 7, 0.03)
    for n in range(EXAMPLES + 1):
        x, y, w = some.x[2, :n], some.y[2, :n], np.zeros(10)
        for _ in range(7 if n else 0):
            w = w - 0.03 * x.T @ (x @ w - y) / n
        assert found[2, n] == pytest.approx(w @ some.x[2, n], abs=1e-12)


def test_the_rate_is_stable_on_every_patient() -> None:
    tasks, calibration = diabetes_tasks(UNSEEN)
    longest = max((t.x**2).sum(-1).max() for t in (tasks, calibration))
    assert SETTINGS["gradient_descent"]["rate"] < 2 / longest


def test_the_ridge_is_the_best_for_patients_in_the_pool() -> None:
    known = diabetes_tasks(1, 1000)[1]
    scores = {ridge: r_squared(ridge_regression(known, ridge), known) for ridge in (0.1, 1, 5, 10, 20, 40, 80)}
    assert max(scores, key=lambda ridge: scores[ridge]) == SETTINGS["sherman_morrison"]["ridge"]


def test_scores(some: DemoTasks) -> None:
    assert r_squared(some.y, some) == 1
    assert r_squared(np.full_like(some.y, some.y[:, -1].mean()), some) == pytest.approx(0)
    np.testing.assert_allclose(squared_error(some.y + 2, some), 4)


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_the_plot_is_written_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"plot{suffix}"
    error_curves(path, {"one": np.ones(5), "two": np.ones(5)}, "NumPy", np.ones(5))
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_size > 1000


@pytest.mark.slow
def test_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "demo.png"
    assert main(["demo", "--tasks", "4", "-o", str(plot)]) == 0
    out, err = capsys.readouterr()
    assert err == ""  # among others: no value left its compiled range
    assert plot.read_bytes().startswith(b"\x89PNG")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
    for name in SETTINGS:
        difference = float(rows[name][5])
        assert difference < 1e-3
    assert rows["sherman_morrison"][6] == rows["sherman_morrison"][7]
    assert rows["gradient_descent"][6] == rows["gradient_descent"][7]
