"""The error model of heads that weigh by exp(score): logits are rounded, and what is read with them.

Operands are query (mine), key and value (theirs), and which token sees which, [tasks, tokens, read].
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.arrays import Floats

from ..interpreter.reads import shares
from ..numerics.attention_gates import Draws
from .inexact import Inexact, Operand, noisy, usual


def softmax_error(unit: float, apart: bool, rest: float | None = None) -> Inexact:
    """Logits are rounded at the size of their terms, unless these are short numbers (flags, one-hot codes), and exp is
    a few units off, but at 0; `apart` as in inexact.py, `rest` the rest token's logit where it has a share."""

    def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
        query, key, value = (operand(k) for k in range(3))
        seen = operand(3) > 0.0
        logits = query @ key.swapaxes(1, 2)
        if not logits.size:
            return array
        top = np.where(seen, logits, -np.inf).max(-1, keepdims=True, initial=-np.inf if rest is None else rest)
        below = np.where(seen, top - logits, 0.0)
        variance = np.where(below > 0.0, below**2 + 4.0, 0.0) + _terms(query, key)
        found = shares(noisy(logits, unit * np.sqrt(variance), rng), seen, rest) @ value
        return noisy(found, unit * (np.abs(found) + usual(found, apart)), rng)

    return model


def exponential_error(unit: float, sink: float) -> Inexact:
    """The same below the rest token's logit, whose weight is the divisor (exponential_sums.py)."""

    def model(array: Floats, operand: Operand, rng: Draws) -> Floats:
        query, key, value = (operand(k) for k in range(3))
        logits = query @ key.swapaxes(1, 2)
        if not logits.size:
            return array
        variance = (sink - logits) ** 2 + 4.0 + _terms(query, key)
        weights = np.exp(np.where(operand(3) > 0.0, noisy(logits, unit * np.sqrt(variance), rng), -np.inf))
        found = weights @ value / (1.0 + np.exp(-sink) * weights.sum(-1, keepdims=True))
        return noisy(found, unit * np.abs(found), rng)

    return model


def _terms(query: Floats, key: Floats) -> Floats:
    """The squares of what a score is the sum of, unless these are short numbers."""
    total = np.zeros((*query.shape[:2], key.shape[1]))
    for a, b in zip(np.moveaxis(query, -1, 0), np.moveaxis(key, -1, 0), strict=True):
        terms = a[:, :, None] * b[:, None]
        total += np.where(terms == terms.astype(np.float32), 0.0, terms**2)
    return total
