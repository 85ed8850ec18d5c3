"""Probes of what is spread over tokens: lines from the products of slots within each.

    stream [tasks, tokens, d_model]   →   Σ_t h_t h_tᵀ / tokens, Σ_t h_t / tokens   →   a linear readout, solved

The dual form of least squares keeps w = Σⱼ rⱼ xⱼ as an rⱼ at each token that holds xⱼ. It is linear in these products,
and in no average of the stream: a probe that averages before it multiplies sees Σ r and Σ x.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .distance import Floats
from .probes import Probe, fits
from .trained_probes import Reading


def products(stream: NDArray[np.floating]) -> Floats:
    """The products of every two slots of a token, and the slots, averaged over tokens: [tasks, tokens, width] → [tasks,
    width (width + 3) / 2]."""
    first, second = np.triu_indices(stream.shape[-1])
    pairs = np.einsum("bti,btj->bij", stream, stream, optimize=True) / stream.shape[1]
    return np.concatenate([pairs[:, first, second], stream.mean(1)], 1)


def read_products(stream: NDArray[np.floating], several: Sequence[Floats]) -> list[Reading]:
    """A probe for each of several values [tasks, k]."""
    h = stream.astype(np.float64)
    mean, deviation = h.mean((0, 1)), h.std((0, 1))
    deviation = np.where(deviation > 0, deviation, 1.0)

    def given(other: NDArray[np.floating]) -> Floats:
        return products((other.astype(np.float64) - mean) / deviation)

    def probe(line: Probe) -> Reading:
        return lambda other: line(given(other))

    return [probe(line) for line in fits(given(stream), several)]
