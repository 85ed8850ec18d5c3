"""Training runs and their folders: one run at a time, gone on with only where it ends the same, lengthened."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from innerloop.artifact.errors import DataError
from innerloop.compiler import Weights
from innerloop.laboratory.training import checkpoint, lock, record, train
from innerloop.laboratory.training.lock import locked
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.provenance import provenance
from innerloop.laboratory.training.tasks import task
from innerloop.programs import load

from tests.support.commands import Command, one_message
from tests.support.shared import compiled_once

DUAL = ["train", "gradient_descent_dual", "-p", "d=2", "--target", "lsa", "--task", "linear", "-t", "n=4",
        "--batch", "4", "-o", "trained"]  # fmt: skip
CONSTANT = [*DUAL, "--schedule", "constant", "--warmup", "3"]


@pytest.fixture(scope="module")
def start() -> Model:
    return Model.fresh(compiled_once(load("gradient_descent_dual"), target="lsa", d=2), 0)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


# One run at a time -------------------------------------------------------------------------------


HOLDS = """
import sys, time
from pathlib import Path
from innerloop.laboratory.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_run_is_told_which_process_has_the_folder(innerloop: Command, tmp_path: Path) -> None:
    first = holder(tmp_path / "trained.checkpoints")
    try:
        one_message(innerloop(*DUAL, "--steps", "2"), f"another run works there (process {first.pid} on ", "remove")
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert (tmp_path / "trained.checkpoints.lock").exists()  # which means nothing now
    assert innerloop(*DUAL, "--steps", "2").status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["trained"]


def test_reproduce_has_its_folder_alone(innerloop: Command, tmp_path: Path) -> None:
    first = holder(tmp_path / "figure.unfinished")
    try:
        one_message(innerloop("reproduce", "zhang_gamma", "-o", "figure"), "another run works there")
    finally:
        first.kill()
        first.wait()


def test_a_lock_counts_for_threads_and_not_for_itself(tmp_path: Path) -> None:
    folder, told = tmp_path / "run", []

    def other() -> None:
        try:
            with locked(folder):
                pass
        except DataError as error:
            told.append(str(error))

    with locked(folder), locked(folder):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert told == [f"{folder}: another thread of this process works there; take another folder"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_path_is_one_error() -> None:
    with pytest.raises(DataError, match=r"cannot write .*null byte"), locked(Path("run\0")):
        pass


def test_where_the_system_has_no_locks_a_file_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    card = tmp_path / "run.lock"
    with locked(tmp_path / "run"):
        assert json.loads(card.read_text())["process"] == os.getpid()
    assert not card.exists()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = json.loads(lock._card())
    for owner, free in (
        ({**here, "process": gone.pid}, True),
        ({**here, "process": os.getppid()}, False),
        ({**here, "process": gone.pid, "host": "elsewhere"}, False),
        ("no card", True),
    ):
        card.write_text(json.dumps(owner))
        if free:
            with locked(tmp_path / "run"):
                pass
        else:
            with pytest.raises(DataError, match="another run works there"), locked(tmp_path / "run"):
                pass


@pytest.mark.slow
def test_many_processes_never_share_a_folder(tmp_path: Path) -> None:
    code = """
import os, sys, time
from pathlib import Path
from innerloop.artifact.errors import DataError
from innerloop.laboratory.training.lock import locked
folder, end = Path(sys.argv[1]), time.monotonic() + 5
while time.monotonic() < end:
    try:
        with locked(folder / "run"):
            os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))
            (folder / "inside").unlink()
    except DataError:
        pass
"""
    runs = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [run.wait() for run in runs] == [0, 0, 0, 0]


# What a folder says of its training --------------------------------------------------------------


def record_of(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "training").iterdir())


