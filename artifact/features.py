"""Features: a token as a transformer takes it, the one place that says which column is what.

    before   roles and fields by token: x y x y x, x [batch, tokens, d], y [batch, tokens, 1]
    after    [batch, tokens, features]: the role, one-hot, then every field in the signature's order

The rest token has role 0 and no field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .signature import Signature
from .tokens import TokenData, roles


@dataclass(frozen=True)
class FeatureLayout:
    """`roles`: how many roles there are, in the first columns; `fields`: name → its columns, in the signature's
    order."""

    roles: int
    fields: Mapping[str, slice]

    @staticmethod
    def of(signature: Signature) -> FeatureLayout:
        count = len(roles(signature.pattern))
        sizes = [prod(field.shape) for field in signature.fields]
        ends = [count + size for size in accumulate(sizes)]
        columns = (slice(end - size, end) for end, size in zip(ends, sizes, strict=True))
        return FeatureLayout(count, dict(zip((field.name for field in signature.fields), columns, strict=True)))

    @property
    def size(self) -> int:
        """Columns in all."""
        return max((columns.stop for columns in self.fields.values()), default=self.roles)

    def one_hot(self, line: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """[tokens, roles]."""
        found: NDArray[Any] = np.eye(self.roles, dtype=dtype)[np.asarray(line)]
        return found

    def token(self, role: int, fields: Mapping[str, NDArray[Any]], batch: int, dtype: DTypeLike) -> NDArray[Any]:
        """[batch, 1, features] of one token; `fields`: [batch, size] of those that it holds."""
        found = np.zeros((batch, 1, self.size), dtype)
        found[..., : self.roles] = self.one_hot([role], dtype)
        for name, held in fields.items():
            found[:, 0, self.fields[name]] = held
        return found

    def tokens(self, data: TokenData, chosen: slice, dtype: DTypeLike, room: int = 0, length: int = 0) -> NDArray[Any]:
        """[tasks, 1 + tokens, features] of the chosen tasks, the rest token first; tasks without fields fill `room`,
        and tokens of zeros this `length`, the rest token's included."""
        count, own = len(range(*chosen.indices(data.batch))), 1 + len(data.sequence)
        found = np.zeros((max(room, count), max(length, own), self.size), dtype)
        found[:, :own, : self.roles] = self.one_hot([0, *data.sequence.roles], dtype)
        for name, columns in self.fields.items():
            found[:count, 1:own, columns] = data.fields[name][chosen]
        return found
