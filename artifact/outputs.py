"""What a program puts out: one output, or several by name, which are columns of one vector to all that runs weights.

output mean = dot(w, x)          columns 0:1     →   {"mean": [batch, rows], "slope": [batch, rows, 2]}
output slope = w                 columns 1:3
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise, starmap
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .signature import Kinds, Signature

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Answer:
    """`output mean = e`: one of several outputs."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class OutputSpec:
    """The shape of all that is put out, and the kinds of token that give it.

    `answers` are the outputs in order; of one alone there are none, and `name` is its own, or the program's.
    """

    name: str
    shape: tuple[int, ...]
    kinds: Kinds
    answers: tuple[Answer, ...] = ()

    @staticmethod
    def of(signature: Signature, shapes: list[tuple[int, ...]], kinds: Kinds) -> OutputSpec:
        """Of outputs of these shapes, in their order."""
        if len(shapes) == 1:
            return OutputSpec((*signature.outputs, signature.name)[0], shapes[0], kinds)
        answers = tuple(map(Answer, signature.outputs, shapes))
        return OutputSpec(signature.name, (sum(map(prod, shapes)),), kinds, answers)

    @property
    def each(self) -> tuple[Answer, ...]:
        """Every output, the only one too."""
        return self.answers or (Answer(self.name, self.shape),)

    @property
    def columns(self) -> tuple[slice, ...]:
        """Of each output its place among all numbers."""
        ends = accumulate((prod(answer.shape) for answer in self.each), initial=0)
        return tuple(starmap(slice, pairwise(ends)))

    def split(self, packed: NDArray[T]) -> list[NDArray[T]]:
        """[…, *shape] to each output [… , *its shape]."""
        lead = packed.shape[: packed.ndim - len(self.shape)]
        flat = packed.reshape((*lead, prod(self.shape)))
        return [flat[..., at].reshape((*lead, *one.shape)) for at, one in zip(self.columns, self.each, strict=True)]

    def named(self, packed: NDArray[Any]) -> Any:
        """What a call gives of […, *shape]: the one output as it is, several by their names."""
        if not self.answers:
            return packed
        return {answer.name: part for answer, part in zip(self.answers, self.split(packed), strict=True)}
