"""The command line: what each command prints, and that every bad input gets one clear message and the right status."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.compiler import Weights, interpret
from innerloop.programs import load, names
from innerloop.runtime.cli import main

SMALL = ["stochastic_gradient_descent", "-p", "d=2", "-p", "examples=3", "-p", "rate=0.05"]


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def innerloop(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as stop:  # argparse, on wrong usage
            status = int(stop.code or 0)
        return Outcome(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SMALL, compiled once."""
    folder = tmp_path_factory.mktemp("compiled") / "sgd"
    assert main(["compile", *SMALL, "-o", str(folder)]) == 0
    return folder


def tasks(count: int = 2, examples: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {"x": rng.uniform(-1, 1, (count, examples + 1, 2)), "y": rng.uniform(-1, 1, (count, examples))}


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def one_message(outcome: Outcome, *parts: str) -> None:
    """Status 1, all on stderr, no traceback, and every part of what should be said."""
    assert outcome.status == 1, outcome
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert outcome.err.count("error: ") == 1, outcome.err
    for part in parts:
        assert part in outcome.err


# What works --------------------------------------------------------------------------------------


def test_programs_lists_what_ships(innerloop: Command) -> None:
    outcome = innerloop("programs")
    assert outcome.status == 0
    for name in names():
        assert name in outcome.out
    assert "ridge = 0.1" in outcome.out


@pytest.mark.parametrize("name", names())
def test_shipped_programs_have_no_errors(innerloop: Command, name: str) -> None:
    assert innerloop("check", name) == Outcome(0, f"{name}.icl: no errors\n", "")


@pytest.mark.parametrize("stage", ["core", "graph", "schedule", "layout", "report"])
def test_show_prints_each_stage(innerloop: Command, stage: str) -> None:
    outcome = innerloop("show", *SMALL, "--stage", stage)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.strip()


def test_what_core_prints_is_a_program(innerloop: Command) -> None:
    core = innerloop("show", *SMALL, "--stage", "core").out
    Path("core.icl").write_text(core, encoding="utf-8")
    assert innerloop("check", "core.icl").status == 0


def test_compile_writes_the_weights_and_says_what_they_are(innerloop: Command) -> None:
    outcome = innerloop("compile", *SMALL, "-o", "weights")
    assert (outcome.status, outcome.err) == (0, "")
    assert "layers" in outcome.out
    assert "weights" in outcome.out
    assert Weights.load("weights").config.target == "gpt2"


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_compile_takes_ranges_from_data(innerloop: Command, suffix: str) -> None:
    data = tasks(count=20)
    if suffix == ".npz":
        npz(Path("data.npz"), **data)
    else:
        write_csv(Path("data.csv"), data)
    assert innerloop("compile", *SMALL, "--calibrate", f"data{suffix}", "-o", "weights").status == 0
    (high,) = (r.high for r in Weights.load("weights").inputs if r.name == "x")
    assert 0.9 < high < 1.5


def write_csv(path: Path, data: dict[str, np.ndarray]) -> None:
    lines = ["task,x_0,x_1,y"]
    for task, (x, y) in enumerate(zip(data["x"], data["y"], strict=True)):
        lines += [f"{task},{a!r},{b!r},{v!r}" for (a, b), v in zip(x.tolist(), [*y.tolist(), ""], strict=True)]
    path.write_text("\n".join(lines).replace("''", "") + "\n", encoding="utf-8")


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_run_agrees_with_the_oracle(innerloop: Command, compiled: Path, suffix: str) -> None:
    data = tasks()
    write_csv(Path("data.csv"), data)
    npz(Path("data.npz"), **data)
    outcome = innerloop("run", compiled, "--data", f"data{suffix}", "-o", f"out{suffix}")
    assert (outcome.status, outcome.err) == (0, "")
    if suffix == ".npz":
        (found,) = np.load("out.npz").values()
    else:
        found = np.loadtxt("out.csv", delimiter=",", skiprows=1)[:, 2].reshape(2, 4)
    wanted = interpret(load(SMALL[0]), **data, d=2, examples=3, rate=0.05)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_run_prints_a_table_if_no_file_is_named(innerloop: Command, compiled: Path) -> None:
    outcome = innerloop("run", compiled, "--data", npz(Path("data.npz"), **tasks()))
    assert (outcome.status, outcome.err) == (0, "")
    assert len(outcome.out.strip().splitlines()) == 2 + 8


def test_parameters_can_be_lists_and_arrays(innerloop: Command) -> None:
    head = "program scale(d, a : vector[d])\n\ntokens (s)*\n    s : vector[d] in [-1, 1]\n\noutput dot(a, s)\n"
    Path("scale.icl").write_text(head, encoding="utf-8")
    np.save("a.npy", np.array([2.0, -1.0]))
    for number, value in enumerate(["[2, -1]", "a.npy"]):
        assert innerloop("compile", "scale.icl", "-p", "d=2", "-p", f"a={value}", "-o", f"w{number}").status == 0
    assert Weights.load("w0").signature.name == "scale"


# Wrong usage: status 2 ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["export", "weights"],
        ["show", "sherman_morrison"],
        ["show", "sherman_morrison", "--stage", "tokens"],
        ["compile", "sherman_morrison"],
        ["compile", "sherman_morrison", "-p", "d", "-o", "weights"],
        ["compile", "sherman_morrison", "--target", "bert", "-o", "weights"],
        ["run", "weights"],
        ["run", "weights", "--data", "data.npz", "-o", "out.txt"],
        ["demo", "--tasks", "0"],
    ],
)
def test_wrong_usage_has_status_2(innerloop: Command, arguments: Sequence[str]) -> None:
    outcome = innerloop(*arguments)
    assert outcome.status == 2
    assert "usage: innerloop" in outcome.err


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

    monkeypatch.setattr("innerloop.runtime.cli_commands.programs", full)
    one_message(innerloop("programs"), "not enough memory (Unable to allocate 67.1 GiB)")


