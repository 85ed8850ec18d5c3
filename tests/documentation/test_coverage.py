"""Every public name says what it is, and has its place on the page of Python names; so has every command."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PACKAGES = ("compiler", "laboratory", "programs", "puzzles", "runtime")
"""Those that export names."""


def packages() -> list[ModuleType]:
    return [import_module(f"innerloop.{name}") for name in PACKAGES]


def documented(package: ModuleType) -> Iterator[tuple[str, str | None]]:
    """The public names, those of classes too, with their docstrings. Not what a class inherits."""
    for name in package.__all__:
        thing = getattr(package, name)
        if not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue  # a constant has its line in the source, which Python does not keep
        yield name, inspect.getdoc(thing)
        for part, value in vars(thing).items() if inspect.isclass(thing) else ():
            known = inspect.isroutine(value) or isinstance(value, property | classmethod | staticmethod)
            if known and not part.startswith("_"):
                yield f"{name}.{part}", inspect.getdoc(getattr(thing, part))


@pytest.mark.parametrize("package", packages(), ids=PACKAGES)
def test_every_public_name_has_a_docstring(package: ModuleType) -> None:
    found = dict(documented(package))
    assert found
    assert [name for name, text in found.items() if not text] == []


def test_every_package_that_exports_names_is_on_the_page() -> None:
    page = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\.\. automodule:: innerloop\.(\w+)$", page, re.MULTILINE)) == sorted(PACKAGES)
    exporting = [p.parent.name for p in DOCS.parent.glob("*/__init__.py") if "\n__all__ =" in p.read_text("utf-8")]
    assert sorted(set(exporting) - {"commands", "tests"}) == sorted(PACKAGES)


def test_docstrings_become_restructuredtext() -> None:
    from docs.extensions.docstrings import converted

    assert converted(["`w` of |x| and 2 * a_", "", "steps    how many", "rate     how far"]) == [
        "``w`` of \\|x\\| and 2 \\* a\\_",
        "",
        "::",
        "",
        "    steps    how many",
        "    rate     how far",
        "",
    ]


def test_every_page_is_in_the_contents() -> None:
    listed = set()
    for page in DOCS.rglob("*.md"):
        for block in re.findall(
            r"^```\{toctree\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        ):
            for line in block.splitlines():
                if line and not line.startswith(":"):
                    base = DOCS if line.startswith("/") else page.parent
                    listed |= set(base.glob(f"{line.removeprefix('/')}.md"))
    assert {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")} - {
        page.relative_to(DOCS).as_posix() for page in listed
    } == {"index.md"}


def test_every_program_has_its_row_on_every_machine() -> None:
    """As README says of the page, which a run of a few programs would write over."""
    from innerloop.programs import names

    _, *machines = (DOCS / "machines.md").read_text(encoding="utf-8").split("\n## ")
    assert [part.split("\n", 1)[0] for part in machines] == ["gemma", "neox", "qwen2", "deltanet"]
    for part in machines:
        assert re.findall(r"^\| (\w+) \|", part, re.MULTILINE)[1:] == sorted(names())
