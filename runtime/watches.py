"""Watches: what the guard looks at in a forward pass, and when.

    before   Weights.layout (named values and their ranges), Weights.domains (where constructions are right)
    after    for each time (2 n before stored sublayer n, 2 n + 1 after it) one `Check` of all that is looked at then

A watch gives one number a column for a range, a pair of columns for a product, and a column for a comparison; what is
above 0 is out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from innerloop.compiler.sparse import Floats, Indices
from innerloop.compiler.weights import (
    Attention,
    Domain,
    Idle,
    LinearAttention,
    Placement,
    Sublayer,
    Weights,
)
from numpy.typing import NDArray

from .forward import Check

SLACK = 1e-3
"""How far a value may leave its range, as a share of the range's magnitude, for the rounding of the weights; a
hundredth of it for the largest component of the same value besides."""
ROOM = 2.0
"""Closed neurons stay closed, and norms constant, for values so many times as large as they were compiled for
(innerloop.compiler: neurons.py, frame.py)."""
BOTH = 2.0
"""Of the two factors of a product, the largest sum of their distances from their centres, in radii."""
_NONE: Indices = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Watch:
    """Values stream @ matrix [width, columns] at tokens of `kinds`, looked at at these `times`.

    low, high: the range with the slack, as compiled without it in `told`; `names`: of each column what it is and which
    component of it (None: the only one)."""

    construction: str
    kinds: frozenset[str]
    matrix: Floats
    low: Floats
    high: Floats
    told: tuple[Floats, Floats]
    times: frozenset[int]
    names: tuple[tuple[str, int | None], ...]
    pairs: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))

    @property
    def size(self) -> int:
        """How many numbers it gives for a task."""
        return len(self.pairs) if len(self.pairs) else self.low.size

    @property
    def middle(self) -> tuple[Floats, Floats]:
        """Of a product, the centre of each column's range, and one over its half width."""
        if not len(self.pairs):
            return np.zeros(self.low.size), np.ones(self.low.size)
        half = 0.5 * (self.told[1] - self.told[0])
        return 0.5 * (self.told[0] + self.told[1]), 1.0 / np.where(half > 0.0, half, np.inf)

    def excess(self, values: Floats) -> Floats:
        """By how much values [..., columns] are out: [..., size], as forward.py has it."""
        if len(self.pairs):
            centre, scale = self.middle
            share = np.abs(values - centre) * scale
            return np.asarray(share[..., self.pairs[:, 0]] + share[..., self.pairs[:, 1]] - BOTH * (1.0 + SLACK))
        if self.construction == "comparison":
            return np.asarray(self.high - np.abs(values))
        return np.asarray(np.maximum(values - self.high, self.low - values))

    def blamed(self, values: Floats, index: int) -> int:
        """The column of number `index` of `excess` that is farther out, for values [columns]."""
        if not len(self.pairs):
            return index
        centre, scale = self.middle
        share = np.abs(values - centre) * scale
        return int(max(self.pairs[index], key=lambda column: share[column]))


def watches_of(weights: Weights) -> list[Watch]:
    """Of all named values and domains, by the first time at which they are looked at."""
    sublayers = list(weights.sublayers())
    found = [w for p in weights.layout if (w := _of_placement(p, sublayers, weights.config.d_model)) is not None]
    found += [_of_domain(domain) for domain in weights.domains]
    return sorted(found, key=lambda watch: min(watch.times))


def _of_placement(placement: Placement, sublayers: list[Sublayer], width: int) -> Watch | None:
    """After the sublayers at which the value can be new."""
    slots = np.unique(placement.matrix.csr.tocoo().coords[0])
    covered = range(max(placement.first, 0), min(placement.last, len(sublayers) - 1) + 1)
    after = {n for n in covered if n == placement.first or _written(sublayers[n], width)[slots].any()}
    low, high = (np.asarray(b, np.float64).ravel() for b in (placement.low, placement.high))
    slack = _slack(low, high)
    names = tuple((placement.name, k if low.size > 1 else None) for k in range(low.size))
    if not after:
        return None
    return Watch(
        "value",
        placement.kinds,
        placement.matrix.csr.toarray(),
        low - slack,
        high + slack,
        (low, high),
        frozenset(2 * n + 1 for n in after),
        names,
    )


