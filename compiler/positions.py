"""Positions: which token a copying head reads, as a linear function of what the reader knows.

The rest token is at position 0, the data's tokens at 1, 2, …. A head that wants position t scores
the token at p with  G (2 t p − p²) = G (t² − (t − p)²):  the token wanted wins by at least G, and a
softmax over logits that far apart copies exactly. The key is (p/P, (p/P)²), exact in float32 for
P a power of two; the query is t, read from the stream as p − (an offset that the role decides), or
where that does not do from a slot of the position table. A target below 0 finds the rest token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .graph import Kinds, Pattern
from .sparse import Floats, Indices
from .tasks import Relation
from .tokens import role_kinds, roles, sequence


@dataclass(frozen=True)
class Target:
    """Where readers of some role look: position · `slope` + offsets[role] (+ table[position] if there is one)."""

    slope: float
    offsets: Floats
    table: Floats | None

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for targets that are found alike, but for the table."""
        return (self.slope, self.offsets.tobytes())


def wanted(pattern: Pattern, relation: Relation, repetitions: int) -> tuple[Indices, Indices]:
    """roles [tokens] and targets [tokens] of one sequence, positions counted with the rest token; 0 is none."""
    line = sequence(pattern, repetitions)
    kinds = line.kinds
    targets = np.zeros(len(kinds), dtype=np.int64)
    for i, kind in enumerate(kinds):
        seen = [j for j in range(i + 1) if kinds[j] == relation.kind]
        match relation.name:
            case "own":
                target = i + 1
            case "previous":
                target = i
            case "first":
                target = seen[0] + 1 if seen else 0
                if pattern.visible_context and not seen:
                    group_end = len(pattern.prefix) + len(pattern.group) * repetitions
                    target = next((j + 1 for j in range(group_end) if kinds[j] == relation.kind), 0)
            case "before":
                earlier = [j for j in seen if j < i]
                target = earlier[-1] + 1 if earlier else 0
            case "latest":
                target = seen[-1] + 1 if seen else 0
            case "own_first":
                target = i + 1 if kind == relation.kind and len(seen) == 1 else 0
            case "own_none":
                target = 0 if seen else i + 1
            case _:
                raise AssertionError(relation)
        targets[i] = target
    return np.asarray(line.roles, dtype=np.int64), targets


def target(pattern: Pattern, relation: Relation, kinds: Kinds, positions: int) -> Target | None:
    """How readers of `kinds` find their token in every sequence of up to `positions`; None if no linear rule does."""
    names = roles(pattern)
    if relation.name == "own":
        return Target(1.0, np.zeros(len(names)), None)
    live = [i for i, k in enumerate(role_kinds(pattern)) if k in kinds]
    fixed = len(pattern.prefix) + len(pattern.suffix)
    longest = max(1, (positions - 1 - fixed) // len(pattern.group))
    tried = sorted({m for m in (1, 2, 3, 4, longest) if m <= longest})
    samples = [wanted(pattern, relation, m) for m in tried]
    offsets = np.zeros(len(names))
    for role in live:
        found = [
            t - (i + 1) for r, targets in samples for i, t in enumerate(targets.tolist()) if r[i] == role and t > 0
        ]
        offsets[role] = max(found, key=found.count) if found else -float(positions)
    looked = [
        (i + 1 + offsets[r[i]], t) for r, targets in samples for i, t in enumerate(targets.tolist()) if r[i] in live
    ]
    if all(at == t if t > 0 else at <= 0 for at, t in looked):
        return Target(1.0, offsets, None)
    table = np.zeros(positions)
    table[1:] = wanted(pattern, relation, _beyond(pattern, positions))[1][: positions - 1]
    corrections = np.zeros(len(names))
    for role in live:
        gaps = {
            float(t - table[i + 1]) for r, targets in samples for i, t in enumerate(targets.tolist()) if r[i] == role
        }
        if len(gaps) != 1:
            return None
        corrections[role] = gaps.pop()
    return Target(0.0, corrections, table)


def _beyond(pattern: Pattern, positions: int) -> int:
    """So many groups that every position lies in one: what comes after the groups then differs from them alike at all
    lengths."""
    return 1 + positions // len(pattern.group)


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


def counts(pattern: Pattern, kind: str, positions: int) -> tuple[Floats, Floats] | None:
    """How many `kind` tokens each position sees, itself included: a table [positions] and corrections [roles]."""
    names = roles(pattern)
    fixed = len(pattern.prefix) + len(pattern.suffix)
    longest = max(1, (positions - 1 - fixed) // len(pattern.group))
    lines = [sequence(pattern, m) for m in sorted({1, 2, 3, longest})]
    table = np.zeros(positions)
    table[1:] = np.cumsum([k == kind for k in sequence(pattern, _beyond(pattern, positions)).kinds])[: positions - 1]
    corrections = np.zeros(len(names))
    for role in range(1, len(names)):
        gaps = {
            float(c - table[i + 1])
            for line in lines
            for i, c in enumerate(np.cumsum([k == kind for k in line.kinds]).tolist())
            if line.roles[i] == role
        }
        if len(gaps) > 1:
            return None
        corrections[role] = gaps.pop() if gaps else 0.0
    return table, corrections
