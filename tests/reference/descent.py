"""Optimisers that optax runs on losses that JAX differentiates, in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .batch import Array, Parameters, Task

Loss = Callable[[Any, Any], Any]
"""(predictions, labels) → losses of the same shape."""

_HALF_SQUARE: Loss = optax.losses.l2_loss


@partial(jax.jit, static_argnames=("loss", "optimiser", "steps", "ridge"))
def _descend(
    loss: Loss, optimiser: optax.GradientTransformation, steps: int, ridge: float, X: Any, y: Any, seen: Any
) -> tuple[Any, Any]:
    """Weights [rows, d] and the optimiser's state after some steps from 0 on ridge/2 ‖w‖² and the mean loss of the
    examples that a row has seen [rows, n]."""
    share = seen / jnp.maximum(seen.sum(axis=1, keepdims=True), 1)

    def total(w: Any) -> Any:  # the rows do not mix: its gradient is each row's own
        return jnp.sum(share * loss(w @ X.T, jnp.broadcast_to(y, share.shape))) + ridge / 2 * jnp.sum(w**2)

    def step(_: int, carried: tuple[Any, Any]) -> tuple[Any, Any]:
        w, state = carried
        updates, state = optimiser.update(jax.grad(total)(w), state, w)
        return optax.apply_updates(w, updates), state

    start = jnp.zeros((seen.shape[0], X.shape[1]))
    found: tuple[Any, Any] = jax.lax.fori_loop(0, steps, step, (start, optimiser.init(start)))
    return found


def _run(
    task: Task, steps: int, optimiser: optax.GradientTransformation, loss: Loss, *, query: bool, ridge: float = 0.0
) -> tuple[Array, Array, Any]:
    """Inputs to predict at, the weights for each, and the optimiser's state: at the query, or at every prefix."""
    with jax.enable_x64(True):
        X, y, at = task["x"][:-1], task["y"], task["x"][-1:] if query else task["x"]
        seen = np.ones((1, len(y))) if query else np.tri(len(at), len(y), -1)
        w, state = _descend(loss, optimiser, steps, ridge, X, y, seen)
        return at, np.asarray(w), state


def _predictions(at: Array, w: Array) -> list[float]:
    return [float(a @ b) for a, b in zip(at, w, strict=True)]


@cache
def _sgd(momentum: float | None = None, nesterov: bool = False) -> optax.GradientTransformation:
    return optax.sgd(0.1, momentum, nesterov)


@cache
def _adam() -> optax.GradientTransformation:
    return optax.adam(0.1, 0.9, 0.999, eps=1e-3)


def heavy_ball(task: Task, p: Parameters) -> list[float]:
    """optax.sgd with momentum, on a loss that JAX differentiates."""
    at, w, _ = _run(task, p["steps"], _sgd(0.9), _HALF_SQUARE, query=False)
    return _predictions(at, w)


def nesterov(task: Task, p: Parameters) -> list[float]:
    """optax.sgd with Nesterov's momentum, on a loss that JAX differentiates.

    optax holds w + 0.9 v, where the gradient is taken, and −v/0.1 as its trace.
    """
    at, ahead, state = _run(task, p["steps"], _sgd(0.9, True), _HALF_SQUARE, query=False)
    return _predictions(at, ahead + 0.9 * 0.1 * np.asarray(optax.tree.get(state, "trace")))


def adam(task: Task, p: Parameters) -> list[float]:
    """optax.adam, on a loss that JAX differentiates."""
    at, w, _ = _run(task, p["steps"], _adam(), _HALF_SQUARE, query=False)
    return _predictions(at, w)


@cache
def _unit_sgd() -> optax.GradientTransformation:
    return optax.sgd(1.0)


def logistic_regression(task: Task, p: Parameters) -> list[float]:
    """optax.sgd on optax's sigmoid_binary_cross_entropy, which JAX differentiates."""
    at, w, _ = _run(task, p["steps"], _unit_sgd(), optax.losses.sigmoid_binary_cross_entropy, query=True)
    return [float(1 / (1 + np.exp(-v))) for v in _predictions(at, w)]


@cache
def _harmonic(ridge: float) -> optax.GradientTransformation:
    return optax.sgd(lambda count: 1 / (ridge * (count + 1)))


def support_vector(task: Task, p: Parameters) -> list[float]:
    """optax.sgd with a schedule of 1/λt on optax's hinge_loss, which JAX differentiates."""
    at, w, _ = _run(task, p["steps"], _harmonic(0.1), optax.losses.hinge_loss, query=True, ridge=0.1)
    return _predictions(at, w)
