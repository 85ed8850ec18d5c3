"""Attention sublayers without a position in the stream, biases or none: relations by rotary phases and role flags.

    head             query, on readers' flags       key, on flags                      reads
    copy             Aᵢ e^(i fᵢ o); 1               1 in pair i, −Σ A at sources;      the source o tokens away, else
                                                    −G/2 at the rest, −2 G else        the rest token
    first, latest    ∓i A in a slow pair; 1         1 at sources; low at the rest,     the source farthest away,
                                                    lower elsewhere                    the nearest
    mean over K      1                              −400 off K, −200 at the rest       all K alike
    sum over K       1                              −400 off K, +L at the rest         K by e^−L each: the rest token's
                                                                                       share rounds to 1
    score, softmax   q; 1                           k; as in learned_heads.py          K by e^(q·k)
    own, divided     Aᵢ; 1, scaled by 1/s           1, −Σ A at who divides; low else   itself, by any divisor
    switch           x; Aᵢ; 1                       1; 1; −Σ A, all 0 at the rest      itself where x > 0, else the rest

G is `ROTARY_GAP`. Flags stand in pairs that do not turn (rotary_frequencies.py). A role's flag is 1 for one role of
every token, so that the sum of flags is the constant 1. Roles that do not read, the rest token too, meet the rest
token's flag: whose values are 0.

After a division the constants of the norm are given back by outputs' biases. Where there are none, they are where they
were not taken away: at the rest token, which never divides. One head fetches them from there to every token, and the
own heads take away what a token holds still: tokens that do not divide see the rest token in both, and so add 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..architectures.learned_positions import End
from ..architectures.rotary_frequencies import ROTARY_GAP, Phases, phases
from ..architectures.targets import ROTARY, Rotary
from .heads import OFF, AttentionPattern, Column, Heads, Made, Score, Switch
from .residual_stream import Stream

SUM_BITS = {"float32": 25, "float64": 54, "bfloat16": 9, "float16": 12}
"""A sum's tokens have weights e^−L, all of them together less than half an ulp of the rest token's 1."""
BEYOND_NOISE = 2.0**20
"""Beyond any noise of logits."""
RESTORES = "puts the norm's constants back after the division"
NOISE = 2e-6
"""ε: more than the share of Σ Aᵢ that rounding may take from the logit of the token that is wanted."""


def out_of_reach(offset: float, positions: int) -> bool:
    """Whether a token so far away lies before the beginning for every reader."""
    return offset <= -positions


@dataclass
class _Scores:
    """Queries and keys by dimension of a head; flags take the pairs that stand still, the stillest first."""

    phases: Phases
    query: list[tuple[int, int, float]] = field(default_factory=list)
    """(slot, dimension, weight)"""
    key: list[tuple[int, int, float]] = field(default_factory=list)
    used: int = 0

    def flat(self, query: Column, key: Column) -> None:
        """One more dimension that stands still."""
        at = int(self.phases.still[self.used])
        self.used += 1
        self.query += [(slot, at, v) for slot, v in query.items()]
        self.key += [(slot, at, v) for slot, v in key.items()]

    def turning(self, pair: int, query: dict[int, complex], key: Column) -> None:
        """A pair that turns: the query's angle e^(iα) meets the key at distance Δ in Re e^(i(α + fΔ))."""
        half = self.phases.frequency.size
        self.query += [(slot, pair, v.real) for slot, v in query.items()]
        self.query += [(slot, pair + half, v.imag) for slot, v in query.items()]
        self.key += [(slot, pair, v) for slot, v in key.items()]

    def matrices(self, stream: Stream) -> tuple[Matrix, Matrix]:
        """[width, d_head] each, in the units of the slots."""
        shape, unit = (stream.width, 2 * self.phases.frequency.size), stream.unit
        query, key = (
            Matrix.of([e[0] for e in side], [e[1] for e in side], [e[2] / unit[e[0]] for e in side], shape)
            for side in (self.query, self.key)
        )
        return query, key


