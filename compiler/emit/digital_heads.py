"""Attention sublayers where the stream holds the digits of positions: who is read is a token whose digits are these.

head      query                              key              reads, of the tokens it sees
copy      G digits of the position wanted    digits of p      the one at that position: G n there, where n digits are
                                                              alike, and 2 G less for each that differs
others    as in learned_heads.py

±1 is exact in every precision, and so are sums of n of them; squares of positions need twice the digits that p has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.sparse import Matrix

from .heads import AttentionPattern, Score, Switch
from .learned_heads import LearnedHeads, columns

GAIN = 64.0
"""G: the token wanted is 128 above all others."""


@dataclass
class DigitalHeads(LearnedHeads):
    """Collects the heads of one sublayer."""

    def _plain(self, pattern: AttentionPattern) -> tuple[Matrix, Floats, Matrix]:
        s, target = self.stream, pattern.target
        if target is None:
            return super()._plain(pattern)
        first = s.digit if target.slope else s.table + pattern.table * s.digits
        wanted = columns([{first + k: GAIN} for k in range(s.digits)], s)
        return wanted, np.zeros(s.digits), columns([{s.digit + k: 1.0} for k in range(s.digits)], s)

    def _sent(self, pattern: AttentionPattern | Score | Switch) -> float:
        """Beyond what digits that are alike make of any token, whoever reads."""
        return max(super()._sent(pattern), 4.0 * GAIN * self.stream.digits)
