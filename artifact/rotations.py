"""Rotary positions (Su et al. 2021, RoFormer, eq. 34) in the bits of Hugging Face's Llama.

    before   a query or key (a, b) on the pair of dimensions (i, i + d_head/2), at position p
    after    (a cos pfᵢ − b sin pfᵢ, b cos pfᵢ + a sin pfᵢ),   fᵢ = θ^(−2i/d_head)

Frequencies, angles, cosines and sines are float32 in every precision of the weights, as there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rotations(
    d_head: int, theta: float, tokens: int, fraction: float = 1.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """cos pfᵢ and sin pfᵢ, each [tokens, d_head / 2], for the positions p from 0. Of pairs beyond `fraction`, which do
    not turn, 1 and 0.

    Each step rounds its exact value to float32: the power, its reciprocal, the angle, the cosine."""
    turning = turning_of(d_head, fraction)
    exponents = (np.arange(0, turning, 2) / max(turning, 1)).astype(np.float32).astype(np.float64)
    powers = (np.float64(np.float32(theta)) ** exponents).astype(np.float32)
    frequency = np.append(np.float32(1.0) / powers, np.zeros((d_head - turning) // 2, np.float32))
    angles = np.arange(tokens, dtype=np.float32)[:, None] * frequency
    return np.cos(angles, dtype=np.float64).astype(np.float32), np.sin(angles, dtype=np.float64).astype(np.float32)


def turning_of(d_head: int, fraction: float) -> int:
    """The dimensions of a head that turn, as GPT-NeoX counts them."""
    return int(d_head * fraction)
