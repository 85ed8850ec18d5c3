"""`innerloop format`: files rewritten, named or left, and stdin."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from innerloop.commands.cli import main
from innerloop.programs import load

NEAT = load("adam")
SPOILT = NEAT.replace(" = ", "=").replace("\n\n", "\n\n\n")
FAULTY = "program p(\n"


def test_format_rewrites_names_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    neat, spoilt, faulty = (tmp_path / name for name in ("neat.icl", "spoilt.icl", "faulty.icl"))
    before = {neat: NEAT, faulty: FAULTY, spoilt: SPOILT.replace("\n", "\r\n")}
    for path, text in before.items():
        path.write_bytes(text.encode())
    assert main(["format", "--check", *map(str, before)]) == 1
    said = capsys.readouterr()
    assert said.out == f"{spoilt}: would be formatted\n"
    assert said.err.startswith(f"{faulty}:1:")
    assert said.err.count("error: ") == 1
    assert {path: path.read_bytes().decode() for path in before} == before
    assert main(["format", *map(str, before)]) == 1
    assert capsys.readouterr().out == f"{spoilt}: formatted\n"
    after = {**before, spoilt: NEAT.replace("\n", "\r\n")}
    assert {path: path.read_bytes().decode() for path in before} == after
    assert main(["format", "--check", str(spoilt)]) == 0


def test_format_of_stdin(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(SPOILT.encode())))
    assert main(["format", "-"]) == 0
    assert capsysbinary.readouterr().out == NEAT.encode()
