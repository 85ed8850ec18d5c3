"""Neurons that read the same few slots and write along one direction, packed as a bank: it reads 4 to 7 slots where its
sublayer reads up to 100, and gives one number.

    before   up [slots read, neurons], up_bias [neurons], down [neurons, slots written], without gates
    after    the neurons that stay as they are, and blocks of banks of the same size

Every preactivation is the sum of the same products as before, without those that are 0; what is written differs by the
rounding of a factor, and is added in another order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .packed import Array, Block

LANES = 8
"""A bank's neurons are filled up to a multiple of these with neurons that give 0."""
FEWEST = 128
"""Neurons for which it pays to run a block of its own."""
COMPONENTWISE, GATHERED = 4, 50
"""What a product costs outside of a matrix product, and a slot that is gathered, over a product in one."""

Bank = NDArray[np.int64]
"""Its neurons."""


def blocks_of(up: Array, up_bias: Array, down: Array) -> tuple[NDArray[np.bool_], tuple[Block, ...]]:
    """The neurons that stay [neurons], and the blocks of all others."""
    stay = np.ones(up.shape[1], bool)
    blocks = []
    for banks in _by_size(up, down):
        neurons = np.concatenate(banks)
        if neurons.size >= FEWEST and _pays(up, down, banks):
            stay[neurons] = False
            blocks.append(_block(up, up_bias, down, banks))
    return stay, tuple(blocks)


def _by_size(up: Array, down: Array) -> Iterator[list[Bank]]:
    """Banks, together with others that are as large when filled up."""
    direction, _ = _directions(down)
    rounded = np.round(direction, 5 if down.dtype == np.float32 else 12) + 0.0
    _, number = np.unique(np.concatenate([up.T != 0, rounded], 1), axis=0, return_inverse=True)
    sizes: dict[int, list[Bank]] = defaultdict(list)
    for neurons in np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1]):
        if neurons.size >= LANES and _along(down[neurons]):
            sizes[_filled(neurons)].append(neurons)
    for size in sorted(sizes):
        yield sizes[size]


def _directions(down: Array) -> tuple[Array, Array]:
    """Of each neuron, what it writes over the largest of it, and that."""
    largest = np.take_along_axis(down, np.abs(down).argmax(1)[:, None], 1)
    return down / np.where(largest == 0, 1, largest), largest[:, 0]


def _along(down: Array) -> bool:
    """Whether all write along the direction of the first, but for rounding."""
    direction, largest = _directions(down)
    off = np.abs(largest[:, None] * direction[0] - down)
    return bool((off <= 4 * np.finfo(down.dtype).eps * np.abs(down)).all())


def _filled(bank: Bank) -> int:
    return -(-bank.size // LANES) * LANES


def _read(up: Array, banks: list[Bank]) -> list[NDArray[np.int64]]:
    """Of each bank, the slots."""
    return [np.flatnonzero(up[:, neurons[0]]) for neurons in banks]


def _pays(up: Array, down: Array, banks: list[Bank]) -> bool:
    most, size = max(rows.size for rows in _read(up, banks)), _filled(banks[0])
    apart = len(banks) * (most * (COMPONENTWISE * size + GATHERED) + COMPONENTWISE * size + down.shape[1])
    return bool(apart < (up.shape[0] + down.shape[1]) * sum(neurons.size for neurons in banks))


def _block(up: Array, up_bias: Array, down: Array, banks: list[Bank]) -> Block:
    """Neurons stand by the size of what they write: those that cancel are of one size, and stand together."""
    read, size = _read(up, banks), _filled(banks[0])
    most = max(1, *(slots.size for slots in read))
    rows = np.zeros((len(banks), most), np.int32)
    ups: NDArray[Any] = np.zeros((most, len(banks), size), up.dtype)
    bias, weight = np.zeros((2, len(banks), size), up.dtype)
    write = np.zeros((len(banks), down.shape[1]), up.dtype)
    for k, (neurons, slots) in enumerate(zip(banks, read, strict=True)):
        direction, largest = _directions(down[neurons])
        order = np.argsort(np.abs(largest), kind="stable")
        neurons, number = neurons[order], neurons.size
        rows[k, : slots.size] = slots
        ups[: slots.size, k, :number] = up[np.ix_(slots, neurons)]
        bias[k, :number], weight[k, :number], write[k] = up_bias[neurons], largest[order], direction[order[0]]
    return Block(rows, ups, bias, weight, write)
