"""Posteriors, mixtures and kernels: what scikit-learn has a class for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsRegressor, NearestCentroid

from .batch import Array, D, Parameters, Task, at_query

CLASSES, POINTS = 3, 12


def gaussian_process(task: Task, p: Parameters) -> list[Array]:
    """scikit-learn's GaussianProcessRegressor."""
    model = GaussianProcessRegressor(RBF(1.0), alpha=0.1, optimizer=None).fit(task["x"][:-1], task["y"])
    mean, deviation = model.predict(task["x"][-1:], return_std=True)
    return [np.array([mean[0], deviation[0] ** 2])]


@at_query
def kernel_ridge(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """scikit-learn's KernelRidge: the iteration has converged."""
    return float(KernelRidge(alpha=1.0, kernel="rbf", gamma=0.5).fit(X, y).predict(query[None])[0])


@at_query
def k_nearest_neighbours(X: Array, y: Array, query: Array, p: Parameters) -> float:
    """scikit-learn's KNeighborsRegressor."""
    return float(KNeighborsRegressor(3).fit(X, y).predict(query[None])[0])


def draw_classes(rng: np.random.Generator) -> Task:
    """Gaussian classes, each of which has at least three examples."""
    of = rng.permutation(np.arange(POINTS) % CLASSES)
    of[0] = rng.integers(CLASSES)
    centres = rng.standard_normal((CLASSES, D))
    return {"x": centres[np.append(of, 0)] + rng.standard_normal((POINTS + 1, D)), "c": np.eye(CLASSES)[of]}


class _WithRidge:
    """An estimator for LinearDiscriminantAnalysis: the covariance of a class, and `ridge` on its diagonal."""

    def __init__(self, ridge: float) -> None:
        self.ridge = ridge

    def fit(self, X: Array) -> None:
        self.covariance_ = np.cov(X.T, bias=True) + self.ridge * np.eye(X.shape[1])


def linear_discriminant_analysis(task: Task, p: Parameters) -> Any:
    """scikit-learn's LinearDiscriminantAnalysis, which is given covariances with the ridge."""
    model = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=_WithRidge(0.1))
    return model.fit(task["x"][:-1], task["c"].argmax(1)).decision_function(task["x"][-1:])


def draw_mixture(rng: np.random.Generator) -> Task:
    """Two clusters, and guesses of where they are."""
    centres = 1.5 * rng.standard_normal((2, D))
    points = np.repeat(centres, 6, axis=0) + rng.standard_normal((12, D))
    return {"M": (centres + 0.5 * rng.standard_normal((2, D)))[None], "x": rng.permutation(points)}


def gaussian_mixture(task: Task, p: Parameters) -> Any:
    """scikit-learn's GaussianMixture, as many steps from the same means."""
    k, d = task["M"][0].shape
    start = {"means_init": task["M"][0], "weights_init": np.full(k, 1 / k), "precisions_init": np.ones((k, d))}
    model = GaussianMixture(k, covariance_type="diag", reg_covar=0.1, tol=0.0, max_iter=p["steps"], **start)
    return model.fit(task["x"]).predict_proba(task["x"])


@cache
def _descended(steps: int) -> Callable[[Array, Array], jax.Array]:
    """(X, c) → W, compiled once."""
    descent = optax.sgd(1.0)

    @jax.jit
    def fitted(X: jax.Array, c: jax.Array) -> jax.Array:
        W = jnp.zeros((CLASSES, D + 1))
        state = descent.init(W)
        for _ in range(steps):
            slope = jax.grad(lambda W: optax.softmax_cross_entropy(X @ W.T, c).mean())(W)
            updates, state = descent.update(slope, state)
            W = jnp.asarray(optax.apply_updates(W, updates))
        return W

    return fitted


def softmax_regression(task: Task, p: Parameters) -> list[Array]:
    """As many steps of optax's sgd on optax's cross-entropy."""
    X = np.insert(task["x"], 0, 1.0, axis=1)
    with jax.enable_x64(True):
        W = np.asarray(_descended(p["steps"])(X[:-1], task["c"]))
    return [np.asarray(softmax(W @ X[-1]))]


def draw_episode(rng: np.random.Generator) -> Task:
    """Classes as `draw_classes` has them, and three queries."""
    task = draw_classes(rng)
    return {"x": np.concatenate([task["x"], rng.standard_normal((2, D))]), "c": task["c"]}


def prototypical_network(task: Task, p: Parameters) -> Array:
    """SciPy's softmax of minus the squared distances to the centroids of scikit-learn's NearestCentroid."""
    X, of = task["x"], task["c"].argmax(1)
    centroids = NearestCentroid().fit(X[: len(of)], of).centroids_
    return np.asarray(softmax(-cdist(X[len(of) :], centroids, "sqeuclidean"), axis=1))


def draw_samples(rng: np.random.Generator) -> Task:
    """Two samples of Gaussians with means and variances of their own, and a query."""
    scale, shift = rng.uniform(0.5, 1.5), 0.5 * rng.standard_normal(D)
    return {"x": rng.standard_normal((8, D)), "z": shift + scale * rng.standard_normal((5, D))}


def maximum_mean_discrepancy(task: Task, p: Parameters) -> list[Array]:
    """scikit-learn's rbf_kernel, its blocks' means."""
    X, query, Z = task["x"][:-1], task["x"][-1:], task["z"]
    squared = rbf_kernel(X, gamma=0.5).mean() + rbf_kernel(Z, gamma=0.5).mean() - 2 * rbf_kernel(X, Z, gamma=0.5).mean()
    return [np.array([squared, rbf_kernel(query, X, gamma=0.5).mean() - rbf_kernel(query, Z, gamma=0.5).mean()])]
