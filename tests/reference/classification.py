"""Classifiers, neighbours and kernels."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from scipy.special import expit, softmax
from sklearn.linear_model import Perceptron
from sklearn.metrics.pairwise import rbf_kernel

from .batch import Array, D, Parameters, Task, at_prefixes, at_query, draw


def draw_signs(rng: np.random.Generator) -> Task:
    task = draw(rng)
    return {"x": task["x"], "y": np.sign(task["y"])}


draw_signs_context = draw_signs


def draw_bits(rng: np.random.Generator) -> Task:
    task = draw(rng)
    return {"x": task["x"], "y": (task["y"] > 0).astype(float)}


def perceptron(task: Task, p: Parameters) -> list[float]:
    """scikit-learn's Perceptron, one pass in order."""
    model = Perceptron(fit_intercept=False, shuffle=False, max_iter=1, tol=None)
    found = [0.0]
    for x, label, query in zip(task["x"][:-1], task["y"], task["x"][1:], strict=True):
        model.partial_fit(x[None], [label], classes=[-1.0, 1.0])
        found.append(float(model.decision_function(query[None])[0]))
    return found


@at_query
def newton_logistic(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """The minimum of the penalised loss by scipy.optimize.minimize."""

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
    """SciPy's k-d tree."""
    return float(y[cKDTree(X).query(query)[1]]) if len(y) else 0.0


@at_prefixes
def kernel_regression(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """NumPy's weighted average under scikit-learn's rbf_kernel."""
    if not len(y):
        return 0.0
    kernel = rbf_kernel(X, query[None], gamma=1 / (2 * p["width"] ** 2))[:, 0]
    return float(np.average(y, weights=kernel))


@at_query
def functional_gradient_descent(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """r ← (I − η P) r over examples and query at once, by NumPy's matrix_power and SciPy's softmax."""
    tokens = np.vstack((X, query))
    P = np.hstack((softmax(tokens @ X.T, axis=1), np.zeros((len(tokens), 1))))
    r = np.linalg.matrix_power(np.eye(len(tokens)) - 0.5 * P, 10) @ np.append(y, 0.0)
    return float(-r[-1])
