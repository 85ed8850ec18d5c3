"""`innerloop reproduce`: the frame, and the figures at smaller size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.weights import Weights
from innerloop.compiler import interpret
from innerloop.laboratory import figures
from innerloop.laboratory.figures import (
    Check,
    Figure,
    Result,
    Setting,
    Table,
    von_oswald_1,
    von_oswald_2,
    zhang_gamma,
    zheng_ar,
)
from innerloop.laboratory.figures.shared.layers import curvature, preconditioner, random_layers, slots
from innerloop.laboratory.reproduce import reproduce, unfinished
from innerloop.laboratory.training.kinds import eigenvalues
from innerloop.laboratory.training.tasks import task
from innerloop.programs import load
from innerloop.runtime import Transformer
from matplotlib.figure import Figure as Picture

from tests.support.commands import Command, one_message
from tests.support.shared import compiled_once


def square(setting: Setting) -> Result:
    """A figure that is measured at once: so many steps, and weights of one layer."""
    weights = compiled_once(load("gradient_descent_dual"), target="lsa", d=2)
    picture = Picture()
    picture.add_subplot().plot([1, 2], [1, 4])
    steps = setting.steps(16)
    return Result(
        checks=(Check("steps", steps, low=4), Check("ratio", 0.175, 0.17, 0.18)),
        tables=(Table(["what", "number"], [["steps", str(steps)]]),),
        pictures={"square": picture},
        numbers={"curve": np.array([1.0, 4.0]), "steps": np.int64(steps)},
        weights={"compiled": weights},
    )


SQUARE = Figure("square", "squares grow", "Euclid, Elements II", square)


@pytest.mark.parametrize(
    ("check", "asked", "holds"),
    [
        (Check("loss", 0.1, high=0.113), "≤ 0.113", True),
        (Check("loss", 0.12, high=0.113), "≤ 0.113", False),
        (Check("cosine", 0.98, low=0.99), "≥ 0.99", False),
        (Check("γ", 0.175, 0.17, 0.18), "0.17 … 0.18", True),
        (Check("γ", float("nan"), 0.17, 0.18), "0.17 … 0.18", False),
    ],
)
def test_a_check_says_what_is_asked(check: Check, asked: str, holds: bool) -> None:
    assert (check.asked, check.holds) == (asked, holds)


def test_a_folder_has_the_numbers_the_pictures_and_the_weights(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "square"
    result = reproduce(SQUARE, folder)
    assert result.holds
    names = {"reproduce.json", "figures.json", "clock.json", "square.png", "compiled"}
    assert {path.name for path in folder.iterdir()} == names
    found = json.loads((folder / "figures.json").read_text())
    said = found["compared"]
    assert said["command"] == "innerloop reproduce square"
    assert {"innerloop", "jax", "numpy"} <= said.keys()
    assert said["weights"]["compiled"]["parameters"]["d"] == 2
    assert b"innerloop reproduce square" in (folder / "square.png").read_bytes()
    assert found["numbers"] == {"curve": [1.0, 4.0], "steps": 16}
    assert found["checks"][1] == {"name": "ratio", "measured": 0.175, "asked": "0.17 … 0.18", "holds": True}
    assert (folder / "square.png").read_bytes().startswith(b"\x89PNG")
    assert Weights.load(folder / "compiled").config.n_layer == 1
    assert not unfinished(folder).exists()


def test_the_same_figure_twice_is_the_same_bytes_but_for_the_clock(tmp_path: Path) -> None:
    def files(name: str) -> dict[str, bytes]:
        reproduce(SQUARE, tmp_path / name)
        found = (path for path in (tmp_path / name).rglob("*") if path.is_file() and path.name != "clock.json")
        return {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in found}

    assert files("one") == files("other")


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(InnerloopError, match="exists already"):
        reproduce(SQUARE, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    kept: list[bool] = []

    def killed(setting: Setting) -> Result:
        kept.append((setting.folder / "checkpoint").exists())
        (setting.folder / "checkpoint").write_text("step 100")
        if len(kept) == 1:
            raise KeyboardInterrupt
        return square(setting)

    folder, figure = tmp_path / "square", replace(SQUARE, run=killed)
    with pytest.raises(KeyboardInterrupt):
        reproduce(figure, folder)
    assert not folder.exists()
    with pytest.raises(InnerloopError, match="left by a run of square; finish that one"):
        reproduce(figure, folder, long=True)
    reproduce(figure, folder)
    assert kept == [False, True]
    assert "checkpoints" not in {path.name for path in folder.iterdir()}


def test_a_folder_of_something_else_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "square.unfinished").mkdir()
    (tmp_path / "square.unfinished" / "mine").write_text("mine")
    with pytest.raises(InnerloopError, match="no run of `reproduce` left it"):
        reproduce(SQUARE, tmp_path / "square")


def test_a_long_run_takes_more_steps(tmp_path: Path) -> None:
    assert Setting(tmp_path, long=True).steps(1000) == 8000
    assert Setting(tmp_path, share=0.1).steps(1000) == 100


# The command -------------------------------------------------------------------------------------


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQUARE as the one figure that there is."""
    monkeypatch.setattr(figures, "NAMES", ("square",))
    monkeypatch.setattr(figures, "import_module", lambda *_: type("module", (), {"FIGURE": SQUARE}))


