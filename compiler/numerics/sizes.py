"""How large what stands beside values is made, by precision: norm constants, logits, gates, closing weights.

                                   float64    float32    bfloat16    float16
    norm, below its constants      27         12.5       12.5, 3.5   5.5, 3.5    bits (RMSNorm, LayerNorm)
    sent to the rest token         2³⁶        2³⁶        128         128         a logit
    gates G                        2⁴⁰        2⁴⁰        16          16          of products, llama
    closed by                      2¹¹        2¹¹        64          64          and what the neuron may read, once more
    open by                        64         64         16          16          of linear maps, llama
    linear maps κ                  2²⁰        2²⁰        1           1           GELUs
    heads                          16 …       16 …       64 …        64 …        dimensions, where positions are rotary

A stream of float32 that may be rotated has a column of its own, `ROTATED`; in one whose slots are to be of like sizes
the norm's constants are as far above the rest as is asked for (`small`).
Two things limit 16 bits. float16 holds 65504 at most, and of that the norm's constants, all logits and what goes down a
neuron. bfloat16 has 8 bits: what is found by a difference of large numbers is found no more, which concerns phases of
heads that are too small, and squares of positions. See docs/design-notes.md, 16 bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from innerloop.artifact.arrays import Dtype
from innerloop.artifact.precisions import LARGEST


@dataclass(frozen=True)
class NormSizes:
    """Of one kind of norm. `bits`: so far the constants are above the root of all other squares, in the mean
    (LayerNorm, and RMSNorm where they are `even`); the smallest of them above the root of the sum (RMSNorm). `divide`:
    so far a divisor on its slots is; `constant`: so far the constants are above the largest divisor on its slots, which
    stands beside them in the MLP sublayer after a division: the norm is then off by half the square of their ratio,
    which must be no more than half an ulp. `largest`: of the norm's constants, whose squares are summed. `slot`: of one
    of them; where that keeps them down, the root of their sum is still `least` bits above that of all else."""

    bits: float
    divide: float
    constant: float
    largest: float
    slot: float = math.inf
    least: float = 0.0
    even: bool = False
    """Whether what is large is spread over as many slots as there is room for: the constants (RMSNorm), or what
    balances the stream (LayerNorm)."""

    def held(self, scale: float, weights: Sequence[int]) -> float:
        """The scale, or what of it the slot of the largest weight can hold, a power of two."""
        if scale * max(weights, default=1) <= self.slot:
            return scale
        return float(2.0 ** math.floor(math.log2(self.slot / max(weights))))


@dataclass(frozen=True)
class Sizes:
    """See the table above; `layer` and `rms` are of the two kinds of norm."""

    layer: NormSizes
    rms: NormSizes
    sent: float = 2.0**36
    gate: float = 2.0**40
    shut: float = 2.0**11
    flag: float = 1.0
    """What stands for 1 in the slots of roles, where the norm takes no mean away."""
    reaches: float = 2.0
    """So many times what a gate may read closes it, `shut` aside."""
    open: float = 64.0
    straight: float = 2.0**20
    rotary_heads: tuple[int, ...] = (16, 64, 256)
    """With a power of four 1/√d_head is a power of two, and logits that are sums stay exact."""
    most: float = math.inf
    """What comes out of a neuron at most."""
    curves: bool = False
    """Whether divisions are made of a fitted curve, and not by the norm, whose constants do not reach so far."""
    coarse: bool = False
    """Whether rounding leaves too little of logits to compare by, to score by, or to tell the first from the next."""
    digital: bool = False
    """Whether positions that are learned are told apart by their digits, and not by their squares."""
    holds: float = math.inf
    """Families of default tasks with larger values are left out."""


_SHORT = Sizes(
    layer=NormSizes(bits=3.5, divide=0.0, constant=0.0, largest=2.0**56),
    rms=NormSizes(bits=12.5, divide=11.5, constant=0.0, largest=2.0**63),
    sent=128.0,
    gate=16.0,
    shut=64.0,
    open=16.0,
    straight=1.0,
    rotary_heads=(64, 256),
    coarse=True,
    digital=True,
)
_SIZES: Mapping[Dtype, Sizes] = {
    "float32": Sizes(
        layer=NormSizes(bits=12.5, divide=11.0, constant=12.0, largest=2.0**56),
        rms=NormSizes(bits=12.5, divide=11.5, constant=0.0, largest=2.0**63),
    ),
    "float64": Sizes(
        layer=NormSizes(bits=27.0, divide=22.0, constant=26.5, largest=2.0**480),
        rms=NormSizes(bits=27.0, divide=26.0, constant=0.0, largest=2.0**511),
    ),
    "bfloat16": _SHORT,
    "float16": replace(
        _SHORT,
        layer=replace(_SHORT.layer, slot=2.0**15, least=2.0),
        rms=replace(_SHORT.rms, bits=5.5, slot=2.0**15, least=4.0),
        most=0.25 * LARGEST["float16"],
        curves=True,
        holds=2.0**10,
    ),
}
ROTATED = replace(
    _SIZES["float32"],
    flag=8.0,
    rms=NormSizes(bits=1.5, divide=0.0, constant=0.0, largest=2.0**63),
    sent=128.0,
    gate=2.0**10,
    shut=64.0,
    reaches=1.0,
    open=32.0,
    rotary_heads=(64, 256),
    coarse=True,
    holds=2.0**7,
)
"""Of float32 where the stream may be rotated: every slot then rounds at the size of the largest."""


SMALLEST = 1.0
"""Bits at least: the root of the constants' squares is twice what that of all others may be."""


def sizes_of(dtype: Dtype, rotation: bool = False, bits: float | None = None) -> Sizes:
    """`rotation`: whether the stream may be rotated (float32 alone); `bits`: so far the norm's constants are above the
    rest, where slots are to be of like sizes."""
    sizes = ROTATED if rotation else _SIZES[dtype]
    return sizes if bits is None else small(sizes, bits)


def small(sizes: Sizes, bits: float) -> Sizes:
    """With the norm's constants so many bits above the rest, on many slots, and data of one scale."""
    layer, rms = replace(sizes.layer, bits=bits, even=True), replace(sizes.rms, bits=bits, even=True)
    return replace(sizes, layer=layer, rms=rms, digital=True, holds=ROTATED.holds)