def test_an_interruption_is_no_traceback(innerloop: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("innerloop.runtime.cli_commands.programs", interrupted)
    assert innerloop("programs") == Outcome(130, "", "innerloop: error: interrupted\n")


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


def test_a_folder_that_is_missing(innerloop: Command) -> None:
    one_message(innerloop("run", "nowhere", "--data", "data.npz"), "nowhere")


def test_a_plot_of_no_known_format(innerloop: Command) -> None:
    one_message(innerloop("demo", "-o", "demo.bmp"), "demo.bmp: a plot is written as .pdf, .png, .svg")


# Cost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        (["check", "sherman_morrison"], ["jax", "matplotlib", "scipy"]),
        (["programs"], ["jax", "matplotlib", "scipy"]),
        (["show", *SMALL, "--stage", "report"], ["jax", "matplotlib"]),
        (["compile", *SMALL, "-o", "weights"], ["jax", "matplotlib"]),
    ],
    ids=["check", "programs", "show", "compile"],
)
def test_commands_import_only_what_they_need(tmp_path: Path, command: Sequence[str], heavy: Sequence[str]) -> None:
    code = (
        "import sys; from innerloop.runtime.cli import main; status = main(sys.argv[2:]); "
        "found = set(sys.argv[1].split(',')) & set(sys.modules); sys.exit(str(found) if found else status)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, ",".join(heavy), *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_module_is_the_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "innerloop.runtime", "--help"], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("usage: innerloop")


@pytest.mark.parametrize(
    "command",
    [
        "programs | true",  # a reader that stops early
        "--help | true",
        "show sherman_morrison --stage core | head -1",
        "programs >&-",
        "check sherman_morrison >&-",
    ],
)
def test_nobody_has_to_read_the_output(command: str) -> None:
    command = f"{sys.executable} -m innerloop.runtime {command}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("command", [["programs"], ["show", *SMALL, "--stage", "schedule"], ["run", "--help"]])
def test_a_terminal_of_few_characters(command: Sequence[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "innerloop.runtime", *command],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.isascii()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told() -> None:
    command = f"{sys.executable} -m innerloop.runtime programs > /dev/full"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "innerloop: error: No space left on device\n")
