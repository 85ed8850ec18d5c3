"""The command line itself: help that fits, version, completion, JSON, and settings that are checked without JAX."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from innerloop.commands.help import fitted
from innerloop.commands.options import at_least
from innerloop.commands.parser import SHELLS, parser

from tests.support.commands import Command, npz, one_message, tasks

COMMANDS = sorted(parser()._subparsers._group_actions[0].choices)  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize("command", ["", *COMMANDS])
@pytest.mark.parametrize("columns", [60, 100])
def test_help_fits_the_terminal(
    innerloop: Command, monkeypatch: pytest.MonkeyPatch, command: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    outcome = innerloop(*command.split(), "--help")
    assert outcome.status == 0
    assert [line for line in outcome.out.splitlines() if len(line) > columns] == []
    if command:
        assert innerloop("help", command).out == outcome.out


def test_text_that_fits_stays_and_what_is_broken_keeps_its_words() -> None:
    text = "stages:\n  core   a program with one operation a line\n  built  it\n\nflush left it is\nand is filled\n"
    assert fitted(text, 60) is text
    broken = fitted(text, 24)
    assert broken.split() == text.split()
    assert "\n         one operation a\n" in broken


def test_a_count_may_be_the_least() -> None:
    assert at_least(40)("40") == 40
    for text in ("39", "-1", "4e1", "many"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"`{text}` is not a whole number of at least 40"):
            at_least(40)(text)


def test_the_version(innerloop: Command) -> None:
    assert innerloop("--version").out == f"innerloop {version('innerloop')}\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_every_command(innerloop: Command, shell: str) -> None:
    outcome = innerloop("completion", shell)
    assert all(command in outcome.out for command in COMMANDS)


COMPLETE = """
source completion.bash
COMP_WORDS=($0); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shtab_innerloop 2>/dev/null
echo "${COMPREPLY[@]}"
"""


def test_bash_completes_programs_files_and_passes(innerloop: Command, tmp_path: Path) -> None:
    (tmp_path / "completion.bash").write_text(innerloop("completion", "bash").out, encoding="utf-8")
    (tmp_path / "lassoed.icl").touch()
    wanted = {
        "innerloop compile las": "lasso lassoed.icl",
        "innerloop format la": "lassoed.icl",
        "innerloop show lasso --after pee": "peel",
        "innerloop help exp": "explain export",
        "innerloop reproduce von_oswald_1": "von_oswald_1",
    }
    for line, words in wanted.items():
        said = subprocess.run(["bash", "-c", COMPLETE, line], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert said.stdout.split() == words.split(), line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train gradient_descent -p d=3 --task linera --steps 3 -o t", "no task `linera`; did you mean `linear`?"),
        (
            "train gradient_descent -p d=3 --task linear -t nn=6 --steps 3 -o t",
            "has no parameter `nn`; did you mean `n`",
        ),
        ("train gradient_descent -p d=3 --task linear --steps 3 --rate -1 -o t", "rate=-1.0: must be a number above 0"),
        ("compare a b --task linera", "no task `linera`"),
        ("reproduce von_oswld_1", "no such figure; did you mean `von_oswald_1`?"),
    ],
)
def test_settings_are_checked_before_jax_is_loaded(tmp_path: Path, arguments: str, said: str) -> None:
    program = (
        "import sys\nfrom innerloop.commands.cli import main\n"
        f"status = main({arguments.split()!r})\nprint('jax' in sys.modules)\nsys.exit(status)"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, "False\n"), found.stderr
    assert said in found.stderr


def test_figures_as_json(innerloop: Command, compiled: Path, tmp_path: Path) -> None:
    data = npz(tmp_path / "data.npz", **tasks())
    found = json.loads(innerloop("run", compiled, "--data", data, "--json").out)
    assert [len(row) for row in found[found["output"]]] == [4, 4]
    assert json.loads(innerloop("diff", compiled, "--data", data, "--json").out)["within"] is True
    assert {"group", "name", "parameters", "purpose"} == set(json.loads(innerloop("programs", "--json").out)[0])
    one_message(innerloop("run", compiled, "--data", "none.npz", "--json"), "none.npz")