def _of_domain(domain: Domain) -> Watch:
    low, high = domain.low, domain.high
    if domain.construction == "value":
        most = ROOM * np.maximum(np.abs(low), np.abs(high))
        low, high = -most, most
    slack = np.zeros(low.size) if domain.construction == "comparison" else _domain_slack(domain)
    names = tuple(
        (what, k if size > 1 else None)
        for what, size in zip(domain.what, domain.sizes, strict=True)
        for k in range(size)
    )
    return Watch(
        domain.construction,
        domain.kinds,
        domain.matrix.csr.toarray(),
        low - slack,
        high + slack,
        (domain.low, domain.high),
        frozenset({2 * domain.sublayer + domain.after}),
        names,
        np.array(domain.pairs, np.int64).reshape(-1, 2),
    )


def _slack(low: Floats, high: Floats) -> Floats:
    magnitude = np.maximum(np.abs(low), np.abs(high))
    return np.asarray(SLACK * magnitude + 0.01 * SLACK * magnitude.max(initial=0.0) + 1e-6)


def _domain_slack(domain: Domain) -> Floats:
    """Of functions and divisors, whose fits end at the ends, a share of each end alone."""
    if domain.construction in ("value", "product"):
        return _slack(domain.low, domain.high)
    low, high = np.abs(domain.low), np.abs(domain.high)
    ends = np.where(np.isfinite(low), np.where(np.isfinite(high), np.minimum(low, high), low), high)
    return np.asarray(SLACK * np.where(ends > 0.0, ends, SLACK * np.maximum(low, high)))


def _written(sublayer: Sublayer, width: int) -> NDArray[np.bool_]:
    """The slots that a sublayer adds to."""
    if isinstance(sublayer, Idle):
        return np.zeros(width, bool)
    match sublayer:
        case Attention():
            matrix, bias = sublayer.output, sublayer.output_bias
        case LinearAttention():
            matrix, bias = sublayer.output, np.zeros(width)
        case _:
            matrix, bias = sublayer.down, sublayer.down_bias
    written: NDArray[np.bool_] = bias != 0
    written[matrix.csr.indices] = True
    return written


def check_of(watches: list[Watch], kinds: tuple[str, ...], dtype: np.dtype[Any]) -> Check:
    """One time's values side by side: the ranges, then the pairs, then the comparisons, each in the watches' order. A
    value that is one slot times a factor is compared in the slot's scale."""
    matrix = np.concatenate([w.matrix for w in watches], 1)
    ends = [np.concatenate([getattr(w, side) for w in watches]) for side in ("low", "high")]
    centre, scale = (np.concatenate([w.middle[k] for w in watches]) for k in range(2))
    slots = np.abs(matrix).argmax(0)
    chosen: NDArray[Any] | None = None
    if (np.count_nonzero(matrix, axis=0) == 1).all():
        factor = matrix[slots, np.arange(slots.size)]
        ends = [np.minimum(ends[0] / factor, ends[1] / factor), np.maximum(ends[0] / factor, ends[1] / factor)]
        centre, scale = centre / factor, scale * np.abs(factor)
    else:
        slots = np.flatnonzero(matrix.any(1))
        chosen = matrix[slots].astype(dtype)
    columns = np.split(np.arange(matrix.shape[1]), np.cumsum([w.low.size for w in watches])[:-1])
    ranges, pairs, apart = [], [], []
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
    return Check(
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
    )


def _at(bounds: list[tuple[Watch, Floats]], kinds: tuple[str, ...], free: float) -> Floats:
    """[1 + tokens, bounds]: each where the watch's kinds are, and `free` elsewhere; the rest token is free."""
    found = [np.where([[False], *([k in w.kinds] for k in kinds)], bound[None, :], free) for w, bound in bounds]
    return np.concatenate([np.zeros((1 + len(kinds), 0)), *found], 1)


def order_of(watches: list[Watch]) -> list[int]:
    """The watches of one time, as numbers, in the order in which `check_of` lays out what they give."""
    ranges = [k for k, w in enumerate(watches) if not len(w.pairs) and w.construction != "comparison"]
    pairs = [k for k, w in enumerate(watches) if len(w.pairs)]
    return ranges + pairs + [k for k, w in enumerate(watches) if w.construction == "comparison"]
