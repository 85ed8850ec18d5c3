"""The dimensions of heads that count, packed: what stands idle is left out, what heads share stands at each.

before   queries, keys or values [d_model, heads · d_head], a bias
after    [d_model + 1, kept heads · size], each head's used dimensions, padded with zeros
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def biased(matrix: NDArray[Any], bias: NDArray[Any], heads: int, size: int) -> NDArray[Any]:
    """Queries, keys or values as [d_model + 1, heads, size]; the last row is the bias."""
    return each(np.concatenate([matrix, np.asarray(bias, matrix.dtype)[None]]), heads, size)


def each(rows: NDArray[Any], heads: int, size: int) -> NDArray[Any]:
    """[rows, groups · size] → [rows, heads, size]: a key or value that heads share stands at each of them."""
    groups = rows.reshape(len(rows), -1, size)
    return np.repeat(groups, heads // groups.shape[1], axis=1)


def columns(matrix: NDArray[Any], used: NDArray[np.bool_], heads: NDArray[Any], size: int) -> NDArray[Any]:
    """[rows, n_head, d_head] → [rows, heads · size]: each kept head's used columns, padded with zeros."""
    packed = np.zeros((matrix.shape[0], len(heads), size), matrix.dtype)
    for k, head in enumerate(heads):
        at = np.flatnonzero(used[head])
        packed[:, k, : at.size] = matrix[:, head, at]
    return packed.reshape(matrix.shape[0], -1)


def halves(matrix: NDArray[Any], used: NDArray[np.bool_], heads: NDArray[Any], size: int) -> NDArray[Any]:
    """`columns` of dimensions in pairs (i, i + d_head/2), which come to stand at (i, i + size/2)."""
    half = used.shape[-1] // 2
    sides = [columns(matrix[..., at], used[:, at], heads, size // 2) for at in (slice(half), slice(half, None))]
    return np.concatenate([side.reshape(len(matrix), len(heads), -1) for side in sides], -1).reshape(len(matrix), -1)


def paired(used: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n_head, d_head]: a dimension is used if it or the other of its pair (i, i + d_head/2) is."""
    half = used.shape[-1] // 2
    return np.tile(used[:, :half] | used[:, half:], 2)


def pairs(used: NDArray[np.bool_], heads: NDArray[Any], size: int) -> NDArray[np.int32]:
    """[heads, size]: which pairs each kept head uses, padded with any; [1, size] where all use the same."""
    found = np.zeros((len(heads), size), np.int32)
    for k, head in enumerate(heads):
        at = np.flatnonzero(used[head, : used.shape[-1] // 2])
        found[k, : at.size] = at
    return found[:1] if (found == found[0]).all() else found
