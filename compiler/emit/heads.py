"""Attention sublayers: who is read is a pattern, a score or a switch, and what is read is copied or added by heads.

before   patterns, and for each the values that it reads and where they are written
after    query, key, value and output of so many heads as it takes, values of one pattern side by side

How a pattern becomes queries and keys is what the two kinds of heads say: by positions that the stream holds
(learned_heads.py), or by rotary phases (rotary_heads.py).

Every head sends readers that its instruction does not concern to the rest token, whose values are 0, by a
query on their role flags that meets a key on the rest token's. Logits that are to lose are at
least 104 below the winner's, so in float32 a copy's weight is exactly 1 (e⁻¹⁰⁴ rounds to 0).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats, Indices
from innerloop.artifact.errors import InternalError
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..architectures.learned_positions import CopyRule
from ..numerics.sizes import Sizes
from ..schedule.sublayers import Work
from .residual_stream import Stream, pile, stack

Column = dict[int, float]
"""What of each slot goes into one dimension of a query or key."""

OFF = 400.0


@dataclass(frozen=True)
class AttentionPattern:
    """Who attends to whom: `target` for a copy from tokens of `sources`, None for a mean over them; readers are
    `kinds`."""

    target: CopyRule | None
    sources: Kinds
    kinds: Kinds
    table: int = -1
    sums: bool = False
    """Of a mean: whether it is a sum instead, where heads have a construction for it."""

    def grouping(self) -> tuple[object, ...]:
        target = self.target
        fixed = (self.sums,) if target is None else (*target.key, self.table)
        return (fixed, self.sources, self.kinds)


@dataclass(frozen=True)
class Score:
    """A softmax over tokens of `sources` by stream @ query · stream @ key, [width, k] each; the rest token's logit is
    `sink`, and what the slot `log_count` holds (−1: nothing) on top; tokens of other kinds have −`off` on top."""

    query: Matrix
    key: Matrix
    sink: float
    log_count: int
    sources: Kinds
    kinds: Kinds
    off: float = OFF

    def grouping(self) -> tuple[object, ...]:
        return (self.query, self.key, self.sink, self.log_count, self.sources, self.kinds, self.off)


@dataclass(frozen=True)
class Switch:
    """Myself where stream @ query [width, 1] is positive, else the rest token."""

    query: Matrix
    apart: float
    """So far below the own token other tokens are."""
    sent: float
    """What sends a reader to the rest token that is of none of `kinds`, and may hold anything."""
    kinds: Kinds

    def grouping(self) -> tuple[object, ...]:
        return (self.query, self.kinds)


Made = Callable[[], tuple[Matrix, Matrix]]
"""Values [width, n] and their write [n, width], made when the heads are: to count heads n will do."""


@dataclass
class _Group:
    pattern: AttentionPattern | Score | Switch
    size: int = 0
    made: list[tuple[Made, Work]] = field(default_factory=list)


@dataclass
class Heads(ABC):
    """Collects the heads of one sublayer; values of one pattern share heads."""

    stream: Stream
    role_kinds: tuple[str | None, ...]
    positions: int
    biased: bool
    """Whether outputs have biases."""
    dtype: Dtype
    sizes: Sizes
    divided: tuple[float, float] | None = None
    """The divisor's range, if this sublayer's norm divides."""
    hidden: tuple[int, ...] = ()
    """Roles whose tokens the roles before them must not see, though attention goes both ways."""
    groups: dict[tuple[object, ...], _Group] = field(default_factory=dict)
    work: list[tuple[Work, ...]] = field(default_factory=list)
    """What each head does, once they are finished."""

    def add(self, pattern: AttentionPattern | Score | Switch, size: int, made: Made, of: Work) -> None:
        """write [size, width] of the values [width, size] of the tokens that the pattern reads, for work `of`."""
        group = self.groups.setdefault(pattern.grouping(), _Group(pattern))
        group.size += size
        group.made.append((self._weighted(pattern, made), of))

    def restore(self) -> Floats:
        """After a division: what to add to every token [width], so that the norm's constants are there again. Without
        biases nothing: heads fetch them."""
        constants = self.stream.norm_pattern * self.stream.constants.scale
        return constants if self.biased else np.zeros(self.stream.width)

    def count(self, d_head: int) -> int:
        return sum(-(-group.size // d_head) for group in self.groups.values())

    def finish(self, n_head: int, d_head: int) -> tuple[Matrix, Floats, Matrix, Floats, Matrix, Matrix]:
        """query [width, H d], its bias, key, its bias, value, and output [H d, width]."""
        width, total = self.stream.width, n_head * d_head
        queries, keys, values, outputs = (_ColumnBlocks(total) for _ in range(4))
        query_bias = np.zeros(total)
        head = 0
        for group in self.groups.values():
            made = [m() for m, _ in group.made]
            value, write = stack([v for v, _ in made], width), pile([w for _, w in made], width)
            kept = np.flatnonzero(np.diff(write.csr.indptr))
            heads = -(-kept.size // d_head)
            if head + heads > n_head:
                raise InternalError(f"emit: {head + heads} heads; there are {n_head}")
            query, bias, key = self._scores(group.pattern, d_head)
            starts = d_head * np.arange(head, head + heads)
            queries.add(query, starts)
            keys.add(key, starts)
            query_bias[(starts[:, None] + np.arange(bias.size)).ravel()] = np.tile(bias, heads)
            # the values of a group's heads stand side by side
            values.add(Matrix(value.csr[:, kept]), starts[:1])
            outputs.add(Matrix(write.csr[kept].T), starts[:1])
            ends = np.cumsum([w.shape[0] for _, w in made])
            for start in range(0, kept.size, d_head):
                whose = np.unique(np.searchsorted(ends, kept[start : start + d_head], side="right"))
                self.work.append(tuple(group.made[k][1] for k in whose.tolist()))
            head += heads
        output = Matrix(outputs.matrix(width).csr.T)
        return queries.matrix(width), query_bias, keys.matrix(width), np.zeros(total), values.matrix(width), output

    def _sent(self, pattern: AttentionPattern | Score | Switch) -> float:
        """What sends a reader to the rest token that is of none of the pattern's kinds."""
        match pattern:
            case AttentionPattern():
                return self.sizes.sent
            case Score():
                return max(self.sizes.sent, 4.0 * pattern.off)
            case Switch():
                return pattern.sent

    @abstractmethod
    def _scores(self, pattern: AttentionPattern | Score | Switch, d_head: int) -> tuple[Matrix, Floats, Matrix]:
        """query [width, k], bias [k], key [width, k], k at most d_head; logits come out as written above, 1/√d_head
        undone."""

    @abstractmethod
    def _weighted(self, pattern: AttentionPattern | Score | Switch, made: Made) -> Made:
        """The values of a pattern, and their write, in units of what its heads make of them."""


@dataclass
class _ColumnBlocks:
    """A matrix [width, total] of blocks of columns that do not overlap."""

    total: int
    rows: list[Indices] = field(default_factory=list)
    columns: list[Indices] = field(default_factory=list)
    values: list[Floats] = field(default_factory=list)

    def add(self, matrix: Matrix, starts: Indices) -> None:
        """The same [width, n] at each of these columns."""
        rows, columns, values = matrix.entries
        self.rows.append(np.tile(rows, starts.size))
        self.columns.append((starts[:, None] + columns).ravel())
        self.values.append(np.tile(values, starts.size))

    def matrix(self, width: int) -> Matrix:
        if not self.rows:
            return Matrix.zero(width, self.total)
        rows, columns, values = (np.concatenate(part) for part in (self.rows, self.columns, self.values))
        return Matrix.of(rows, columns, values, (width, self.total))
