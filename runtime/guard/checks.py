"""Checks: what the guard looks at beside one sublayer, in the forward pass.

before   the stream [batch, tokens, width], and what watches.py wants to know of it
after    for each task one number a question: above 0 where something is out of its domain, NaN where it is no number
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from ..arrays import Array, einsum, matmul


class Reach(NamedTuple):
    """The scores query · key, [width, k] each, of the pairs of tokens `seen` [tokens, tokens], of magnitude at most
    `most`."""

    query: Array
    key: Array
    seen: Array
    most: Array

    def excess(self, stream: Array) -> Array:
        """[batch, tokens]"""
        scores = einsum("btk,bsk->bts", matmul(stream, self.query), matmul(stream, self.key))
        return jnp.where(self.seen, jnp.abs(scores), 0.0).max(-1) - self.most


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
        query, key = matmul(stream, self.query), matmul(stream, self.key)
        scores = jnp.where(self.seen, einsum("btk,bsk->bts", query, key), -jnp.inf)
        terms = einsum("btk,bsk->bts", jnp.abs(query), jnp.abs(key))
        top = scores.max(-1, keepdims=True)
        shares = jnp.where(self.seen, jnp.exp(scores - jnp.where(jnp.isfinite(top), top, 0.0)), 0.0)
        shares = shares / jnp.maximum(shares.sum(-1, keepdims=True), 1.0)
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
    return {time: jnp.full((stream.shape[0], c.size), -jnp.inf, stream.dtype) for time, c in checks.items()}


def looked(
    worst: dict[int, Array], time: int, stream: Array, checks: dict[int, GuardCheck], counts: Array | None
) -> dict[int, Array]:
    """With what is found at this time, if it `counts`."""
    if time not in checks:
        return worst

    def found() -> Array:
        return jnp.maximum(worst[time], excess(stream, checks[time]))

    return {**worst, time: found() if counts is None else lax.cond(counts, found, lambda: worst[time])}


def excess(stream: Array, check: GuardCheck) -> Array:
    """By how much each value, each sum of two and each score leaves its domain, at worst over the tokens:
    [batch, size]."""
    found = []
    if check.slots.shape[0]:
        values = stream[..., check.slots]
        if check.matrix is not None:
            values = matmul(values, check.matrix)
        if check.low.shape[1]:
            ranged = values[..., check.ranges]
            found.append(jnp.maximum(ranged - check.high, check.low - ranged).max(1))
        if check.most.shape[1]:
            share = jnp.abs(values - check.centre) * check.scale
            found.append((share[..., check.left] + share[..., check.right] - check.most).max(1))
        if check.least.shape[1]:
            size = jnp.abs(values[..., check.apart])
            found.append(jnp.minimum(check.least - size, size - check.nothing).max(1))
    found += [score.excess(stream).max(1, keepdims=True) for score in check.scores]
    return jnp.concatenate(found, -1)
