"""Which token a copying head reads where only distances are known: one so far away, as the reader's role has it; or the
farthest or the nearest of a kind.

    relation    in (x y)* x     found by
    previous    1 back          distance
    before y    2 back at y     distance; the first y finds nobody there, and so the rest token
    latest y    1 back at x     distance
    first x     the farthest    phases that grow with the distance (rotary_heads.py)
    last x      the nearest, or under `visible context` the farthest ahead: the same phases

A head that reads tokens of one kind alone finds the rest token wherever the token so far away is of another kind, or is
none.
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.signature import Kinds, Pattern
from innerloop.artifact.tokens import role_kinds, sequence

from .learned_positions import CopyRule, End, commonest, lengths, wanted
from .relation import Relation


def rotary_copy_rule(pattern: Pattern, relation: Relation, kinds: Kinds, positions: int) -> CopyRule | None:
    """How readers of `kinds` find their token in every sequence of up to `positions`; None if no phases do."""
    found = _distance(pattern, relation, kinds, positions)
    if found is not None or relation.name not in ("first", "last", "latest", "before"):
        return found
    if relation.name in ("first", "last"):
        return End(0.0, np.zeros(0), None, sign=1.0 if relation.name == "first" else -1.0)
    unclear = relation.name == "before" and relation.kind in kinds  # the nearest is the reader itself
    return None if unclear or not _behind(pattern, relation.kind) else End(0.0, np.zeros(0), None, sign=-1.0)


def _behind(pattern: Pattern, kind: str | None) -> bool:
    """Whether no token that a head sees of this kind comes after the reader."""
    lone = kind not in pattern.group and (pattern.prefix + pattern.suffix).count(str(kind)) == 1
    return not pattern.visible_context or (lone and kind in (*pattern.prefix[:1], *pattern.suffix))


def _distance(pattern: Pattern, relation: Relation, kinds: Kinds, positions: int) -> CopyRule | None:
    of = role_kinds(pattern)
    offsets = np.zeros(len(of))
    if relation.name == "own":
        return CopyRule(1.0, offsets, None)
    samples = [(sequence(pattern, m), *wanted(pattern, relation, m)) for m in lengths(pattern, positions)]
    for role in (r for r, kind in enumerate(of) if kind in kinds):
        gaps = [(t - np.arange(1, t.size + 1))[(r == role) & (t > 0)] for _, r, t in samples]
        mine = np.concatenate(gaps)
        offsets[role] = commonest(mine) if mine.size else -float(positions)
    any_kind = relation.kind is None or relation.name.startswith("own")
    for line, role_of, targets in samples:
        own = np.arange(1, targets.size + 1)
        at = (own + offsets[role_of]).astype(np.int64)
        there = (at >= 1) & (at <= (own if not pattern.visible_context else targets.size))
        source = np.array([any_kind or kind == relation.kind for kind in line.kinds])
        found = np.where(there & source[np.clip(at - 1, 0, targets.size - 1)], at, 0)
        reads = np.array([kind in kinds for kind in line.kinds])
        if np.any((found != targets)[reads]):
            return None
    return CopyRule(1.0, offsets, None)
