"""What NumPy computes for the programs of table.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from innerloop.artifact.arrays import Floats
from scipy.special import erf

EXAMPLES = 6
RATES = np.array([0.5, 0.3, 0.2, 0.1])
TENSOR = np.linspace(-0.6, 1.1, 12).reshape(3, 2, 2) ** 2
Task = Mapping[str, Floats]
"""[rows, *shape] of each field: EXAMPLES examples, and a query."""


def mean(f: Callable[[Floats, Floats], Floats], task: Task, one: str, other: str) -> Floats:
    """Over the examples."""
    values = [f(a, b) for a, b in zip(task[one][:-1], task[other][:-1], strict=True)]
    return np.asarray(np.mean(values, axis=0))


def descent(x: Floats, y: Floats, steps: int, rate: float = 0.3) -> Floats:
    w = np.zeros(x.shape[1])
    for _ in range(steps):
        w = w - rate * x.T @ (x @ w - y) / len(y)
    return w


def answers(x: Floats, y: Floats, query: Floats) -> Floats:
    w = descent(x, y, 3)
    return np.concatenate([[w @ query], (0.001 * x.T @ x / len(x)).ravel(), w])


def weighed(x: Floats, y: Floats, query: Floats) -> Floats:
    density = np.exp(-2 * ((x - query) ** 2).sum(1)).sum()
    mean = (np.exp(x @ query)[:, None] * (y[:, None] * x - query) / 2 + y[:, None]).mean(0)
    return np.concatenate([[density], mean, [np.sum(np.exp(query[0] * x[:, 1]) * y * x[:, 1])]])


def logs(x: Floats, y: Floats, query: Floats) -> Floats:
    scores = x @ query
    shares = np.exp(scores * y) / np.exp(scores * y).sum()
    largest = np.max(20 * scores + y)
    whole = largest + np.log(np.exp(20 * scores + y - largest).sum())
    return np.asarray([whole, np.log(np.exp(scores).sum())] + shares @ (y[:, None] * x))


def chebyshev(steps: int, low: float, high: float) -> tuple[Floats, Floats]:
    """Rates and momenta of the iteration for A a = y, the eigenvalues of A between these (Golub and Varga 1961)."""
    middle, half = (high + low) / 2, (high - low) / 2
    rates, momenta, ratio = [1.0 / middle], [0.0], half / middle
    for _ in range(steps - 1):
        following = 1.0 / (2.0 * middle / half - ratio)
        rates.append(2.0 * following / half)
        momenta.append(following * ratio)
        ratio = following
    return np.array(rates), np.array(momenta)


def posterior_mean(x: Floats, y: Floats, query: Floats) -> Floats:
    """Of a Gaussian process with noise of variance 1."""
    kernel = np.exp(-((x[:, None] - x[None]) ** 2).sum(-1))
    return np.asarray(np.exp(-((x - query) ** 2).sum(1)) @ np.linalg.solve(kernel + np.eye(len(x)), y))


def by_step(x: Floats, y: Floats) -> Floats:
    examples, middle, w = x[:-1], x[:-1].mean(0), np.zeros(2)
    for t in range(3):
        turned = examples @ TENSOR[t].T
        g = turned.T @ (turned @ w - y) / len(y)
        for s in range(2):
            w = w - RATES[t + s] * g / (s + 1) + RATES[3 - t] * middle * TENSOR[2 - t, s, 0]
    return np.asarray(w + examples[-1] + 0.75 * middle + TENSOR[1, :, 0].sum())


def standardised(x: Floats, query: Floats) -> Floats:
    scaled = (query - x.mean(0)) / np.sqrt(x.var(0) + 0.2)
    covariance = np.cov(x.T, bias=True)
    return np.asarray(scaled * np.log(np.exp(query).sum()) + np.linalg.norm(query) * x.var(0) + covariance @ query)


def gram(x: Floats) -> Floats:
    """Of the examples, with a ridge."""
    return x[:-1].T @ x[:-1] / EXAMPLES + 0.2 * np.eye(x.shape[1])


def chosen(c: Floats, x: Floats) -> Floats:
    chosen = (c == 2) | (~(c < 3) & (x[:, 0] > 0))
    return np.asarray(np.where(chosen[:-1, None], x[:-1], 0.0).mean(0) + x[-1] * (c[-1] == 1))


def class_means(c: Floats, x: Floats) -> Floats:
    return np.array([x[c == k].mean(0) if np.any(c == k) else np.zeros(x.shape[1]) for k in range(4)])


def largest(x: Floats, a: Floats) -> Floats:
    n = len(x)
    first, last = np.eye(n)[x.argmax()], np.eye(n)[x.argmin()]
    slope = 2.0 * x.max() * first + np.eye(n)[x[:4].argmin()]
    return np.concatenate([first, x.max() * x, [x.min(), first @ a @ last], slope])


def nearest(x: Floats, y: Floats) -> Floats:
    scores = x[:-1] @ x[-1]
    best = scores.argmax()
    return np.concatenate([[(np.tanh(y) + x[:, 0])[:-1].max(), scores.min()], y[best] * x[best], x[best]])


def parts(t: Task) -> Floats:
    a, x = t["A"], t["x"][-1]
    s = (t["x"][:-1, 1, None] * a[:-1, 0] + a[:-1, 2]).mean(0)
    value = x[[2, 0, 1]] @ a[-1, 0]
    slope = np.array([value + x[1] * a[-1, 0, 2] + 1.0, x[1] * a[-1, 0, 0] + 1.0])
    return np.concatenate([a[-1, 0:2, 1] * s[1:3], s[0] * x[2:3], slope])


def transposed_loop(mean: Floats) -> Floats:
    w = np.zeros((2, 3))
    for _ in range(3):
        w = 0.5 * w + 0.2 * mean.T + 0.1 * np.array([[0.5, 1.0]]).T @ (np.array([[1.0, -1.0]]) @ w)
    return w


def backwards(x: Floats, y: Floats) -> Floats:
    """What one pass leaves is where the next one begins: the first token with its own of m, the last with that of g."""
    m, g = np.zeros_like(x), y.copy()
    for t in (1, 2):
        before = m[0]
        for k in range(len(y)):
            before = m[k] = 0.5 * before + x[k] / t
        after = g[-1]
        for k in reversed(range(len(y))):
            after = g[k] = y[k] + 0.8 * np.tanh(after) * m[k, 0]
    return np.append(g @ x / len(y), g[0])


def two_groups(x: Floats, y: Floats, z: Floats) -> Floats:
    """Of examples to fit, others to judge by, and a query: the fit's prediction and its mean squared error on the
    others, the squared distance of both samples under exp(−‖u − v‖²), the others' labels weighed by it, and Σ y."""
    fit, judge, query = x[: len(y)], x[len(y) : -1], x[-1]
    w = descent(fit, y, 4, 0.5)

    def kernel(a: Floats, b: Floats) -> Floats:
        return np.asarray(np.exp(-((a[:, None] - b[None]) ** 2).sum(-1)))

    apart = kernel(fit, fit).mean() + kernel(judge, judge).mean() - 2.0 * kernel(fit, judge).mean()
    near = kernel(query[None], judge)[0]
    return np.array([w @ query, ((judge @ w - z) ** 2).mean(), apart, near @ z / near.sum(), y.sum()])


def lags(x: Floats, y: Floats) -> Floats:
    """Of tokens a b a b … query: two back there is 0 before the beginning, and no b before the first a."""
    back = np.concatenate([np.zeros((2, 2)), x[:-2]])
    s = np.einsum("ni,nj->ij", x[1:-1:2], back[1:-1:2]) / len(y)
    latest = np.concatenate([[0.0], y[:-1]])
    return np.asarray(s @ back[-1] + y[-1] * x[-1] + (latest[:, None] * x[:-1:2]).mean(0))


def smooth(x: Floats, y: Floats) -> Floats:
    first = (np.sin(x[:-1]) * np.cos(y[:-1, None])).mean(0) + erf(x[-1]) - 0.25 * x[-1]
    return np.concatenate([first, np.logaddexp(0.0, [3.0 * y[-1], -8.0 * y[-1]])])
