"""Files as they come, through the command line: what is said, what is printed, and in which units."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import Command, one_message

TEXT = "city;rooms;area;price\n" + "".join(
    f"c{k};{rooms};{area};{100 + 40 * rooms + 1.5 * area}\n"
    for k, (rooms, area) in enumerate([(2, 50), (3, 90), (1, 30), (4, 70), (2, 80), (5, 99)])
)
RIDGE = ["ridge", "-p", "ridge=0.5", "-p", "steps=20", "--target", "llama"]
SAID = ["--y", "price", "--standardise", "--leave-one-out"]


@pytest.fixture
def flats(tmp_path: Path) -> Path:
    path = tmp_path / "flats.csv"
    path.write_text(TEXT)
    return path


def test_a_program_is_compiled_for_a_file_and_run_on_it(innerloop: Command, flats: Path, tmp_path: Path) -> None:
    """Ridge regression in a closed form on the same standardised rows, price by price."""
    outcome = innerloop("run", *RIDGE, "--data", flats, *SAID, "--certify", "-o", "out.csv")
    assert outcome.status == 0, outcome
    assert "x = rooms, area; y = price; city left out (another in every row)" in outcome.err
    assert outcome.err.rstrip().endswith("; d = 2")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["line"] for row in rows] == ["2", "3", "4", "5", "6", "7"]
    x, y = np.split(np.loadtxt(TEXT.splitlines(), delimiter=";", skiprows=1, usecols=(1, 2, 3)), [2], axis=1)
    for query, row in enumerate(rows):
        others = [k for k in range(6) if k != query]
        m, s, c, r = x[others].mean(0), x[others].std(0), y[others].mean(), y[others].std()
        u, v = (x[others] - m) / s, (y[others, 0] - c) / r
        w = np.linalg.solve(u.T @ u + 0.5 * np.eye(2), u.T @ v)
        assert abs(float(row["ridge"]) - ((x[query] - m) / s @ w * r + c)) <= float(row["ridge_bound"])
        assert float(row["target"]) == y[query, 0]


def test_weights_that_are_calibrated_on_a_file_run_on_it(innerloop: Command, flats: Path) -> None:
    compiled = innerloop("compile", *RIDGE, "--calibrate", flats, *SAID, "-o", "weights", "--quiet")
    assert (compiled.status, compiled.out, compiled.err) == (0, "", "")
    outcome = innerloop("run", "weights", "--data", flats, *SAID)
    assert outcome.status == 0, outcome
    assert "6 predictions of a known target: r.m.s. error" in outcome.out
    one_message(innerloop("run", "weights", "-p", "d=2", "--data", flats, *SAID), "-p, --target", "are for a program")
    one_message(innerloop("run", "weights", "--data", flats), "flats.csv:1: column `city` is no field", "--y COLUMN")


def test_a_seed_of_splits_is_at_least_0(innerloop: Command, flats: Path) -> None:
    outcome = innerloop("run", "ridge", "--data", flats, "--y", "price", "--splits", "2", "--split-seed", "-1")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.endswith("argument --split-seed: `-1` is not a whole number of at least 0\n")
