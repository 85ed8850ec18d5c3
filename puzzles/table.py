"""The ten puzzles: number → text, hints, what is wanted, and the parameters that it is tried with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from . import wanted
from .wanted import Array


@dataclass(frozen=True)
class Puzzle:
    """`wanted` maps one task, x [n + 1, d] and y [n], and the parameters but d to its answers, one at each output."""

    number: int
    hints: tuple[str, ...]
    wanted: Callable[..., Array]
    parameters: tuple[Mapping[str, float], ...] = ({},)
    """Each is tried: a constant in a parameter's place is found out."""
    binary: bool = False
    """Labels are 0 or 1."""
    takes: str = ""
    """A word that an answer has to hold."""

    @property
    def text(self) -> str:
        """What to begin from: a program that is sound, and wrong."""
        return (files(__package__) / "texts" / f"{self.number}.icl").read_text(encoding="utf-8")

    @property
    def title(self) -> str:
        """Its first line, without the number."""
        return self.text.partition("\n")[0].partition(". ")[2]

    @property
    def task(self) -> str:
        """The words under the title."""
        lines = self.text.partition("\nprogram")[0].splitlines()[1:]
        return " ".join(line.removeprefix("#").strip() for line in lines).strip()

    @property
    def program(self) -> str:
        """The text without these words."""
        return "program" + self.text.partition("\nprogram")[2]


_ALL = (
    Puzzle(
        1,
        (
            "A read has a kind of token, an index and an expression: `mean[j in KIND](…)`.",
            "The label of the example that is read is `y[j]`; `y` alone would be the query's own, and it has none.",
        ),
        wanted.mean_label,
    ),
    Puzzle(
        2,
        (
            "`sum[j in example](1)` counts them all.",
            "A comparison is 1 where it holds and 0 elsewhere, so the sum of comparisons is a count.",
        ),
        wanted.count,
        ({"level": 0.5}, {"level": -0.2}),
    ),
    Puzzle(
        3,
        (
            "Inside a read `x` is mine, the query's, and `x[j]` theirs, the example's.",
            "`dot(x, x[j])` is a score of attention: a product of mine and theirs.",
        ),
        wanted.similar,
    ),
    Puzzle(
        4,
        (
            "`move x from previous` gives the x of the token just before.",
            "Under `at y`, u is then x and y side by side, in one token: read `u[j]` and `y[j]` over the y tokens.",
        ),
        wanted.paired,
    ),
    Puzzle(
        5,
        (
            "`argmax[j in example](score, e)` is the e of the example with the largest score.",
            "The nearest has the largest −|x − xⱼ|²; |v|² is `dot(v, v)`.",
        ),
        wanted.nearest,
    ),
    Puzzle(
        6,
        (
            "`softmax[j in example](score, e)` is the mean of e, weighted by exp(score).",
            "The score is the kernel's exponent, −|x − xⱼ|² / 2h²; h is a parameter, so that it may divide.",
        ),
        wanted.smooth,
        ({"h": 0.8}, {"h": 1.7}),
    ),
    Puzzle(
        7,
        (
            "The mean is a read: `mean[j in example]((dot(w, x[j]) - y[j]) * x[j])`, in which w is mine.",
            "t counts the passes from 1; a constant may be divided by it.",
        ),
        wanted.descended,
        ({"steps": 3, "rate": 0.4}, {"steps": 5, "rate": 0.25}),
    ),
    Puzzle(
        8,
        (
            "If all tokens hold the same w, theirs is mine: the token that is read can take the sigmoid itself.",
            "`tokens (example)* query  visible context` lets every token see all examples, and so share w.",
        ),
        wanted.logistic,
        ({"steps": 3, "rate": 1}, {"steps": 1, "rate": 0.5}),
        binary=True,
    ),
    Puzzle(
        9,
        (
            "`scan example up to examples` and a block runs the block at the first example, then at the second, …",
            "A name that exists before the scan and is assigned in it is carried from example to example: w.",
        ),
        wanted.online,
        ({"examples": 8, "rate": 0.3}, {"examples": 12, "rate": 0.1}),
    ),
    Puzzle(
        10,
        (
            "Bring the input to its label with a move (puzzle 4), then `scan y up to examples` (puzzle 9).",
            "Nearer to 0 by t, and not across: relu(v − t) − relu(−v − t), of every component.",
            "`def shrink(v, t) = relu(v - t) - relu(-v - t)` stands at the top level, above the scan.",
        ),
        wanted.sparse_online,
        ({"examples": 8, "rate": 0.3, "penalty": 0.2}, {"examples": 9, "rate": 0.2, "penalty": 0.5}),
        takes="def",
    ),
)

PUZZLES: Mapping[int, Puzzle] = {puzzle.number: puzzle for puzzle in _ALL}
"""By number, from the easiest on."""
