"""What each puzzle wants, in NumPy, one task at a time: written from its words, and not with the language."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mean_label(x: Array, y: Array, **_: Any) -> Array:
    return np.array([y.mean()])


def count(x: Array, y: Array, level: float) -> Array:
    return np.array([float(np.count_nonzero(y > level))])


def similar(x: Array, y: Array, **_: Any) -> Array:
    return np.array([(y * (x[:-1] @ x[-1])).mean()])


def paired(x: Array, y: Array, **_: Any) -> Array:
    return np.array([sum((y[j] * float(x[j] @ x[i]) for j in range(i)), start=0.0) for i in range(len(x))])


def nearest(x: Array, y: Array, **_: Any) -> Array:
    distances = np.linalg.norm(x[:-1] - x[-1], axis=1)
    return np.array([y[distances <= distances.min() + 1e-9].mean()])


def smooth(x: Array, y: Array, h: float) -> Array:
    weights = np.exp(-(np.linalg.norm(x[:-1] - x[-1], axis=1) ** 2) / (2 * h**2))
    return np.array([float(weights @ y / weights.sum())])


def descended(x: Array, y: Array, steps: int, rate: float) -> Array:
    inputs, w = x[:-1], np.zeros(x.shape[1])
    for t in range(1, steps + 1):
        w = w - rate / t * inputs.T @ (inputs @ w - y) / len(y)
    return np.array([float(w @ x[-1])])


def logistic(x: Array, y: Array, steps: int, rate: float) -> Array:
    inputs, w = x[:-1], np.zeros(x.shape[1])
    for _ in range(steps):
        w = w + rate * inputs.T @ (y - 1 / (1 + np.exp(-inputs @ w))) / len(y)
    return np.array([1 / (1 + np.exp(-float(w @ x[-1])))])


def online(x: Array, y: Array, rate: float, **_: Any) -> Array:
    w = np.zeros(x.shape[1])
    for input, label in zip(x[:-1], y, strict=True):
        w = w + rate * (label - w @ input) * input
    return np.array([float(w @ x[-1])])


def sparse_online(x: Array, y: Array, rate: float, penalty: float, **_: Any) -> Array:
    w = np.zeros(x.shape[1])
    answers = [float(w @ x[0])]
    for input, label, query in zip(x[:-1], y, x[1:], strict=True):
        w = w + rate * (label - w @ input) * input
        w = np.sign(w) * np.maximum(np.abs(w) - rate * penalty, 0)
        answers.append(float(w @ query))
    return np.array(answers)
