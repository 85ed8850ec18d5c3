"""A folder named innerloop where Python starts does not take the place of what is installed without a word."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import innerloop.compiler
import pytest

INSTALLED = Path(innerloop.compiler.__file__).resolve().parent


def started(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("code", ["import innerloop.compiler", "from innerloop.commands import cli"])
def test_a_clone_beside_is_told(tmp_path: Path, code: str) -> None:
    for package in ("artifact", "compiler"):
        shutil.copytree(INSTALLED.parent / package, tmp_path / "innerloop" / package)
    result = started(tmp_path, code)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: there are two copies of innerloop: {tmp_path.resolve() / 'innerloop'}, which")
    assert "rename the clone" in last


def test_any_other_folder_of_the_name_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "innerloop" / "notes").mkdir(parents=True)
    result = started(tmp_path, "import innerloop.compiler; print(innerloop.compiler.__file__)")
    assert (result.returncode, Path(result.stdout.strip()).resolve().parent) == (0, INSTALLED)


def test_a_link_to_what_is_installed_is_no_second_copy(tmp_path: Path) -> None:
    (tmp_path / "innerloop").mkdir()
    (tmp_path / "innerloop" / "compiler").symlink_to(INSTALLED)
    assert started(tmp_path, "import innerloop.compiler").returncode == 0
