"""`innerloop train`: what it writes, and what it says when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commands import Command, one_message

DUAL = ["train", "gradient_descent_dual", "-p", "d=2", "--target", "lsa", "--task", "linear", "-t", "n=4"]
SHORT = ["--steps", "6", "--batch", "4", "--interval", "2"]


def test_a_trained_folder_runs_as_a_compiled_one(innerloop: Command, tmp_path: Path) -> None:
    done = innerloop(*DUAL, *SHORT, "-t", "inputs=uniform", "-o", "trained")
    assert done.status == 0, done.err
    assert "6 of 4 tasks" in done.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trained"]
    (tmp_path / "data.csv").write_text("x_0,x_1,y\n0.5,1,2\n0.25,0.5,\n")
    assert innerloop("run", "trained", "--data", "data.csv").status == 0


def test_a_run_that_ends_badly_leaves_checkpoints_and_no_folder(innerloop: Command, tmp_path: Path) -> None:
    wild = [*DUAL, *SHORT, "--start", "compiled", "--rate", "1e30", "--schedule", "constant", "-o", "trained"]
    failed = innerloop(*wild)
    one_message(failed, "training diverged", "of 6")
    assert not (tmp_path / "trained").exists()
    (tmp_path / "trained.checkpoints").mkdir(exist_ok=True)
    tame = [*DUAL, *SHORT, "-o", "trained"]
    if any((tmp_path / "trained.checkpoints").iterdir()):
        one_message(innerloop(*tame), "trained.checkpoints holds checkpoints of a run: resume it, or remove it")
        one_message(innerloop(*tame, "--resume"), "holds a run with")


def test_resuming_a_finished_run_changes_nothing(innerloop: Command, tmp_path: Path) -> None:
    for name in ("one", "other"):
        assert innerloop(*DUAL, *SHORT, "--resume", "-o", name).status == 0
    one, other = (json.loads((tmp_path / name / "config.json").read_text())["checksums"] for name in ("one", "other"))
    assert one["model.safetensors"] == other["model.safetensors"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--task", "liner"], "no task `liner`; did you mean `linear`"),
        (["-t", "noise=1"], "task linear has no parameter `noise`"),
        (["-t", "name=linear"], "task linear has no parameter `name`"),
        (["-t", "rows=last"], "rows='last': must be 'all' or 'query'"),
        (["-t", "n=5"], "-t n: given twice"),
        (["-t", "d=3"], "task linear gives x [3], y; gradient_descent_dual takes x [2], y"),
        (["--warmup", "99999999999"], "warmup=99999999999: must be a whole number of steps, from 0 to 2147483647"),
        (["--rate", "-1"], "rate=-1.0: must be a number above 0"),
        (["--freeze", "body.9"], "no parameter is called body.9"),
        (["--layers", "2", "--start", "compiled"], "a compiled one has its own"),
    ],
)
def test_what_is_wrong_is_said(innerloop: Command, more: list[str], said: str, tmp_path: Path) -> None:
    one_message(innerloop(*DUAL, *SHORT, *more, "-o", "trained"), said)
    assert list(tmp_path.iterdir()) == []
