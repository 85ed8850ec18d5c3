"""What an operation of the graph computes, in JAX: arrays [..., size, tasks], of any leading shape.

Tasks stand last, so that a loop over them, which is what the processor does many of at once, is the innermost. What is
the same for all of them has one.

Slopes are finite wherever values are: of 0/0, which is 0, and of √ and log at 0, where the true ones are infinite, they
are taken as 0.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, assert_never

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.sparse import Matrix
from innerloop.compiler.ir.bilinear import Bilinear
from innerloop.compiler.ir.graph import Divide, Function, Keep, Softmax

Array = Any
SMALL = 1024
"""Entries of a matrix that is written out: XLA makes one loop of it with what is around it."""
ONE_LOOP, MOST_PARTS = 16, 16
"""Numbers that are summed in one loop, and how many such loops a sum is at most."""
MOST_TERMS = 64
"""Of a component of a bilinear map, that are added one by one."""
RUNS = 4
"""The most runs of components that are put side by side, instead of multiplied by a matrix."""


def affine(matrix: Matrix, x: Array) -> Array:
    """matrix @ x over the components."""
    scale = matrix.scalar()
    if scale is not None:
        return x if scale == 1.0 else scale * x
    runs = _runs(matrix)
    if runs is not None:
        parts = [
            jnp.zeros((*x.shape[:-2], rows, x.shape[-1]), x.dtype)
            if run is None
            else (x[..., run, :] if value == 1.0 else value * x[..., run, :])
            for rows, run, value in runs
        ]
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, -2)
    dense = matrix.csr.toarray()
    if matrix.shape[1] == 1:
        return x * dense
    if dense.size <= SMALL:
        return summed(dense[:, :, None] * x[..., None, :, :], x.ndim - 1)[..., 0, :]
    return jnp.matmul(dense, x)


def _runs(matrix: Matrix) -> list[tuple[int, slice | None, float]] | None:
    """Of a matrix with one entry a row, or none, its rows in runs: how many, which columns they take, one by one or a
    fixed step apart (None: rows of zeros), and the entry. None where there are too many: a part of an array, or an
    array moved along, is no product of a matrix."""
    counts = np.diff(matrix.csr.indptr)
    if counts.max(initial=2) > 1:
        return None
    columns, values = np.full(counts.size, -1), np.zeros(counts.size)
    columns[counts == 1], values[counts == 1] = matrix.csr.indices, matrix.csr.data
    found: list[tuple[int, slice | None, float]] = []
    start = 0
    while start < counts.size:
        if len(found) == RUNS:
            return None
        first, value, end = int(columns[start]), float(values[start]), start + 1
        step = int(columns[end]) - first if end < counts.size and values[end] == value else 1
        if step > 0 or first < 0:
            while end < counts.size and values[end] == value and columns[end] - columns[end - 1] == step:
                end += 1
        found.append((end - start, None if first < 0 else slice(first, int(columns[end - 1]) + 1, max(step, 1)), value))
        start = end
    return found


def product(keyword: str, form: Bilinear, a: Array, b: Array, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> Array:
    """A bilinear map of a and b, whose own shapes are `shapes`."""
    match keyword:
        case "mul":
            return a * b
        case "outer":
            return _flat(a[..., :, None, :] * b[..., None, :, :], form.size)
        case "dot":
            inner = shapes[0][-1]
            left = a.reshape(*a.shape[:-2], a.shape[-2] // inner, inner, a.shape[-1])  # there may be 0 tokens
            right = b.reshape(*b.shape[:-2], inner, b.shape[-2] // inner, b.shape[-1])
            if left.shape[-3] == 1 and right.shape[-2] == 1:
                return (a * b).sum(-2, keepdims=True)
            return _flat((left[..., :, :, None, :] * right[..., None, :, :, :]).sum(-3), form.size)
    if (terms := _terms(form)) is not None:
        return sum(a[..., left, :] * (b[..., right, :] * weight[:, None]) for left, right, weight in terms)
    products = a[..., form.left, :] * b[..., form.right, :]
    gather = np.zeros((form.size, form.out.size))
    gather[form.out, np.arange(form.out.size)] = form.coefficient
    return jnp.matmul(gather, products)


def _terms(form: Bilinear) -> list[tuple[Indices, Indices, Floats]] | None:
    """Of each component the first of its terms, the second, …: what they take of either operand and their coefficients,
    of which XLA makes one loop, and no product of matrices. A component that has no more of them has its first, by 0.
    None where one has too many, or has none."""
    order = np.argsort(form.out, kind="stable")
    counts = np.bincount(form.out, minlength=form.size)
    if not counts.all() or counts.max() > MOST_TERMS:
        return None
    first, found = np.cumsum(counts) - counts, []
    for number in range(counts.max()):
        term = order[first + np.where(number < counts, number, 0)]
        weight = np.where(number < counts, form.coefficient[term], 0.0)
        found.append((form.left[term], form.right[term], weight))
    return found


def _flat(found: Array, size: int) -> Array:
    """[..., n, m, tasks] as [..., n · m, tasks]."""
    return found.reshape(*found.shape[:-3], size, found.shape[-1])


def local(op: Divide | Function | Keep | Softmax, operands: Sequence[Array]) -> Array:
    """Operations at one token that are no maps."""
    match op:
        case Divide():
            return divide(operands[0], operands[1])
        case Function(name, arguments):
            return function(name, arguments, operands[0])
        case Keep(strict, which):
            return keep(strict, operands[0][..., np.array(which), :], operands[1])
        case Softmax():
            return softmax(operands[0])
        case other:
            assert_never(other)


def divide(a: Array, b: Array) -> Array:
    """a / b, b perhaps of one component; 0/0 is 0."""
    both = (a == 0) & (b == 0)
    return jnp.where(both, 0.0, a / jnp.where(both, 1.0, b))


def softmax(x: Array) -> Array:
    """Over the components."""
    e = jnp.exp(x - jax.lax.stop_gradient(x.max(-2, keepdims=True)))
    return e / e.sum(-2, keepdims=True)


def softmax_weights(scores: Array, seen: Array) -> Array:
    """Of a softmax of scores [readers, read, tasks] over what is seen [readers, read], what is to be divided by its sum
    over the tokens read; 0 for what is unseen."""
    among = jnp.where(seen[..., None], scores, -jnp.inf)
    if not seen.shape[1]:
        return among
    top = jax.lax.stop_gradient(_in_parts(among, 1, jnp.max, jnp.maximum))
    return jnp.exp(among - jnp.where(jnp.isfinite(top), top, 0.0))


def summed(array: Array, axis: int) -> Array:
    """Over an axis, which stays, of 1."""
    return _in_parts(array, axis, jnp.sum, jnp.add)


def _in_parts(array: Array, axis: int, reduced: Callable[..., Array], joined: Callable[[Array, Array], Array]) -> Array:
    """Over an axis: of up to `ONE_LOOP` numbers XLA makes one loop with what they are computed from, of more it makes
    windows on a CPU, with whole arrays in between."""
    count = array.shape[axis]
    if count <= ONE_LOOP or count > ONE_LOOP * MOST_PARTS:
        return reduced(array, axis, keepdims=True)
    cuts = [*range(0, count, ONE_LOOP), count]
    parts = [jax.lax.slice_in_dim(array, *ends, axis=axis) for ends in itertools.pairwise(cuts)]
    return functools.reduce(joined, [reduced(part, axis, keepdims=True) for part in parts])


def weights(how: str, seen: Array) -> Array:
    """What a mean or sum weighs each token read by: [readers, read, 1]."""
    count = seen.sum(1, keepdims=True) if how == "mean" else 1
    return (seen / jnp.maximum(count, 1.0))[..., None]


def _where_positive(value: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The function with the slope 0 at 0, where its own is infinite."""
    return lambda x: jnp.where(x == 0, value(jax.lax.stop_gradient(x)), value(jnp.where(x == 0, 1.0, x)))


