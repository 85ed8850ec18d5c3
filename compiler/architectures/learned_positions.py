"""Positions: which token a copying head reads, as a linear function of what the reader knows.

The rest token is at position 0, the data's tokens at 1, 2, …. A head that wants position t scores
the token at p with  G (2 t p − p²) = G (t² − (t − p)²):  the token wanted wins by at least G, and a
softmax over logits that far apart copies exactly. The key is (p/P, (p/P)²), exact in float32 for
P a power of two; the query is t, read from the stream as p − (an offset that the role decides), or
where that does not do from a slot of the position table. A target below 0 finds the rest token.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.signature import Kinds, Pattern
from innerloop.artifact.tokens import Sequence, context, role_kinds, roles, sequence

from .relation import Relation

Times = tuple[int, ...]
"""How often each group of a pattern comes."""


@dataclass(frozen=True)
class CopyRule:
    """Where readers of some role look: position · `slope` + offsets[role] (+ table[position] if there is one)."""

    slope: float
    offsets: Floats
    table: Floats | None
    anyone: bool = False
    """Whether whoever stands there is read: of another kind, it holds 0."""

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for targets that are found alike, but for the table."""
        return (self.slope, self.offsets.tobytes())


@dataclass(frozen=True)
class End(CopyRule):
    """The first (`sign` 1) or the last (−1) of the sources that a token sees."""

    sign: float = 1.0

    @property
    def key(self) -> tuple[object, ...]:
        return ("end", self.sign)


def wanted(pattern: Pattern, relation: Relation, repetitions: Times) -> tuple[Indices, Indices]:
    """roles [tokens] and targets [tokens] of one sequence, positions counted with the rest token; 0 is none."""
    line = sequence(pattern, repetitions)
    own = np.arange(1, len(line) + 1)
    found = np.array([kind == relation.kind for kind in line.kinds])
    latest = np.maximum.accumulate(np.where(found, own, 0))
    number = np.cumsum(found)
    ahead = found[: context(line, pattern)] if pattern.visible_context else found[:0]
    match relation.name:
        case "own":
            targets = own
        case "previous":
            targets = np.maximum(own - relation.back, 0)
        case "first":
            first, later = (int(k.argmax()) + 1 if k.any() else 0 for k in (found, ahead))
            targets = np.where(number > 0, first, later)
        case "last":
            targets = np.maximum(latest, np.max(np.flatnonzero(ahead), initial=-1) + 1)
        case "before":
            targets = np.concatenate([[0], latest[:-1]])
        case "after":
            place = np.where(ahead, own[: ahead.size], own.size + 1)
            nearest = np.minimum.accumulate(np.append(place, own.size + 1)[::-1])[::-1]
            targets = np.zeros_like(own)
            targets[: ahead.size] = nearest[1:] % (own.size + 1)
        case "latest":
            targets = latest
        case "own_first":
            targets = np.where(found & (number == 1), own, 0)
        case "own_last":
            targets = np.where(own == np.max(np.flatnonzero(ahead), initial=-1) + 1, own, 0)
        case "own_none":
            targets = np.where(number > 0, 0, own)
        case _:
            raise AssertionError(relation)
    return np.asarray(line.roles, dtype=np.int64), targets


def copy_rule(pattern: Pattern, relation: Relation, kinds: Kinds, positions: int) -> CopyRule | None:
    """How readers of `kinds` find their token in every sequence of up to `positions`; None if no linear rule does."""
    if relation.name == "after":
        return _ahead(pattern, relation, kinds, positions)
    found = _by_position(pattern, relation, kinds, positions)
    return End(0.0, np.zeros(0), None, sign=-1.0) if found is None and relation.name == "last" else found


def _by_position(pattern: Pattern, relation: Relation, kinds: Kinds, positions: int) -> CopyRule | None:
    names = roles(pattern)
    if relation.name == "own":
        return CopyRule(1.0, np.zeros(len(names)), None)
    live = [i for i, k in enumerate(role_kinds(pattern)) if k in kinds]
    samples = [wanted(pattern, relation, m) for m in lengths(pattern, positions)]
    own = np.concatenate([np.arange(1, r.size + 1) for r, _ in samples])
    role_of, targets = (np.concatenate(k) for k in zip(*samples, strict=True))
    offsets = np.zeros(len(names))
    for role in live:
        mine = (role_of == role) & (targets > 0)
        offsets[role] = commonest(targets[mine] - own[mine]) if mine.any() else -float(positions)
    at = own + offsets[role_of]
    if np.all(np.where(targets > 0, at == targets, at <= 0)[np.isin(role_of, live)]):
        return CopyRule(1.0, offsets, None)
    table = np.zeros(positions)
    table[1:] = wanted(pattern, relation, _beyond(pattern, positions))[1][: positions - 1]
    corrections = np.zeros(len(names))
    for role in live:
        gaps = np.unique((targets - table[own])[role_of == role])
        if gaps.size != 1:
            return None
        corrections[role] = gaps[0]
    return CopyRule(0.0, corrections, table)


