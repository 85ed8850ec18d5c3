"""Watches: what the guard looks at in a forward pass, and when.

    before   Weights.layout (named values and their ranges), Weights.domains (where constructions are right)
    after    for each time (2 n before stored sublayer n, 2 n + 1 after it) a `GuardCheck` of what is looked at

A watch gives one number a column for a range, a pair of columns for a product, and a column for a comparison; what is
above 0 is out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.claims import Domain, Placement
from innerloop.artifact.limits import ROOM, SLACK
from innerloop.artifact.parts import Attention, Body, DeltaAttention, Idle, LinearAttention, Repeated, Sublayer
from innerloop.artifact.precisions import UNIT
from innerloop.artifact.weights import Weights
from numpy.typing import NDArray

from .checks import Reach, Tie

BOTH = 2.0
"""Of the two factors of a product, the largest sum of their distances from their centres, in radii."""


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
    named: bool = False
    """Whether it is a value that the program names, and not what a construction reads."""

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

    def at(self, stream: Floats, kinds: tuple[str, ...], causal: bool) -> tuple[Floats, Floats]:
        """The values at its tokens of stream [looks, tokens, width], [looks, tokens, columns], and by how much they are
        out, [looks, tokens, size] as checks.py has it."""
        held = np.flatnonzero([kind in self.kinds for kind in kinds])
        values = stream[:, held] @ self.matrix
        return values, self._excess(values)

    def _excess(self, values: Floats) -> Floats:
        if len(self.pairs):
            centre, scale = self.middle
            share = np.abs(values - centre) * scale
            return np.asarray(share[..., self.pairs[:, 0]] + share[..., self.pairs[:, 1]] - BOTH * (1.0 + SLACK))
        if self.construction == "comparison":
            return np.asarray(np.minimum(self.high - np.abs(values), np.abs(values) - self.low))
        return np.asarray(np.maximum(values - self.high, self.low - values))

    def blamed(self, values: Floats, index: int) -> int:
        """The column of number `index` of `excess` that is farther out, for values [columns]."""
        if not len(self.pairs):
            return index
        centre, scale = self.middle
        share = np.abs(values - centre) * scale
        farther: int = max(self.pairs[index].tolist(), key=lambda column: share[column])
        return farther


ROUNDED = 4.0
"""Units of its terms that a score may be off."""
SLIGHT_BLUR = 1e-3
"""Where scores are off by less, the certificate's tasks have seen what that does."""


@dataclass(frozen=True)
class ScoreWatch:
    """Scores of tokens of `kinds` and of kind `over`, which are to be `most` at most, and −`most` at least unless
    `told` knows no least; or, with a `rate`, not to be changed by rounding by more than `most` (checks.Tie)."""

    construction: str
    kinds: frozenset[str]
    over: str
    query: Floats
    key: Floats
    rate: float
    most: float
    told: tuple[Floats, Floats]
    times: frozenset[int]
    names: tuple[tuple[str, int | None], ...]
    named = False

    @property
    def size(self) -> int:
        return 1

    def check(self, kinds: tuple[str, ...], causal: bool, dtype: np.dtype[Any]) -> Reach | Tie:
        """The rest token, before those of these kinds, neither reads nor is read."""
        readers, read = (np.array([False, *found]) for found in self._among(kinds))
        seen = readers[:, None] & read & (np.tri(readers.size, dtype=bool) if causal else True)
        query, key, most = self.query.astype(dtype), self.key.astype(dtype), dtype.type(self.most)
        if self.rate:
            return Tie(query, key, seen, dtype.type(self.rate), most)
        return Reach(query, key, seen, dtype.type(-self.most if np.isfinite(self.told[0][0]) else -np.inf), most)

    def _among(self, kinds: tuple[str, ...]) -> tuple[list[bool], list[bool]]:
        return [kind in self.kinds for kind in kinds], [kind == self.over for kind in kinds]

    def at(self, stream: Floats, kinds: tuple[str, ...], causal: bool) -> tuple[Floats, Floats]:
        """As `Watch.at`; the value is how far out it is."""
        with_rest = np.pad(stream, ((0, 0), (1, 0), (0, 0)))
        readers = np.flatnonzero(self._among(kinds)[0])
        out = np.asarray(self.check(kinds, causal, np.dtype(np.float64)).excess(with_rest), np.float64)
        out = out[:, 1 + readers, None]
        return out + self.most, out

    def blamed(self, values: Floats, index: int) -> int:
        return 0


def watches_of(weights: Weights) -> list[Watch | ScoreWatch]:
    """Of all named values and domains, by the first time at which they are looked at. Fields are the guard's inputs."""
    inputs = {field.name for field in weights.inputs}
    sublayers = list(weights.sublayers())
    named = [
        _of_placement(placement, sublayers, weights.config.d_model)
        for placement in weights.layout
        if placement.first >= 0 or placement.name not in inputs
    ]
    found: list[Watch | ScoreWatch] = [w for w in named if w is not None]
    for domain in weights.domains:
        if domain.key is None:
            found.append(_of_domain(domain))
        elif (scores := _of_scores(domain, weights)) is not None:
            found.append(scores)
    return sorted(found, key=lambda watch: min(watch.times))


def _of_scores(domain: Domain, weights: Weights) -> ScoreWatch | None:
    """None for a softmax that rounding its scores changes by less than what the weights' errors are anyway."""
    assert domain.key is not None
    resolved, rate = min(error.predicted_error for error in weights.report.each), 0.0
    most = (1.0 + SLACK) * float(domain.high[0])
    if domain.construction == "softmax":
        rate, most = ROUNDED * UNIT[weights.config.dtype] * float(domain.high[0]), resolved
        blurred = ROUNDED * UNIT[weights.config.dtype] * domain.reach
        if blurred < SLIGHT_BLUR or not 0.25 * rate * domain.reach > resolved > 0.0:
            return None
    names = ((domain.what[0], None),)
    query, key = domain.matrix.csr.toarray(), domain.key.csr.toarray()
    times = frozenset({2 * domain.sublayer})
    return ScoreWatch(
        domain.construction, domain.kinds, domain.over, query, key, rate, most, (domain.low, domain.high), times, names
    )


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
        placement.kinds - placement.idle,
        placement.matrix.csr.toarray(),
        low - slack,
        high + slack,
        (low, high),
        frozenset(2 * n + 1 for n in after),
        names,
        named=True,
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
        case LinearAttention() | DeltaAttention():
            matrix, bias = sublayer.output, np.zeros(width)
        case _:
            matrix, bias = sublayer.down, sublayer.down_bias
    written: NDArray[np.bool_] = bias != 0
    written[matrix.csr.indices] = True
    return written


def runs(body: Body, number: int) -> tuple[list[tuple[int, bool]], int]:
    """Every sublayer that runs: its stored number, and whether its values count (in a scan, the last pass's do)."""
    found: list[tuple[int, bool]] = []
    for item in body:
        if isinstance(item, Repeated):
            once, number = runs(item.body, number)
            early = [(n, counts and not item.scan) for n, counts in once]
            found += early * (item.count - 1) + once[: len(once) * item.count]
        else:
            found.append((number, True))
            number += 1
    return found, number
