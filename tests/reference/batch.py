"""Estimators that use all of their examples at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import eval_chebyt, softmax
from scipy.stats import norm
from sklearn.linear_model import Ridge

Array = NDArray[np.float64]
Task = dict[str, Any]
Parameters = Mapping[str, Any]
D, N = 3, 7


def draw(rng: np.random.Generator) -> Task:
    """x₁ y₁ … xₙ: a noisy linear function."""
    x, w = rng.standard_normal((N, D)), rng.standard_normal(D)
    return {"x": x, "y": x[:-1] @ w + 0.1 * rng.standard_normal(N - 1)}


draw_context = draw
"""Examples, then one query."""


def draw_judged(rng: np.random.Generator) -> Task:
    return draw(rng)


def draw_transitions(rng: np.random.Generator) -> Task:
    phi = rng.standard_normal((N, D))
    return {"phi": phi, "after": rng.standard_normal((N - 1, D)), "reward": rng.standard_normal(N - 1)}


def at_prefixes(
    predict: Callable[[Array, Array, Array, Parameters], float],
) -> Callable[[Task, Parameters], list[float]]:
    """`predict(X, y, query, parameters)` at every input, from the examples before it."""

    @wraps(predict)
    def answer(task: Task, p: Parameters) -> list[float]:
        return [predict(task["x"][:i], task["y"][:i], task["x"][i], p) for i in range(len(task["x"]))]

    return answer


def in_context(
    predict: Callable[[Array, Array, Array, Parameters], float],
) -> Callable[[Task, Parameters], list[float]]:
    """At every input, from all examples."""

    @wraps(predict)
    def answer(task: Task, p: Parameters) -> list[float]:
        return [predict(task["x"][:-1], task["y"], query, p) for query in task["x"]]

    return answer


def at_query(predict: Callable[[Array, Array, Array, Parameters], float]) -> Callable[[Task, Parameters], list[float]]:

    @wraps(predict)
    def answer(task: Task, p: Parameters) -> list[float]:
        return [predict(task["x"][:-1], task["y"], task["x"][-1], p)]

    return answer


def moments(X: Array, y: Array) -> tuple[Array, Array]:
    """XᵀX/n and Xᵀy/n; of nothing, 0."""
    n = max(len(y), 1)
    return X.T @ X / n, X.T @ y / n


def _filtered(X: Array, y: Array, gain: Callable[[Array], Array]) -> Array:
    """gain(H) b by the eigenvalues of H = XᵀX/n."""
    H, b = moments(X, y)
    values, vectors = np.linalg.eigh(H)
    return np.asarray(vectors @ (gain(np.where(values > 1e-13, values, 0.0)) * (vectors.T @ b)))


def _descended(values: Array, steps: int, rate: float) -> Array:
    """(1 − (1 − rate λ)ˢ) / λ, at λ = 0 its limit."""
    safe = np.where(values == 0, 1.0, values)
    return np.where(values == 0, rate * steps, (1 - (1 - rate * values) ** steps) / safe)


def _gradient_descent(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """(1 − (1 − ηλ)ˢ)/λ for each eigenvalue λ of XᵀX/n, by NumPy's eigh."""
    return float(_filtered(X, y, lambda v: _descended(v, p["steps"], p.get("rate", 0.1))) @ query)


gradient_descent = at_prefixes(_gradient_descent)
gradient_descent_query = at_query(_gradient_descent)
gradient_descent_in_context = in_context(_gradient_descent)


def deep_features(task: Task, p: Parameters) -> list[float]:
    """The features by NumPy, and gradient descent by the eigenvalues of their covariance."""
    features = np.tanh(task["x"] @ p["A"].T + p["c"])
    return gradient_descent({"x": features, "y": task["y"]}, {"rate": 0.1, **p})


