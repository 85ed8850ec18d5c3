"""`innerloop explain` from the command line: statuses, what is written, and what is refused."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import Command

MODELS = """
import numpy as np

def average(x, y):
    return np.einsum("tj,tjd,td->t", y, x[:, :-1], x[:, -1]) / y.shape[1]

def huge(x, y):
    return 1e200 * x[:, -1, 0]

def other(x, y):
    return np.sin(7 * x[:, -1].sum(-1)) * y[:, -1]
"""


def test_a_function_is_explained_or_refused(innerloop: Command, tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    tasks = ["--task", "linear", "-t", "d=2", "-t", "n=3", "--only", "averaging"]
    done = innerloop("explain", "models.py:average", *tasks, "-o", "what")
    assert done.status == 0, done.err
    assert "average runs `averaging`: all but" in done.out
    assert "nothing of its inside" in done.out
    assert {path.name for path in (tmp_path / "what").iterdir()} == {"program.icl", "report.html", "verdict.json"}
    done = innerloop("explain", "models.py:other", *tasks)
    assert done.status == 3, done.err
    assert "no known program" in done.out


def test_faults_are_one_line(innerloop: Command, tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "lstm").mkdir()
    (tmp_path / "lstm" / "baseline.json").touch()
    for model, more, said in (
        ("models.py:huge", [], "gave what is not finite, or not below 1e+100"),
        ("models.py:average", ["-p", "rate=1"], "-p rate: is a parameter of --program PROGRAM, and none is given"),
        ("lstm", [], "lstm: is a baseline, and no weights; give what it answers, as FILE.py:FUNCTION"),
        ("models.py:average", ["--adapter", "it.toml"], "--adapter it.toml: is of a folder of transformers"),
    ):
        done = innerloop("explain", model, "--task", "linear", "-t", "d=2", "-t", "n=3", *more)
        assert (done.status, done.err.count("\n")) == (1, 1)
        assert said in done.err
    done = innerloop("explain", "nothing.py:model", "--task", "linear")
    assert done.status == 1
    assert done.err == "innerloop: error: nothing.py: there is no such file; a Python model is FILE.py:FUNCTION\n"