@pytest.mark.usefixtures("registered")
def test_the_command_prints_the_checks(innerloop: Command) -> None:
    outcome = innerloop("reproduce", "square", "-o", "done")
    assert outcome.status == 0, outcome
    for part in ("squares grow", "Euclid", "0.17 … 0.18", "yes", "done: clock.json, compiled, figures.json"):
        assert part in outcome.out
    assert (Path("done") / "figures.json").exists()


@pytest.mark.usefixtures("registered")
def test_a_check_that_fails_is_status_1(innerloop: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = replace(SQUARE, run=lambda setting: replace(square(setting), checks=(Check("loss", 0.2, high=0.1),)))
    monkeypatch.setattr(figures, "import_module", lambda *_: type("module", (), {"FIGURE": failing}))
    outcome = innerloop("reproduce", "square")
    assert outcome.status == 1
    assert "NO" in outcome.out
    assert Path("square/figures.json").exists()


@pytest.mark.usefixtures("registered")
def test_without_a_name_the_figures_are_listed(innerloop: Command) -> None:
    outcome = innerloop("reproduce")
    assert outcome.status == 0
    assert "squares grow" in outcome.out


@pytest.mark.usefixtures("registered")
def test_an_unknown_figure_is_named(innerloop: Command) -> None:
    one_message(innerloop("reproduce", "sqare"), "sqare: no such figure; did you mean `square`?")


@pytest.mark.usefixtures("registered")
def test_the_command_refuses_folders_that_it_cannot_use(innerloop: Command) -> None:
    Path("square").mkdir()
    one_message(innerloop("reproduce", "square"), "square: exists already")
    Path("notes").write_text("mine")
    one_message(innerloop("reproduce", "square", "-o", "new", "--trainings", "notes"), "notes: a file, and trainings")


# The figures -------------------------------------------------------------------------------------


def test_every_name_has_its_figure() -> None:
    for name in figures.NAMES:
        assert figures.figure(name).name == name


def test_a_killed_training_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    weights = compiled_once(load("gradient_descent_dual"), target="lsa", d=2, steps=1)
    start, stream = random_layers(weights, seed=0), task("linear", d=2, n=3, rows="query")

    def told(_: str, done: int, __: int) -> None:
        if done == 200:
            raise KeyboardInterrupt

    def trained(setting: Setting) -> dict[str, np.ndarray]:
        found = setting.train("run", start, stream, steps=300, batch=16, rate=1e-2)
        assert found.losses.shape == (300,)
        return {name: np.asarray(value) for name, value in found.parameters.items()}

    with pytest.raises(KeyboardInterrupt):
        trained(Setting(tmp_path / "killed", told))
    names = sorted(path.name for path in (tmp_path / "killed" / "run").iterdir())
    assert names == ["clock.json", "step-00000100"]
    resumed, whole = trained(Setting(tmp_path / "killed")), trained(Setting(tmp_path / "whole"))
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value)


def test_figures_that_share_trainings_train_once(tmp_path: Path) -> None:
    """A training under another name is taken from where the first was kept; one of another seed is not."""
    weights = compiled_once(load("gradient_descent_dual"), target="lsa", d=2, steps=1)
    start, stream = random_layers(weights, seed=0), task("linear", d=2, n=3, rows="query")
    heard: list[int] = []

    def trained(name: str, seed: int) -> np.ndarray:
        setting = Setting(tmp_path / name, lambda _, done, __: heard.append(done), shared=tmp_path / "shared")
        found = setting.train(name, start, stream, steps=20, batch=16, rate=1e-2, seed=seed)
        return np.concatenate([np.ravel(value) for value in found.parameters.values()])

    one = trained("one", 0)
    assert heard[-1] == 20
    heard.clear()
    np.testing.assert_array_equal(trained("other", 0), one)
    assert heard == [0]
    assert not np.array_equal(trained("one", 1), one)
    assert len(list((tmp_path / "shared").iterdir())) == 2


def test_the_best_step_of_gradient_descent() -> None:
    """The formula of the loss against the oracle on tasks, at the best rate and beside it."""
    rate, loss = von_oswald_1.best_step()
    assert rate == pytest.approx(6.0606, abs=1e-4)
    assert loss == pytest.approx(0.20623, abs=1e-5)
    fields = von_oswald_1.TASKS.drawn(5_000, 20_000)
    text, truth = load("gradient_descent_dual"), fields["y"][:, -1]
    losses = [
        np.mean((np.asarray(interpret(text, d=10, steps=1, rate=r, **fields))[:, 0] - truth) ** 2) / 2
        for r in (rate - 1, rate, rate + 1)
    ]
    assert losses[1] == pytest.approx(loss, rel=0.06)
    assert losses[1] == min(losses)


