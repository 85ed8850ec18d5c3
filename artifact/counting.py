"""How many numbers a transformer has: one count, of compiled weights and of trained ones.

Every entry of the embedding, the table of positions, the stored sublayers (a loop's body once), the norms and the
readout counts, zero or not, as a stock model stores it. An RMSNorm has a gain alone, and its models have no biases and
no table of positions; the readout's bias is no part of any count.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .arrays import Floats
from .parts import Body, Config, Idle, Norm, stored
from .sparse import Matrix

Part = Matrix | Norm | Floats | None


def numbers(
    config: Config, embedding: Matrix, positions: Floats, final_norm: Norm | None, readout: Matrix, body: Body
) -> tuple[int, int]:
    """(all, those that are not 0); of the second, biases and norms do not count."""
    parts: list[Part] = [embedding, positions, final_norm, readout]
    parts += (part for item in stored(body) if not isinstance(item, Idle) for part in vars(item).values())
    kept: Iterable[Part] = parts
    if config.norm == "rmsnorm":
        kept = [part.gain if isinstance(part, Norm) else part for part in parts if not isinstance(part, np.ndarray)]
    full = sum(part.nnz for part in parts if isinstance(part, Matrix)) + int(np.count_nonzero(positions))
    return sum(map(_size, kept)), full


def _size(part: Part) -> int:
    match part:
        case None:
            return 0
        case Norm():
            return part.gain.size + part.bias.size
        case Matrix():
            return part.shape[0] * part.shape[1]
        case _:
            return part.size
