"""The wheel holds what the folders hold: every module, the grammar, the programs and their data; and it runs where it
is installed, on each Python that it is for and that is here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PYTHONS = ("3.11", "3.12", "3.13")

ROOT = Path(__file__).parents[2]
FOLDERS = ("artifact", "commands", "compiler", "editors", "explain", "laboratory", "programs", "puzzles", "runtime")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: an earlier build's leftovers would hide what is missing."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source)]
    subprocess.run([sys.executable, "-m", "pip", *command], check=True)
    (built,) = out.glob("innerloop-*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
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


def interpreter(version: str) -> str | None:
    """A Python of this version: on the path, or where pyenv keeps them. A shim may stand for one that is not there."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places = [shutil.which(f"python{version}"), *map(str, sorted(kept.glob(f"{version}.*/bin/python")))]
    for place in filter(None, places):
        told = subprocess.run([place, "-c", "import venv, ensurepip"], capture_output=True, check=False)
        if told.returncode == 0:
            return place
    return None


@pytest.mark.slow
@pytest.mark.parametrize("version", PYTHONS)
def test_the_wheel_runs_where_it_is_installed(version: str, wheel: Path, tmp_path: Path) -> None:
    """With its dependencies, in a fresh environment: it compiles a program, and runs it on a table."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    subprocess.run([python, "-m", "venv", str(tmp_path / "venv")], check=True)
    bin = tmp_path / "venv" / "bin"
    # Without compiling 700 MB of modules, of which few are imported.
    install = [str(bin / "python"), "-m", "pip", "install", "--quiet", "--no-compile", str(wheel)]
    installed = subprocess.run(install, capture_output=True, text=True, check=False, timeout=1200)
    if "No matching distribution" in installed.stderr or "ould not find a version" in installed.stderr:
        pytest.skip(f"no packages for Python {version}: {installed.stderr.strip().splitlines()[-1]}")
    assert installed.returncode == 0, installed.stderr
    (tmp_path / "table.csv").write_text("a,b,y\n1,0,1\n0,1,2\n1,1,3\n2,1,4\n", encoding="utf-8")
    command = [str(bin / "innerloop"), "run", "sherman_morrison", "--data", "table.csv", "--y", "y", "--json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "sherman_morrison" in ran.stdout