def test_two_steps_of_gd_plus() -> None:
    fields = von_oswald_1.TASKS.drawn(5_000, 20_000)
    found = interpret(load("gd_plus"), d=10, steps=2, rate=13.5, curvature=0.176, **fields)
    loss = np.mean((np.asarray(found)[:, 0] - fields["y"][:, -1]) ** 2) / 2
    assert von_oswald_2.two_steps(von_oswald_2.covariances(5000), 13.5, 0.176) == pytest.approx(loss, rel=0.1)


def test_curvature_is_read_off_a_layer() -> None:
    """Layers of one head, written by hand, compute gd_plus, and γ is its curvature."""
    d, n, rate, gamma = 3, 5, 0.7, 0.04
    weights = compiled_once(load("gd_plus"), target="lsa", d=d, steps=2, rate=rate, curvature=gamma)
    model = random_layers(weights, seed=0, n_head=1, d_head=d + 1)
    x, y = slots(model.template, "x"), slots(model.template, "y")
    by_name = {name.rsplit(".", 1)[-1]: np.zeros(value.shape) for name, value in model.parameters.items()}
    by_name["query"][x, range(d)] = by_name["key"][x, range(d)] = 2.0
    by_name["value"][[*x, *y], range(d + 1)] = 1.0
    by_name["output"][range(d + 1), [*x, *y]] = [*[-gamma / 4] * d, -rate / n / 4]
    written = model.weights({name: by_name[name.rsplit(".", 1)[-1]] for name in model.parameters})
    fields = task("linear", d=d, n=n).drawn(50, seed=1)
    expected = interpret(load("gd_plus"), d=d, steps=2, rate=rate, curvature=gamma, **fields)
    np.testing.assert_allclose(Transformer(written)(**fields), expected, atol=1e-5)
    assert curvature(written) == pytest.approx((gamma, 0))


def test_the_step_of_least_loss_on_sequences() -> None:
    """The closed form against ab minimised directly, for complex W as the paper has it."""
    rng, d, length, tasks = np.random.default_rng(0), 3, 10, 100_000
    turns = np.exp(1j * rng.uniform(0, 2 * np.pi, (tasks, 1, d)) * np.arange(length)[:, None])
    x = 0.7 * rng.standard_normal((tasks, 1, d)) * turns
    pairs = np.cumsum(x[:, 1:, :, None] * x[:, :-1, None].conj(), 1)
    step = (pairs @ x[:, 1:, :, None])[..., 0] / np.arange(1, length)[:, None]
    found = (step[:, :-1].conj() * x[:, 2:]).real.sum() / (np.abs(step[:, :-1]) ** 2).sum()
    assert zheng_ar.closed_form("gaussian", d, length, 0.7) == pytest.approx(found, rel=0.02)
    assert zheng_ar.closed_form("sparse", d, length, 0.7) == pytest.approx(1 / 0.49)


def test_gamma_preconditions_best() -> None:
    """Γ⁻¹ = E[S] E[S²]⁻¹ on drawn tasks; and a compiled layer's matrix is the program's."""
    rng, values = np.random.default_rng(0), eigenvalues(zhang_gamma.TASKS.parameters)
    x = rng.standard_normal((30_000, zhang_gamma.N, zhang_gamma.D)) * np.sqrt(values)
    s = x.swapaxes(1, 2) @ x / zhang_gamma.N
    inverse = np.linalg.inv(zhang_gamma.gamma())
    best = s.mean(0) @ np.linalg.inv((s @ s).mean(0))
    assert np.linalg.norm(best - inverse) < 0.02 * np.linalg.norm(inverse)
    a = rng.standard_normal((3, 3))
    weights = compiled_once(zhang_gamma.PROGRAM, target="lsa", d=3, A=a)
    np.testing.assert_allclose(preconditioner(weights), a, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("zhang_gamma", 0.2),
        pytest.param("von_oswald_1", 0.2, marks=pytest.mark.slow),
        pytest.param("von_oswald_2", 0.35, marks=pytest.mark.slow),
        pytest.param("zheng_ar", 1.0, marks=pytest.mark.slow),
    ],
)
def test_what_is_trained_is_what_is_compiled(
    name: str, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zheng_ar, "D", 3)
    monkeypatch.setattr(zheng_ar, "T", 10)
    result = reproduce(figures.figure(name), tmp_path / name, share=share)
    # On a fifth of the tasks the compiled loss is noisier than what was published for ten thousand.
    failing = [c for c in result.checks if not c.holds and c.name != "loss of compiled gradient descent"]
    assert not failing
    assert (tmp_path / name / f"{name}.png").exists()
