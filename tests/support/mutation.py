"""One-line mutants: the package with a line changed, and the tests that must then fail.

    mutant = Mutant("compiler/interpreter/calibrate.py", "MARGIN = 0.1", "MARGIN = 0.0", "tests/whole/test_defaults.py")
    outcome(mutant, folder)

The changed copy stands in a folder of its own, and a plugin of pytest makes it the only `innerloop` of the process that
runs the tests; it also notes which file the changed module came from.
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.fork_server import ROOT, run_pytest
from tests.support.shared import SHARED

PACKAGES = ("artifact", "commands", "compiler", "editors", "explain", "laboratory", "programs", "puzzles", "runtime")
PLUGIN = """
import sys
from pathlib import Path

import innerloop

innerloop.__path__ = [{home!r}]
sys.meta_path[:] = [f for f in sys.meta_path if not f.__module__.startswith("__editable___innerloop")]


def pytest_sessionfinish():
    module = sys.modules.get({module!r})
    Path({note!r}).write_text("" if module is None else str(module.__file__))
"""
KILLED, SURVIVED = 1, 0
"""pytest's exit status: tests failed, and all passed. Any other is about the run itself."""


@dataclass(frozen=True)
class Mutant:
    """`old`, which stands once in the file, becomes `new`; `tests` are pytest's names of tests, one at least of which
    then fails."""

    file: str
    old: str
    new: str
    tests: str

    @property
    def name(self) -> str:
        return f"{self.file}: {self.new.strip()}"


@dataclass(frozen=True)
class Outcome:
    status: int
    output: str


def mutated(mutant: Mutant) -> str:
    """The file's text, changed. Raises ValueError where the old text is not there, once."""
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    if (count := text.count(mutant.old)) != 1:
        raise ValueError(f"{mutant.file} holds {mutant.old!r} {count} times: bring the mutant up to date")
    return text.replace(mutant.old, mutant.new)


def outcome(mutant: Mutant, folder: Path) -> Outcome:
    """What pytest says of the mutant's tests, run on a changed copy of the package in `folder`.

    Raises ValueError where the mutant is out of date, or its tests never import the changed file."""
    text = mutated(mutant)
    package, _, rest = mutant.file.partition("/")
    home = folder / "copy" / "innerloop"
    home.mkdir(parents=True)
    for name in PACKAGES:
        if name == package:
            shutil.copytree(ROOT / name, home / name)
        else:
            (home / name).symlink_to(ROOT / name)
    changed = home / package / rest
    changed.write_text(text, encoding="utf-8")
    note = folder / "imported"
    module = ".".join(["innerloop", *mutant.file.removesuffix(".py").split("/")])
    (folder / "only_copy.py").write_text(PLUGIN.format(home=str(home), module=module, note=str(note)), encoding="utf-8")
    status = run_pytest(
        ["-q", "-x", "--no-header", "-p", "only_copy", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp",
         str(folder / "tests"), *shlex.split(mutant.tests)],
        {"PYTHONPATH": str(folder), SHARED: ""}, folder, printed := folder / "printed",
    )  # fmt: skip
    imported = note.read_text(encoding="utf-8") if note.exists() else ""
    if status in (KILLED, SURVIVED) and Path(imported) != changed:
        raise ValueError(f"{mutant.tests} does not run {mutant.file}: imported {imported or 'nothing'}")
    return Outcome(status, printed.read_text(encoding="utf-8", errors="replace"))
