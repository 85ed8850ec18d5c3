"""What an operation of the graph computes, in JAX: arrays [..., size], of any leading shape.

Slopes are finite wherever values are: of 0/0, which is 0, and of √ and log at 0, where the true ones are infinite, they
are taken as 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.sparse import Bilinear, Matrix

Array = Any
SMALL = 1024
"""Products that a dot is written out for: XLA makes one loop of it with what is around it."""


def affine(matrix: Matrix, x: Array) -> Array:
    """matrix @ x over the last axis."""
    scale = matrix.scalar()
    if scale is not None:
        return x if scale == 1.0 else scale * x
    dense = matrix.csr.toarray()
    if matrix.shape[1] == 1:
        return x * dense[:, 0]
    if matrix.shape[0] == 1:
        return (x * dense[0]).sum(-1, keepdims=True)
    return x @ dense.T


def product(keyword: str, form: Bilinear, a: Array, b: Array, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> Array:
    """A bilinear map of a and b, whose own shapes are `shapes`."""
    match keyword:
        case "mul":
            return a * b
        case "outer":
            return (a[..., :, None] * b[..., None, :]).reshape(*_leading(a, b), form.size)
        case "dot":
            inner = shapes[0][-1]
            left = a.reshape(*a.shape[:-1], -1, inner)
            right = b.reshape(*b.shape[:-1], inner, -1)
            if left.shape[-2] == 1 and right.shape[-1] == 1:
                return (a * b).sum(-1, keepdims=True)
            small = form.out.size <= SMALL
            found = (left[..., :, :, None] * right[..., None, :, :]).sum(-2) if small else left @ right
            return found.reshape(*_leading(a, b), form.size)
    terms = a[..., form.left] * b[..., form.right]
    gather = np.zeros((form.out.size, form.size))
    gather[np.arange(form.out.size), form.out] = form.coefficient
    return terms @ gather


def _leading(a: Array, b: Array) -> tuple[int, ...]:
    return tuple(jnp.broadcast_shapes(a.shape[:-1], b.shape[:-1]))


def divide(a: Array, b: Array) -> Array:
    """a / b, b perhaps of one component; 0/0 is 0."""
    both = (a == 0) & (b == 0)
    return jnp.where(both, 0.0, a / jnp.where(both, 1.0, b))


def softmax(x: Array) -> Array:
    e = jnp.exp(x - jax.lax.stop_gradient(x.max(-1, keepdims=True)))
    return e / e.sum(-1, keepdims=True)


def shares(scores: Array, seen: Array) -> Array:
    """The softmax of scores [readers, read] over what is seen; 0 for who sees nothing."""
    among = jnp.where(seen, scores, -jnp.inf)
    top = jax.lax.stop_gradient(among.max(-1, keepdims=True, initial=-jnp.inf))
    weights = jnp.where(seen, jnp.exp(jnp.where(seen, scores, 0.0) - jnp.where(jnp.isfinite(top), top, 0.0)), 0.0)
    whole = weights.sum(-1, keepdims=True)
    return weights / jnp.where(whole == 0, 1.0, whole)


def weights(how: str, seen: Array) -> Array:
    """What a mean or sum weighs each token read by: [readers, read]."""
    count = seen.sum(1, keepdims=True) if how == "mean" else 1
    return seen / jnp.maximum(count, 1.0)


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
