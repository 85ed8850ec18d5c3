"""Estimators that update with every token."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from sklearn.linear_model import SGDRegressor

from .batch import Array, D, N, Parameters, Task, at_prefixes, at_query


def draw_states(rng: np.random.Generator) -> Task:
    return {"s": rng.standard_normal((N, D))}


def draw_complex(rng: np.random.Generator) -> Task:
    return {"x": rng.standard_normal((N, D, 2))}


def _linear_updates(maps: list[Array], additions: list[Array]) -> Array:
    """w ← A_i w + c_i: Σᵢ (A_n … A_{i+1}) c_i."""
    total, after = np.zeros(D), np.eye(D)
    for matrix, addition in zip(reversed(maps), reversed(additions), strict=True):
        total, after = total + after @ addition, after @ matrix
    return total


@at_prefixes
def stochastic_gradient_descent(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """The sum over all updates of what later ones leave of it, by products of matrices in NumPy."""
    rate = 2 * p["rate"]
    maps = [(1 - rate * p["decay"]) * np.eye(D) - rate * np.outer(x, x) for x in X]
    return float(_linear_updates(maps, [rate * label * x for x, label in zip(X, y, strict=True)]) @ query)


@at_query
def incremental_gradient(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """scikit-learn's SGDRegressor, an epoch a rate, in order."""
    model = SGDRegressor(penalty=None, fit_intercept=False, learning_rate="constant", shuffle=False)
    for rate in p["rates"]:
        model.set_params(eta0=rate).partial_fit(X, y)
    return float(model.predict(query[None])[0])


@at_prefixes
def normalized_least_mean_squares(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """The sum over all updates of what later ones leave of it, by products of matrices in NumPy."""
    rates = [0.5 / (0.1 + x @ x) for x in X]
    maps = [np.eye(D) - rate * np.outer(x, x) for rate, x in zip(rates, X, strict=True)]
    return float(_linear_updates(maps, [r * label * x for r, x, label in zip(rates, X, y, strict=True)]) @ query)


@at_prefixes
def sherman_morrison(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """numpy.linalg.solve on the normal equations, at every prefix."""
    return float(np.linalg.solve(X.T @ X + p["ridge"] * np.eye(D), X.T @ y) @ query)


@at_prefixes
def recursive_least_squares(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """numpy.linalg.solve on the weighted normal equations: an example n labels ago weighs fⁿ, and so does the ridge."""
    weight = p["forget"] ** np.arange(len(y))[::-1]
    matrix = (X.T * weight) @ X + p["ridge"] * p["forget"] ** len(y) * np.eye(D)
    return float(np.linalg.solve(matrix, (X.T * weight) @ y) @ query)


@at_prefixes
def kalman_filter(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """The Gaussian posterior mean in one numpy.linalg.solve: cov(w_i, w_j) = (prior + drift · min(i, j)) I."""
    step = np.arange(1, len(y) + 1)
    covariance = 1.0 + 0.01 * np.minimum.outer(step, step)
    last = 1.0 + 0.01 * step
    return (
        float((last * (X @ query)) @ np.linalg.solve(covariance * (X @ X.T) + 0.1 * np.eye(len(y)), y))
        if len(y)
        else 0.0
    )


def mesa_layer(task: Task, p: Parameters) -> list[Array]:
    """numpy.linalg.solve on the normal equations, at every prefix."""
    s = task["s"]
    past = np.vstack((np.zeros((1, D)), s[:-1]))
    rows = []
    for t in range(1, N + 1):
        gram = past[:t].T @ past[:t] + 0.1 * np.eye(D)
        rows.append(s[:t].T @ past[:t] @ np.linalg.solve(gram, s[t - 1]))
    return rows


def oja(task: Task, p: Parameters) -> list[Array]:
    """w ← (I + η s sᵀ) w − η (wᵀ s sᵀ w) w, in NumPy."""
    w, rows = np.full(D, D**-0.5), []
    for s in task["s"]:
        S = np.outer(s, s)
        w = (np.eye(D) + 0.05 * S) @ w - 0.05 * (w @ S @ w) * w
        rows.append(w)
    return rows


def principal_component(task: Task, p: Parameters) -> list[Array]:
    """As high a power of the covariance, by NumPy's matrix_power."""
    rows = []
    for t in range(1, N + 1):
        seen = task["s"][:t]
        v = np.linalg.matrix_power(seen.T @ seen / t, p["steps"]) @ np.ones(D)
        rows.append(v / np.linalg.norm(v))
    return rows


def ar_mesa_optimizer(task: Task, p: Parameters) -> list[Any]:
    """One complex matrix W_t = rate · mean xⱼ pⱼᴴ at every prefix, in NumPy."""
    x = task["x"][..., 0] + 1j * task["x"][..., 1]
    rows = []
    for t in range(1, N):
        W = p["rate"] * sum(np.outer(x[j], x[j - 1].conj()) for j in range(1, t + 1)) / t
        after = W @ x[t]
        rows.append(np.stack((after.real, after.imag), -1))
    return rows


def draw_pairs(rng: np.random.Generator) -> Task:
    """Keys of length 1, as the paper has them."""
    k, q = rng.standard_normal((2, N, D))
    keys = k / np.linalg.norm(k, axis=1, keepdims=True)
    return {"k": keys, "v": rng.standard_normal((N, 2)), "q": q, "beta": rng.random(N)}


def fast_weights(task: Task, p: Parameters) -> list[Array]:
    """All at once by SciPy's solve_triangular: W_t = Uᵀ K, with (I + diag(β) tril(K Kᵀ, −1)) U = diag(β) V."""
    k, beta = task["k"], task["beta"][:, None]
    written = solve_triangular(np.eye(N) + beta * np.tril(k @ k.T, -1), beta * task["v"], lower=True)
    return [written[: t + 1].T @ (k[: t + 1] @ q) for t, q in enumerate(task["q"])]
