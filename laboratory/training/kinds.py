"""The kinds of tasks: how each is drawn. Their parameters are in settings.py.

linear           y = w · x, w ~ N(0, weight_scale²), x as `inputs` says: normal, or uniform on (−input_scale,
                 input_scale), which von Oswald et al. 2022 have at 1 (paper) and 0.5 (code)
noisy_linear     the same plus N(0, noise²) (Akyürek et al. 2022)
sparse_linear    `nonzeros` components of w are not 0 (Garg et al. 2022)
skewed_linear    x ~ N(0, diag λ): `eigenvalues`, or λᵢ ∝ i^−power with mean 1 (Garg et al. 2022; Zhang et al. 2023)
discrete_linear  noisy, w one of `tasks` that never change, drawn once from N(0, I) (Raventós et al. 2023)
logistic         y is 1 with probability σ(w · x), and else 0 (Bai et al. 2023)
sine             y = a sin(x + φ), a ~ U(0.1, 5), φ ~ U(0, π), x ~ U(−5, 5) (Finn et al. 2017; von Oswald et al.)
mixed            each task one of the kinds in `of`, all as likely, with the parameters that it has
autoregressive   x_{t+1} = W x_t, W d / 2 rotations of the plane by angles U(0, 2π), or with `form` complex diagonal
                 e^{iθ}, x [d, 2] (Zheng et al. 2024), or with `form` orthogonal any rotation (von Oswald et al.
                 2023). The start is real, N(0, start_scale²), or with `start` sparse ±start_scale on one axis
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.runtime.surroundings import key

from .settings import DEFAULTS, Values

Array = Any
Fields = dict[str, Array]


def _inputs(key: Array, batch: int, n: int, dimensions: Array, p: Values) -> Array:
    """x [batch, n + 1, d]."""
    shape = batch, n + 1, p["d"]
    if p.get("inputs") == "uniform":
        x = jax.random.uniform(key, shape, minval=-p["input_scale"], maxval=p["input_scale"])
    else:
        x = p.get("input_scale", 1.0) * jax.random.normal(key, shape)
    return jnp.where(jnp.arange(p["d"]) < dimensions, x, 0)


def _weights(key: Array, batch: int, p: Values) -> Array:
    """w [batch, d]."""
    return p["weight_scale"] * jax.random.normal(key, (batch, p["d"]))


def _labelled(key: Array, x: Array, w: Array, noise: float = 0.0) -> Fields:
    y = jnp.einsum("bnd,bd->bn", x, w, precision=jax.lax.Precision.HIGHEST)
    return {"x": x, "y": y + noise * jax.random.normal(key, y.shape) if noise else y}


def _linear(key: Array, batch: int, n: int, dimensions: Array, p: Values) -> Fields:
    of_x, of_w, of_y = jax.random.split(key, 3)
    return _labelled(of_y, _inputs(of_x, batch, n, dimensions, p), _weights(of_w, batch, p), p.get("noise", 0.0))


def _sparse(key: Array, batch: int, n: int, dimensions: Array, p: Values) -> Fields:
    of_x, of_w, of_y, of_places = jax.random.split(key, 4)
    order = jax.random.uniform(of_places, (batch, p["d"])).argsort(-1).argsort(-1)
    w = jnp.where(order < p["nonzeros"], _weights(of_w, batch, p), 0)
    return _labelled(of_y, _inputs(of_x, batch, n, dimensions, p), w, p["noise"])


def eigenvalues(p: Values) -> np.ndarray:
    """λ [d] of a skewed_linear task's inputs, from its parameters."""
    if p["eigenvalues"] is not None:
        return np.asarray(p["eigenvalues"], np.float64)
    found = np.arange(1, p["d"] + 1.0) ** -p["power"]
    return np.asarray(found / found.mean())


def _skewed(key: Array, batch: int, n: int, dimensions: Array, p: Values) -> Fields:
    of_x, of_w, of_y = jax.random.split(key, 3)
    x = _inputs(of_x, batch, n, dimensions, p)
    return _labelled(of_y, x * np.sqrt(eigenvalues(p)).astype(x.dtype), _weights(of_w, batch, p), p["noise"])


