"""The built-in functions: how many arguments each takes, and how it treats their components. What
functions of one number are stands in numerics/functions.py."""

from __future__ import annotations

from dataclasses import dataclass

from ..numerics.functions import POINTWISE


@dataclass(frozen=True, slots=True)
class Builtin:
    """`rule` is pointwise (one argument), pairwise (two, stretched as + stretches, or the components of one vector),
    clip (a value and two constant bounds), sum (all components to one number), softmax (a vector), logsumexp (of a
    vector to one number), identity (a size), size (a number that is known when compiling), arranged (linear: components
    elsewhere, or added up; its shape is told in shapes.py), or concat (that many or more, end to end)."""

    arity: int
    rule: str


FUNCTIONS: dict[str, Builtin] = {
    **{
        f.name: Builtin(1 + len(f.arguments), "clip" if f.arguments else "pointwise")
        for f in POINTWISE.values()
        if f.slope is not None
    },
    "max": Builtin(2, "pairwise"),
    "min": Builtin(2, "pairwise"),
    "sum": Builtin(1, "sum"),
    "softmax": Builtin(1, "softmax"),
    "argmax": Builtin(1, "softmax"),
    "logsumexp": Builtin(1, "logsumexp"),
    "identity": Builtin(1, "identity"),
    "transpose": Builtin(1, "arranged"),
    "diag": Builtin(1, "arranged"),
    "row_sums": Builtin(1, "arranged"),
    "column_sums": Builtin(1, "arranged"),
    "concat": Builtin(2, "concat"),
    "size": Builtin(1, "size"),
}

LINEAR = frozenset(name for name, f in FUNCTIONS.items() if f.rule in ("sum", "arranged", "concat"))
"""Functions that are linear: inside a read they take mine and theirs."""

OPERATIONS: dict[str, int] = {"affine": 1, "rtw": 1, "dot": 2, "mul": 2, "outer": 2, "div": 2}
"""How many arguments an operation of the calculus takes."""

READS: dict[str, int] = {"mean": 1, "sum": 1, "softmax": 2, "logsumexp": 1, "max": 1, "min": 1, "argmax": 2}
"""How many arguments a read takes; softmax and argmax take a score and a value."""
