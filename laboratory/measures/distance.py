"""How far two predictors are apart on the same tasks.

    squared_prediction_difference    SPD(f, g) = E (f − g)²                      Akyürek et al. 2022, §4
    prediction_difference            E ‖f − g‖₂                                 von Oswald et al. 2022, §3
    implicit_weights                 w_f = argmin_w Σ_q (f(x_q) − w · x_q)²      Akyürek et al. 2022, §4
    implicit_weight_difference       ILWD(f, g) = E ‖w_f − w_g‖²                 the same

A predictor is any function of a program's fields, [batch, rows, *shape] each, that gives [batch, rows, *shape]: a
compiled transformer, a trained one, a closed form in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import numpy as np
from innerloop.artifact.errors import DataError
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Fields = Mapping[str, Any]
Predictor = Callable[[Fields], ArrayLike]
"""fields → outputs [batch, rows, *shape]."""


def predicted(predictor: Predictor, fields: Fields) -> Floats:
    """The outputs [batch, rows, *shape] in float64. Raises DataError for one that is not finite."""
    outputs = np.asarray(predictor(fields), np.float64)
    if not np.isfinite(outputs).all():
        task = int(np.argwhere(~np.isfinite(outputs))[0][0])
        raise DataError(f"the prediction for task {task} is not finite: this model diverges on these tasks")
    return outputs


def squared_prediction_difference(a: ArrayLike, b: ArrayLike) -> Floats:
    """SPD at each row: predictions a, b [batch, rows, *shape] → E ‖a − b‖² over tasks, [rows].

    Akyürek et al. 2022, §4; their figures divide it by the size d of an input.
    Raises DataError for predictions of different shapes.
    """
    return np.asarray(squared_difference(a, b).mean(0))


def squared_difference(a: ArrayLike, b: ArrayLike) -> Floats:
    """‖a − b‖² of each task: predictions a, b [batch, rows, *shape] → [batch, rows]; infinite where it is no number.

    Raises DataError for predictions of different shapes."""
    found = (_difference(a, b) ** 2).sum(-1)
    return np.asarray(np.where(np.isfinite(found), found, inf))


def prediction_difference(a: ArrayLike, b: ArrayLike) -> Floats:
    """E ‖a − b‖₂ at each row: predictions a, b [batch, rows, *shape] → [rows] (von Oswald et al. 2022, §3).

    Raises DataError for predictions of different shapes."""
    return np.asarray(np.linalg.norm(_difference(a, b), axis=-1).mean(0))


def squared_error(predictions: ArrayLike, targets: ArrayLike) -> Floats:
    """E ‖ŷ − y‖² at each row: [batch, rows, *shape] → [rows]. Raises DataError for different shapes."""
    return squared_prediction_difference(predictions, targets)


def squared_error_at(predictions: ArrayLike, targets: ArrayLike, row: int = -1) -> float:
    """E ‖ŷ − y‖² at one row, infinite where it is no number: a model that diverges there has an infinite loss."""
    return float(squared_error(np.asarray(predictions)[:, [row]], np.asarray(targets)[:, [row]])[0])


def _difference(a: ArrayLike, b: ArrayLike) -> Floats:
    """[batch, rows, components]"""
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if left.shape != right.shape:
        raise DataError(f"predictions of shapes {left.shape} and {right.shape} cannot be compared")
    return np.asarray((left - right).reshape(*left.shape[:2], -1))


def implicit_weights(
    predictor: Predictor, fields: Fields, field: str = "x", queries: int = 32, seed: int = 0
) -> Floats:
    """w_f [batch, d, *shape]: the linear function nearest to the predictor's own answers, in each context.

        w_f = argmin_w Σ_q ‖f(context, x_q) − w · x_q‖²      over fresh x_q ~ N(0, s² I)

    `fields` are tasks whose last row of `field` [batch, rows, d] is the query; it is replaced by `queries` fresh ones
    in turn, s the root mean square of the task's own inputs. Of the outputs the last row counts. Akyürek et al. 2022,
    §4. Raises DataError where `field` holds no vectors or `queries` < d.
    """
    inputs = np.asarray(fields[field], np.float64)
    if inputs.ndim != 3:
        raise DataError(f"`{field}` has shape {inputs.shape}: implicit weights need vectors, [batch, rows, d]")
    batch, _, d = inputs.shape
    if queries < d:
        raise DataError(f"{queries} queries do not determine {d} implicit weights: give at least {d}")
    scale = np.sqrt(np.mean(inputs**2))
    fresh = scale * np.random.default_rng(seed).standard_normal((queries, batch, d))
    answers = []
    for query in fresh:
        changed = np.concatenate([inputs[:, :-1], query[:, None]], 1)
        answers.append(predicted(predictor, {**fields, field: changed})[:, -1])
    # pinv of [batch, queries, d] by the answers [batch, queries, components]
    targets = np.stack(answers, 1)
    solved = np.linalg.pinv(fresh.swapaxes(0, 1)) @ targets.reshape(batch, queries, -1)
    return solved.reshape(batch, d, *targets.shape[2:])


def implicit_weight_difference(a: ArrayLike, b: ArrayLike) -> float:
    """ILWD = E ‖w_a − w_b‖² over tasks, of implicit weights [batch, d, *shape] (Akyürek et al. 2022, §4).

    Raises DataError for weights of different shapes."""
    return float(squared_difference(a, b).sum(1).mean())
