"""Classifiers, neighbours and kernels."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.special import expit, softmax
from sklearn.neighbors import KNeighborsRegressor

from .batch import Array, D, Parameters, Task, at_prefixes, at_query, draw


def draw_signs(rng: np.random.Generator) -> Task:
    task = draw(rng)
    return {"x": task["x"], "y": np.sign(task["y"])}


draw_signs_context = draw_signs


def draw_bits(rng: np.random.Generator) -> Task:
    task = draw(rng)
    return {"x": task["x"], "y": (task["y"] > 0).astype(float)}


@at_prefixes
def perceptron(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """In the dual: how often each example was added."""
    added = np.zeros(len(y))
    gram = X @ X.T
    for i in range(len(y)):
        added[i] = float(y[i] * (gram[i] @ (added * y)) <= 0)
    return float((added * y) @ X @ query)


@at_query
def support_vector(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """Steps of 1/λt make w the mean of all subgradients so far, over λ."""
    total = np.zeros(D)
    for t in range(p["steps"]):
        w = total / (0.1 * max(t, 1))
        total = total + np.where(y * (X @ w) < 1, y, 0.0) @ X / len(y)
    return float(total @ query / (0.1 * p["steps"]))


@at_query
def logistic_regression(X: Array, y: Array, query: Array, p: Parameters) -> float:
    w = np.zeros(D)
    for _ in range(p["steps"]):
        w = w - X.T @ (expit(X @ w) - y) / len(y)
    return float(expit(w @ query))


@at_query
def newton_logistic(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """SciPy's minimum of the penalised loss."""

    def gradient(w: Array) -> Array:
        return np.asarray(p["ridge"] * w + X.T @ (expit(X @ w) - y) / len(y))

    def hessian(w: Array) -> Array:
        q = expit(X @ w)
        return np.asarray(p["ridge"] * np.eye(D) + (X.T * (q * (1 - q))) @ X / len(y))

    def loss(w: Array) -> float:
        margin = np.where(y == 1, X @ w, -(X @ w))
        return float(p["ridge"] * w @ w / 2 + np.logaddexp(0, -margin).mean())

    found = minimize(loss, np.zeros(D), jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-10})
    w = found.x - np.linalg.solve(hessian(found.x), gradient(found.x))
    return float(expit(w @ query))


@at_prefixes
def nearest_neighbour(X: Array, y: Array, query: Array, p: Parameters) -> float:
    return float(KNeighborsRegressor(1).fit(X, y).predict(query[None])[0]) if len(y) else 0.0


@at_prefixes
def kernel_regression(X: Array, y: Array, query: Array, p: Parameters) -> float:
    kernel = np.exp(-cdist(X, query[None], "sqeuclidean")[:, 0] / (2 * p["width"] ** 2))
    return float(kernel @ y / kernel.sum()) if len(y) else 0.0


@at_query
def functional_gradient_descent(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """r ← (I − η P) r over examples and query at once."""
    tokens = np.vstack((X, query))
    P = np.hstack((softmax(tokens @ X.T, axis=1), np.zeros((len(tokens), 1))))
    r = np.linalg.matrix_power(np.eye(len(tokens)) - 0.5 * P, 10) @ np.append(y, 0.0)
    return float(-r[-1])
