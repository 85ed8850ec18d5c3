"""The shapes that the forward pass says of its arrays are checked in every test (conftest.py): here, that they are."""

from __future__ import annotations

import jax.numpy as jnp
import pytest
from innerloop.runtime.arrays import matmul
from innerloop.runtime.layers.attention import split_heads
from jaxtyping import TypeCheckError


def test_a_wrong_shape_is_refused_where_it_comes_in() -> None:
    with pytest.raises(TypeCheckError, match="inside"):
        matmul(jnp.zeros((2, 3)), jnp.zeros((4, 5)))


def test_and_where_it_goes_out() -> None:
    assert [part.shape for part in split_heads(jnp.zeros((1, 2, 12)), 3, 1, 3)] == [(1, 2, 3, 1), (1, 2, 3, 3)]
    with pytest.raises(TypeCheckError):
        split_heads(jnp.zeros((1, 2, 12), int), 3, 1, 3)
