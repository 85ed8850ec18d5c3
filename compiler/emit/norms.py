"""Norms: what kind of stream each asks for, and how large the constants are that make it the identity, or a division.

norm          stream          constants     before every sublayer
layernorm     LayerNorm       pairs ±C      yes
dividing      LayerNorm       pairs ±N      no: where a division uses it
rmsnorm       RMSNorm         C             yes
none          LayerNorm       none          no
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.words import NormKind

from ..numerics.sizes import NormSizes, Sizes
from .layer_norm_stream import LayerNormStream
from .residual_stream import Constants, Stream, four_squares
from .rms_stream import RmsStream

EVEN = (2, 4)
"""Weights of constants that are all alike: of 2 they are a quarter of all slots."""
Divisor = tuple[float, float]
"""The smallest and the largest magnitude of all divisors."""


class NormScheme(ABC):
    stream: ClassVar[type[Stream]]

    @abstractmethod
    def own(self, sizes: Sizes) -> NormSizes:
        """How far the constants, and divisors on their slots, are above all else."""

    @abstractmethod
    def begun(self, width: int, divides: bool, even: bool) -> Iterator[Constants]:
        """The constants that there may be, the best first, each as 1: how large they are depends on the stream. `even`:
        on many slots rather than few."""

    @abstractmethod
    def constants(self, stream: Stream, bound: Floats, divisor: Divisor | None, sizes: NormSizes) -> Constants | None:
        """C from what else the stream can hold, at most `bound` [width]; with divisions K from that, and C from K.
        None where they are larger than the precision holds."""


@dataclass(frozen=True)
class LayerNormScheme(NormScheme):
    everywhere: bool
    """Whether the norm stands before every sublayer, and not only where a division uses it."""
    stream = LayerNormStream

    def own(self, sizes: Sizes) -> NormSizes:
        return sizes.layer

    def begun(self, width: int, divides: bool, even: bool) -> Iterator[Constants]:
        yield Constants(four_squares(width // 2) if width > 1 else (), float(self.everywhere), float(divides))

    def constants(self, stream: Stream, bound: Floats, divisor: Divisor | None, sizes: NormSizes) -> Constants | None:
        rest = float(np.sqrt(np.sum(bound**2) / stream.width))
        weights, divide = stream.constants.weights, 0.0
        scale = sizes.held(power(rest, sizes.bits), weights)
        if divisor is not None:
            least, most = divisor
            divide = power(rest / least, sizes.divide)
            scale = max(scale, power(divide * most, sizes.constant))
        if max(scale, divide) > sizes.largest or scale < rest * 2.0**sizes.least:
            return None
        return Constants(weights, scale if self.everywhere else 0.0, divide)


@dataclass(frozen=True)
class RmsNormScheme(NormScheme):
    stream = RmsStream

    def own(self, sizes: Sizes) -> NormSizes:
        return sizes.rms

    def begun(self, width: int, divides: bool, even: bool) -> Iterator[Constants]:
        for weight in EVEN if even else ():
            if width % weight**2 == 0:
                yield Constants((weight,) * (width // weight**2), 1.0, float(divides))
        yield Constants(four_squares(width), 1.0, float(divides))

    def constants(self, stream: Stream, bound: Floats, divisor: Divisor | None, sizes: NormSizes) -> Constants | None:
        rest, divide, root = float(np.sqrt(np.sum(bound**2))), 0.0, float(np.sqrt(stream.width))
        if divisor is not None:
            least, most = divisor
            divide = power(rest / root / least, sizes.divide)
            rest = max(rest, divide * most * root)
        weights = stream.constants.weights
        above = rest / (root if sizes.even else min(weights))
        scale = sizes.held(power(above, sizes.bits), weights)
        fit = rest * 2.0**sizes.least <= scale * root <= sizes.largest
        return Constants(weights, scale, divide) if fit else None


NORMS: Mapping[NormKind, NormScheme] = {
    "layernorm": LayerNormScheme(everywhere=True),
    "dividing": LayerNormScheme(everywhere=False),
    "rmsnorm": RmsNormScheme(),
    "none": LayerNormScheme(everywhere=False),
}


def power(size: float, bits: float) -> float:
    """The power of two next above size · 2^bits."""
    return float(2.0 ** np.ceil(np.log2(max(size, 2.0**-20)) + bits))


def divides_exactly(width: int, dtype: Dtype) -> bool:
    """Whether the width times its reciprocal is 1: of 49 it is not in float64, and of 41 not in float32. Not all that
    runs weights divides: XLA and PyTorch on a GPU multiply by 1/width, and a norm that is to be the identity is not.
    Norms of 16 bits are of float32 inside."""
    number = np.float64(width) if dtype == "float64" else np.float32(width)
    return bool(number * (type(number)(1) / number) == 1)
