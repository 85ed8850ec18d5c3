"""A sparse matrix as outer products: those of elimination on the whole matrix, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.arrays import Floats
from innerloop.compiler.transforms.algebra.outer_products import SMALL, Sparse, outer_products


def eliminated(matrix: Floats, most: int) -> list[tuple[Floats, Floats]]:
    """The largest entry that is left is the next pivot."""
    left = matrix.copy()
    found: list[tuple[Floats, Floats]] = []
    bound = SMALL * np.abs(matrix).max(initial=0.0)
    while left.size and len(found) < most and np.abs(left).max() > bound:
        row, column = np.unravel_index(np.argmax(np.abs(left)), left.shape)
        pair = left[:, column] / left[row, column], left[row].copy()
        left -= np.outer(*pair)
        left[np.abs(left) <= bound] = 0.0
        found.append(pair)
    return found


def dense(sparse: Sparse, size: int) -> Floats:
    found = np.zeros(size)
    found[sparse.at] = sparse.values
    return found


@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("whole", [False, True])
def test_blocks_apart_give_what_the_whole_gives(share: float, whole: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        rows, columns, rank = rng.integers(1, 12, 3)
        left, right = rng.standard_normal((rows, rank)), rng.standard_normal((rank, columns))
        matrix = (np.round(left) @ np.round(right) if whole else left @ right) * (rng.random((rows, columns)) < share)
        places = [(int(row), int(column)) for row, column in rng.permutation(np.argwhere(matrix))]
        most = int(rng.choice([1, 2, 100]))
        found = outer_products({place: float(matrix[place]) for place in places}, most)
        asked = eliminated(matrix, most)
        assert len(found) == len(asked)
        for (one, other), (first, second) in zip(found, asked, strict=True):
            np.testing.assert_array_equal(dense(one, int(rows)), first)
            np.testing.assert_array_equal(dense(other, int(columns)), second)


def test_nothing_is_no_product() -> None:
    assert outer_products({}) == []
