"""What a shell completes: commands and options, by shtab, and what those take: programs that ship, files, passes.

innerloop compile las<TAB>   →   lasso
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from innerloop.artifact.errors import InnerloopError
from innerloop.programs import names

from .parser import parser


def script(shell: str) -> str:
    """What the shell reads. Raises InnerloopError where shtab is not installed."""
    try:
        import shtab
    except ImportError:
        raise InnerloopError("completion takes shtab: pip install 'innerloop[completion]'") from None
    from innerloop.compiler.passes import PASSES
    from innerloop.laboratory.figures import NAMES

    whole = parser()
    commands = _commands(whole)
    programs = _programs(names())
    known: dict[tuple[str | None, str], object] = {
        ("check", "FILE"): programs,
        ("help", "COMMAND"): _words("commands", commands),
        ("reproduce", "NAME"): _words("figures", NAMES),
        **dict.fromkeys([(None, "PROGRAM"), (None, "DIR|PROGRAM")], programs),
        **dict.fromkeys([(None, what) for what in ("FILE", "OUT", "PLOT", "PAGE")], shtab.FILE),
        **dict.fromkeys([(None, what) for what in ("DIR", "COMPILED", "TRAINED")], shtab.DIRECTORY),
        (None, "PASS"): _words("passes", (each.name for each in PASSES)),
    }
    for command, part in commands.items():
        for action in part._actions:
            found = known.get((command, str(action.metavar))) or known.get((None, str(action.metavar)))
            if found is not None:
                action.complete = found  # type: ignore[attr-defined]
    return str(shtab.complete(whole, shell))


def _commands(whole: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands, by name."""
    return next(dict(a.choices) for a in whole._actions if isinstance(a, argparse._SubParsersAction))


def _words(name: str, words: Iterable[str]) -> dict[str, Any]:
    """For shtab: some words, by each shell's own way."""
    listed = " ".join(words)
    function = f"_innerloop_{name}"
    bash = f'{function}() {{ compgen -W "{listed}" -- "$1"; }}'
    return {"bash": function, "zsh": f"({listed})", "tcsh": f"({listed})", "fish": listed, "preamble": {"bash": bash}}


def _programs(shipped: Iterable[str]) -> dict[str, Any]:
    """For shtab: programs that ship, and files of others."""
    listed = " ".join(shipped)
    function = "_innerloop_programs"
    bash = f'compgen -W "{listed}" -- "$1"; compgen -f -X "!*.icl" -- "$1"; compgen -d -S / -- "$1"'
    zsh = f"_alternative 'shipped:shipped:({listed})' 'files:file:_files -g \"*.icl\"'"
    return {
        "bash": function,
        "zsh": function,
        "tcsh": f"({listed})",
        "fish": f"{listed} (__fish_complete_path (commandline -ct))",
        "preamble": {"bash": f"{function}() {{ {bash}; }}", "zsh": f"{function}() {{ {zsh} }}"},
    }
