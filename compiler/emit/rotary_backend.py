"""The frame of an architecture with RMSNorm, rotary positions, gates and no biases: Llama's.

before   a schedule and its slots
after    the streams of each width that hold them, and the phases or flags that find the token of each copy
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from innerloop.artifact.arithmetic import UNIT
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Floats
from innerloop.compiler.architectures.learned_positions import CopyRule
from innerloop.compiler.architectures.relation import Relation
from innerloop.compiler.architectures.rotary_frequencies import THETA, phases
from innerloop.compiler.architectures.rotary_positions import rotary_copy_rule

from .backend import Backend, power
from .gated_neurons import GatedNeurons
from .residual_stream import Constants, Stream, four_squares
from .rms_stream import RmsStream
from .rotary_heads import RotaryHeads

BITS = {"float32": 12.5, "float64": 27.0}
"""So far the smallest of the norm's constants is above the root of all other squares."""
DIVIDE_BITS = {"float32": 11.5, "float64": 26.0}
"""So far a divisor on its slots is above the root of all other squares, in the mean."""
LARGEST = {"float32": 2.0**63, "float64": 2.0**511}
"""Of the norm's constants together, whose squares are summed."""
SIZES = (16, 64, 256)
"""Of heads: with a power of four 1/√d_head is a power of two, and logits that are sums stay exact."""
LARGE = 1024
"""Of heads whose scores have no room in smaller ones."""


@dataclass
class RotaryBackend(Backend):
    rope_theta: ClassVar[float] = THETA

    def rule(self, relation: Relation, kinds: Kinds) -> CopyRule | None:
        """By a distance that the role decides; or the first or the latest of its kind."""
        return rotary_copy_rule(self.signature.pattern, relation, kinds, self.n_positions)

    def heads(self, stream: Stream, dividing: Kinds | None = None) -> RotaryHeads:
        divisor = self.divisor if dividing is not None else None
        return RotaryHeads(
            stream, self.role_kinds, self.n_positions, divisor, self.hidden, dividing=dividing, dtype=self.dtype
        )

    def neurons(self, stream: Stream, bound: Floats) -> GatedNeurons:
        return GatedNeurons(stream, bound, self.role_kinds, self.dtype)

    def head_sizes(self, query: int) -> tuple[int, ...]:
        """The two smallest whose pairs that stand still hold a query of so many dimensions, and the flags; what is
        scored in pairs that turn by nothing in this precision, if there are so many."""
        flags = 2 + len(self.hidden)
        fit = [p for p in (phases(s, self.n_positions) for s in (*SIZES, LARGE)) if p.still.size >= max(query, flags)]
        exact = [p for p in fit if p.exact(self.n_positions, UNIT[self.dtype]) >= query - flags - 1]
        return tuple(2 * p.frequency.size for p in exact or fit)[:2]

    def stream(self, d_head: int, n_head: int) -> Stream | None:
        width = d_head * n_head
        constants = Constants(four_squares(width), 1.0, float(self.divisor is not None))
        sizes = tuple(a.size for a in self.schedule.instructions.atoms)
        stream = RmsStream(width, constants, 0, 0, self.allocation, sizes, positioned=False)
        if stream.first + self.allocation.used > width:
            return None
        return replace(stream, constants=self._constants(stream))

    def _constants(self, stream: Stream) -> Constants:
        """C from what else the stream can hold; with divisions K from that, and C from K."""
        bound = self.bound(stream)
        weights, bits = stream.constants.weights, BITS[self.dtype]
        rest, divide = float(np.sqrt(np.sum(bound**2))), 0.0
        if self.divisor is not None:
            least, most = self.divisor
            divide = power(rest / np.sqrt(stream.width) / least, DIVIDE_BITS[self.dtype])
            rest = max(rest, divide * most * float(np.sqrt(stream.width)))
        scale = power(rest / min(weights), bits)
        if scale * float(np.sqrt(stream.width)) > LARGEST[self.dtype]:
            raise self._too_wide(float(bound.max()))
        return Constants(weights, scale, divide)
