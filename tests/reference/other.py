"""Clusters, memories, networks, symbols, and losses that the prompt names."""

from __future__ import annotations

import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from scipy.cluster.vq import kmeans2

from .batch import Array, D, Parameters, Task, draw

H, K, V = 4, 3, 4


def draw_clusters(rng: np.random.Generator) -> Task:
    centres = 3 * rng.standard_normal((2, D))
    points = np.repeat(centres, 6, axis=0) + rng.standard_normal((12, D))
    return {"C": (centres + rng.standard_normal((2, D)))[None], "s": rng.permutation(points)}


def k_means(task: Task, p: Parameters) -> Array:
    """SciPy's, from the same centres; a centre that is nobody's nearest stays where it is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="One of the clusters is empty")
        centres, labels = kmeans2(task["s"], task["C"][0], iter=p.get("steps", 10), minit="matrix")
    return np.asarray(centres[labels])


def draw_network(rng: np.random.Generator) -> Task:
    return draw(rng) | {"W": rng.standard_normal((1, H, D)), "a": rng.standard_normal((1, H))}


def mlp_gradient_descent(task: Task, p: Parameters) -> list[float]:
    """Gradient steps that JAX differentiates."""

    def loss(network: tuple[jax.Array, jax.Array]) -> jax.Array:
        W, a = network
        return jnp.mean((jnp.tanh(task["x"][:-1] @ W.T) @ a - task["y"]) ** 2) / 2

    with jax.enable_x64(True):
        network = jnp.asarray(task["W"][0]), jnp.asarray(task["a"][0])
        for _ in range(5):
            slopes = jax.grad(loss)(network)
            network = network[0] - 0.1 * slopes[0], network[1] - 0.1 * slopes[1]
        W, a = (np.asarray(part) for part in network)
    return [float(np.tanh(W @ task["x"][-1]) @ a)]


def draw_symbols(rng: np.random.Generator) -> Task:
    return {"s": rng.integers(V, size=12)}


def bigram(task: Task, p: Parameters) -> Array:
    """Counts in NumPy."""
    symbols, counts, rows = task["s"], np.ones((V, V)), []
    for t, symbol in enumerate(symbols):
        if t:
            counts[symbols[t - 1], symbol] += 1
        rows.append(counts[symbol] / counts[symbol].sum())
    return np.array(rows)


def induction_head(task: Task, p: Parameters) -> Array:
    """NumPy's mean of what followed my symbol; if it never came before, of everything so far."""
    symbols, rows = task["s"], []
    for t, symbol in enumerate(symbols):
        after = [symbols[j] for j in range(1, t + 1) if symbols[j - 1] == symbol] or list(symbols[: t + 1])
        rows.append(np.bincount(after, minlength=V) / len(after))
    return np.array(rows)


AUTOMATON = {
    "states": 3,
    "symbols": 3,
    "edges": 9,
    "start": np.eye(3)[0],
    "tail": np.repeat(np.eye(3), 3, axis=0),
    "label": np.tile(np.eye(3), (3, 1)),
    "head": np.eye(3)[[0, 1, 0, 1, 2, 0, 2, 0, 0]],
}
"""Counts the symbol 1 modulo 3; the symbol 2 sets it back to 0."""


def draw_word(rng: np.random.Generator) -> Task:
    return {"s": rng.choice(3, size=20, p=[0.4, 0.45, 0.15])}


def finite_automaton(task: Task, p: Parameters) -> Array:
    """Which regular expression matches the word so far: the engine of Python's `re`."""
    word = "".join("abc"[symbol] for symbol in task["s"])
    languages = [re.compile(rf"(?:[abc]*c)?(?:a*b){{{state}}}(?:(?:a*b){{3}})*a*") for state in range(3)]
    return np.array(
        [[float(bool(language.fullmatch(word[:t]))) for language in languages] for t in range(1, len(word) + 1)]
    )


def draw_patterns(rng: np.random.Generator) -> Task:
    """Patterns on a sphere, and one of them with noise."""
    patterns = rng.standard_normal((6, D))
    patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
    return {"x": np.vstack((patterns, patterns[2] + 0.3 * rng.standard_normal(D)))}


def associative_memory(task: Task, p: Parameters) -> Array:
    """PyTorch's scaled_dot_product_attention, with the patterns as keys and values."""
    import torch  # here: the other references need not wait for it

    x = torch.from_numpy(task["x"])
    state = x[-1:]
    for _ in range(p["steps"]):
        state = torch.nn.functional.scaled_dot_product_attention(state, x[:-1], x[:-1], scale=8.0)
    return np.asarray(state.numpy())


def draw_loss(rng: np.random.Generator) -> Task:
    chosen = rng.integers(3)
    return draw(rng) | {name: np.array([float(k == chosen)]) for k, name in enumerate(("l1", "l2", "linf"))}


def retargetable_gradient_descent(task: Task, p: Parameters) -> list[float]:
    """As many steps in NumPy, a branch for each loss."""
    X, y = task["x"][:-1], task["y"]
    w, rate = np.zeros(D), 0.5
    for _ in range(p["steps"]):
        residual = X @ w - y
        sign = np.clip(residual / p["width"], -1, 1)
        if task["l2"][0]:
            slope = residual @ X / len(y)
        elif task["l1"][0]:
            slope = sign @ X / len(y)
        else:
            heat = np.exp(p["sharpness"] * (np.abs(residual) - np.abs(residual).max()))
            slope = (heat / heat.sum() * sign) @ X
        w, rate = w - rate * slope, 0.988 * rate
    return [float(w @ task["x"][-1])]


def draw_table(rng: np.random.Generator) -> Task:
    knots = {"knot": rng.standard_normal((1, K)), "slope": rng.random((1, K)), "offset": -rng.random(1)}
    return draw(rng) | knots


def retargetable_loss_table(task: Task, p: Parameters) -> list[float]:
    """As many steps in NumPy, ℓ′ by its piecewise linear interpolation."""
    X, y = task["x"][:-1], task["y"]
    knots, slopes = task["knot"][0], task["slope"][0]
    order = np.argsort(knots)
    grid = np.concatenate(([-1e3], knots[order], [1e3]))
    heights = task["offset"][0] + np.array(
        [sum(s * max(g - k, 0) for k, s in zip(knots, slopes, strict=True)) for g in grid]
    )
    w, rate = np.zeros(D), 0.5
    for _ in range(p["steps"]):
        w, rate = w - rate * np.interp(X @ w - y, grid, heights) @ X / len(y), 0.985 * rate
    return [float(w @ task["x"][-1])]
