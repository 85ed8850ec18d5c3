"""docs/architecture.md is true: what it says was printed is printed, and every room and file that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.commands import Command

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PRINTED = re.findall(r"```\n\$ innerloop ([^\n]*)\n(.*?)\n```", TEXT, re.DOTALL)
ROOMS = sorted(p.name for p in (ROOT / "compiler").iterdir() if (p / "__init__.py").exists())


@pytest.mark.parametrize(("command", "wanted"), PRINTED, ids=[command for command, _ in PRINTED])
def test_a_command_prints_what_the_page_shows(command: str, wanted: str, innerloop: Command) -> None:
    assert innerloop(*command.split()).out.rstrip() == wanted


def test_every_room_of_the_compiler_has_a_row() -> None:
    table = TEXT.split("## The rooms of the compiler")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)/` \|", table, re.MULTILINE)) == ROOMS


@pytest.mark.parametrize("page", ["architecture.md", "glossary.md", "design-notes.md"])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    spans = re.findall(r"`([^`\n]+)`", text)
    named = sorted({name for span in spans for name in re.findall(r"[\w/*]+/[\w*]+\.(?:py|lark)", span)})
    assert named
    assert [name for name in named if not any(list(base.glob(name)) for base in (ROOT, ROOT / "compiler"))] == []
