"""Which rows of a data file are which tokens: no value may slide to another token because one is missing.

    tokens (x y)* x     x,y | x,y | x          a row is a repetition of the group, the last one the query
                        x | y | x | y | x      a row is a token
                        x | x,y | x,y          refused: the first row has no y
    tokens (a)* (b)* q  x,y | x,y | x,z | x    which columns a row fills says of which group it is

A row holds tokens that follow one another within the prefix, a group or the suffix, and all rows of a task are
repetitions, or all are tokens. At the end of a task one more value may stand that no token holds, such as the label
of the query. Fields that live outside the group only are left out: nothing is paired by the row with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from innerloop.artifact.signature import Pattern, Signature

Names = frozenset[str]


@dataclass(frozen=True)
class TokenLine:
    """The program's pattern, the kinds of token that hold each field, and its shape (None: as the data have it)."""

    pattern: Pattern
    kinds: Mapping[str, Sequence[str]]
    shapes: Mapping[str, tuple[int, ...] | None]

    @staticmethod
    def of(signature: Signature) -> TokenLine:
        fields = signature.fields
        return TokenLine(signature.pattern, {f.name: f.kinds for f in fields}, {f.name: f.shape for f in fields})

    def held(self, kind: str) -> Names:
        """The fields of a token of this kind that are paired by their rows."""
        return frozenset(name for name in self.paired if kind in self.kinds[name])

    @property
    def paired(self) -> Names:
        return frozenset(name for name, kinds in self.kinds.items() if set(kinds) & set(self.pattern.group))


@dataclass(frozen=True)
class Gap:
    """The row of a task (from 0) and the field that has no value there."""

    row: int
    field: str | None
    why: str


def gap(tokens: TokenLine, rows: Sequence[Names]) -> Gap | None:
    """Where the rows of one task are not the tokens of the pattern; each is the fields that have a value in it."""
    pattern = tokens.pattern
    filled = [row & tokens.paired for row in rows]
    last = max((k for k, row in enumerate(filled) if row), default=-1)
    for k, (row, all_fields) in enumerate(zip(filled[:last], rows, strict=False)):
        if not row and not all_fields:
            return Gap(k, None, f"holds no value, and later rows of its task do: in `{pattern}` "
                                f"that would pair values across the gap")  # fmt: skip
    numbered = [(k, row) for k, row in enumerate(filled) if row]
    whole = _Reading(tokens, whole_rows=True)
    found = [reading.first_misfit(numbered) for reading in (whole, _Reading(tokens, whole_rows=False))]
    if None in found:
        return None
    units = [unit for unit in whole.repetitions if unit is not None]
    repetitions = any(row in units for _, row in numbered)
    misfit = found[0 if repetitions else 1]
    assert misfit is not None
    return _blamed(tokens, numbered, misfit, units if repetitions else [tokens.held(k) for k in pattern.group])


def _blamed(tokens: TokenLine, rows: Sequence[tuple[int, Names]], misfit: int, units: Sequence[Names]) -> Gap:
    """The first row up to the misfit that lacks a field of its unit: a repetition, or else a token of a group."""
    pattern = tokens.pattern
    line = str(pattern)
    for k, row in rows:
        if k > misfit:
            break
        wider = [unit - row for unit in units if row < unit]
        if row not in units and wider:
            end = ", and only the last rows of a task may lack it" if pattern.suffix else ""
            return Gap(k, min(wider[0]), f"holds no value: `{line}` has one in every repetition{end}")
    return Gap(misfit, None, f"does not follow the rows before it: the tokens are `{line}`, and a value is missing or "
                             f"is one too many")  # fmt: skip


class _Reading:
    """Rows as tokens, each row a whole repetition of its group or each a token; places of the pattern are numbered."""

    def __init__(self, tokens: TokenLine, *, whole_rows: bool) -> None:
        pattern = tokens.pattern
        self.whole_rows = whole_rows
        kinds = (*pattern.prefix, *pattern.group, *pattern.suffix)
        self.fields = [tokens.held(kind) for kind in kinds]
        self.pattern, self.end = pattern, len(kinds)
        self.repetitions = [_union([tokens.held(kind) for kind in group]) for group in pattern.groups]
        suffix = {name for kind in pattern.suffix for name in tokens.held(kind)}
        spare = bool(pattern.suffix) and len(pattern.groups) == 1
        self.surplus = frozenset(tokens.paired - suffix) if spare else frozenset()

    def first_misfit(self, rows: Sequence[tuple[int, Names]]) -> int | None:
        """The first row that is not what may follow; `rows` are numbered and none is empty."""
        places = {-1}
        for number, row in rows:
            places = {after for place in places for after in self._read(place, row)}
            if not places:
                return number
        return None

    def _next(self, place: int) -> set[int]:
        """The places with fields that may follow one, those of tokens without fields passed over."""
        found: set[int] = set()
        seen: set[int] = set()
        waiting = [place]
        while waiting:
            here = waiting.pop()
            for each in self.pattern.after(here) - seen:
                seen.add(each)
                if each >= self.end:
                    found.add(self.end)
                elif self.fields[each]:
                    found.add(each)
                else:
                    waiting.append(each)
        return found

    def _read(self, place: int, row: Names) -> set[int]:
        """The places at which the tokens of a row may end that begins after `place`."""
        if place > self.end:
            return set()  # after the value that no token holds
        found: set[int] = set()
        for first in self._next(place):
            here, left = first, row
            if here == self.end:
                if left <= self.surplus:
                    found.add(self.end + 1)
                continue
            part = self._part(here)
            if self.whole_rows and 0 <= part < len(self.repetitions) and row != self.repetitions[part]:
                continue
            while here < self.end and self._part(here) == part and self.fields[here] <= left:
                left -= self.fields[here]
                here += 1
                if not left or not self.whole_rows:
                    break
            if here == first:
                continue
            if not left:
                found.add(here - 1)
            if left and here == self.end and left <= self.surplus and (self.whole_rows or row in self.fields):
                found.add(self.end + 1)
        return found

    def _part(self, place: int) -> int:
        """−1 in the prefix, the number of the group, or that of groups in the suffix."""
        within = place - len(self.pattern.prefix)
        if within >= len(self.pattern.group):
            return len(self.repetitions)
        return sum(within >= cut for cut in (0, *self.pattern.cuts)) - 1


def _union(held: Sequence[Names]) -> Names | None:
    """The fields of a row that is a whole repetition; None where some field comes twice in it."""
    union = frozenset[str]().union(*held)
    return union if sum(map(len, held)) == len(union) else None
