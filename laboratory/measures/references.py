"""The algorithms that a trained transformer may have found, in closed form: NumPy, float64.

    x [batch, n, d], y [batch, n − 1 or n]   →   predictions [batch, n], at every x from the examples before it

`references` gathers them as predictors by name, those of Akyürek et al. 2022, §4: nothing before an x predicts 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from innerloop.artifact.errors import DataError
from numpy.typing import ArrayLike, NDArray

from .distance import Fields, Floats, Predictor

Closed = Callable[[Floats, Floats], Floats]


def ridge_regression(x: Floats, y: Floats, ridge: float) -> Floats:
    """w = (XᵀX + λ I)⁻¹ Xᵀ y, and of least norm where λ = 0: ordinary least squares."""
    products, moments = _statistics(x, y)
    if ridge > 0:
        w = np.linalg.solve(products + ridge * np.eye(x.shape[2]), moments[..., None])
    else:
        w = np.linalg.pinv(products, rcond=1e-10, hermitian=True) @ moments[..., None]
    return _applied(np.asarray(w, np.float64)[..., 0], x)


def gradient_descent(x: Floats, y: Floats, steps: int, rate: float) -> Floats:
    """`steps` of w ← w − η/n Σ (w · xᵢ − yᵢ) xᵢ from 0: w = V φ(Λ) Vᵀ Xᵀy/n with φ(λ) = (1 − (1 − ηλ)ᵏ) / λ and
    XᵀX/n = V Λ Vᵀ."""
    products, moments = _statistics(x, y)
    seen = np.maximum(np.arange(x.shape[1]), 1)[:, None]
    values, vectors = np.linalg.eigh(products / seen[..., None])
    flat = np.abs(values) < 1e-9
    safe = np.where(flat, 1.0, values)
    gain = np.where(flat, steps * rate, (1 - (1 - rate * safe) ** steps) / safe)
    inside = gain * np.einsum("bnij,bni->bnj", vectors, moments / seen)
    return _applied(np.einsum("bnij,bnj->bni", vectors, inside), x)


def stochastic_gradient_descent(x: Floats, y: Floats, rate: float) -> Floats:
    """One pass of w ← w − 2η (w · xᵢ − yᵢ) xᵢ from 0, an example at a time, as the shipped program (Akyürek et al.)."""
    w, answers = np.zeros((len(x), x.shape[2])), []
    for i in range(x.shape[1]):
        answers.append((w * x[:, i]).sum(-1))
        if i < y.shape[1]:
            w = w - 2 * rate * (answers[-1] - y[:, i])[:, None] * x[:, i]
    return np.stack(answers, 1)


def averaging(x: Floats, y: Floats) -> Floats:
    """w = Xᵀy/n (Garg et al. 2022)."""
    _, moments = _statistics(x, y)
    return _applied(moments / np.maximum(np.arange(x.shape[1]), 1)[:, None], x)


def nearest_neighbours(x: Floats, y: Floats, count: int) -> Floats:
    """The mean label of the `count` examples nearest to the query, all of them where there are fewer."""
    answers = [np.zeros(len(x))]
    for i in range(1, x.shape[1]):
        distance = ((x[:, :i] - x[:, i : i + 1]) ** 2).sum(-1)
        nearest = np.argsort(distance, 1, kind="stable")[:, :count]
        answers.append(np.take_along_axis(y[:, :i], nearest, 1).mean(1))
    return np.stack(answers, 1)


def _statistics(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """XᵀX [batch, n, d, d] and Xᵀy [batch, n, d] of the examples before each x."""
    before, labels = x[:, :-1], y[:, : x.shape[1] - 1]
    products = np.einsum("bni,bnj->bnij", before, before).cumsum(1)
    moments = (labels[..., None] * before).cumsum(1)
    return np.pad(products, ((0, 0), (1, 0), (0, 0), (0, 0))), np.pad(moments, ((0, 0), (1, 0), (0, 0)))


def _applied(w: Floats, x: Floats) -> Floats:
    return np.asarray(np.einsum("bnd,bnd->bn", w, x))


def reference(algorithm: Callable[..., Floats], rows: int | None = None, **settings: Any) -> Predictor:
    """One of the algorithms above as a predictor of the fields x and y; of its predictions the last `rows` (None: all),
    as a program that answers at its query alone has one.

    The predictor raises DataError for fields that are not x [batch, n, d] and y [batch, n − 1 or n]."""
    solve: Closed = partial(algorithm, **settings)

    def predictor(fields: Fields) -> NDArray[Any]:
        x, y = _regression(fields)
        answers = solve(x, y)
        return answers if rows is None else answers[:, -rows:]

    return predictor


def _regression(fields: Mapping[str, ArrayLike]) -> tuple[Floats, Floats]:
    if set(fields) != {"x", "y"}:
        raise DataError(f"the references of regression take the fields x and y, not {', '.join(sorted(fields))}")
    x, y = (np.asarray(fields[name], np.float64) for name in ("x", "y"))
    if x.ndim != 3 or y.ndim != 2 or y.shape[0] != x.shape[0] or x.shape[1] - y.shape[1] not in (0, 1):
        raise DataError(
            f"the references of regression take x [batch, n, d] and y [batch, n − 1]; got {x.shape}, {y.shape}"
        )
    return x, y


def references(
    rows: int | None = None, noise: float = 0.0, rates: tuple[float, ...] = (0.1, 0.5)
) -> dict[str, Predictor]:
    """The algorithms of Akyürek et al. 2022's table: GD of one step at each rate (on the mean of the examples), SGD at
    0.01 and 0.03, ridge at 0.1 and, for labels of noise σ and weights of N(0, I), at λ = σ² (Bayes), least squares, 3
    nearest neighbours; and averaging (Garg et al. 2022)."""
    table = {f"GD, one step, rate {rate:g}": reference(gradient_descent, rows, steps=1, rate=rate) for rate in rates}
    table |= {f"SGD, rate {rate:g}": reference(stochastic_gradient_descent, rows, rate=rate) for rate in (0.01, 0.03)}
    table |= {
        "averaging": reference(averaging, rows),
        "3 nearest neighbours": reference(nearest_neighbours, rows, count=3),
    }
    ridges = {0.1: "ridge 0.1"} | ({noise**2: f"ridge {noise**2:g}, Bayes"} if noise else {})
    table |= {name: reference(ridge_regression, rows, ridge=ridge) for ridge, name in ridges.items()}
    return table | {"least squares": reference(ridge_regression, rows, ridge=0.0)}
