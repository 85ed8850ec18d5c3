"""Whether a scan's pass is the delta rule, and with which keys, values and rates.

    before   w.2 = w.1 - 0.1 * (dot(w.1, u) - y) * u          the points of affine_scans.py
    after    key u, value y, rate 0.1, nothing forgotten; S a row

A pass is S ← α S (I − β k kᵀ) + β v kᵀ. A key is looked for among the linear values of the body; with it, what a drawn
S becomes along k and across it gives α and β at every point, what is added gives v, and all that they do is held
against the pass. Then α, β and v must be linear in what tokens hold; β may be that over ε + |k|², or, over a key of 1,

    z ← a z + b        β = 1 − a, v = b / β        and z ← z + b by α = 2, β = ½, v = 2 b
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats, Indices

from ...ir.graph import Value
from .affine_scans import CLOSE, Points, fitted, refused, same

REASONS = (
    "one only adds: the rule takes away what it writes over",
    "one takes away no β k kᵀ of a key k that a token holds",
    "one has a rate, or a share that it forgets, that is not linear in what a token holds",
    "one writes a value that is not linear in what a token holds",
)
"""Why not, the nearer to the rule the later."""
KEEPS = -1.0
"""What a key of 1 forgets, less than nothing, so that half of what is there twice is all of it."""


@dataclass(frozen=True)
class Rule:
    """`key` (None: 1), and value, rate and what is forgotten as numbers of an affine function of the leaves [numbers,
    size]. `rows` and `columns` of S; `turned`: S is the transpose of what is carried."""

    rows: int
    columns: int
    turned: bool
    key: Value | None
    value: Floats
    rate: Floats
    forgotten: Floats
    divisor: tuple[float, float] = (1.0, 0.0)

    @property
    def order(self) -> Indices:
        """For each component of S, row by row, the component of what is carried."""
        whole = np.arange(self.rows * self.columns, dtype=np.int64)
        return whole.reshape(self.columns, self.rows).T.ravel() if self.turned else whole


def match(points: Points) -> Rule:
    """Raises CompileError where it is none, with what stands in the way."""
    nearest = 0
    for rows, columns, turned in _orientations(points):
        seen = _Seen(points, rows, columns, turned)
        for key in seen.candidates():
            found = seen.rule(key)
            if isinstance(found, Rule):
                return found
            nearest = max(nearest, found)
    span = points.graph[points.carried.result].span or points.loop.span
    hint = "compile for gpt2 or llama, where a pass is a layer or more"
    raise refused(points.graph, span, REASONS[nearest], hint)


def _orientations(points: Points) -> Iterator[tuple[int, int, bool]]:
    shape = points.graph[points.carried.phi].shape
    rows, columns = shape if len(shape) == 2 else (1, points.states.shape[2])
    yield rows, columns, False
    if rows != columns or len(shape) == 2:
        yield columns, rows, True


@dataclass
class _Seen:
    """The points, with the rows of two S, as drawn and as they are left [points, 2 rows, columns], and with what is
    added [points, rows, columns]."""

    points: Points
    rows: int
    columns: int
    turned: bool

    def __post_init__(self) -> None:
        self.drawn, self.moved = (
            np.concatenate([self._matrix(a) for a in two], 1) for two in (self.points.states, self.points.moved)
        )
        self.added = self._matrix(self.points.added)

    def _matrix(self, array: Floats) -> Floats:
        if self.turned:
            return array.reshape(-1, self.columns, self.rows).swapaxes(1, 2)
        return array.reshape(-1, self.rows, self.columns)

    def candidates(self) -> Iterator[Value | None]:
        """The values of the body that may be keys; 1 where S has one column."""
        if self.columns == 1:
            yield None
        for value, array in self.points.values.items():
            if array.shape[1] == self.columns and np.ptp(array) and self.points.linear(array) is not None:
                yield value

    def rule(self, key: Value | None) -> Rule | int:
        """With this key; or why not, by its number among the reasons."""
        k = np.ones((self.points.count, 1)) if key is None else self.points.values[key]
        squared = np.square(k).sum(1)
        along, after = (np.einsum("tab,tb->ta", s, k) for s in (self.drawn, self.moved))
        kept = np.sum(after * along, 1) / np.sum(along**2, 1)
        reasons = 0
        for alpha in self._alphas(along, k, squared, kept):
            taken = (alpha - kept) / squared
            left = alpha[:, None, None] * self.drawn - (taken[:, None] * along)[:, :, None] * k[:, None]
            if not same(left, self.moved):
                reasons = max(reasons, 0 if same(self.moved, self._scaled()) else 1)
                continue
            if np.abs(taken * squared).max() <= CLOSE * np.abs(alpha).max():
                if key is not None or not same(kept, np.ones_like(kept)):
                    continue
                adds = self._written(key, k, squared, np.full_like(alpha, 1.0 - KEEPS), np.ones_like(alpha))
                if isinstance(adds, Rule):
                    return adds
                continue
            found = self._written(key, k, squared, alpha, taken)
            if isinstance(found, Rule):
                return found
            reasons = max(reasons, found)
        return reasons

    def _scaled(self) -> Floats:
        """What is drawn, scaled as its first component is."""
        share = self.moved[:, :1, :1] / self.drawn[:, :1, :1]
        return np.asarray(share * self.drawn)

    def _alphas(self, along: Floats, k: Floats, squared: Floats, kept: Floats) -> Iterator[Floats]:
        """What α may be at every point."""
        if self.columns > 1:
            across, left = (
                s - (np.einsum("tab,tb->ta", s, k) / squared[:, None])[:, :, None] * k[:, None]
                for s in (self.drawn, self.moved)
            )
            yield np.sum(left * across, (1, 2)) / np.sum(across**2, (1, 2))
            return
        yield np.ones_like(kept)
        constant = fitted(np.stack([np.ones_like(squared), squared], 1), kept[:, None])
        if constant is not None and np.ptp(squared):
            yield np.full_like(kept, constant[0, 0])

    def _written(self, key: Value | None, k: Floats, squared: Floats, alpha: Floats, taken: Floats) -> Rule | int:
        points = self.points
        with np.errstate(all="ignore"):
            beta = taken / alpha
            wrote = np.einsum("tab,tb->ta", self.added, k) / squared[:, None]
            value = wrote / beta[:, None]
        forgotten = points.linear(1.0 - alpha[:, None], 1.0)
        rate, divisor = points.linear(beta[:, None]), (1.0, 0.0)
        if rate is None and key is not None:
            with_floor = np.concatenate([points.design, -beta[:, None]], 1)
            numbers = fitted(with_floor, (beta * squared)[:, None])
            if numbers is not None and numbers[-1, 0] >= 0.0:
                rate, divisor = numbers[:-1], (float(numbers[-1, 0]), 1.0)
        if rate is None or forgotten is None:
            return 2
        values = points.linear(value)
        if values is None or not same(wrote[:, :, None] * k[:, None], self.added):
            return 3
        return Rule(self.rows, self.columns, self.turned, key, values, rate, forgotten, divisor)
