"""Decisions: Markov decision processes, bandits, and votes."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import AdaBoostClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct
from sklearn.linear_model import SGDRegressor

from .batch import Array, D, Parameters, Task

STATES, ACTIONS, ARMS = 3, 2, 3


def draw_process(rng: np.random.Generator) -> Task:
    """How often each action led from each state to which, and its rewards."""
    seen = rng.integers(6, size=(STATES, ACTIONS, STATES)).astype(float)
    return {"s": np.eye(STATES)[rng.permutation(STATES)], "seen": seen, "reward": rng.uniform(-1, 1, (STATES, ACTIONS))}


def value_iteration(task: Task, p: Parameters) -> Array:
    """SciPy's linprog on Bellman's inequalities: the iteration has converged."""
    chances = (1 + task["seen"]) / (1 + task["seen"]).sum(-1, keepdims=True)
    own = np.repeat(task["s"][:, None], ACTIONS, axis=1)
    inequalities = (p["discount"] * chances - own).reshape(-1, STATES)
    found = linprog(np.ones(STATES), inequalities, -task["reward"].reshape(-1), bounds=(None, None), method="highs-ds")
    return np.asarray(task["s"] @ found.x)


def draw_walk(rng: np.random.Generator) -> Task:
    states, actions = rng.integers(STATES, size=11), rng.integers(ACTIONS, size=10)
    rewards = rng.uniform(-1, 1, 10)
    return {"s": np.eye(STATES)[states[:-1]], "a": np.eye(ACTIONS)[actions], "reward": rewards,
            "after": np.eye(STATES)[states[1:]]}  # fmt: skip


def q_learning(task: Task, p: Parameters) -> list[Array]:
    """scikit-learn's SGDRegressor on a feature for each state and action, its labels the targets that it gives."""
    features = np.eye(STATES * ACTIONS)
    model = SGDRegressor(penalty=None, fit_intercept=False, learning_rate="constant", eta0=0.5)
    model.partial_fit(np.zeros((1, STATES * ACTIONS)), [0.0])
    rows = []
    for s, a, reward, after in zip(*(task[name] for name in ("s", "a", "reward", "after")), strict=True):
        following = features.reshape(STATES, ACTIONS, -1)[after.argmax()]
        target = reward + 0.9 * model.predict(following).max()
        model.partial_fit(np.outer(s, a).reshape(1, -1), [target])
        rows.append(model.predict(following))
    return rows


def draw_trials(rng: np.random.Generator) -> Task:
    x, theta = rng.standard_normal((10, D)), rng.standard_normal(D)
    reward = np.clip(x @ theta / 4 + 0.1 * rng.standard_normal(10), -1, 1)
    return {"x": x, "reward": reward, "X": rng.standard_normal((1, ARMS, D))}


def lin_ucb(task: Task, p: Parameters) -> list[Array]:
    """scikit-learn's GaussianProcessRegressor under a linear kernel, noise as large as the ridge."""
    model = GaussianProcessRegressor(DotProduct(0.0), alpha=1.0, optimizer=None).fit(task["x"], task["reward"])
    mean, deviation = model.predict(task["X"][0], return_std=True)
    return [mean + deviation]


class _Best(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A weak learner for AdaBoostClassifier: one of the features or its opposite."""

    def fit(self, X: Array, y: Array, sample_weight: Array) -> _Best:
        edges = (sample_weight * y) @ X
        self.classes_, self.best = np.array([-1.0, 1.0]), np.abs(edges).argmax()
        self.sign = np.sign(edges[self.best])
        return self

    def predict(self, X: Any) -> Array:
        return np.asarray(self.sign * np.asarray(X)[:, self.best])


def _boosted(task: Task, rounds: int) -> AdaBoostClassifier:
    return AdaBoostClassifier(_Best(), n_estimators=rounds).fit(task["h"][:-1], task["y"])


def draw_votes(rng: np.random.Generator) -> Task:
    """Hypotheses of which none is always right, and no two are as good as each other in a round."""
    while True:
        h = rng.choice([-1.0, 1.0], (14, D))
        y = np.sign(h[:-1] @ rng.standard_normal(D) + 0.5 * rng.standard_normal(13))
        margins, w, gaps = y[:, None] * h[:-1], np.zeros(D), [1.0]
        while len(gaps) < 11 and min(gaps) > 0.01:
            edges = softmax(-margins @ w) @ margins
            second, first = np.sort(np.abs(edges))[-2:]
            gaps += [first - second, 0.9 - first]
            best = np.abs(edges).argmax()
            w[best] += np.sign(edges[best]) * np.arctanh(min(first, 0.9))
        if min(gaps) > 0.01:
            return {"h": h, "y": y}


def adaboost(task: Task, p: Parameters) -> list[float]:
    """scikit-learn's AdaBoostClassifier over the hypotheses and their opposites."""
    model = _boosted(task, p["rounds"])
    return [float(model.decision_function(task["h"][-1:])[0] * model.estimator_weights_.sum() / 4)]
