"""Linear attention sublayers: (query · key) value as it stands, exactly.

    head                     query            key              value     ρ counts
    mean over K              what is mine     what is theirs   theirs    the K tokens
    sum over K               what is mine     what is theirs   theirs    nothing
    mean of theirs alone     1                1 at K           theirs    the K tokens

Nothing masks by kind: keys or values are 0 at tokens that are not K, and queries at those that do not read
(lower.py has made sure). Heads that score alike are one. For gradient descent on tokens (x, y) these are the
W_K, W_Q, W_V and P of von Oswald et al. 2022, Prop. 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from innerloop.artifact.parts import LinearAttention
from innerloop.artifact.sparse import Matrix

from ..schedule.sublayers import Work
from .residual_stream import Stream, pile, stack


@dataclass
class _Group:
    """Heads that score alike: query, key [width, k]; values [width, n] and where they are written [n, width]."""

    query: Matrix
    key: Matrix
    counted: str | None
    values: list[Matrix] = field(default_factory=list)
    writes: list[Matrix] = field(default_factory=list)
    work: list[Work] = field(default_factory=list)


@dataclass
class LinearHeads:
    """Collects the heads of one sublayer."""

    stream: Stream
    role_kinds: tuple[str | None, ...]
    groups: dict[tuple[Matrix, Matrix, str | None], _Group] = field(default_factory=dict)

    def add(self, query: Matrix, key: Matrix, value: Matrix, write: Matrix, counted: str | None, of: Work) -> None:
        """query, key [width, k], value [width, n], write [n, width], for work `of`; `counted`: the kind that a mean is
        over."""
        group = self.groups.setdefault((query, key, counted), _Group(query, key, counted))
        group.values.append(value)
        group.writes.append(write)
        group.work.append(of)

    @property
    def work(self) -> list[tuple[Work, ...]]:
        """What each head does."""
        return [tuple(group.work) for group in self.groups.values()]

    @property
    def size(self) -> int:
        """The largest dimension of a head."""
        return max(max(g.query.shape[1], sum(v.shape[1] for v in g.values)) for g in self.groups.values())

    def finish(self, n_head: int, d_head: int) -> LinearAttention:
        width, groups = self.stream.width, list(self.groups.values())
        empty = Matrix.zero(width, d_head)

        def padded(matrices: list[Matrix]) -> Matrix:
            wide = [stack([m, Matrix.zero(width, d_head - m.shape[1])], width) for m in matrices]
            return stack([*wide, *[empty] * (n_head - len(wide))], width)

        def flags(kind: str | None) -> Matrix:
            slots = [s for s, k in zip(self.stream.roles.tolist(), self.role_kinds, strict=True) if kind and k == kind]
            return Matrix.of(slots, np.zeros(len(slots)), 1.0, (width, 1))

        writes = [pile(g.writes, width) for g in groups]
        output = [pile([w, Matrix.zero(d_head - w.shape[0], width)], width) for w in writes]
        return LinearAttention(
            query=padded([g.query for g in groups]),
            key=padded([g.key for g in groups]),
            value=padded([stack(g.values, width) for g in groups]),
            output=pile([*output, *[Matrix.zero(d_head, width)] * (n_head - len(groups))], width),
            count=stack([*(flags(g.counted) for g in groups), *[flags(None)] * (n_head - len(groups))], width),
        )
