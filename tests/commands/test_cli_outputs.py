"""What commands write: never over what they read, whole or not at all, and nothing of the user's is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import SMALL, Command, npz, one_message, tasks


def same(path: Path) -> Path:
    return path


def dotted(path: Path) -> Path:
    return Path(".") / path.parent / "." / path.name


def linked(path: Path) -> Path:
    other = path.with_name("other.npz")
    other.symlink_to(path.name)
    return other


def hard(path: Path) -> Path:
    other = path.with_name("other.npz")
    os.link(path, other)
    return other


@pytest.mark.parametrize("name", [same, dotted, linked, hard])
def test_the_output_of_run_is_never_its_data(
    innerloop: Command, compiled: Path, name: Callable[[Path], Path]
) -> None:  # fmt: skip
    data = npz(Path("t.npz"), **tasks())
    before = data.read_bytes()
    one_message(innerloop("run", compiled, "--data", data, "-o", name(data)), "which this command reads; name another")
    assert data.read_bytes() == before


def test_the_output_of_run_is_never_standard_input(
    innerloop: Command, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--data - -o t.csv < t.csv`."""
    data = Path("t.csv")
    data.write_text("x_0,x_1,y\n0.5,1,1\n1,0.5,\n")
    before = data.read_bytes()
    with data.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        one_message(innerloop("run", compiled, "--data", "-", "-o", data), "t.csv: is standard input, which this")
    assert data.read_bytes() == before


def test_the_output_of_compile_is_never_its_calibration_data(innerloop: Command) -> None:
    data = npz(Path("t.npz"), **tasks())
    before = data.read_bytes()
    one_message(innerloop("compile", *SMALL, "--calibrate", data, "-o", data), "t.npz: exists already")
    assert data.read_bytes() == before


@pytest.mark.parametrize("what", ["file", "full", "empty", "link"])
@pytest.mark.parametrize(
    "command",
    [["compile", *SMALL], ["export", "WEIGHTS", "--to", "huggingface"], ["reproduce", "von_oswald_1"],
     ["train", *SMALL, "--task", "linear", "--steps", "1"]],
    ids=["compile", "export", "reproduce", "train"],
)  # fmt: skip
def test_what_is_there_stays_there(innerloop: Command, compiled: Path, command: list[str], what: str) -> None:
    out = Path("out")
    if what == "file":
        out.write_text("mine")
    elif what == "link":
        out.symlink_to("nowhere")
    else:
        out.mkdir()
        if what == "full":
            (out / "mine").write_text("mine")
    arguments = [str(compiled) if word == "WEIGHTS" else word for word in command]
    one_message(innerloop(*arguments, "-o", out), "out: exists already; name a new folder, or remove it first")
    assert sorted(path.name for path in Path().iterdir()) == ["out"]
    assert what != "file" or out.read_text() == "mine"
    assert what != "full" or (out / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    "command",
    [["inspect", "WEIGHTS"], ["compare", "WEIGHTS", "WEIGHTS", "--task", "linear"]],
    ids=["inspect", "compare"],
)
@pytest.mark.parametrize("what", ["file", "link"])
def test_a_page_that_is_there_stays_there(innerloop: Command, compiled: Path, command: list[str], what: str) -> None:
    page = Path("page.html")
    if what == "file":
        page.write_text("mine")
    else:
        page.symlink_to("nowhere")
    arguments = [str(compiled) if word == "WEIGHTS" else word for word in command]
    one_message(innerloop(*arguments, "-o", page), "page.html: exists already; name a new file, or remove it first")
    assert what != "file" or page.read_text() == "mine"
    assert page.is_symlink() == (what == "link")


@pytest.mark.skipif(os.name != "posix", reason="needs limits on files")
@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_a_full_disk_leaves_what_was_there(compiled: Path, tmp_path: Path, suffix: str) -> None:
    """No file may have more than 512 bytes: the write fails midway, as on a full disk."""
    out = tmp_path / f"out{suffix}"
    out.write_text("mine")
    npz(tmp_path / "t.npz", **tasks(count=60))
    run = ["run", str(compiled), "--data", "t.npz", "-o", out.name]
    command = " ".join([sys.executable, "-m", "innerloop.commands", *run])
    result = subprocess.run(
        ["bash", "-c", f"ulimit -f 1; {command}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("error: ") == 1
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, "t.npz"]
    assert out.read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="needs limits on files")
@pytest.mark.parametrize("verb", ["compile", "export"])
def test_a_full_disk_leaves_no_folder(compiled: Path, tmp_path: Path, verb: str) -> None:
    what = SMALL if verb == "compile" else [str(compiled), "--to", "huggingface"]
    command = " ".join([sys.executable, "-m", "innerloop.commands", verb, *what, "-o", "new"])
    result = subprocess.run(
        ["bash", "-c", f"ulimit -f 8; {command}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1, result
    assert result.stderr.count("error: ") == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_an_interruption_while_writing_leaves_what_was_there(
    innerloop: Command, compiled: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(f"out{suffix}")
    out.write_text("mine")
    npz(Path("t.npz"), **tasks())

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    monkeypatch.setattr(os, "replace", interrupted)
    assert innerloop("run", compiled, "--data", "t.npz", "-o", out).status == 130
    assert sorted(path.name for path in Path().iterdir()) == [out.name, "t.npz"]
    assert out.read_text() == "mine"
