"""A program held against what its puzzle wants, by the interpreter, on random tasks.

before   a puzzle, the text of an answer
after    a verdict: right, or in words what is wrong
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from innerloop.artifact.errors import CompileError, DataError

from .table import Puzzle

if TYPE_CHECKING:
    import numpy as np

    from .wanted import Array

LENGTHS = (1, 2, 3, 5, 8)
"""Examples in context of the tasks; no puzzle's scan is shorter than the longest."""
TASKS = 4
"""Of each length, for each choice of the parameters."""
CLOSE = 1e-6


@dataclass(frozen=True)
class Verdict:
    """`tasks` is how many were tried; `wrong` is empty if all came out as wanted, and else says what did not."""

    tasks: int
    wrong: str = ""


def judge(puzzle: Puzzle, text: str, seed: int = 0, name: str = "answer.icl") -> Verdict:
    """Whether the program `text` solves `puzzle`; `name` is what its errors call it. Raises CompileError for a program
    that is not sound."""
    from innerloop.compiler import interpret
    from innerloop.compiler.syntax.parse import parse

    program = parse(text, name)

    if puzzle.takes and puzzle.takes not in _words(text):
        return Verdict(0, f"this puzzle asks for a `{puzzle.takes}`, and the program has none")
    count = 0
    for d, parameters, x, y in _tasks(puzzle, seed):
        try:
            got = interpret(program, x=x, y=y, d=d, **parameters)
        except CompileError as error:
            if count and parameters:
                return Verdict(count, f"with {_listed(d, parameters)} the program is refused:\n{error}")
            raise
        except DataError as error:
            return Verdict(count, f"the tasks have fields x and y, and parameters {_listed(d, parameters)}: {error}")
        if isinstance(got, dict):
            return Verdict(count, "the program has several outputs, and the puzzle wants one without a name")
        for task in range(len(x)):
            count += 1
            wanted = puzzle.wanted(x[task], y[task], **parameters)
            if wrong := _difference(wanted, got[task]):
                return Verdict(count, f"task {count} ({_listed(d, parameters)}):\n{_shown(x[task], y[task])}\n{wrong}")
    return Verdict(count)


def _tasks(puzzle: Puzzle, seed: int) -> Iterator[tuple[int, dict[str, float], Array, Array]]:
    """d, the other parameters, x [tasks, n + 1, d] and y [tasks, n]; short tasks first, easier to read."""
    import numpy as np

    random = np.random.default_rng([puzzle.number, seed])
    for length in LENGTHS:
        for parameters in puzzle.parameters:
            d = int(random.integers(1, 4))
            x = random.normal(size=(TASKS, length + 1, d)).round(1)
            y = random.normal(size=(TASKS, length)).round(1)
            yield d, dict(parameters), x, (y > 0).astype(float) if puzzle.binary else y


def _difference(wanted: Array, got: Array) -> str:
    import numpy as np

    if got.shape != wanted.shape:
        of = "numbers" if got.ndim == 1 else f"outputs of shape {list(got.shape[1:])}"
        return f"wanted {len(wanted)} numbers, one at each output token; got {len(got)} {of}"
    off = ~(np.abs(got - wanted) <= CLOSE * (1 + np.abs(wanted)))
    if not off.any():
        return ""
    place = int(np.flatnonzero(off)[0])
    at = "" if len(wanted) == 1 else f" at output {place + 1} of {len(wanted)}"
    return f"wanted {_number(wanted[place])}{at}, got {_number(got[place])}"


def _shown(x: Array, y: Array) -> str:
    examples = [f"  x {_row(input)}, y {_number(label)}" for input, label in zip(x[:-1], y, strict=True)]
    return "\n".join([*examples, f"  x {_row(x[-1])}, the query"])


def _row(values: Array) -> str:
    return f"[{', '.join(map(_number, values))}]"


def _number(value: float | np.float64) -> str:
    return f"{value + 0.0:.6g}"  # no -0


def _listed(d: int, parameters: dict[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in {"d": d, **parameters}.items())


def _words(text: str) -> set[str]:
    """Of the program, without its comments."""
    return {word for line in text.splitlines() for word in line.partition("#")[0].split()}
