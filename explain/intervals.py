"""What redrawn tasks move a fit by, and a fit that its interval holds.

    θ* = θ + step on redrawn tasks      step = − (Σ Jᵀ J)⁻¹ Σ Jᵀ r, of Gauss and Newton; Efron (1979)

The same step on all tasks is 0 where a fit is at its least. Where it is larger than what redrawing does, the interval
would stand beside the estimate: the fit is moved on, and what does not come to rest has no interval.
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.arrays import Floats

from .candidate import Candidate, Counts
from .fit import DRAWS, Tasks, ends, scales

MOST = 8
"""The most steps that a fit is moved on by, so that its interval holds it."""
FLAT = 1e-9
"""Of the answers: θ that moves them by less for each unit is not determined."""


def settled(
    candidate: Candidate, counts: Counts, theta: Floats, tasks: Tasks, robust: bool, most: int
) -> tuple[Floats, Floats]:  # fmt: skip
    """θ moved on by at most so many steps, as long as they get smaller and its interval does not hold it; and what
    redrawn tasks move it by."""
    if not candidate.reals:
        return theta, np.zeros((DRAWS, 0))
    step, shift = _steps(candidate, counts, theta, tasks, robust)
    for _ in range(most):
        lost = np.isnan(ends(theta, shift)[0]) & ~np.isnan(shift[0])
        if not lost.any():
            break
        moved = theta + step
        after, others = _steps(candidate, counts, moved, tasks, robust)
        if not np.abs(after).max() < 0.9 * np.abs(step).max():
            break
        theta, step, shift = moved, after, others
    return theta, shift


def _steps(
    candidate: Candidate, counts: Counts, theta: Floats, tasks: Tasks, robust: bool, seed: int = 0
) -> tuple[Floats, Floats]:  # fmt: skip
    """What all tasks move θ by, [θ], and what redrawn ones do, [draws, θ]: one step of Gauss and Newton from where it
    is; if `robust`, residuals with the weights that Cauchy's loss gives them."""
    answers, slopes = candidate.run(theta, counts, tasks.x, tasks.labels)
    residual = answers - tasks.model
    weights, bends = np.ones_like(residual), np.ones(residual.shape[1])
    if robust:  # ψ(r) = weight · r, and the mean of ψ′, by which the sum of ψ falls
        square = (residual / np.maximum(scales(residual), 1e-12)) ** 2
        weights = 1 / np.maximum(scales(residual), 1e-12) ** 2 / (1 + square)
        bends = np.maximum((weights * (1 - square) / (1 + square)).mean(0), 0.05 * weights.mean(0))
    squares = np.einsum("p,tpi,tpj->tij", bends, slopes, slopes)
    moments = np.einsum("tp,tpi,tp->ti", weights, slopes, residual)
    drawn = np.random.default_rng(seed).multinomial(len(residual), np.full(len(residual), 1 / len(residual)), DRAWS)
    drawn = np.concatenate([np.ones((1, len(residual)), drawn.dtype), drawn])
    total = np.einsum("bt,tij->bij", drawn, squares)
    ridge = 1e-12 * np.trace(total, axis1=1, axis2=2)[:, None, None] * np.eye(candidate.reals)
    found = -np.linalg.solve(total + ridge + 1e-300 * np.eye(candidate.reals), (drawn @ moments)[..., None])[..., 0]
    flat = (slopes**2).mean((0, 1)) <= FLAT**2 * (tasks.model**2).mean()
    return np.where(flat, 0.0, found[0]), np.where(flat, np.nan, found[1:])
