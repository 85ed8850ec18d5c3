"""How many squares a product takes: of factors that differ, once each.

before   an instruction that multiplies, which components are written
after    counts, and the neurons that a bank of squares takes for them
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from innerloop.artifact.sparse import Matrix
from numpy.typing import NDArray

from ..numerics.activations import Activation
from ..numerics.square_banks import Squares, square_bank
from ..schedule.constructions import distinct, keys
from ..schedule.instructions import Instruction, LinearForm, Multiply


@dataclass(frozen=True)
class SquarePairs:
    """Products of a task that differ, and of them what its result is made of: those of equal factors, and of others;
    `lone`: squares if those of lone factors are shared; `straight`: components of the result."""

    distinct: int
    alike: int
    unlike: int
    lone: int
    straight: int
    centred: bool

    @staticmethod
    def of(task: Instruction, op: Multiply, written: NDArray[np.bool_]) -> SquarePairs:
        centres = (op.left.centre, op.right.centre)
        a, b = (
            [column + c.tobytes() for column, c in zip(_columns(form), centre, strict=True)]
            for form, centre in zip(task.reads, centres, strict=True)
        )
        entries, i, j = distinct(op.form, a, b)
        count = i.size
        used = np.asarray(abs(entries.csr)[:, written].sum(axis=1)).ravel() > 0
        i, j = i[used], j[used]
        left = [(a[k], op.left.radius[k]) for k in i.tolist()]
        right = [(b[k], op.right.radius[k]) for k in j.tolist()]
        factors = list(zip(left, right, strict=True))
        unlike = [(x, y) for x, y in factors if x != y]
        squares = {x for x, y in factors if x == y} | {x for pair in unlike for x in pair}
        centred = bool(op.left.centre.any() or op.right.centre.any())
        return SquarePairs(
            count, len(factors) - len(unlike), len(unlike), len(unlike) + len(squares), int(written.sum()), centred
        )

    def neurons(self, squares: Squares, activation: Activation) -> int:
        bank = square_bank(squares, activation)
        count = self.lone if squares.shared else self.alike + 2 * self.unlike
        return count * bank.up.size + (2 * self.straight if self.centred or bank.slope else 0)


def _columns(form: LinearForm) -> list[bytes]:
    """A key for each component: equal ones read the same."""
    found = [b""] * form.size
    for atom, matrix in form.parts:
        for component, key in enumerate(keys(Matrix(matrix.csr.T))):
            if key:
                found[component] += b"%d:%d:" % (atom, len(key)) + key
    return found
