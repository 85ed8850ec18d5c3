"""`innerloop sweep`: which trainings it is made of, what it refuses, and that it goes on to the same bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from innerloop.laboratory.sweep import cells

from tests.support.commands import Command, one_message

SWEEP = ["sweep", "gradient_descent_dual", "-p", "d=2", "--target", "lsa", "--task", "noisy_linear", "-t", "n=4",
         "--batch", "4", "--tasks", "40"]  # fmt: skip


def test_every_combination_has_a_cell_for_each_seed(tmp_path: Path) -> None:
    found = cells({"layers": ("1", "2"), "noise": ("0", "0.5"), "d": ("3",)}, (7, 8), tmp_path, ["lasso"], {"noise": 0})
    assert [cell.name for cell in found[:3]] == [
        "layers=1,noise=0,d=3/seed-7", "layers=1,noise=0,d=3/seed-8", "layers=1,noise=0.5,d=3/seed-7",
    ]  # fmt: skip
    assert len(found) == 8
    command = " ".join(found[0].command)
    assert command.startswith("train lasso --layers 1 -t noise=0 -p d=3 --seed 7 --resume")
    assert not any(cell.done for cell in found)
    assert [cell.name for cell in cells({}, (0, 1), tmp_path, ["lasso"], {})] == ["all/seed-0", "all/seed-1"]


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (["--over", "nose=1", "--steps", "2"], ["--over nose", "did you mean `noise`?"]),
        (["--over", "n=1,2", "--steps", "2"], ["--over n: it varies, and is given besides"]),
        (["--over", "batch=2", "--steps", "2"], ["--over batch: it varies, and is given besides"]),
        (["--over", "noise=0", "--over", "noise=1", "--steps", "2"], ["--over noise: given twice"]),
        (["--over", "model=gru,lstn", "--steps", "2"], ["--over model=lstn", "did you mean `lstm`?"]),
        (["--over", "layers=1,0", "--steps", "2"], ["--over layers=0: `0` is not a whole number of at least 1"]),
        (["--over", "noise=0,-1", "--steps", "2"], ["the cell noise=-1/seed-0 cannot be: task noisy_linear: noise=-1"]),
        (["--over", "rate=0.1,-1", "--steps", "2"], ["the cell rate=-1/seed-0 cannot be: rate=-1.0: must be"]),
        (["--over", "model=transformer,lstm", "--heads", "2", "--steps", "2"], ["model=lstm/seed-0", "has no heads"]),
        (["--over", "noise=0"], ["--steps: give the steps of each training"]),
    ],
)
def test_what_does_not_fit_is_told(innerloop: Command, given: list[str], parts: list[str]) -> None:
    one_message(innerloop(*SWEEP, *given, "-o", "swept"), *parts)
    assert not Path("swept").exists()


@pytest.mark.parametrize("given", ["noise", "noise=", "noise=1,1"])
def test_wrong_usage(innerloop: Command, given: str) -> None:
    outcome = innerloop(*SWEEP, "--over", given, "--steps", "2", "-o", "swept")
    assert outcome.status == 2
    assert given in outcome.err


@pytest.mark.slow
@pytest.mark.usefixtures("trained_sooner")
def test_a_sweep_goes_on_to_the_same_bytes(innerloop: Command) -> None:
    command = [*SWEEP, "--over", "model=transformer,gru", "--seeds", "1", "--steps", "3", "-o", "swept"]
    assert innerloop(*command).status == 0
    names = ["table.csv", "table.json", "page.html"]
    before = [(Path("swept") / name).read_bytes() for name in names]
    table = json.loads(before[1])
    assert [cell["settings"]["model"] for cell in table["cells"]] == ["transformer", "gru"]
    assert all(cell["low"] <= cell["loss"] <= cell["high"] for cell in table["cells"])
    page = before[2].decode()
    assert "on lsa, trained; gru" in page  # what was trained, baselines too
    assert "and its like" not in page
    shutil.rmtree("swept/cells/model=gru")  # as of a sweep that was broken off
    for name in names:
        (Path("swept") / name).unlink()
    assert innerloop(*command).status == 0
    assert [(Path("swept") / name).read_bytes() for name in names] == before
    one_message(innerloop(*command[:-2], "--rate", "0.1", "-o", "swept"), "swept: holds another sweep")
    outcome = innerloop(*SWEEP, "--over", "width=1", "--seeds", "1", "--steps", "3", "-o", "other")
    one_message(outcome, "the cell width=1/seed-0 failed", "it was `innerloop train gradient_descent_dual")
