"""Sublayers taken out of the tensors that were read, each by its name and shape.

before   tensors by name
after    sublayers; what is left over belongs nowhere
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..parts import TAPS, Attention, DeltaAttention, LinearAttention, Mlp, Norm
from ..sparse import Matrix
from .compact import Tensors, take_array, take_matrix


@dataclass(frozen=True)
class Take:
    """Takes tensors out of what was read, by name and shape."""

    tensors: Tensors

    def vector(self, name: str, *shape: int) -> NDArray[np.float64]:
        return take_array(self.tensors, name, shape)

    def matrix(self, name: str, rows: int, columns: int) -> Matrix:
        return take_matrix(self.tensors, name, (rows, columns))

    def norm(self, name: str, width: int, there: bool) -> Norm | None:
        return Norm(self.vector(f"{name}.gain", width), self.vector(f"{name}.bias", width)) if there else None

    def attention(self, name: str, width: int, inside: int, shared: int, norm: bool) -> Attention:
        """`shared`: the dimensions of keys and values."""
        sides: dict[str, Any] = {"output": self.matrix(f"{name}.output", inside, width)}
        sides["output_bias"] = self.vector(f"{name}.output_bias", width)
        for side, size in (("query", inside), ("key", shared), ("value", shared)):
            sides[side] = self.matrix(f"{name}.{side}", width, size)
            sides[f"{side}_bias"] = self.vector(f"{name}.{side}_bias", size)
        return Attention(norm=self.norm(f"{name}.norm", width, norm), **sides)

    def linear_attention(self, name: str, width: int, inside: int, shared: int, heads: int) -> LinearAttention:
        sizes = {"query": inside, "key": shared, "value": shared}
        query, key, value = (self.matrix(f"{name}.{side}", width, size) for side, size in sizes.items())
        output = self.matrix(f"{name}.output", inside, width)
        return LinearAttention(query, key, value, output, self.matrix(f"{name}.count", width, heads))

    def delta_attention(self, name: str, width: int, heads: int, d_head: int) -> DeltaAttention:
        inside = heads * d_head
        sides = {side: self.matrix(f"{name}.{side}", width, inside) for side in ("query", "key", "value")}
        gates = {gate: self.matrix(f"{name}.{gate}", width, heads) for gate in ("rate", "forget")}
        return DeltaAttention(
            **sides,
            **gates,
            key_taps=self.vector(f"{name}.key_taps", TAPS, inside),
            value_taps=self.vector(f"{name}.value_taps", TAPS, inside),
            output=self.matrix(f"{name}.output", inside, width),
            divisor=self.vector(f"{name}.divisor", heads, 2),
            start=self.matrix(f"{name}.start", inside, d_head),
        )

    def mlp(self, name: str, width: int, neurons: int, norm: bool, gated: bool) -> Mlp:
        up, up_bias = self.matrix(f"{name}.up", width, neurons), self.vector(f"{name}.up_bias", neurons)
        down, down_bias = self.matrix(f"{name}.down", neurons, width), self.vector(f"{name}.down_bias", width)
        gate = self.matrix(f"{name}.gate", width, neurons) if gated else None
        return Mlp(self.norm(f"{name}.norm", width, norm), up, up_bias, down, down_bias, gate)
