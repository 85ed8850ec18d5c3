"""Banks of neurons, packed apart: which are, and that they give what they gave."""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from innerloop.runtime.arrays import matmul
from innerloop.runtime.layers.steps import hidden, neurons
from innerloop.runtime.packing import pack_neurons
from innerloop.runtime.packing.pack_neurons import blocks_of
from innerloop.runtime.packing.packed import MlpStep, Spread

READ, WRITTEN = 60, 20


def banks(random: np.random.Generator, *sizes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neurons that read 5 of 60 slots and write along one direction, bank by bank, in an order of no meaning."""
    up, down = np.zeros((READ, sum(sizes))), np.zeros((sum(sizes), WRITTEN))
    ends = np.cumsum([0, *sizes])
    for start, end in pairwise(ends):
        slots = random.choice(READ, 5, replace=False)
        up[slots, start:end] = random.standard_normal((5, end - start))
        direction = np.zeros(WRITTEN)
        direction[random.choice(WRITTEN, 3, replace=False)] = random.standard_normal(3)
        down[start:end] = random.standard_normal((end - start, 1)) * direction
    order = random.permutation(sum(sizes))
    return up[:, order], random.standard_normal(sum(sizes)), down[order]


def step_of(up: np.ndarray, bias: np.ndarray, down: np.ndarray) -> MlpStep:
    stay, blocks = blocks_of(up, bias, down)
    none = Spread(None, np.zeros(1))
    return MlpStep(None, None, up[:, stay], bias[stay], down[stay], none, 1, blocks=blocks)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_banks_give_what_a_dense_product_gives(dtype: str) -> None:
    random = np.random.default_rng(3)
    up, bias, down = (a.astype(dtype) for a in banks(random, *[16] * 12, *[13] * 20, *[40] * 4, 5, 1, 7))
    step = step_of(up, bias, down)
    assert sorted(block.bias.shape for block in step.blocks) == [(4, 40), (32, 16)]  # 13 are filled up to 16
    assert step.up.shape == (READ, 13)
    x = random.standard_normal((2, 3, READ)).astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        found = np.asarray(jax.jit(lambda x: neurons(x, step))(x))
        dense = np.asarray(matmul(hidden(matmul(jnp.asarray(x), up) + bias, step), down))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, dense, rtol=0, atol=200 * np.finfo(dtype).eps * np.abs(dense).max())


def test_neurons_that_write_along_other_directions_are_another_bank() -> None:
    up, bias, down = banks(np.random.default_rng(4), *[16] * 12)
    every = np.abs(up).sum(1) > 0
    assert every.any()
    one = np.flatnonzero((up != 0).T[:, np.flatnonzero(every)[0]])
    down[one] = np.random.default_rng(5).standard_normal((one.size, WRITTEN))
    stay, _ = blocks_of(up, bias, down)
    assert set(np.flatnonzero(stay)) == set(one)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_direction_is_mended_that_is_not_one(dtype: str) -> None:
    """Off by more than rounding, neurons stay as they are."""
    up, bias, down = (a.astype(dtype) for a in banks(np.random.default_rng(6), *[16] * 12))
    off = np.where(np.arange(len(down)) % 2, 1 + 20 * np.finfo(dtype).eps, 1)
    first = (down != 0).argmax(1)
    down[np.arange(len(down)), first] = (down[np.arange(len(down)), first] * off).astype(dtype)
    stay, _ = blocks_of(up, bias, down)
    assert stay.all()


def test_few_neurons_and_full_rows_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(7)
    few = banks(random, *[16] * 7)
    assert blocks_of(*few)[0].all()
    full = random.standard_normal((6, 256)), random.standard_normal(256), random.standard_normal((256, 1)) * np.ones(4)
    assert blocks_of(*full)[0].all()
    monkeypatch.setattr(pack_neurons, "FEWEST", 64)
    assert not blocks_of(*few)[0].any()
