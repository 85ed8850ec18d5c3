"""The wheel holds what the folders hold: every module, the grammar, the programs and their data."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("artifact", "commands", "compiler", "editors", "explain", "laboratory", "programs", "puzzles", "runtime")


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Built from a copy: an earlier build's leftovers would hide what is missing."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source)]
    subprocess.run([sys.executable, "-m", "pip", *command], check=True)
    (wheel,) = out.glob("innerloop-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_file_of_the_packages_is_in_the_wheel(contents: set[str]) -> None:
    files = (f for name in FOLDERS for f in (ROOT / name).rglob("*") if f.is_file() and "__pycache__" not in f.parts)
    assert {f"innerloop/{f.relative_to(ROOT).as_posix()}" for f in files} <= contents


@pytest.mark.parametrize(
    "name",
    [
        "artifact/py.typed",
        "compiler/syntax/grammar.lark",
        "compiler/py.typed",
        "editors/vscode/syntaxes/innerloop.tmLanguage.json",
        "programs/sherman_morrison.icl",
        "programs/data/diabetes.csv",
        "programs/py.typed",
        "puzzles/texts/1.icl",
        "runtime/py.typed",
    ],
)
def test_the_data_files_are_in_the_wheel(name: str, contents: set[str]) -> None:
    assert f"innerloop/{name}" in contents


def test_the_namespace_has_no_module_of_its_own(contents: set[str]) -> None:
    assert "innerloop/__init__.py" not in contents