@at_query
def gd_plus(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """All tokens at once, in NumPy: R ← R − η K R / n, Z ← Z (I − γ XᵀX)."""
    Z, r = np.vstack((X, query)), np.append(y, 0.0)
    n = len(y)
    for _ in range(p["steps"]):
        r, Z = r - 0.1 * (Z @ (Z[:n].T @ r[:n])) / n, Z @ (np.eye(len(query)) - p["curvature"] * Z[:n].T @ Z[:n])
    return float(-r[-1])


def _iterate(matrix: Array, start: Array, offset: Array, steps: int) -> Array:
    """s ← matrix s + offset, `steps` times, by one power of the augmented matrix."""
    size = len(start)
    whole = np.block([[matrix, offset[:, None]], [np.zeros((1, size)), np.ones((1, 1))]])
    return np.asarray((np.linalg.matrix_power(whole, steps) @ np.append(start, 1.0))[:size])


@at_prefixes
def preconditioned(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """One power of the matrix of the affine iteration, by NumPy's matrix_power."""
    H, b = moments(X, y)
    return float(_iterate(np.eye(D) - p["A"] @ H, np.zeros(D), p["A"] @ b, p["steps"]) @ query)


@at_prefixes
def averaging(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """NumPy's mean."""
    return float(np.mean([label * (x @ query) for x, label in zip(X, y, strict=True)])) if len(y) else 0.0


@at_prefixes
def conjugate_gradient(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """The solution of the normal equations by numpy.linalg.solve: there are more steps than dimensions."""
    H, b = moments(X, y)
    return float(np.linalg.solve(H + p["ridge"] * np.eye(D), b) @ query)


@at_prefixes
def iterative_newton(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """(1 − (1 − λ²/‖H‖²)^(2ˢ)) / λ for each eigenvalue λ of XᵀX/n, by NumPy's eigh."""
    square = np.sum(moments(X, y)[0] ** 2) or 1.0

    def gain(values: Array) -> Array:
        return np.asarray((1 - (1 - values**2 / square) ** (2 ** p["steps"])) / np.where(values == 0, 1.0, values))

    return float(_filtered(X, y, gain) @ query)


@at_prefixes
def ridge(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """scikit-learn's Ridge."""
    if not len(y):
        return 0.0
    model = Ridge(alpha=p["ridge"], fit_intercept=False, solver="cholesky").fit(X, y)
    return float(model.predict(query[None])[0])


@at_prefixes
def lasso(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """As many proximal steps in NumPy; test_library.py also holds it against scikit-learn's Lasso at convergence."""
    H, b = moments(X, y)
    w = np.zeros(D)
    for _ in range(p["steps"]):
        w = w - 0.1 * (H @ w - b)
        w = np.sign(w) * np.maximum(np.abs(w) - 0.1 * 0.1, 0)
    return float(w @ query)


@at_prefixes
def fista(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """As many steps in NumPy, their momenta computed before; test_interpret.py also holds it against scikit-learn's
    Lasso at convergence."""
    H, b = moments(X, y)
    t = np.ones(p["steps"] + 1)
    for k in range(p["steps"]):
        t[k + 1] = (1 + np.sqrt(1 + 4 * t[k] ** 2)) / 2
    path = [np.zeros(D), np.zeros(D)]
    for momentum in np.append(0.0, (t[:-2] - 1) / t[1:-1]):
        ahead = path[-1] + momentum * (path[-1] - path[-2])
        v = ahead - p["rate"] * (H @ ahead - b)
        path.append(np.sign(v) * np.maximum(np.abs(v) - p["rate"] * 0.1, 0))
    return float(path[-1] @ query)


@at_query
def chebyshev_iteration(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """(1 − Tₛ((c − λ)/r) / Tₛ(c/r)) / λ for each eigenvalue λ of XᵀX/n, with SciPy's Tₛ, by NumPy's eigh."""
    centre, radius = (8 + 0.1) / 2, (8 - 0.1) / 2

    def left(values: Array) -> Array:
        return np.asarray(eval_chebyt(p["steps"], (centre - values) / radius))

    return float(_filtered(X, y, lambda v: (1 - left(v) / left(np.zeros(1))) / v) @ query)


def algorithm_selection(task: Task, p: Parameters) -> list[float]:
    """Each candidate by NumPy's eigh, their losses weighed by SciPy's softmax."""
    X, y, query = task["x"][:-1], task["y"], task["x"][-1]
    weights = []
    for penalty in (0.001, 0.01, 0.1, 1):
        descended = lambda v, s=penalty: _descended(v + s, p["steps"], 0.1)  # noqa: E731
        weights.append(_filtered(X[::2], y[::2], descended))
    W = np.array(weights)
    loss = ((X[1::2] @ W.T - y[1::2, None]) ** 2).mean(0)
    return [float(softmax(-100 * loss) @ (W @ query))]


@at_prefixes
def bayes_model_average(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """The likelihoods by scipy.stats, weighed by SciPy's softmax."""
    likelihood = norm.logpdf(y[:, None], X @ p["known"].T, np.sqrt(0.25)).sum(0)
    return float(softmax(likelihood) @ p["known"] @ query)


def _td(task: Task, p: Parameters, traces: Array) -> list[float]:
    phi, n = task["phi"][:-1], len(task["reward"])
    A = traces.T @ (phi - 0.9 * task["after"]) / n
    b = traces.T @ task["reward"] / n
    w = _iterate(np.eye(D) - 0.1 * A, np.zeros(D), 0.1 * b, p["steps"])
    return [float(w @ task["phi"][-1])]


def temporal_difference(task: Task, p: Parameters) -> list[float]:
    """One power of the matrix of the affine iteration, by NumPy's matrix_power."""
    return _td(task, p, task["phi"][:-1])


def temporal_difference_lambda(task: Task, p: Parameters) -> list[float]:
    """The same power, with all traces from one matrix of decays."""
    age = np.subtract.outer(np.arange(N - 1), np.arange(N - 1))
    decay = np.where(age >= 0, (0.9 * 0.5) ** np.maximum(age, 0), 0.0)
    return _td(task, p, decay @ task["phi"][:-1])


def draw_held_out(rng: np.random.Generator) -> Task:
    """Ten examples to fit, six to judge by, and a query; noise of a size of its own."""
    x, w = rng.uniform(-1.0, 1.0, (17, D)), rng.uniform(-1.0, 1.0, D)
    y = x[:-1] @ w + rng.uniform(0.1, 0.5) * rng.uniform(-1.0, 1.0, 16)
    return {"x": x, "y": y[:10], "label": y[10:]}


def validated_ridge(task: Task, p: Parameters) -> list[Array]:
    """scikit-learn's Ridge for each λ (its penalty is not divided by the examples), under SciPy's softmax of their
    errors."""
    X, query = np.split(task["x"], [-1])
    n = len(task["y"])
    fits = [Ridge(alpha=a * n, fit_intercept=False).fit(X[:n], task["y"]) for a in (0.01, 0.1, 1.0)]
    errors = np.array([np.mean((fit.predict(X[n:]) - task["label"]) ** 2) for fit in fits])
    predicted = np.concatenate([fit.predict(query) for fit in fits])
    return [np.array([softmax(-100.0 * errors) @ predicted, errors.min()])]
