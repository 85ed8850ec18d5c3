"""Sine waves in context, features that are meta-learnt for a step of gradient descent on them, and a network.

    waves         count, seed, shifts   →   tasks y = a sin(x + φ), as the task "sine" has them, or shifted
    Features      z = B tanh(A x + c), and the weights w₀ that the step starts from
    network       before training: (x, y) embedded, an MLP on each token, a layer of linear attention

The answer of the step, of rate 1, which B holds:   ŷ = w · z_q,   w = w₀ − mean_j (w₀ · z_j − y_j) z_j
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.parts import Idle, LinearAttention, Mlp
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from scipy.optimize import minimize

from ...measures.distance import Fields, Floats
from ...training.model import Model
from .layers import without_roles

TANHS, FEATURES = 16, 4
ITERATIONS = 400
WIDTH, HIDDEN = 40, 160
"""Of the published network."""


def waves(
    count: int, examples: int, seed: int, *, inputs: float = 1.0, amplitudes: float = 1.0, phases: float = 0.0
) -> dict[str, Floats]:
    """So many tasks, x from a range `inputs` times as wide, a `amplitudes` times as large, φ larger by `phases`."""
    rng = np.random.default_rng(seed)
    x = inputs * rng.uniform(-5, 5, (count, examples + 1, 1))
    a, phase = amplitudes * rng.uniform(0.1, 5, (count, 1)), phases + rng.uniform(0, np.pi, (count, 1))
    return {"x": x, "y": a * np.sin(x[..., 0] + phase)}


@dataclass(frozen=True)
class Features:
    """A, c [tanhs], B [features, tanhs], start [features]: w₀."""

    A: Any
    c: Any
    B: Any
    start: Any

    def answers(self, x: Any, y: Any) -> Any:
        """ŷ [tasks] at the last x [tasks, examples + 1, 1]; labels y [tasks, examples + 1], the last one unseen."""
        z = jnp.tanh(x * self.A + self.c) @ self.B.T
        seen, query = z[:, :-1], z[:, -1]
        residuals = y[:, :-1] - seen @ self.start
        w = self.start + jnp.einsum("bn,bnr->br", residuals, seen) / seen.shape[1]
        return (w * query).sum(-1)


SHAPES = {"A": (TANHS,), "c": (TANHS,), "B": (FEATURES, TANHS), "start": (FEATURES,)}


def _parted(flat: Any) -> Features:
    ends = np.cumsum([np.prod(shape) for shape in SHAPES.values()])[:-1]
    parts = jnp.split(flat, ends)
    return Features(*(part.reshape(shape) for part, shape in zip(parts, SHAPES.values(), strict=True)))


def meta_learnt(tasks: Fields, seed: int, iterations: int = ITERATIONS) -> Features:
    """The features and the start of least E (ŷ − y)² on these tasks, by L-BFGS from random ones, in float64."""
    rng = np.random.default_rng(seed)
    begin = {
        "A": rng.uniform(0.5, 1.5, TANHS), "c": rng.uniform(-5, 5, TANHS),
        "B": 0.5 * rng.standard_normal((FEATURES, TANHS)), "start": np.zeros(FEATURES),
    }  # fmt: skip
    x, y = (jnp.asarray(tasks[name], jnp.float32) for name in ("x", "y"))

    def loss(flat: Any) -> Any:
        return jnp.mean((_parted(flat).answers(x, y) - y[:, -1]) ** 2)

    both = jax.jit(jax.value_and_grad(loss))

    def evaluated(flat: Floats) -> tuple[float, Floats]:
        value, gradient = both(jnp.asarray(flat, jnp.float32))
        return float(value), np.asarray(gradient, np.float64)

    flat = np.concatenate([np.ravel(value) for value in begin.values()])
    found = minimize(evaluated, flat, jac=True, method="L-BFGS-B", options={"maxiter": iterations}).x
    best = _parted(jnp.asarray(found))
    return Features(*(np.asarray(getattr(best, f.name), np.float64) for f in fields(Features)))


def network(dual: Weights, seed: int) -> Model:
    """Random, on the tokens of `dual`, a program of one layer of linear attention on examples and a query: WIDTH slots,
    an MLP of HIDDEN neurons that reads x and y, then the layer. Numbers are of the size of what they read."""
    like = without_roles(dual)
    rng = np.random.default_rng(seed)
    beside = WIDTH - like.config.d_model

    def padded(matrix: Matrix, axes: Sequence[tuple[int, int]]) -> Matrix:
        return Matrix(np.pad(matrix.csr.toarray(), axes))

    def drawn(scale: float, *shape: int) -> Matrix:
        return Matrix(scale * rng.standard_normal(shape) / shape[0] ** 0.5)

    up, down = drawn(2.0, WIDTH, HIDDEN), drawn(1.0, HIDDEN, WIDTH)
    mlp = Mlp(None, up, rng.uniform(-5, 5, HIDDEN), down, np.zeros(WIDTH))
    query, key, value, output = (drawn(0.3, WIDTH, WIDTH) for _ in range(4))
    layer = LinearAttention(query, key, value, output, Matrix.zero(WIDTH, 1))
    config = replace(
        like.config, d_model=WIDTH, n_layer=2, n_head=1, d_head=WIDTH, d_mlp=HIDDEN, activation="gelu_tanh"
    )
    wide = replace(
        like.bare(),
        config=config,
        embedding=padded(like.embedding, ((0, 0), (0, beside))),
        positions=np.pad(like.positions, ((0, 0), (0, beside))),
        readout=padded(like.readout, ((0, beside), (0, 0))),
        body=(Idle("attention"), mlp, layer, Idle("mlp")),
    )
    return Model.of(wide)
