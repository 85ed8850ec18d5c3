"""Σⱼ exp(s_j) v_j from one softmax head, whose rest token is so far above all scores that it is the whole divisor.

    A = Σⱼ e^(s_j) v_j / (e^c + Z),   Z = Σⱼ e^(s_j),   e^c A = Σⱼ e^(s_j) v_j / (1 + Z e^(-c))

The rest token, whose value is 0, has the logit c = t + log N + L: N tokens are read at most, and no score is above t.
So the share Z e^(-c) that is lost is at most e^(-L), and N / n less of n tokens. A softmax keeps the digits of small
weights; what it rounds is the difference s_j - c, by half a unit of 16 to 32 where c is as much: 9.5e-7 in float32.
What reads nothing reads the rest token, and is 0.
"""

from __future__ import annotations

from math import log

from innerloop.artifact.arrays import Dtype

LOST = {"float32": 14.0, "float64": 36.0}
"""L: e⁻ᴸ is 8e-7 and 2e-16."""
ABOVE = 1.0
"""So far above those of the calibration data scores may be."""
MANY = 1024
"""Tokens that are read at most, as the error model has it."""


def top(reach: float) -> float:
    """t, for scores of up to `reach` on the calibration data."""
    return reach + ABOVE


def sink(reach: float, tokens: int, dtype: Dtype) -> float:
    """c, for so many tokens."""
    return top(reach) + log(tokens) + LOST[dtype]
