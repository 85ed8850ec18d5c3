"""Norms: what kind of stream each asks for, and how large the constants are that make it the identity, or a division.

norm          stream          constants     before every sublayer
layernorm     LayerNorm       pairs ±C      yes
dividing      LayerNorm       pairs ±N      no: where a division uses it
rmsnorm       RMSNorm         C             yes
none          LayerNorm       none          no
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.words import NormKind

from .layer_norm_stream import LayerNormStream
from .residual_stream import Constants, Stream, four_squares
from .rms_stream import RmsStream

Divisor = tuple[float, float]
"""The smallest and the largest magnitude of all divisors."""

NORM_BITS = {"float32": 12.5, "float64": 27.0}
"""So far the constants are above the root of all other squares, in the mean (LayerNorm); the smallest of them above the
root of the sum (RMSNorm)."""
CONSTANT_BITS = {"float32": 12.0, "float64": 26.5}
"""So far the constants are above the largest divisor on its slots, which stands beside them in the MLP sublayer after
a division: the norm is then off by half the square of their ratio, which must be no more than half an ulp."""


class NormScheme(ABC):
    """`divide_bits`: so far a divisor on its slots is above the root of all other squares, in the mean; `largest`: of
    the norm's constants, whose squares are summed."""

    stream: ClassVar[type[Stream]]
    divide_bits: ClassVar[Mapping[str, float]]
    largest: ClassVar[Mapping[str, float]]

    @abstractmethod
    def begun(self, width: int, divides: bool) -> Constants:
        """The constants that there are, each as 1: how large they are depends on the stream."""

    @abstractmethod
    def constants(self, stream: Stream, bound: Floats, divisor: Divisor | None, dtype: Dtype) -> Constants | None:
        """C from what else the stream can hold, at most `bound` [width]; with divisions K from that, and C from K.
        None where they are beyond `largest`."""


@dataclass(frozen=True)
class LayerNormScheme(NormScheme):
    everywhere: bool
    """Whether the norm stands before every sublayer, and not only where a division uses it."""
    stream = LayerNormStream
    divide_bits: ClassVar = {"float32": 11.0, "float64": 22.0}
    largest: ClassVar = {"float32": 2.0**56, "float64": 2.0**480}

    def begun(self, width: int, divides: bool) -> Constants:
        return Constants(four_squares(width // 2) if width > 1 else (), float(self.everywhere), float(divides))

    def constants(self, stream: Stream, bound: Floats, divisor: Divisor | None, dtype: Dtype) -> Constants | None:
        rest = float(np.sqrt(np.sum(bound**2) / stream.width))
        scale, divide = power(rest, NORM_BITS[dtype]), 0.0
        if divisor is not None:
            least, most = divisor
            divide = power(rest / least, self.divide_bits[dtype])
            scale = max(scale, power(divide * most, CONSTANT_BITS[dtype]))
        if max(scale, divide) > self.largest[dtype]:
            return None
        return Constants(stream.constants.weights, scale if self.everywhere else 0.0, divide)


@dataclass(frozen=True)
class RmsNormScheme(NormScheme):
    stream = RmsStream
    divide_bits: ClassVar = {"float32": 11.5, "float64": 26.0}
    largest: ClassVar = {"float32": 2.0**63, "float64": 2.0**511}

    def begun(self, width: int, divides: bool) -> Constants:
        return Constants(four_squares(width), 1.0, float(divides))

    def constants(self, stream: Stream, bound: Floats, divisor: Divisor | None, dtype: Dtype) -> Constants | None:
        rest, divide, root = float(np.sqrt(np.sum(bound**2))), 0.0, float(np.sqrt(stream.width))
        if divisor is not None:
            least, most = divisor
            divide = power(rest / root / least, self.divide_bits[dtype])
            rest = max(rest, divide * most * root)
        weights = stream.constants.weights
        scale = power(rest / min(weights), NORM_BITS[dtype])
        return Constants(weights, scale, divide) if scale * root <= self.largest[dtype] else None


NORMS: Mapping[NormKind, NormScheme] = {
    "layernorm": LayerNormScheme(everywhere=True),
    "dividing": LayerNormScheme(everywhere=False),
    "rmsnorm": RmsNormScheme(),
    "none": LayerNormScheme(everywhere=False),
}


def power(size: float, bits: float) -> float:
    """The power of two next above size · 2^bits."""
    return float(2.0 ** np.ceil(np.log2(max(size, 2.0**-20)) + bits))
