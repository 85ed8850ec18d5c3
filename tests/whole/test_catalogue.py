"""The generated catalogue: complete, and the same when it is generated again."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from innerloop.programs import GROUPS, citation, load, names, purpose

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "catalogue"


def test_every_program_has_a_page_and_stands_in_the_overview() -> None:
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted([*names(), "README"])
    overview = (PAGES / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", overview, re.MULTILINE)[: len(GROUPS)] == list(GROUPS)
    for name in names():
        assert f"| [{name}]({name}.md) | {purpose(name)} |" in overview


@pytest.mark.parametrize("name", names())
def test_a_page_has_the_text_as_it_ships_and_its_source(name: str) -> None:
    page, text = (PAGES / f"{name}.md").read_text(encoding="utf-8"), load(name)
    assert text[text.index("\nprogram ") :] in page
    assert f"\nSource: {citation(name)}\n" in page
    assert f"](pictures/{name}.png)" in page
    assert (PAGES / "pictures" / f"{name}.png").is_file()
    for target in ("gpt2", "gelu", "llama", "lsa"):
        assert re.search(rf"\| `{target}` \||^`{target}`( in float\d\d)? refuses", page, re.MULTILINE)


def without_errors(page: str) -> str:
    """Rounding differs from machine to machine, and with it the digit of an error."""
    return re.sub(r"\d(\.\d)?e[+-]\d\d", "…", page)


@pytest.mark.slow
def test_generated_again_it_is_the_same_and_so_is_the_rest(tmp_path: Path) -> None:
    quick = ["averaging", "bigram", "temporal_difference"]
    shutil.copytree(PAGES, tmp_path / "again")
    command = [sys.executable, "-m", "benchmarks.catalogue", "-o", str(tmp_path / "again"), "--program", *quick]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == sorted(p.name for p in PAGES.iterdir())
    for name in [*names(), "README"]:
        again, shipped = (folder / f"{name}.md" for folder in (tmp_path / "again", PAGES))
        assert without_errors(again.read_text(encoding="utf-8")) == without_errors(shipped.read_text(encoding="utf-8"))
