"""Ten puzzles in the language, from a first read to a scan with a function of one's own.

    in       a puzzle, the text of an answer
    out      whether it is right on random tasks, or which of them it has wrong: wanted and got

Read first table.py, then judge.py; the texts to begin from are `texts/*.icl`. Of the compiler its interpreter alone is
used.
"""

from __future__ import annotations

from .judge import Verdict, judge
from .table import PUZZLES, Puzzle

__all__ = ["PUZZLES", "Puzzle", "Verdict", "judge"]


def __dir__() -> list[str]:
    return __all__
