"""The mean and variance of PyTorch's LayerNorm on a CPU, as its vectors of 32 bytes add them up: the mean to the bit.

    before   the stream [width, tokens]
    after    mean and variance [tokens]; of a stream that sums to 0 exactly, a mean that is not exactly 0

Source: PyTorch, aten/src/ATen/native/cpu/moments_utils.h: Welford's running mean in each lane of a vector, over chunks
of 16 vectors that are joined in pairs (Chan, Golub and LeVeque 1979), then the lanes one after the other. What it
leaves of a mean is as small as a rounding, but it is not 0 where all else is: a token that is to hold exactly 0 does
not, and comparisons with 0 are decided by it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Real = NDArray[Any]
Moments = tuple[int, Real, Real]
"""How many numbers, their mean, and the sum of their squared distances from it."""

BYTES, CHUNK = 32, 16
"""Of a vector; vectors of a chunk."""


def moments(x: Real) -> tuple[Real, Real]:
    """The mean and the variance over the first axis of x [width, tokens]."""
    lanes = BYTES // x.itemsize
    count = x.shape[0] // lanes
    vectors = x[: count * lanes].reshape(count, lanes, -1)
    empty = _empty(vectors.shape[1:], x)
    chunks = -(-count // CHUNK)
    depth = max(1, (chunks - 1).bit_length())
    stack = [empty] * depth
    for chunk in range(chunks):
        stack[0] = _joined(_running(vectors[CHUNK * chunk : CHUNK * (chunk + 1)], empty), stack[0])
        level = 1
        while level < depth and not (chunk + 1) >> (level - 1) & 1:
            stack[level] = _joined(stack[level - 1], stack[level])
            stack[level - 1] = empty
            level += 1
    for part in stack[1:]:
        stack[0] = _joined(part, stack[0])
    found = _running(x[count * lanes :], _empty(x.shape[1:], x), divided=True)
    for lane in range(lanes):
        found = _joined((count, stack[0][1][lane], stack[0][2][lane]), found, fused=True)
    return found[1], found[2] / x.dtype.type(x.shape[0])


def _empty(shape: tuple[int, ...], like: Real) -> Moments:
    zero = np.zeros(shape, like.dtype)
    return 0, zero, zero


def _running(numbers: Real, start: Moments, divided: bool = False) -> Moments:
    """Welford's, over the first axis; vectors are multiplied by 1/n, what is left of them is `divided` by n."""
    one = numbers.dtype.type(1.0)
    count, mean, squares = start
    for each in numbers:
        count += 1
        delta = each - mean
        mean = mean + delta / count if divided else _fused(delta, one / numbers.dtype.type(count), mean)
        squares = _fused(delta, each - mean, squares)
    return count, mean, squares


def _joined(part: Moments, to: Moments, fused: bool = False) -> Moments:
    total = part[0] + to[0]
    real = part[1].dtype.type
    share, delta = real(part[0]) / real(max(total, 1)), part[1] - to[1]
    between = delta * delta * share
    if fused:
        return total, _fused(delta, share, to[1]), to[2] + _fused(between, real(to[0]), part[2])
    return total, to[1] + share * delta, to[2] + (part[2] + between * real(to[0]))


def _fused(a: Real, b: Any, c: Real) -> Real:
    """a b + c, of float32 rounded once."""
    return np.asarray((a.astype(np.float64) * b + c).astype(a.dtype) if a.dtype == np.float32 else a * b + c)
