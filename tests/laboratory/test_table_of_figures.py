"""The table of reproduced figures says what held, what did not, and how long it took."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.figures import main


def test_a_row_says_what_did_not_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checks = [
        {"name": "loss", "measured": 1.0, "asked": "≤ 2", "holds": True},
        {"name": "cosine |a|", "measured": 0.51234, "asked": "≥ 0.9", "holds": False},
    ]
    found = {"figure": "known", "checks": checks, "compared": {"command": "innerloop reproduce known"}}
    (tmp_path / "figures.json").write_text(json.dumps(found))
    (tmp_path / "clock.json").write_text(json.dumps({"seconds": 90}))
    assert main([str(tmp_path)]) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    assert row == ("| `known` | 1 of 2 | cosine ∣a∣: 0.5123 (asked ≥ 0.9) | 1.5 | `innerloop reproduce known` |")


def test_a_folder_without_a_figure_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert f"{tmp_path}: no reproduced figure is there" in capsys.readouterr().err
    assert main([]) == 2
