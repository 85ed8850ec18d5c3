"""Attention sublayers where the stream holds positions, and queries have biases: relations by squares of distances.

head                 query                       key                              reads, of the tokens it sees
copy                 2 G P t, −G P²              p/P, (p/P)²                      the one at position t
last K               1; G P                      −2³⁶ off K; p/P                  the one farthest on
mean over K          1                           −400 off K, −200 at the rest     all K alike; none: the rest token
   … of a suffix     −400 before place s         1 at place s                     K that stand after the context
score (± pairs)      ±ε q/R; L + log n           k; 1 at the rest; −400 off K     K by e^(±ε q·k/R)
softmax              q; −2 B − 64; 1             k; 1 at the rest; −4 B − 1024    K by e^(q·k), |q·k| ≤ B; none: the
                                                 off K                            rest token
own, divided         digits of p, ½ − n          digits of p, 1                   itself, by any divisor
switch               2 A P t, −A P²; −A t²; x    p/P, (p/P)²; 1, 0 at the rest    itself where x > 0, else the rest
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..architectures.learned_positions import End
from .heads import OFF, AttentionPattern, Column, Heads, Made, Score, Switch
from .residual_stream import Stream, stack

LEARNED_GAP = 1024.0


@dataclass
class LearnedHeads(Heads):
    """Collects the heads of one sublayer."""

    causal: bool = True
    """Whether the rest token, which is the first, sees itself alone."""

    def _weighted(self, pattern: AttentionPattern | Score | Switch, made: Made) -> Made:
        return made

    def _scores(self, pattern: AttentionPattern | Score | Switch, d_head: int) -> tuple[Matrix, Floats, Matrix]:
        if isinstance(pattern, Score):
            query, bias, key = self._scored(pattern)
        elif isinstance(pattern, Switch):
            query, bias, key = self._switched(pattern)
        else:
            query, bias, key = self._divided_own() if self.divided else self._plain(pattern)
        away = [r for r, kind in enumerate(self.role_kinds) if kind is not None and kind not in pattern.kinds]
        target = pattern.target if isinstance(pattern, AttentionPattern) else None
        if not self.causal and (target is None or isinstance(target, End)):
            away.append(0)  # the rest token, which now sees others, must hold nothing of them
        if away:
            roles = self.stream.roles
            send = dict.fromkeys((int(roles[r]) for r in away), self._sent(pattern))
            query = stack([query, columns([send], self.stream)], self.stream.width)
            key = stack([key, columns([{int(roles[0]): 1.0}], self.stream)], self.stream.width)
            bias = np.append(bias, 0.0)
        root = np.sqrt(d_head)
        return self.stream.balanced_read(query * root), bias * root, self.stream.balanced_read(key)

    def _plain(self, pattern: AttentionPattern) -> tuple[Matrix, Floats, Matrix]:
        s, roles = self.stream, self.stream.roles
        target = pattern.target
        masked = {} if target is not None and target.anyone else self._masked(pattern.sources)
        if target is None:
            return self._among(pattern.sources, {int(roles[0]): -200.0})
        if isinstance(target, End):
            return self._last(pattern.sources)
        scale = float(scale_of(self.positions))
        want = {int(roles[r]): 2.0 * LEARNED_GAP * scale * float(o) for r, o in enumerate(target.offsets) if o}
        place = s.position if target.slope else s.table + pattern.table
        want[place] = want.get(place, 0.0) + 2.0 * LEARNED_GAP * scale * scale
        queries, keys = [want, {}], [{s.position: 1.0}, {s.position + 1: 1.0}]
        bias = [0.0, -LEARNED_GAP * scale * scale]
        if masked:
            queries.append({})
            keys.append(masked)
            bias.append(self.sizes.sent)
        return columns(queries, s), np.array(bias), columns(keys, s)

    def _last(self, sources: Kinds) -> tuple[Matrix, Floats, Matrix]:
        """The position itself, in steps of LEARNED_GAP, at sources; 0 at the rest token, and far below at others."""
        query, bias, key = self._among(sources, {}, self.sizes.sent)
        place = columns([{self.stream.position: 1.0}], self.stream)
        steps = np.append(bias, LEARNED_GAP * scale_of(self.positions))
        nothing = Matrix.zero(self.stream.width, 1)
        return stack([query, nothing], self.stream.width), steps, stack([key, place], self.stream.width)

    def _masked(self, sources: Kinds) -> Column:
        """−1 at tokens of other kinds than these."""
        kinds = enumerate(self.role_kinds)
        return {int(self.stream.roles[r]): -1.0 for r, k in kinds if k is not None and k not in sources}

    def _among(self, sources: Kinds, rest: Column, off: float = OFF) -> tuple[Matrix, Floats, Matrix]:
        """0 for what is read, of these kinds and not hidden; −`off` for others; `rest` on top."""
        roles = self.stream.roles
        key = {slot: off * v for slot, v in self._masked(sources).items()} | rest
        late = [place for place in self.hidden if self.role_kinds[place] in sources]
        queries: list[Column] = [{}, *({int(slot): -off for slot in roles[1:place]} for place in late)]
        keys = [key, *({int(roles[place]): 1.0} for place in late)]
        return columns(queries, self.stream), np.eye(1, 1 + len(late))[0], columns(keys, self.stream)

    def _scored(self, score: Score) -> tuple[Matrix, Floats, Matrix]:
        s = self.stream
        sink = dict.fromkeys((int(slot) for slot in s.roles), score.sink)
        if score.log_count >= 0:
            sink[score.log_count] = 1.0
        query, bias, key = self._among(score.sources, {}, score.off)
        queries = [score.query, columns([sink], s), query]
        keys = [score.key, columns([{int(s.roles[0]): 1.0}], s), key]
        return stack(queries, s.width), np.concatenate([np.zeros(score.query.shape[1] + 1), bias]), stack(keys, s.width)

    def _switched(self, switch: Switch) -> tuple[Matrix, Floats, Matrix]:
        """−A (t − p)² + the switch at data tokens, 0 at the rest token. Sums before the switch are exact, so that it
        stands last."""
        s, square = self.stream, switch.apart * scale_of(self.positions) ** 2
        others = [int(slot) for slot in s.roles[1:]]
        data = dict.fromkeys(others, 1.0)
        queries: list[Column] = [{s.position: 2.0 * square}, {}, {s.position + 1: -square}]
        keys: list[Column] = [{s.position: 1.0}, {s.position + 1: 1.0}, data, data]
        query = stack([columns(queries, s), switch.query], s.width)
        return query, np.array([0.0, -square, 0.0, 0.0]), columns(keys, s)

    @property
    def _gain(self) -> float:
        """Of the digits, where the stream is divided: a logit is this over two divisors."""
        assert self.divided is not None
        return 64.0 * max(abs(end) for end in self.divided) ** 2

    def _sent(self, pattern: AttentionPattern | Score | Switch) -> float:
        """Where the stream is divided it has to outweigh all digits that differ, and what rounding leaves of its own,
        which is larger the less the token holds beside the rest token."""
        sent = super()._sent(pattern)
        if self.divided is None or not isinstance(pattern, AttentionPattern):
            return sent
        return max(sent, 256.0 * self.stream.digits * self._gain)

    def _divided_own(self) -> tuple[Matrix, Floats, Matrix]:
        """Σ digitsᵢ digitsⱼ − n + ½ = ½ − 2 (digits that differ), scaled by 1/(sᵢ sⱼ): above 0 for myself, below it for
        all others, by more than what rounding leaves of n, whose scale differs from token to token."""
        s, gain = self.stream, self._gain
        everyone = {int(slot): 1.0 for slot in s.roles}
        digits = range(s.digit, s.digit + s.digits)
        queries = [*({slot: gain} for slot in digits), dict.fromkeys(everyone, gain * (0.5 - s.digits))]
        keys = [*({slot: 1.0} for slot in digits), everyone]
        return columns(queries, s), np.zeros(s.digits + 1), columns(keys, s)


def scale_of(positions: int) -> float:
    """P: the power of two that positions are divided by in the stream."""
    return float(2 ** int(np.ceil(np.log2(max(positions, 2)))))


def columns(columns: list[Column], stream: Stream) -> Matrix:
    """[width, columns], each given by its entries, in the units of their slots."""
    rows = [slot for entries in columns for slot in entries]
    cols = [k for k, entries in enumerate(columns) for _ in entries]
    values = [v / stream.unit[slot] for entries in columns for slot, v in entries.items()]
    return Matrix.of(rows, cols, values, (stream.width, len(columns)))
