"""Running the command line in tests: the fixtures `innerloop` and `compiled`, and small data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.commands.cli import main

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
