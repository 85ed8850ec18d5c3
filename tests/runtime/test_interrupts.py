"""Interruptions: at many moments, one message, nothing half written, and a run that goes on to the same bytes."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from innerloop.artifact import interrupts
from innerloop.artifact.interrupts import Interrupted
from innerloop.laboratory.training import checkpoint
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import task
from innerloop.laboratory.training.train import train
from innerloop.programs import load

from tests.support.processes import command, duration, interrupted, python
from tests.support.shared import compiled_once

TRAIN = ["train", "gradient_descent_dual", "-p", "d=2", "--target", "lsa", "--task", "linear", "-t", "n=4",
         "--schedule", "constant", "--batch", "64", "--interval", "500", "-o", "trained"]  # fmt: skip
FEW = ["--task", "linear", "-t", "n=3", "--tasks", "40"]
LONG, STARTED = "2000000", "trained.checkpoints/step-*"


def one_line(err: str) -> None:
    assert err.startswith("innerloop: error: interrupted"), err
    assert err.count("\n") == 1, err


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_that_is_interrupted_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    status, err = interrupted(*TRAIN, "--steps", LONG, cwd=tmp_path, once=STARTED)
    one_line(err)
    assert status == 130
    assert "a run with `resume` goes on from trained.checkpoints" in err, err
    assert left(tmp_path) == ["trained.checkpoints"]
    steps = max(json.loads(path.read_text())["step"] for path in tmp_path.glob(f"{STARTED}/state.json"))
    assert 0 < steps < int(LONG)
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    os.rename(tmp_path / "trained.checkpoints", tmp_path / "one" / "trained.checkpoints")
    for folder in ("one", "other"):
        done = command(*TRAIN, "--steps", str(steps + 50), "--resume", cwd=tmp_path / folder)
        assert done.returncode == 0, done.stderr
    one, other = ((tmp_path / name / "trained" / "model.safetensors").read_bytes() for name in ("one", "other"))
    assert one == other


MOMENTS = {"train": 5, "run": 3, "compile": 3, "compare": 2}
"""Of training most, whose callbacks swallowed one interruption in seven: what is done about it is tested below."""


@pytest.mark.slow
@pytest.mark.parametrize("verb", MOMENTS)
def test_interruptions_at_many_moments(verb: str, tmp_path: Path, compiled: Path) -> None:
    """Spread over a command's own duration, on this machine at this hour: its length is taken first."""
    data = [f"{task},0.1,0.2,0.3\n{task},0.1,0.1,\n" for task in range(3)]
    (tmp_path / "data.csv").write_text("task,x_0,x_1,y\n" + "".join(data))
    commands: dict[str, list[str | Path]] = {
        "train": [*TRAIN, "--steps", LONG],
        "run": ["run", compiled, "--data", tmp_path / "data.csv", "-o", "out.csv"],
        "compile": ["compile", "sherman_morrison", "-p", "d=6", "-p", "examples=12", "-o", "weights"],
        "compare": ["compare", compiled, compiled, *FEW, "--png", "pictures"],
    }
    moments = random.Random(1)
    longest = 8.0 if verb == "train" else duration(*commands[verb], cwd=tmp_path)
    ends = []
    for k in range(MOMENTS[verb]):
        (folder := tmp_path / str(k)).mkdir()
        status, err = interrupted(*commands[verb], cwd=folder, after=moments.uniform(0, longest))
        assert status in (0, 130, -signal.SIGINT), (status, err)
        if status == 130:
            one_line(err)
        if status == -signal.SIGINT:  # it was done, and its process nearly so
            assert err == ""
        assert not [name for name in left(folder) if name.startswith(".") or name.endswith(".lock")]
        for path in folder.glob(STARTED):
            assert checkpoint.read(path.parent) is not None
        ends.append(status)
    assert 130 in ends


def test_a_second_interruption_ends_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    status, err = interrupted(*TRAIN, "--steps", LONG, cwd=tmp_path, once=STARTED, times=2)
    assert status in (130, -signal.SIGINT)  # the second may find the process nearly done
    one_line(err)
    assert time.monotonic() - began < 60
    assert not [name for name in left(tmp_path) if name.startswith(".")]


def test_a_request_to_end_is_heeded_too(tmp_path: Path) -> None:
    status, err = interrupted(*TRAIN, "--steps", LONG, cwd=tmp_path, once=STARTED, number=signal.SIGTERM)
    assert status == 128 + signal.SIGTERM
    one_line(err)


def test_training_from_python_ends_between_calls(tmp_path: Path) -> None:
    weights = compiled_once(load("gradient_descent_dual"), target="lsa", d=2)
    seen: list[int] = []

    def on_step(step: int, _: float) -> None:
        seen.append(step)
        if len(seen) == 2:
            signal.raise_signal(signal.SIGINT)

    said = r"interrupted after (\d+) of 1000 steps; a run with `resume` goes on from"
    with pytest.raises(Interrupted, match=said) as told:
        train(Model.fresh(weights, 0), task("linear", d=2, n=4), steps=1000, batch=4, folder=tmp_path, on_step=on_step)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    kept = checkpoint.read(tmp_path)
    assert kept is not None
    after = re.match(said, str(told.value))
    assert after is not None
    assert seen[1] <= kept.step == int(after[1]) < 1000
    assert not interrupts.asked()