@dataclass
class RotaryHeads(Heads):
    """Collects the heads of one sublayer; `dividing`: the kinds of token that its norm divides, if it does."""

    dividing: Kinds | None = None
    rotary: Rotary = ROTARY

    def __post_init__(self) -> None:
        if self.dividing is None or self.biased:
            return
        s = self.stream
        slots = np.flatnonzero(s.norm_pattern)
        read, write = s.pick(slots), s.put(slots, s.constants.scale / s.constants.divide)
        everyone = frozenset(k for k in self.role_kinds if k is not None)
        self.add(AttentionPattern(None, everyone, frozenset()), slots.size, lambda: (read, write), RESTORES)
        taken = AttentionPattern(None, everyone, self.dividing)
        self.add(taken, slots.size, lambda: (read, write * -1.0), RESTORES)

    def _weighted(self, pattern: AttentionPattern | Score | Switch, made: Made) -> Made:
        """Of a sum, whose tokens have weights e^−L."""
        if not (isinstance(pattern, AttentionPattern) and pattern.sums):
            return made
        scale = 1.0 / float(np.exp(-np.asarray(self._sink, dtype=self.dtype)))

        def scaled() -> tuple[Matrix, Matrix]:
            values, write = made()
            return values, write * scale

        return scaled

    @property
    def _sink(self) -> float:
        """L, a number of that precision."""
        return float(np.asarray(SUM_BITS[self.dtype] * np.log(2.0) + np.log(self.positions), dtype=self.dtype))

    def _scores(self, pattern: AttentionPattern | Score | Switch, d_head: int) -> tuple[Matrix, Floats, Matrix]:
        scores = _Scores(phases(d_head, self.positions, self.rotary))
        slots = self.stream.roles.tolist()
        reading = [r for r, kind in enumerate(self.role_kinds) if kind is not None and kind in pattern.kinds]
        query, key = Matrix.zero(self.stream.width, d_head), Matrix.zero(self.stream.width, d_head)
        if isinstance(pattern, Score):
            query, key = self._given(scores, pattern, reading)
        elif isinstance(pattern, Switch):
            query, key = self._own_switched(scores, pattern, reading)
        elif self.dividing is not None:
            if reading:
                self._own_divided(scores, reading)
        elif pattern.target is None:
            rest = self._sink if pattern.sums else -200.0
            self._members(scores, reading, pattern.sources, rest, OFF)
        elif isinstance(pattern.target, End):
            self._end(scores, pattern.target.sign, reading, pattern.sources)
        else:
            offsets = {r: float(pattern.target.offsets[r]) for r in reading}
            reading = [r for r in reading if not out_of_reach(offsets[r], self.positions)]
            if reading:
                self._copy(scores, {r: offsets[r] for r in reading}, pattern.sources)
        away = [r for r in range(len(slots)) if r not in reading]
        if away:
            sent = self._sent(pattern)
            scores.flat({slots[r]: sent * self._undivided(r) for r in away}, {slots[0]: 1.0})
        more, balanced = scores.matrices(self.stream), self.stream.balanced_read
        return balanced((query + more[0]) * float(np.sqrt(d_head))), np.zeros(0), balanced(key + more[1])

    def _undivided(self, role: int) -> float:
        """What makes a logit on the flags of this reader and of the rest token at least 1, whatever the norm does."""
        if self.dividing is None:
            return 1.0
        assert self.divided is not None
        if self.biased:  # who does not divide has no constants, and so is larger than who does (`_own_divided`)
            least, most = (max(1.0, end) for end in self.divided)
            return least * (most if self.role_kinds[role] in self.dividing else least)
        ratio = self.stream.constants.scale / self.stream.constants.divide
        return ratio * (max(1.0, self.divided[1]) if self.role_kinds[role] in self.dividing else ratio)

    def _flags(self, roles: list[int], value: float = 1.0) -> Column:
        return {int(self.stream.roles[r]): value for r in roles}

    def _keys(self, sources: Kinds, source: float, rest: float, other: float) -> Column:
        """These values at tokens of `sources`, at the rest token, and at others."""
        of = [rest] + [source if kind in sources else other for kind in self.role_kinds[1:]]
        return {int(slot): v for slot, v in zip(self.stream.roles, of, strict=True) if v}

    def _copy(self, scores: _Scores, offsets: dict[int, float], sources: Kinds) -> None:
        p = scores.phases
        ones = self._keys(sources, 1.0, 0.0, 0.0)
        for pair, weight in enumerate(p.weights.tolist()):
            if weight:
                angle = {r: weight * np.exp(1j * p.frequency[pair] * o) for r, o in offsets.items()}
                scores.turning(pair, {int(self.stream.roles[r]): complex(v) for r, v in angle.items()}, ones)
        scores.flat(self._flags(list(offsets)), self._keys(sources, -p.total, -ROTARY_GAP / 2, -2.0 * ROTARY_GAP))

    def _end(self, scores: _Scores, sign: float, reading: list[int], sources: Kinds) -> None:
        p = scores.phases
        query = {int(self.stream.roles[r]): -1j * sign * p.amplitude for r in reading}
        scores.turning(p.slow, query, self._keys(sources, 1.0, 0.0, 0.0))
        low = p.amplitude + ROTARY_GAP
        self._members(scores, reading, sources, -low, 2.0 * low)

    def _members(self, scores: _Scores, reading: list[int], sources: Kinds, rest: float, off: float) -> None:
        """0 for what is read, of these kinds and not hidden; `rest` for the rest token, and −`off` for others."""
        scores.flat(self._flags(reading), self._keys(sources, 0.0, rest, -off))
        for place in self.hidden:
            if self.role_kinds[place] in sources:
                scores.flat(self._flags([r for r in reading if r < place]), self._flags([place], -off))

    def _given(self, scores: _Scores, score: Score, reading: list[int]) -> tuple[Matrix, Matrix]:
        """The query and key as given, in the stillest dimensions, and flags after them."""
        count, d_head = score.query.shape[1], 2 * scores.phases.frequency.size
        scores.used = count
        self._members(scores, reading, score.sources, score.sink, score.off)
        spread = Matrix.of(np.arange(count), scores.phases.still[:count], 1.0, (count, d_head))
        return score.query @ spread, score.key @ spread

    def _own_switched(self, scores: _Scores, switch: Switch, reading: list[int]) -> tuple[Matrix, Matrix]:
        """The switch at data tokens, in the stillest dimension, with which myself is level; the rest token is at 0."""
        p, scale = scores.phases, switch.apart / ROTARY_GAP
        data = self._flags(list(range(1, len(self.role_kinds))))
        still = Matrix.of([0], p.still[:1], 1.0, (1, 2 * p.frequency.size))
        scores.used = 1
        for pair, weight in enumerate(p.weights.tolist()):
            if weight:
                scores.turning(pair, {slot: complex(scale * weight) for slot in self._flags(reading)}, data)
        scores.flat(self._flags(reading, scale), dict.fromkeys(data, -p.total))
        ones = Matrix.of(list(data), [0] * len(data), 1.0 / self.stream.flag, (self.stream.width, 1))
        return switch.query @ still, ones @ still

    def _own_divided(self, scores: _Scores, reading: list[int]) -> None:
        """Σ Aᵢ (cos fᵢΔ − 1 + ε), scaled by 1/(sᵢ sⱼ): positive for myself, beyond all rounding, and negative for who
        divides too, by how much so ever; lower for who does not. Where biases take the constants away, they do so at
        all tokens, and who does not divide is divided by less than the smallest divisor: what is subtracted from its
        logit is multiplied by 2¹¹ and more as it is. The weight that else outweighs the constants would overflow."""
        assert self.divided is not None
        assert self.dividing is not None
        least, most = self.divided
        p, c = scores.phases, self.stream.constants
        for pair, weight in enumerate(p.weights.tolist()):
            if weight:
                query = {int(self.stream.roles[r]): complex(weight * most**2) for r in reading}
                scores.turning(pair, query, self._keys(self.dividing, 1.0, 0.0, 0.0))
        low = -p.total if self.biased else -BEYOND_NOISE * c.scale / c.divide * max(1.0 / most, 1.0 / least)
        scores.flat(self._flags(reading, most**2), self._keys(self.dividing, -p.total * (1.0 - NOISE), low, low))
