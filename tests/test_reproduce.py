"""`innerloop reproduce`: the frame, and the figures at smaller size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from innerloop.compiler import compile_program
from innerloop.compiler.errors import InnerloopError
from innerloop.compiler.weights import Weights
from innerloop.laboratory import figures
from innerloop.laboratory.figures import Check, Figure, Result, Setting, Table
from innerloop.laboratory.reproduce import reproduce, unfinished
from innerloop.programs import load
from matplotlib.figure import Figure as Picture

from .commands import Command, one_message


def square(setting: Setting) -> Result:
    """A figure that is measured at once: so many steps, and weights of one layer."""
    weights = compile_program(load("gradient_descent_dual"), target="lsa", d=2)
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
    assert {path.name for path in folder.iterdir()} == {"reproduce.json", "figures.json", "square.png", "compiled"}
    found = json.loads((folder / "figures.json").read_text())
    assert found["numbers"] == {"curve": [1.0, 4.0], "steps": 16}
    assert found["checks"][1] == {"name": "ratio", "measured": 0.175, "asked": "0.17 … 0.18", "holds": True}
    assert (folder / "square.png").read_bytes().startswith(b"\x89PNG")
    assert Weights.load(folder / "compiled").config.n_layer == 1
    assert not unfinished(folder).exists()


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
    for part in ("squares grow", "Euclid", "0.17 … 0.18", "yes", "done: compiled, figures.json"):
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
def test_the_command_refuses_a_folder_that_exists(innerloop: Command) -> None:
    Path("square").mkdir()
    one_message(innerloop("reproduce", "square"), "square: exists already")