def pooled(p: Values, index: Array) -> Array:
    """w [..., d] number `index` of the pool: nothing is stored, however large the pool is."""
    root = key(p["pool"])
    return jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(root, i), (p["d"],)))(index)


def _discrete(key: Array, batch: int, n: int, dimensions: Array, p: Values) -> Fields:
    of_x, of_w, of_y = jax.random.split(key, 3)
    w = pooled(p, jax.random.randint(of_w, (batch,), 0, p["tasks"]))
    return _labelled(of_y, _inputs(of_x, batch, n, dimensions, p), w, p["noise"])


def _logistic(key: Array, batch: int, n: int, dimensions: Array, p: Values) -> Fields:
    of_x, of_w, of_y = jax.random.split(key, 3)
    fields = _labelled(of_y, _inputs(of_x, batch, n, dimensions, p), _weights(of_w, batch, p))
    bits = jax.random.uniform(of_y, fields["y"].shape) < jax.nn.sigmoid(fields["y"])
    return {"x": fields["x"], "y": bits.astype(fields["y"].dtype)}


def _sine(key: Array, batch: int, n: int, _: Array, __: Values) -> Fields:
    of_x, of_a, of_phase = jax.random.split(key, 3)
    x = jax.random.uniform(of_x, (batch, n + 1, 1), minval=-5.0, maxval=5.0)
    amplitude = jax.random.uniform(of_a, (batch, 1), minval=0.1, maxval=5.0)
    phase = jax.random.uniform(of_phase, (batch, 1), minval=0.0, maxval=np.pi)
    return {"x": x, "y": amplitude * jnp.sin(x[..., 0] + phase)}


def _autoregressive(key: Array, batch: int, n: int, dimensions: Array, p: Values) -> Fields:
    of_start, of_matrix, of_sign = jax.random.split(key, 3)
    d = p["d"] // 2 if p["form"] == "real" else p["d"]
    scale = p["start_scale"]
    if p["start"] == "sparse":
        axis = jax.nn.one_hot(jax.random.randint(of_start, (batch,), 0, d), d)
        start = scale * axis * jax.random.rademacher(of_sign, (batch, 1), axis.dtype)
    else:
        start = scale * jax.random.normal(of_start, (batch, d))
    start = jnp.where(jnp.arange(d) < dimensions, start, 0)
    if p["form"] == "orthogonal":
        turn = jax.random.orthogonal(of_matrix, d, (batch,))
        _, states = jax.lax.scan(lambda s, _: ((turn @ s[..., None])[..., 0], s), start, length=n)
        return {p["field"]: jnp.moveaxis(states, 0, 1)}
    angles = jax.random.uniform(of_matrix, (batch, 1, d), maxval=2 * np.pi) * jnp.arange(n)[:, None]
    states = start[:, None, :, None] * jnp.stack([jnp.cos(angles), jnp.sin(angles)], -1)
    return {p["field"]: states if p["form"] == "complex" else states.reshape(batch, n, -1)}


def _mixed(key: Array, batch: int, n: int, dimensions: Array, p: Values) -> Fields:
    of_kind, *keys = jax.random.split(key, 1 + len(p["of"]))
    drawn = []
    for name, one in zip(p["of"], keys, strict=True):
        own = {given: value for given, value in p.items() if given in DEFAULTS[name]}
        drawn.append(DRAWS[name](one, batch, n, dimensions, own))
    kind = jax.random.randint(of_kind, (batch,), 0, len(drawn))

    def chosen(*fields: Array) -> Array:
        among = jnp.stack(fields)
        return jnp.take_along_axis(among, kind.reshape(1, batch, *(1,) * (among.ndim - 2)), axis=0)[0]

    return {name: chosen(*(one[name] for one in drawn)) for name in drawn[0]}


DRAWS: Mapping[str, Callable[[Array, int, int, Array, Values], Fields]] = {
    "linear": _linear,
    "noisy_linear": _linear,
    "sparse_linear": _sparse,
    "skewed_linear": _skewed,
    "discrete_linear": _discrete,
    "logistic": _logistic,
    "sine": _sine,
    "autoregressive": _autoregressive,
    "mixed": _mixed,
}
