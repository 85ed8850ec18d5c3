"""Options that several commands take, and the types of what follows them.

parameters(parser)   →   -p NAME=VALUE …, whose values `arguments.parameters` reads
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from innerloop.artifact.words import Dtype, Optimize, TargetName

PROGRAM = "a shipped program's name (see `innerloop programs`) or a path to an .icl file"
DTYPES = get_args(Dtype)


def parameters(parser: argparse.ArgumentParser) -> None:
    _assignments(parser, "-p", "parameters", "a parameter of the program: a number, a list in […] or a .npy file")


def settings(parser: argparse.ArgumentParser, more: str = "") -> None:
    _assignments(parser, "-t", "settings", f"a parameter of the task: a number, a list in […] or a word{more}")


def _assignments(parser: argparse.ArgumentParser, option: str, name: str, about: str) -> None:
    parser.add_argument(
        option, dest=name, type=assignment, action="append", default=[], metavar="NAME=VALUE", help=about
    )


def target(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(get_args(TargetName))
    parser.add_argument(
        "--target",
        choices=get_args(TargetName),
        default="gpt2",
        metavar="TARGET",
        help=f"the architecture: {names} (default: %(default)s)",
    )
    parser.add_argument(
        "--optimize",
        choices=get_args(Optimize),
        default="depth",
        help="fewest layers, narrowest stream, or fewest layers with fewer heads for k-grams (default: %(default)s)",
    )


def tolerance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="ERROR",
        help="take the cheapest constructions whose largest error of the output is within this, in its own units",
    )


def certificate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--certify",
        type=at_least(8),
        default=64,
        metavar="TASKS",
        help="on how many tasks the error is measured (default: %(default)s)",
    )
    accept_error(parser, "write weights, too, whose error is of the output's own size")


def tokens(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tokens",
        type=at_least(1),
        metavar="N",
        help="how long sequences may be (default: 1024; a scan's limit decides where there is one)",
    )


def accept_error(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--accept-error", action="store_true", help=what)


def weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", type=Path, metavar="DIR", help="a folder that `innerloop compile` wrote")


def precision(parser: argparse.ArgumentParser) -> None:
    told = f"precision: {', '.join(DTYPES)} (default: what the weights were compiled for)"
    parser.add_argument("--dtype", choices=DTYPES, metavar="DTYPE", help=told)


def for_a_program(parser: argparse.ArgumentParser) -> None:
    """Of a command that takes weights, or compiles them first."""
    parameters(parser)
    parser.add_argument(
        "--target",
        choices=get_args(TargetName),
        metavar="TARGET",
        help="the architecture, of a program (default: gpt2)",
    )
    tolerance(parser)


def folder(parser: argparse.ArgumentParser, metavar: str = "DIR") -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, metavar=metavar, help="a new folder")


def assignment(argument: str) -> tuple[str, str]:
    """`name=value`, apart; the value is read later, so that a bad one is not a wrong usage."""
    name, equals, value = argument.partition("=")
    if not equals or not name.strip().isidentifier() or not value.strip():
        raise argparse.ArgumentTypeError(f"`{argument}` is not of the form name=value")
    return name.strip(), value.strip()


def at_least(least: int) -> Callable[[str], int]:
    """The type of whole numbers from `least` on."""

    def count(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"`{text}` is not a whole number of at least {least}")
        return int(text)

    return count