def _ahead(pattern: Pattern, relation: Relation, kinds: Kinds, positions: int) -> CopyRule | None:
    """So many tokens on, where readers without a target find a token of another kind there, or at the end."""
    of = role_kinds(pattern)
    samples = [(sequence(pattern, m).kinds, *wanted(pattern, relation, m)) for m in lengths(pattern, positions)]
    offsets = np.zeros(len(of))
    for role in (r for r, kind in enumerate(of) if kind in kinds):
        gaps = {int(g) for _, r, t in samples for g in (t - np.arange(1, t.size + 1))[(r == role) & (t > 0)]}
        if len(gaps) > 1:
            return None
        offsets[role] = gaps.pop() if gaps else positions
        for line, role_of, targets in samples:
            at = np.minimum(np.arange(1, targets.size + 1) + int(offsets[role]), targets.size)
            without = (role_of == role) & (targets == 0)
            if any(line[p - 1] == relation.kind for p in at[without]):
                return None
    return CopyRule(1.0, offsets, None, anyone=True)


def commonest(numbers: Indices) -> float:
    """Of those that are as common the one that comes first."""
    values, first, count = np.unique(numbers, return_index=True, return_counts=True)
    return float(values[np.lexsort((first, -count))[0]])


def lengths(pattern: Pattern, positions: int) -> list[Times]:
    """Repetitions that a rule is tried on: the shortest, and the longest that `positions` hold; of several groups also
    those without one, and with each in turn as long as can be."""
    room, sizes = positions - 1 - len(pattern.prefix) - len(pattern.suffix), [len(group) for group in pattern.groups]
    if len(sizes) == 1:
        longest = max(1, room // sizes[0])
        return [(m,) for m in sorted({1, 2, 3, 4, longest}) if m <= longest]
    found = set(product(range(SHORT + 1), repeat=len(sizes)))
    for few, grows in product(product(range(2), repeat=len(sizes)), range(len(sizes))):
        others = sum(size * count for size, count in zip(sizes, few, strict=True)) - sizes[grows] * few[grows]
        found.add((*few[:grows], max(1, (room - others) // sizes[grows]), *few[grows + 1 :]))
    return sorted(m for m in found if 0 < sum(size * count for size, count in zip(sizes, m, strict=True)) <= room)


def _beyond(pattern: Pattern, positions: int) -> Times:
    """The first group so often that every position lies in it: what comes after then differs from that alike at all
    lengths."""
    first, *others = pattern.groups
    return (1 + positions // len(first), *(0 for _ in others))


def log_counts(pattern: Pattern, kind: str, positions: int) -> Floats | None:
    """log of how many `kind` tokens each position sees (0 for none) [positions]; None where the position alone does not
    say."""
    found = None if pattern.visible_context else counts(pattern, kind, positions)
    return None if found is None or found[1].any() else np.log(np.maximum(found[0], 1.0))


def digits(positions: int) -> Floats:
    """[positions, digits] of ±1: the binary digits of each position."""
    count = max(1, int(np.ceil(np.log2(positions))))
    bits = (np.arange(positions)[:, None] >> np.arange(count)[None, :]) & 1
    return np.asarray(2.0 * bits - 1.0, dtype=np.float64)


SHORT = 3
"""Repetitions of each of several groups that a rule is tried on."""
SAMPLE = 64
"""Positions on which a rule for counting tokens is tried."""


def counts(pattern: Pattern, kind: str, positions: int, none: bool = False) -> tuple[Floats, Floats] | None:
    """How many `kind` tokens each position sees, itself included; with `none`, 1 where that is 0 and else 0.

    A table [positions] and corrections [roles], to be added; None where position and role do not say.
    """
    names = roles(pattern)
    lines = [sequence(pattern, m) for m in lengths(pattern, positions)]
    table = np.zeros(positions)
    table[1:] = _seen(sequence(pattern, _beyond(pattern, positions)), kind, none)[: positions - 1]
    corrections = np.zeros(len(names))
    role_of = np.concatenate([line.roles for line in lines])
    off = np.concatenate([_seen(line, kind, none) - table[1 : len(line) + 1] for line in lines])
    for role in range(1, len(names)):
        gaps = np.unique(off[role_of == role])
        if gaps.size > 1:
            return None
        corrections[role] = gaps[0] if gaps.size else 0.0
    return table, corrections


def _seen(line: Sequence, kind: str, none: bool) -> Floats:
    seen = np.cumsum([k == kind for k in line.kinds], dtype=np.float64)
    return np.asarray(seen == 0, dtype=np.float64) if none else seen
