"""Positions where 16 bits, or slots of like sizes, allow no sums of them: a table says of each which token is read.

    before    pattern, relation, the kinds that read          (a)* (b)* q, `previous`, b
    after     the position of the token read [positions]      0 0 1 2 3 …

A table holds only if all tokens that may stand at a position, in sequences of any lengths, read the same one. What
these read follows from the first and the last source on either side of them. Both are found for all sequences together,
place of the pattern by place and position by position: of all that may come before a place the least and the greatest
are kept, and where these are alike there is but one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Indices
from innerloop.artifact.signature import Kinds, Pattern
from innerloop.artifact.tokens import role_kinds
from numpy.typing import NDArray

from .learned_positions import CopyRule
from .relation import Relation

Mask = NDArray[np.bool_]


def digital_rule(pattern: Pattern, relation: Relation, kinds: Kinds, positions: int) -> CopyRule | None:
    """How readers of `kinds` find their token where every position says it: a table of targets, or, of the own token,
    none; None where positions mean something else in sequences of other lengths."""
    names = role_kinds(pattern)
    if relation.name == "own":
        return CopyRule(1.0, np.zeros(len(names)), None)
    surroundings = _surroundings(pattern, relation.kind, positions)
    targets = _targets(relation, surroundings, positions)
    read = surroundings.stands & np.array([kind in kinds for kind in names[1:]])
    least = np.where(read, targets[0], positions).min(1)
    greatest = np.where(read, targets[1], -1).max(1)
    if np.any(read.any(1) & (least != greatest)):
        return None
    return CopyRule(0.0, np.zeros(len(names)), np.maximum(greatest, 0).astype(np.float64))


@dataclass(frozen=True)
class _Surroundings:
    """What may stand around each place of a pattern at each position [positions, places].

    `first`, `latest`: where the first and the last source before it stand; `nearest`, `farthest`: the first and the
    last one behind it that it sees. The least and the greatest of these over all sequences [2, positions, places]; of
    no source the first is at `positions`, and the last at 0."""

    stands: Mask
    """Whether a sequence that `positions` hold has this place there."""
    source: Mask
    """Of places, whether they are sources [places]."""
    ahead: Mask
    """Of places, whether they are sources that tokens before them see [places]."""
    first: Indices
    latest: Indices
    nearest: Indices
    farthest: Indices


def _surroundings(pattern: Pattern, kind: str | None, positions: int) -> _Surroundings:
    kinds = role_kinds(pattern)[1:]
    count = len(kinds)
    follows = np.array([[k in pattern.after(place) for k in range(count + 1)] for place in range(-1, count)])
    steps, begins, ends = follows[1:, :count], follows[0, :count], follows[1:, count]
    source = np.array([k == kind for k in kinds])
    context = np.arange(count) < count - len(pattern.suffix)
    ahead = source & context & pattern.visible_context
    inner = np.arange(1, positions)
    before = _passed(steps.T, begins & (inner == 1)[:, None], source, inner, positions)
    behind = _passed(steps, np.broadcast_to(ends, (inner.size, count)), ahead, inner[::-1], positions)
    stands = (before[0, 0] <= positions) & (behind[0, 0] <= positions)
    return _Surroundings(stands, source, ahead, *before.swapaxes(0, 1), *behind.swapaxes(0, 1))


def _passed(steps: Mask, starts: Mask, sources: Mask, order: Iterable[int], none: int) -> Indices:
    """[2, 2, positions, places]: the least and the greatest, over all walks to a place at a position, of where the
    first and the last of the `sources` [places] stand that were passed; of no source `none` and 0. Where no walk leads
    the least is above `none`. `starts` [positions − 1, places]: where walks begin; `order`: the positions, as walked;
    `steps` [to, from]."""
    nowhere = np.array([none + 1, -1])[:, None]
    found = np.empty((2, 2, none, sources.size), np.int64)
    found[0], found[1] = none + 1, -1
    passed = np.broadcast_to(nowhere[:, None], (2, 2, sources.size))  # the least and the greatest; the first and last
    fresh = np.array([none, 0])[:, None]
    for here in order:
        least = np.where(steps, passed[0, :, None], none + 1).min(2)
        greatest = np.where(steps, passed[1, :, None], -1).max(2)
        begun = starts[here - 1]
        found[0, :, here] = np.minimum(least, np.where(begun, fresh, none + 1))
        found[1, :, here] = np.maximum(greatest, np.where(begun, fresh, -1))
        walked, own = found[:, :, here], sources & (found[0, 0, here] <= none)
        passed = np.stack([np.minimum(walked[:, 0], here), np.maximum(walked[:, 1], here)], 1)
        passed = np.where(own, passed, walked)
    return found


def _targets(relation: Relation, around: _Surroundings, positions: int) -> Indices:
    """The least and the greatest position that a place at a position reads [2, positions, places]; 0 is none."""
    own = np.broadcast_to(np.arange(positions)[:, None], around.first.shape)
    none = np.zeros_like(own)
    until = np.where(around.source, np.minimum(around.first, own), around.first)
    match relation.name:
        case "previous":
            return np.maximum(own - relation.back, 0)
        case "first":
            return np.sort(np.minimum(until, around.nearest) % positions, 0)
        case "last":
            latest = np.where(around.source, own, around.latest)
            return np.maximum(latest, around.farthest)
        case "before":
            return around.latest
        case "after":
            return np.sort(around.nearest % positions, 0)
        case "latest":
            return np.where(around.source, own, around.latest)
        case "own_first":
            return np.where(around.source & (around.first == positions), own, none)
        case "own_last":
            return np.where(around.ahead & (around.nearest == positions), own, none)
        case "own_none":
            return np.where(until == positions, own, none)
        case _:
            raise AssertionError(relation)
