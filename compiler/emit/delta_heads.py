"""Sublayers of the delta rule: queries, keys, values, rates and gates as they stand, exactly.

    head            query      key, value              rate                    forgets
    a scan over K   mine       theirs, or what they    theirs, 0 at tokens     theirs, 0 at tokens
                               had some tokens before  that are not K          that are not K
    a move          1          1, theirs               1 at what is read       –

Nothing masks by kind: rates are 0 at tokens that do not write, and queries at those that do not read (lower.py has made
sure). Each read is a head with a matrix of its own, be it written alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.parts import TAPS, DeltaAttention
from innerloop.artifact.sparse import Matrix

from ..schedule.instructions import DeltaHead
from ..schedule.sublayers import Work
from .residual_stream import pile, stack


@dataclass(frozen=True)
class Head:
    """reads: query, key [width, n], value [width, m], rate and what is forgotten [width, 1]; write [m, width]."""

    op: DeltaHead
    reads: tuple[Matrix, ...]
    write: Matrix
    work: Work


@dataclass
class DeltaHeads:
    """Collects the heads of one sublayer of a stream of this width."""

    width: int
    heads: list[Head] = field(default_factory=list)

    @property
    def size(self) -> int:
        """The largest dimension of a head."""
        return max(int(max(head.op.start.array.shape)) for head in self.heads)

    def finish(self, n_head: int, d_head: int) -> DeltaAttention:
        width, heads, idle = self.width, self.heads, n_head - len(self.heads)

        def sides(index: int, size: int) -> Matrix:
            found = [head.reads[index] for head in heads]
            wide = [stack([m, Matrix.zero(width, size - m.shape[1])], width) for m in found]
            return stack([*wide, *[Matrix.zero(width, size)] * idle], width)

        def taps(index: int) -> Floats:
            chosen = np.zeros((TAPS, n_head))
            chosen[[*(head.op.back[index] for head in heads), *[0] * idle], np.arange(n_head)] = 1.0
            return np.repeat(chosen, d_head, axis=1)

        writes = [pile([h.write, Matrix.zero(d_head - h.write.shape[0], width)], width) for h in heads]
        start = np.zeros((n_head, d_head, d_head))
        for number, head in enumerate(heads):
            rows, columns = head.op.start.array.shape
            start[number, :columns, :rows] = head.op.start.array.T
        return DeltaAttention(
            query=sides(0, d_head),
            key=sides(1, d_head),
            key_taps=taps(0),
            value=sides(2, d_head),
            value_taps=taps(1),
            output=pile([*writes, *[Matrix.zero(d_head, width)] * idle], width),
            rate=sides(3, 1),
            forget=sides(4, 1),
            divisor=np.array([*(head.op.divisor for head in heads), *[(1.0, 0.0)] * idle]),
            start=Matrix(start.reshape(-1, d_head)),
        )
