"""Checks: what the guard looks at beside one sublayer, in the forward pass, in whichever library the pass computes:
arrays say themselves which one that is (`__array_namespace__`).

before   the stream [batch, tokens, width], and what watches.py wants to know of it
after    for each task one number a question: above 0 where something is out of its domain, NaN where it is no number
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = Any


class Reach(NamedTuple):
    """The scores query · key, [width, k] each, of the pairs of tokens `seen` [tokens, tokens], which are to lie between
    `least` and `most`."""

    query: Array
    key: Array
    seen: Array
    least: Array
    most: Array

    def excess(self, stream: Array) -> Array:
        """[batch, tokens]"""
        xp = stream.__array_namespace__()
        scores = _scores(_product(stream, self.query), _product(stream, self.key))
        return xp.where(self.seen, xp.maximum(scores - self.most, self.least - scores), -self.most).max(-1)


class Tie(NamedTuple):
    """A softmax of such scores is decided where rounding them, by `rate` of their terms, changes what is read by no
    more than `most`: a share p changes by p (1 − p) times that."""

    query: Array
    key: Array
    seen: Array
    rate: Array
    most: Array

    def excess(self, stream: Array) -> Array:
        """[batch, tokens]"""
        xp = stream.__array_namespace__()
        query, key = _product(stream, self.query), _product(stream, self.key)
        scores = xp.where(self.seen, _scores(query, key), -xp.inf)
        terms = _scores(abs(query), abs(key))
        top = scores.max(-1, keepdims=True)
        shares = xp.where(self.seen, xp.exp(scores - xp.where(xp.isfinite(top), top, 0.0)), 0.0)
        shares = shares / shares.sum(-1, keepdims=True).clip(1.0)
        return self.rate * (shares * (1.0 - shares) * terms).sum(-1) - self.most


class GuardCheck(NamedTuple):
    """What the guard looks at before or after one sublayer: values = stream[slots] (@ matrix, if any).

    ranges       values that lie in low, high [tokens, ranges]
    left, right  pairs of values whose distances from `centre`, times `scale`, sum to at most `most` [tokens, pairs]
    apart        values of magnitude at least `least` [tokens, apart], or no larger than `nothing` [apart]
    scores       of a whole sequence

    Bounds are infinite where a token's kind does not hold the value."""

    slots: Array
    matrix: Array | None
    ranges: Array
    low: Array
    high: Array
    centre: Array
    scale: Array
    left: Array
    right: Array
    most: Array
    apart: Array
    least: Array
    nothing: Array
    scores: tuple[Reach | Tie, ...]

    def at(self, tokens: Any) -> dict[str, Array]:
        """The bounds at these tokens [tokens, …]: what `_replace` takes."""
        return {name: getattr(self, name)[tokens] for name in ("low", "high", "most", "least")}

    @property
    def size(self) -> int:
        """How many numbers `excess` gives for a task."""
        return int(self.low.shape[1] + self.most.shape[1] + self.least.shape[1]) + len(self.scores)


def nothing_yet(checks: dict[int, GuardCheck], stream: Array) -> dict[int, Array]:
    """What has been found before anything is looked at."""
    xp = stream.__array_namespace__()
    return {time: xp.asarray(np.full((len(stream), c.size), -np.inf, stream.dtype)) for time, c in checks.items()}


def excess(stream: Array, check: GuardCheck) -> Array:
    """By how much each value, each sum of two and each score leaves its domain, at worst over the tokens:
    [batch, size]."""
    xp = stream.__array_namespace__()
    found = []
    if check.slots.shape[0]:
        values = stream[..., check.slots]
        if check.matrix is not None:
            values = _product(values, check.matrix)
        if check.low.shape[1]:
            ranged = values[..., check.ranges]
            found.append(xp.maximum(ranged - check.high, check.low - ranged).max(1))
        if check.most.shape[1]:
            share = abs(values - check.centre) * check.scale
            found.append((share[..., check.left] + share[..., check.right] - check.most).max(1))
        if check.least.shape[1]:
            size = abs(values[..., check.apart])
            found.append(xp.minimum(check.least - size, size - check.nothing).max(1))
    found += [score.excess(stream).max(1, keepdims=True) for score in check.scores]
    return xp.concat(found, axis=-1)


def _product(x: Array, w: Array) -> Array:
    """[batch, tokens, in] @ [in, out], as one product of two matrices, in the precision that surrounds the pass."""
    return (x.reshape(x.shape[0] * x.shape[1], x.shape[2]) @ w).reshape(*x.shape[:2], w.shape[1])


def _scores(query: Array, key: Array) -> Array:
    """[batch, tokens, size] each → [batch, tokens, tokens]."""
    return query @ key.mT
