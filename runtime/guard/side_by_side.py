"""Side by side: all that is looked at at one time, as one check of the forward pass.

before   watches: ranges, products' pairs, comparisons, scores
after    one `GuardCheck`; what it gives is in the order of `order_of`
"""

from __future__ import annotations

from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.limits import SLACK
from numpy.typing import NDArray

from .checks import GuardCheck, Reach, Tie
from .watches import BOTH, ScoreWatch, Watch

_NONE: Indices = np.zeros(0, np.int64)


def check_of(
    every: list[Watch | ScoreWatch], kinds: tuple[str, ...], causal: bool, dtype: np.dtype[Any], whole: bool
) -> GuardCheck:
    """One time's values side by side, in the order of `order_of`. A value that is one slot times a factor is compared
    in the slot's scale. `whole`: whether all tokens are there, and not the last alone, which has no scores then."""
    watches = [w for w in every if isinstance(w, Watch)]
    scores = [w.check(kinds, causal, dtype) for w in every if isinstance(w, ScoreWatch) and whole]
    if not watches:
        return _no_values(len(kinds), tuple(scores), dtype)
    matrix = np.concatenate([w.matrix for w in watches], 1)
    ends = [np.concatenate([getattr(w, side) for w in watches]) for side in ("low", "high")]
    centre, scale = (np.concatenate([w.middle[k] for w in watches]) for k in range(2))
    slots = np.abs(matrix).argmax(0)
    chosen: NDArray[Any] | None = None
    if (np.count_nonzero(matrix, axis=0) == 1).all():
        factor = matrix[slots, np.arange(slots.size)]
        magnitude = np.concatenate([np.full(w.low.size, w.construction == "comparison") for w in watches])
        factor = np.where(magnitude, np.abs(factor), factor)
        ends = [np.minimum(ends[0] / factor, ends[1] / factor), np.maximum(ends[0] / factor, ends[1] / factor)]
        centre, scale = centre / factor, scale * np.abs(factor)
    else:
        slots = np.flatnonzero(matrix.any(1)) if matrix.any() else np.zeros(1, np.int64)  # values that are always 0
        chosen = matrix[slots].astype(dtype)
    columns = np.split(np.arange(matrix.shape[1]), np.cumsum([w.low.size for w in watches])[:-1])
    ranges: list[tuple[Watch, Indices]] = []
    pairs: list[tuple[Watch, Indices]] = []
    apart: list[tuple[Watch, Indices]] = []
    for watch, own in zip(watches, columns, strict=True):
        if len(watch.pairs):
            pairs.append((watch, own[watch.pairs]))
        else:
            (apart if watch.construction == "comparison" else ranges).append((watch, own))
    low, high = (_at([(w, ends[k][own]) for w, own in ranges], kinds, fill) for k, fill in ((0, -np.inf), (1, np.inf)))
    kept = np.concatenate([_NONE, *(own for _, own in ranges)])
    most = _at([(w, np.full(len(own), BOTH * (1.0 + SLACK))) for w, own in pairs], kinds, np.inf)
    least = _at([(w, ends[1][own]) for w, own in apart], kinds, -np.inf)
    both = np.concatenate([np.zeros((0, 2), np.int64), *(own for _, own in pairs)])
    return GuardCheck(
        slots.astype(np.int32),
        chosen,
        kept.astype(np.int32),
        low.astype(dtype),
        high.astype(dtype),
        centre.astype(dtype),
        scale.astype(dtype),
        both[:, 0].astype(np.int32),
        both[:, 1].astype(np.int32),
        most.astype(dtype),
        np.concatenate([_NONE, *(own for _, own in apart)]).astype(np.int32),
        least.astype(dtype),
        np.concatenate([np.zeros(0), *(ends[0][own] for _, own in apart)]).astype(dtype),
        tuple(scores),
    )


def _no_values(tokens: int, scores: tuple[Reach | Tie, ...], dtype: np.dtype[Any]) -> GuardCheck:
    none, free = np.zeros(0, np.int32), np.zeros((1 + tokens, 0), dtype)
    nothing = np.zeros(0, dtype)
    return GuardCheck(none, None, none, free, free, nothing, nothing, none, none, free, none, free, nothing, scores)


def _at(bounds: list[tuple[Watch, Floats]], kinds: tuple[str, ...], free: float) -> Floats:
    """[1 + tokens, bounds]: each where the watch's kinds are, and `free` elsewhere; the rest token is free."""
    found = [np.where([[False], *([k in w.kinds] for k in kinds)], bound[None, :], free) for w, bound in bounds]
    return np.concatenate([np.zeros((1 + len(kinds), 0)), *found], 1)


def order_of(watches: list[Watch | ScoreWatch], whole: bool) -> list[int]:
    """The watches of one time, as numbers, in the order in which `check_of` lays out what they give: ranges, pairs,
    comparisons, scores."""

    def sort(watch: Watch | ScoreWatch) -> int:
        if isinstance(watch, ScoreWatch):
            return 3
        return 1 if len(watch.pairs) else 2 * (watch.construction == "comparison")

    found = sorted(range(len(watches)), key=lambda k: sort(watches[k]))
    return found if whole else [k for k in found if isinstance(watches[k], Watch)]