INSIDE = """
import os, signal, sys, threading, time
from pathlib import Path
from innerloop.artifact import interrupts
from innerloop.laboratory.training.lock import locked

def body():
    with interrupts.stoppable(), locked(Path("run")), interrupts.expendable("interrupted after 0 of 5 steps"):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(300)

sys.exit(interrupts.command(body, lambda _: 7, lambda said: print(said, flush=True)))
"""


def test_where_nothing_is_lost_the_first_interruption_ends_the_process(tmp_path: Path) -> None:
    """As while XLA compiles a step: nothing can be raised there."""
    done = python(INSIDE, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "interrupted after 0 of 5 steps\n", "")
    assert list(tmp_path.iterdir()) == []


DEEP = """
import hashlib, os, signal, sys, threading
from pathlib import Path
from innerloop.artifact import interrupts

def body():
    with interrupts.unfinished(Path("scratch")) as scratch:
        scratch.write_text("half")
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # in which nothing can be raised, as in XLA

sys.exit(interrupts.command(body, lambda _: 7, lambda said: print(said, flush=True)))
"""


def test_a_command_ends_though_nothing_can_be_raised_where_it_is(tmp_path: Path) -> None:
    began = time.monotonic()
    done = python(DEEP, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "interrupted\n", "")
    assert time.monotonic() - began < 60
    assert list(tmp_path.iterdir()) == []


LATE = """
import os, signal, sys, threading, time
from innerloop.artifact import interrupts

def body():
    try:
        with interrupts.stoppable():
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            end = time.monotonic() + 1.2  # of a call of the device
            while time.monotonic() < end:
                time.sleep(0.01)
            raise interrupts.Interrupted("interrupted after 3 of 5 steps")
    finally:
        time.sleep(0.3)

sys.exit(interrupts.command(body, lambda error: print(error, flush=True) or 9, lambda said: print(said, flush=True)))
"""


def test_what_unwinds_late_keeps_its_words(tmp_path: Path) -> None:
    """As training does after a long call: it was ended while its bars and locks were put away."""
    done = python(LATE, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (9, "interrupted after 3 of 5 steps\n", "")


def test_an_interruption_before_such_a_block_keeps_it_from_beginning() -> None:
    def body() -> int:
        with interrupts.stoppable():
            signal.raise_signal(signal.SIGINT)
            with interrupts.expendable("interrupted after 3 of 5 steps"):
                raise AssertionError("it began")

    told: list[BaseException] = []
    assert interrupts.command(body, lambda error: told.append(error) or 7, lambda _: None) == 7  # type: ignore[func-returns-value]
    assert str(told[0]) == "interrupted after 3 of 5 steps"


def test_what_an_interruption_unwinds_leaves_it_its_words(tmp_path: Path) -> None:
    """A scratch file is removed, and a clock written, in blocks that are held."""

    def body() -> int:
        try:
            with interrupts.unfinished(tmp_path / "scratch"), interrupts.stoppable():
                signal.raise_signal(signal.SIGINT)
                raise interrupts.Interrupted("interrupted after 3 of 5 steps")
        finally:
            with interrupts.held():
                pass

    told: list[BaseException] = []
    assert interrupts.command(body, lambda error: told.append(error) or 7, lambda _: None) == 7  # type: ignore[func-returns-value]
    assert str(told[0]) == "interrupted after 3 of 5 steps"


def test_an_interruption_is_raised_once_a_held_block_is_over() -> None:
    def body() -> int:
        with interrupts.held():
            signal.raise_signal(signal.SIGINT)
            reached.append("end of the block")
        reached.append("after it")
        return 0

    reached: list[str] = []
    told: list[BaseException] = []
    status = interrupts.command(body, lambda error: told.append(error) or interrupts.ended_by(), lambda _: None)  # type: ignore[func-returns-value]
    assert reached == ["end of the block"]
    assert status == signal.SIGINT
    assert isinstance(told[0], KeyboardInterrupt)


def test_an_interruption_that_a_callback_swallows_is_raised_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "INSIST", 0.2)

    def body() -> int:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        time.sleep(20)
        return 0

    began = time.monotonic()
    assert interrupts.command(body, lambda _: 7, lambda _: None) == 7
    assert time.monotonic() - began < 10


def test_an_interruption_in_a_destructor_is_raised_again(capfd: pytest.CaptureFixture[str]) -> None:
    class Loud:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def body() -> int:
        Loud()
        time.sleep(20)
        return 0

    began = time.monotonic()
    assert interrupts.command(body, lambda _: 7, lambda _: None) == 7
    assert time.monotonic() - began < 10
    assert capfd.readouterr().err == ""


def test_other_threads_are_left_alone() -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(interrupts.command(lambda: 3, lambda _: 1, lambda _: None)))
    thread.start()
    thread.join()
    assert found == [3]