def test_a_folder_says_what_it_was_trained_on(
    innerloop: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    outcome = innerloop(*DUAL, "--steps", "3", "--seed", "7", "--resume")
    found = record.read(tmp_path / "trained")
    assert found is not None
    assert found.facts["command"] == shlex.join(["innerloop", *DUAL, "--steps", "3", "--seed", "7"])
    assert found.facts["parameters"] == {"d": 2, "steps": 1, "rate": 0.1}
    assert found.facts["settings"]["task"]["n"] == 4
    assert found.clock == {"ended": "1970-01-02T00:00:00Z", "seconds": None}
    assert found.losses.shape == (3,)
    log = (tmp_path / "trained" / "training" / "log.csv").read_text().splitlines()
    assert log[0] == "step,loss,gradient_norm"
    assert [line.split(",")[0] for line in log] == ["step", "1", "2", "3"]
    assert all(float(line.split(",")[2]) > 0 for line in log[1:])
    assert float(log[1].split(",")[1]) == pytest.approx(found.losses[0], rel=1e-6)
    for part in ("linear (d = 2, n = 4", "3 steps of 4 tasks", "seed 7", "1970-01-02"):
        assert part in found.line
    count = Weights.load(tmp_path / "trained").numbers()[0]
    assert re.search(rf"parameters +{count:,}, of which \d+ are trained", outcome.out)
    assert compiled_once(load("gradient_descent_dual"), target="lsa", d=2).report.parameters == count


def test_what_stays_is_not_said_to_be_trained(innerloop: Command) -> None:
    """And the output's bias, which compiled weights have at 0, is."""
    of = ["train", "gradient_descent", "-p", "d=2", "-p", "steps=1", "--task", "linear", "-t", "n=4", "--batch", "4"]
    small = ["--layers", "1", "--width", "16", "--heads", "1", "--steps", "2", "--freeze", "embedding", "-o", "out"]
    assert re.search(r"parameters +19,841, of which 19,729 are trained", innerloop(*of, *small).out)


def test_a_compiled_folder_says_nothing_and_a_damaged_one_is_refused(innerloop: Command, tmp_path: Path) -> None:
    compiled_once(load("gradient_descent_dual"), target="lsa", d=2).save(tmp_path / "compiled")
    assert record.read(tmp_path / "compiled") is None
    assert innerloop(*DUAL, "--steps", "2").status == 0
    (tmp_path / "trained" / "training" / "training.json").write_text("{}")
    with pytest.raises(DataError, match=r"training\.json is damaged"):
        record.read(tmp_path / "trained")


# Longer runs -------------------------------------------------------------------------------------


def test_a_finished_run_is_lengthened_to_the_same_bytes(innerloop: Command, tmp_path: Path) -> None:
    assert innerloop(*CONSTANT, "--steps", "5").status == 0
    assert record_of(tmp_path / "trained") == ["clock.json", "log.csv", "step-00000005", "training.json"]
    one_message(
        innerloop(*CONSTANT, "--steps", "12"),
        "trained: exists already, a finished training: --resume with more --steps lengthens it",
    )
    assert innerloop(*CONSTANT, "--steps", "12", "--resume").status == 0
    assert innerloop(*CONSTANT[:-5], "whole", *CONSTANT[-4:], "--steps", "12").status == 0
    assert weights(tmp_path / "trained") == weights(tmp_path / "whole")
    logs = [(tmp_path / name / "training" / "log.csv").read_text() for name in ("trained", "whole")]
    assert logs[0] == logs[1]
    assert innerloop(*CONSTANT, "--steps", "12", "--resume").status == 0  # and is as it was where nothing is left
    assert weights(tmp_path / "trained") == weights(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trained", "whole"]
    one_message(innerloop(*CONSTANT, "--steps", "7", "--resume"), "holds a run after 12 steps: steps=7 would be fewer")
    one_message(
        innerloop(*CONSTANT, "--steps", "20", "--rate", "1", "--resume"),
        "rate=0.001, not 1.0",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trained", "whole"]


def test_a_cosine_cannot_be_lengthened(innerloop: Command, tmp_path: Path) -> None:
    assert innerloop(*DUAL, "--steps", "5").status == 0
    before = weights(tmp_path / "trained")
    told = (
        "holds a run of 5 steps, in which the rate falls to 0 along a cosine",
        "Only schedule=constant can be lengthened",
    )
    one_message(innerloop(*DUAL, "--steps", "9", "--resume"), *told)
    assert weights(tmp_path / "trained") == before


def test_where_a_run_is_cut_moves_no_bit(start: Model, tmp_path: Path) -> None:
    points = task("linear", d=2, n=4)
    settings: dict[str, Any] = {"batch": 4, "schedule": "constant", "seed": 3}
    whole = train.train(start, points, steps=9, interval=1000, **settings)
    cut = train.train(start, points, steps=9, interval=1, folder=tmp_path / "one", **settings)
    train.train(start, points, steps=4, interval=3, folder=tmp_path / "two", **settings)
    longer = train.train(start, points, steps=9, interval=5, folder=tmp_path / "two", resume=True, **settings)
    for other in (cut, longer):
        assert (whole.losses == other.losses).all()
        for name, value in whole.parameters.items():
            assert (value == other.parameters[name]).all()


# What computes -----------------------------------------------------------------------------------


def test_a_run_goes_on_only_where_it_ends_the_same(
    start: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = task("linear", d=2, n=4)
    settings: dict[str, Any] = {"steps": 4, "batch": 4, "folder": tmp_path, "resume": True}
    train.train(start, points, **settings)
    kept = checkpoint.read(tmp_path)
    assert kept is not None
    assert kept.provenance == json.loads(json.dumps(provenance(start, points)))
    assert {"generator", "dtype", "jax", "jaxlib", "devices", "XLA_FLAGS", "code"} <= kept.provenance.keys()
    other = {**provenance(start, points), "jax": "0.0.1", "devices": "2 × TPU"}
    monkeypatch.setattr(train, "provenance", lambda *_: other)
    with pytest.raises(
        DataError, match=r"jax '.*', here '0\.0\.1', devices '.*', here '2 × TPU'|devices .*, here .*jax"
    ) as told:
        train.train(start, points, **settings)
    assert "--elsewhere" in str(told.value)
    train.train(start, points, **settings, elsewhere=True)


def test_checkpoints_that_do_not_say_are_refused(start: Model, tmp_path: Path) -> None:
    """Those of before: with another generator they may have been made, and the interval was a setting."""
    points = task("linear", d=2, n=4)
    settings: dict[str, Any] = {"steps": 4, "batch": 4, "folder": tmp_path, "resume": True}
    train.train(start, points, **settings)
    facts = checkpoint.found(tmp_path)[-1] / "state.json"
    old = json.loads(facts.read_text())
    del old["provenance"]
    old["settings"]["interval"] = 7
    facts.write_text(json.dumps(old))
    with pytest.raises(DataError, match="generator None, here 'threefry2x32'"):
        train.train(start, points, **settings)
    train.train(start, points, **settings, elsewhere=True)
