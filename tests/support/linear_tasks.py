"""Noiseless linear regression tasks for `(x y)* x` and `(example)* query`."""

from __future__ import annotations

import numpy as np
from innerloop.artifact.arrays import Floats


def linear_tasks(tasks: int, examples: int, d: int, seed: int = 0, scale: float = 1.0) -> dict[str, Floats]:
    """x [tasks, examples + 1, d] ~ N(0, scale²) and y = w · x [tasks, examples], w ~ N(0, I)."""
    rng = np.random.default_rng(seed)
    x = scale * rng.standard_normal((tasks, examples + 1, d))
    return {"x": x, "y": (x[:, :-1] @ rng.standard_normal((tasks, d, 1)))[..., 0]}
