"""The command line on bad input: one clear message, the right status and nothing half written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import SMALL, Command, Outcome, npz, one_message, tasks
from tests.support.processes import MAIN

# Bad programs and parameters ---------------------------------------------------------------------


def test_all_errors_of_a_program_are_printed(innerloop: Command) -> None:
    Path("bad.icl").write_text("program bad(d)\n\ntokens (s)*\n    s : vector[d]\n\na = unknown\noutput missing + s\n")
    outcome = innerloop("check", "bad.icl")
    assert (outcome.status, outcome.out) == (1, "")
    assert "bad.icl:6:5: error: " in outcome.err
    assert "bad.icl:7:8: error: " in outcome.err


def test_a_syntax_error_has_its_place(innerloop: Command) -> None:
    Path("bad.icl").write_text("program bad(d\n")
    one_message(innerloop("check", "bad.icl"), "bad.icl:1:")


@pytest.mark.parametrize(
    ("parameters", "parts"),
    [
        ([], ["`d`"]),
        (["d=2", "rat=0.1"], ["`rat`", "`rate`"]),
        (["d=0"], ["d"]),
        (["d=2.5"], ["d", "2.5"]),
        (["d=2", "d=3"], ["-p d: given twice"]),
        (["d=two"], ["-p d=two: not a finite number, a list of numbers"]),
        (["d=2", "rate=1e999"], ["-p rate=1e999: not a finite number"]),
        (["d=2", f"rate=1{'0' * 400}"], ["not a finite number"]),
        (["d=-1"], ["parameter `d` is -1", "1 or more"]),
        (["d=2", "rate=[]"], ["-p rate=[]: not a finite number"]),
        (["d=2", "target=1"], ["-p target: no program has a parameter of this name"]),
        (["d=2", "rate=missing.npy"], ["missing.npy: No such file"]),
        (["d=2", "rate=text.npy"], ["text.npy: not a .npy file of numbers"]),
        (["d=2", "rate=nan.npy"], ["nan.npy: not an array of finite numbers"]),
    ],
)
def test_bad_parameters(innerloop: Command, parameters: Sequence[str], parts: Sequence[str]) -> None:
    Path("text.npy").write_text("no array")
    np.save("nan.npy", np.array([np.nan]))
    given = [argument for p in parameters for argument in ("-p", p)]
    one_message(innerloop("compile", "stochastic_gradient_descent", *given, "-o", "weights"), *parts)
    assert not Path("weights").exists()


@pytest.mark.parametrize("command", [["check"], ["show", "--stage", "core"], ["show", "--stage", "graph"]])
@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["dd=3"], "has no parameter `dd`"),
        (["d=0"], "parameter `d` is 0"),
        (["d=1.5"], "parameter `d` is 1.5"),
        (["d=two"], "-p d=two: not a finite number"),
        (["examples=3"], "parameter `d` has no value"),
    ],
)
def test_parameters_are_checked_wherever_they_are_given(
    innerloop: Command, command: Sequence[str], given: Sequence[str], part: str
) -> None:
    outcome = innerloop(*command, "sherman_morrison", *(a for p in given for a in ("-p", p)))
    assert (outcome.status, outcome.out) == (1, "")
    assert part in outcome.err


@pytest.mark.parametrize("command", [["check"], ["show", "--stage", "core"], ["compile", "-o", "weights"]])
def test_an_unknown_program_names_the_nearest(innerloop: Command, command: Sequence[str]) -> None:
    one_message(innerloop(*command, "sherman_morisson"), "sherman_morisson: no such file", "`sherman_morrison`?")


def test_a_folder_is_no_program(innerloop: Command) -> None:
    Path("folder.icl").mkdir()
    one_message(innerloop("check", "folder.icl"), "folder.icl: Is a directory")


def test_a_binary_file_is_no_program(innerloop: Command) -> None:
    Path("binary.icl").write_bytes(b"program \xff")
    one_message(innerloop("check", "binary.icl"), "binary.icl: not a text file (byte 8 is not UTF-8)")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(innerloop: Command) -> None:
    Path("locked.icl").touch(mode=0)
    one_message(innerloop("check", "locked.icl"), "locked.icl: Permission denied")


# Bad data and folders ----------------------------------------------------------------------------


def test_an_output_folder_that_exists_is_left_alone(innerloop: Command) -> None:
    Path("weights").mkdir()
    one_message(innerloop("compile", *SMALL, "-o", "weights"), "weights: exists already")
    assert list(Path("weights").iterdir()) == []


def test_an_output_inside_a_file_is_refused_before_the_compiling(innerloop: Command) -> None:
    Path("file").touch()
    one_message(innerloop("compile", *SMALL, "-o", "file/sub/weights"), "file is a file, not a folder")
    assert Path("file").read_bytes() == b""


def test_values_that_are_not_finite_are_not_written(innerloop: Command) -> None:
    ridge = ["sherman_morrison", "-p", "d=2", "-p", "examples=2", "-p", "ridge=0"]
    outcome = innerloop("compile", *ridge, "-o", "weights")
    assert (outcome.status, outcome.out) == (1, "")
    assert not Path("weights").exists()


def test_too_little_memory_is_told(innerloop: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> int:
        raise MemoryError("Unable to allocate 67.1 GiB")

    monkeypatch.setattr("innerloop.commands.actions.programs", full)
    one_message(innerloop("programs"), "not enough memory (Unable to allocate 67.1 GiB)")


def test_an_interruption_is_no_traceback(innerloop: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("innerloop.commands.actions.programs", interrupted)
    assert innerloop("programs") == Outcome(130, "", "innerloop: error: interrupted\n")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"),
            1,
            "not enough memory (RESOURCE_EXHAUSTED",
        ),
        (RecursionError("maximum recursion depth exceeded"), 70, "RecursionError: maximum recursion depth exceeded"),
        (TypeError("many\nlines\nof it"), 70, "TypeError: many lines of it: this is a fault of innerloop's own at"),
        (KeyError("x" * 10_000), 70, "INNERLOOP_TRACEBACK=1 prints where"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "no"), 70, "UnicodeEncodeError"),
    ],
)
def test_whatever_is_raised_is_one_message(
    innerloop: Command, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, said: str
) -> None:
    def failing(_: object) -> int:
        raise error

    monkeypatch.setattr("innerloop.commands.actions.programs", failing)
    outcome = innerloop("programs")
    assert outcome.status == status
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert len(outcome.err) < 600
    monkeypatch.setenv("INNERLOOP_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in innerloop("programs").err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, "programs"], stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
    assert (done.returncode, done.stderr) == (1, "innerloop: error: No space left on device\n")


def test_tasks_too_long_for_the_weights_are_one_message(innerloop: Command) -> None:
    train = ["train", "stochastic_gradient_descent", "-p", "d=3", "-p", "examples=3", "--task", "linear"]
    one_message(
        innerloop(*train, "-t", "n=6", "--steps", "2", "-o", "trained"),
        "task linear, n=6: the data has `x y` 6 times, 13 tokens; the weights were compiled for at most 3 times",
    )
    assert list(Path().iterdir()) == []


def test_bad_calibration_data_leaves_no_folder(innerloop: Command) -> None:
    npz(Path("data.npz"), x=np.ones((1, 2, 3)), y=np.ones((1, 1)))
    one_message(innerloop("compile", *SMALL, "--calibrate", "data.npz", "-o", "weights"), "data.npz: `x` has shape")
    assert not Path("weights").exists()


def with_value(name: str, value: float) -> dict[str, np.ndarray]:
    data = tasks()
    data[name][1, 2] = value
    return data


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (tasks(examples=4), ["data.npz: the data has `x y` 4 times", "compiled for at most 3 times"]),
        (with_value("x", np.nan), ["data.npz: `x` holds nan at task 1, row 2"]),
        (with_value("y", np.inf), ["data.npz: `y` holds inf at task 1, row 2"]),
        ({**tasks(), "x": np.ones((2, 4, 3))}, ["data.npz: `x` has shape (2, 4, 3); wanted (batch, rows, 2)"]),
        ({**tasks(), "y": np.ones((3, 3))}, ["data.npz: `y` has a batch of 3, and `x` one of 2"]),
        ({"x": tasks()["x"]}, ["data.npz: no array `y`"]),
        ({**tasks(), "z": np.ones(1)}, ["data.npz: `z` is no field"]),
        (with_value("x", 1e3), ["x reached 1000", "compiled for [", "`warn` goes on"]),
    ],
    ids=["too many", "nan", "infinite", "shape", "batch", "missing", "surplus", "range"],
)
def test_bad_data(innerloop: Command, compiled: Path, data: dict[str, np.ndarray], parts: Sequence[str]) -> None:
    npz(Path("data.npz"), **data)
    one_message(innerloop("run", compiled, "--data", "data.npz", "-o", "out.npz"), *parts)
    assert not Path("out.npz").exists()


def test_a_value_out_of_range_can_be_a_warning(innerloop: Command, compiled: Path) -> None:
    npz(Path("data.npz"), **with_value("x", 1e3))
    outcome = innerloop("run", compiled, "--data", "data.npz", "-o", "out.npz", "--guard", "warn")
    assert outcome.status == 0
    assert "innerloop: warning: x reached 1000" in outcome.err
    assert Path("out.npz").exists()


@pytest.mark.parametrize("name", ["missing.csv", "missing.npz"])
def test_missing_data(innerloop: Command, compiled: Path, name: str) -> None:
    one_message(innerloop("run", compiled, "--data", name), f"{name}: No such file or directory")


def test_an_output_in_no_folder_is_refused_before_the_run(innerloop: Command, compiled: Path) -> None:
    npz(Path("data.npz"), **tasks())
    one_message(innerloop("run", compiled, "--data", "data.npz", "-o", "no/out.npz"), "there is no folder no")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "program.icl"])
@pytest.mark.parametrize("damage", ["missing", "cut", "changed"])
def test_a_corrupt_folder_is_refused(innerloop: Command, compiled: Path, file: str, damage: str) -> None:
    folder = Path("damaged")
    folder.mkdir()
    for original in compiled.iterdir():
        (folder / original.name).write_bytes(original.read_bytes())
    content = (folder / file).read_bytes()
    if damage == "missing":
        (folder / file).unlink()
    elif damage == "cut":
        (folder / file).write_bytes(content[: len(content) // 2])
    else:
        middle = len(content) // 2
        (folder / file).write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    npz(Path("data.npz"), **tasks())
    one_message(innerloop("run", folder, "--data", "data.npz"), "damaged")


def test_a_folder_of_something_else(innerloop: Command) -> None:
    Path("other").mkdir()
    one_message(innerloop("run", "other", "--data", "data.npz"), "other holds no weights: give a folder that")


def test_a_folder_that_is_missing(innerloop: Command) -> None:
    one_message(innerloop("run", "nowhere", "--data", "data.npz"), "nowhere")


def test_a_plot_of_no_known_format(innerloop: Command) -> None:
    one_message(innerloop("demo", "-o", "demo.bmp"), "demo.bmp: a plot is written as .pdf, .png, .svg")
