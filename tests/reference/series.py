"""States that are hidden behind a series of observations."""

from __future__ import annotations

from typing import Any

import numpy as np
from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother

from .batch import Array, Parameters, Task

STEPS = 8
_rng = np.random.default_rng(11)
MARKOV = {
    "states": 3,
    "symbols": 3,
    "start": _rng.dirichlet(np.ones(3)),
    "T": _rng.dirichlet(np.ones(3), 3),
    "E": _rng.dirichlet(np.ones(3), 3),
}
"""A hidden Markov model."""
WALK = {"d": 2, "F": np.array([[1.0, 0.5], [-0.2, 0.9]]), "h": np.array([1.0, 0.3])}
"""A state that turns and fades, and what is seen of it."""


def draw_observed(rng: np.random.Generator) -> Task:
    return {"s": rng.integers(3, size=STEPS)}


def forward_backward(task: Task, p: Parameters) -> Any:
    """hmmlearn's CategoricalHMM."""
    from hmmlearn.hmm import CategoricalHMM  # here: what asks the table for parameters alone does without it

    model = CategoricalHMM(p["states"], init_params="", params="")
    model.startprob_, model.transmat_, model.emissionprob_ = p["start"], p["T"], p["E"]
    return model.predict_proba(task["s"][:, None])


def draw_series(rng: np.random.Generator) -> Task:
    return {"y": rng.standard_normal(STEPS)}


def kalman_smoother(task: Task, p: Parameters) -> Array:
    """statsmodels' KalmanSmoother."""
    model = KalmanSmoother(k_endog=1, k_states=2, k_posdef=2)
    model["design"], model["transition"], model["selection"] = p["h"][None], p["F"], np.eye(2)
    model["obs_cov"], model["state_cov"] = [[0.1]], 0.1 * np.eye(2)
    model.initialize_known(np.zeros(2), np.eye(2))
    model.bind(task["y"])
    return np.asarray(model.smooth().smoothed_state.T)
