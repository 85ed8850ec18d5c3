"""Sums and maxima by lanes against NumPy's, at widths around those where their steps change; and their derivatives."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from innerloop.runtime.executables import compiled
from innerloop.runtime.layers.reductions import LANES, RUN, broadcast, filled, greatest, summed

WIDTHS = [1, 2, LANES - 1, LANES, LANES + 1, 96, RUN * LANES, RUN * LANES + 1, 37 * LANES, 9000]


def drawn(width: int) -> np.ndarray:
    """[2, 3, width], of whole numbers, whose sums are exact in any order."""
    return np.random.default_rng(width).integers(-100, 100, (2, 3, width)).astype(np.float32)


@pytest.mark.parametrize("width", WIDTHS)
def test_sums_and_maxima_are_those_of_numpy(width: int) -> None:
    x = drawn(width) - 200  # below 0: what fills up is not among them
    assert np.array_equal(compiled(summed)(x), x.sum(-1, keepdims=True))
    assert np.array_equal(compiled(greatest)(x), x.max(-1, keepdims=True))
    x[0, 1, width // 2] = np.nan
    assert np.array_equal(np.isnan(compiled(summed)(x)), np.isnan(x.sum(-1, keepdims=True)))
    assert np.array_equal(np.isnan(compiled(greatest)(x)), np.isnan(x.max(-1, keepdims=True)))


@pytest.mark.parametrize("width", WIDTHS)
def test_broadcasting_is_the_transpose_of_a_sum(width: int) -> None:
    x, one = drawn(width), drawn(width)[..., :1]
    wide, to_one = jax.vjp(lambda one: broadcast(one, width), one)
    assert np.array_equal(wide, np.broadcast_to(one, x.shape))
    assert np.array_equal(to_one(x)[0], x.sum(-1, keepdims=True))
    _, to_wide = jax.vjp(summed, x)
    assert np.array_equal(to_wide(one)[0], wide)


def test_what_is_filled_up_is_a_multiple() -> None:
    x = drawn(20)
    assert filled(x, 20) is x
    assert filled(x, 16, 7.0).shape == (2, 3, 32)
    assert (np.asarray(filled(x, 16, 7.0))[..., 20:] == 7).all()
