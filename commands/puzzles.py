"""`innerloop puzzle`: ten puzzles in the language.

before   nothing, a number, or a number and a file
after    the list, the puzzle as a file to begin from, or whether the answer is right
"""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from pathlib import Path

from innerloop.artifact.errors import InnerloopError

from .arguments import read_text
from .options import at_least

EPILOG = """\
for example:
  innerloop puzzle                  list them
  innerloop puzzle 1 > mine.icl     a file to begin from, with the task as its comment
  innerloop puzzle 1 mine.icl       is it right? If not: which task, what is wanted, what it gives
  innerloop puzzle 1 --hint 1       the first hint

An answer is run by the interpreter on random tasks, and held against NumPy. Exit status 1 if it is wrong.
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("number", nargs="?", type=at_least(1), metavar="N", help="which (default: list them)")
    command.add_argument("file", nargs="?", metavar="FILE", help="an answer to check")
    command.add_argument("--hint", type=at_least(1), metavar="K", help="print the puzzle's hint number K instead")
    command.add_argument("--seed", type=at_least(0), default=0, help="of the random tasks (default: %(default)s)")


def puzzle(arguments: Namespace) -> int:
    """The exit status. Raises InnerloopError for a number or a hint that is not there, CompileError for an answer that
    is not sound."""
    from innerloop.puzzles import PUZZLES

    if arguments.number is None:
        for one in PUZZLES.values():
            print(f"{one.number:>2}  {one.title}")
        return 0
    if arguments.number not in PUZZLES:
        raise InnerloopError(f"there is no puzzle {arguments.number}: they are numbered 1 to {len(PUZZLES)}")
    one = PUZZLES[arguments.number]
    if arguments.hint is not None:
        if arguments.file is not None:
            raise InnerloopError("give a FILE to check or --hint, not both")
        if arguments.hint > len(one.hints):
            raise InnerloopError(f"puzzle {one.number} has no hint {arguments.hint}: it has {len(one.hints)}")
        print(one.hints[arguments.hint - 1])
        return 0
    if arguments.file is None:
        print(one.text, end="")
        return 0
    return _checked(arguments)


def _checked(arguments: Namespace) -> int:
    from innerloop.puzzles import PUZZLES, judge

    one, name = PUZZLES[arguments.number], arguments.file
    verdict = judge(one, read_text(Path(name)), arguments.seed, name)
    if verdict.wrong:
        print(f"{name}: not yet. {verdict.wrong}", file=sys.stderr)
        print(f"hints: innerloop puzzle {one.number} --hint 1, up to {len(one.hints)}", file=sys.stderr)
        return 1
    onward = f"; next: innerloop puzzle {one.number + 1}" if one.number < len(PUZZLES) else ""
    print(f"{name}: right on {verdict.tasks} random tasks{onward}")
    return 0
