"""The command line: what each command prints, wrong usage, and what it costs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from innerloop.compiler import Weights, interpret
from innerloop.compiler.stages import STAGES
from innerloop.programs import load, names, purpose
from innerloop.runtime.tables import entries

from tests.support.commands import SMALL, Command, Outcome, npz, tasks

# What works --------------------------------------------------------------------------------------


def test_programs_lists_what_ships(innerloop: Command) -> None:
    outcome = innerloop("programs")
    assert outcome.status == 0
    for name in names():
        assert f"\n  {name}(" in outcome.out
        assert purpose(name) in outcome.out
    assert "sherman_morrison(d, examples = 40, ridge = 0.1)\n" in outcome.out
    assert "known : matrix[m, d]" in outcome.out


@pytest.mark.parametrize("width", [80, 160])
def test_a_list_of_programs_is_broken_between_parameters_only(width: int) -> None:
    given = ["d", *(f"parameter_{k} : vector[d] = {k}" for k in range(6))]
    lines = entries("Group", [("name", given, "What it does.")], width).plain.splitlines()
    assert (lines[0], lines[-1]) == ("Group", "      What it does.")
    assert max(map(len, lines)) <= width
    assert " ".join(line.strip() for line in lines[1:-1]) == f"name({', '.join(given)})"
    assert all(line.endswith((",", ")")) for line in lines[1:-1])


@pytest.mark.parametrize("name", names())
def test_shipped_programs_have_no_errors(innerloop: Command, name: str) -> None:
    assert innerloop("check", name) == Outcome(0, f"{name}.icl: no errors\n", "")


@pytest.mark.parametrize("stage", STAGES)
def test_show_prints_each_stage(innerloop: Command, stage: str) -> None:
    outcome = innerloop("show", *SMALL, "--stage", stage)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.strip()


def test_progress_is_told_where_it_is_asked_for(innerloop: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innerloop.runtime.tables.PATIENCE", 0.0)
    program = ["averaging", "-p", "d=1", "-o"]
    assert innerloop("compile", *program, "quiet").err == ""
    lines = innerloop("compile", *program, "told", "--progress").err.splitlines()
    said = [line.partition(" s: compiling averaging.icl for gpt2, ")[2] for line in lines]
    assert said[0] == "rewriting the program"
    assert any(re.match(r"looking at sample tasks, 1 of \d+, about ", line) for line in said)
    assert said[-1] == "validating"


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
        "import sys; from innerloop.commands.cli import main; status = main(sys.argv[2:]); "
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
        [sys.executable, "-m", "innerloop.commands", "--help"], capture_output=True, text=True, check=True
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
    command = f"{sys.executable} -m innerloop.commands {command}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("command", [["programs"], ["show", *SMALL, "--stage", "schedule"], ["run", "--help"]])
def test_a_terminal_of_few_characters(command: Sequence[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "innerloop.commands", *command],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.isascii()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told() -> None:
    command = f"{sys.executable} -m innerloop.commands programs > /dev/full"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "innerloop: error: No space left on device\n")