def _sigmoid(x: Array) -> Array:
    e = jnp.exp(-jnp.abs(x))
    return jnp.where(x >= 0, 1.0, e) / (1.0 + e)


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "relu": lambda x: jnp.where(x > 0, x, jnp.where(jnp.isnan(x), x, 0.0)),
    "abs": jnp.abs,
    "sign": jnp.sign,
    "sigmoid": _sigmoid,
    "tanh": jnp.tanh,
    "exp": jnp.exp,
    "log": _where_positive(jnp.log),
    "sqrt": _where_positive(jnp.sqrt),
    "sin": jnp.sin,
    "cos": jnp.cos,
    "erf": jax.scipy.special.erf,
    "softplus": lambda x: jnp.logaddexp(x, 0.0),
    "clip": jnp.clip,
    "positive": lambda x: (x > 0).astype(x.dtype),
    "nonnegative": lambda x: (x >= 0).astype(x.dtype),
    "reciprocal": lambda x: divide(jnp.sign(x) ** 2, x),
}
"""By the names of compiler/numerics/functions.py, all of them."""


def function(name: str, arguments: Sequence[float], x: Array) -> Array:
    return FUNCTIONS[name](x, *arguments)


def keep(strict: bool, x: Array, value: Array) -> Array:
    """The value where x > 0 (`strict`) or x ≥ 0, else 0."""
    return jnp.where(x > 0.0 if strict else x >= 0.0, value, 0.0)
