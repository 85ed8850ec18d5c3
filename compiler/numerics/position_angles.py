"""Positions as angles: what a softmax weighs two tokens side by side with, and all others by nothing.

    angle i of the token at p     2π p / 8^(i+1)            the stream holds its cosine and its sine
    logit, Δ tokens back          Σᵢ Aᵢ (cos ωᵢδ − cos ½ωᵢ) − a sin ω₀δ + ½ log 2        δ = Δ − back − ½
    weight at δ = −½, ½           2, 1                      the odd term alone tells them apart: 2a sin ½ω₀ = log 2
    weight elsewhere              e^−16 at most

Of whole numbers and a half cos ωδ is largest at ±½, so that no term is above 0, and wherever δ is not ±½ there is one
that has fallen: of the first i at which δ is not ±½ modulo 8^(i+1) it is 8^i − ½ tokens at least from a multiple of
that (1½ where i is 0). Its Aᵢ makes this −`FALL`, and the odd term adds less than 2. Distances are told apart up to
the longest period. Σ Aᵢ is about 250: logits of such a size lose 1e-5 to rounding, and in 16 bits all they say.
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.arrays import Floats, Indices

BASE = 8
FALL = 18.0
ODD = np.log(2.0) / 2.0


def angles_for(distance: int) -> int:
    """How many angles tell distances of up to so many tokens apart."""
    count = 1
    while BASE**count < distance + 2:
        count += 1
    return count


def angles(positions: Indices, count: int) -> Floats:
    """Their cosines, and after them their sines: [positions, 2 count]."""
    turned = positions[:, None] * _frequencies(count)
    return np.concatenate([np.cos(turned), np.sin(turned)], axis=1)


def beside(back: int, count: int) -> tuple[Floats, float]:
    """The matrix [2 count, 2 count] and the constant c such that (matrix @ mine) · theirs + c is the logit of a token:
    log 2 at the one `back` before me, 0 at the one before that, and below −16 up to the longest period."""
    frequency = _frequencies(count)
    near = np.array([BASE**i - 0.5 for i in range(count)])
    near[0] = 1.5
    height = FALL / (np.cos(0.5 * frequency) - np.cos(near * frequency))
    odd = np.zeros(count)
    odd[0] = ODD / np.sin(0.5 * frequency[0])
    cosine, sine = np.cos(frequency * (back + 0.5)), np.sin(frequency * (back + 0.5))
    # mine − (back + ½), turned: cos = c·cosine + s·sine, sin = s·cosine − c·sine; theirs is met by its cosine and sine
    upper = np.hstack([np.diag(height * cosine + odd * sine), np.diag(height * sine - odd * cosine)])
    lower = np.hstack([np.diag(odd * cosine - height * sine), np.diag(height * cosine + odd * sine)])
    return np.vstack([upper, lower]), float(ODD - np.sum(height * np.cos(0.5 * frequency)))


def _frequencies(count: int) -> Floats:
    return np.asarray(2.0 * np.pi / float(BASE) ** np.arange(1, count + 1), dtype=np.float64)
