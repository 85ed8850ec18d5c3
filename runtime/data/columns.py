"""What a caller says of a table's columns, and which fields of a program they fill.

--x age,bp --y outcome --standardise     →     Columns(x=("age", "bp"), y="outcome", standardise=True)
tokens (x y)* x                          →     Roles("x", "y", queried=True)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import isfinite

from innerloop.artifact.errors import DataError

from .pairing import TokenLine


@dataclass(frozen=True)
class Columns:
    """What a caller says of a table.

    x            input columns (default: all that nothing else is said of); these, `ignore` and `category` are names,
                 or several by comma in one
    y            the target; `column=value`: whether it holds that value
    ignore       columns to leave out
    category     columns of numbers that are names
    classes      the numbers of the target's two values
    intercept    a last input that is 1
    standardise  inputs and target to mean 0 and deviation 1 over the examples of each task, and predictions back
    task         a column whose values tell tasks apart (default: `task`, if there is one)
    splits       so many tasks of each, of `examples` examples and a query, drawn by `seed`
    leave_one_out  a task for each row, which is its query
    """

    x: str | Sequence[str] = ()
    y: str | None = None
    ignore: str | Sequence[str] = ()
    category: str | Sequence[str] = ()
    classes: tuple[float, float] | None = None
    intercept: bool = False
    standardise: bool = False
    task: str | None = None
    splits: int | None = None
    examples: int | None = None
    leave_one_out: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises DataError for classes that are not two finite numbers."""
        if self.classes is not None and not (all(map(isfinite, self.classes)) and len(set(self.classes)) == 2):
            given = ",".join(f"{number:g}" for number in self.classes)
            raise DataError(f"--classes {given}: wanted two different finite numbers, as 0,1")

    @property
    def any(self) -> bool:
        """Whether something is said that columns named as the program's fields do not say."""
        return any(getattr(self, f.name) != f.default for f in fields(self) if f.name not in ("ignore", "seed"))

    def wanted(self, name: str) -> bool:
        """Whether a column has a name that the caller gives: that tells the delimiter."""
        given = {
            self.task,
            self.y,
            *(n for names in (self.x, self.ignore, self.category) for n in apart(names, (name,))),
        }
        return name in given or (self.y is not None and name == self.y.rpartition("=")[0].strip())


@dataclass(frozen=True)
class Roles:
    """Which field is the input and which the label, and whether a query, an input without a label, ends a task."""

    input: str
    label: str | None
    queried: bool

    @staticmethod
    def of(tokens: TokenLine) -> Roles:
        """Raises DataError for a program of more fields than these two, or of several groups."""
        names = list(tokens.kinds)
        taken = "x" if "x" in names else names[0]
        others = [name for name in names if name != taken]
        if len(others) > 1 or set(names) != tokens.paired:
            listed = ", ".join(f"`{name}`" for name in names)
            raise DataError(
                f"columns are chosen for programs of one input and one label, and this one has the fields {listed}: "
                "name the columns as the fields (`x_0`, `x_1` …), without --x and --y"
            )
        label = others[0] if others else None
        if len(tokens.pattern.groups) > 1:
            raise DataError(
                f"columns are chosen for programs of one group, and this one is `{tokens.pattern}`: name the columns "
                "as the fields; which of them a row fills says of which group it is"
            )
        ends = {name for kind in tokens.pattern.suffix for name in tokens.held(kind)}
        return Roles(taken, label, taken in ends and label not in ends)


def apart(names: str | Sequence[str], header: Sequence[str]) -> list[str]:
    """The names of columns; one with commas is several, unless the header has it."""
    each = (names,) if isinstance(names, str) else names
    return [n for given in each for n in ([given] if given in header else map(str.strip, given.split(",")))]
