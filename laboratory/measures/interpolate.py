"""The loss on the line between trained and compiled weights.

    θ(α) = (1 − α) θ_compiled + α θ_trained,   α from 0 to 1   →   E (f_θ(α) − y)²

Were both the same algorithm in two gauges, a line between the weights as they stand would leave it; so the trained are
brought into the compiled one's gauge first (`gauge`). If both are the same up to their gauge, the loss does not
rise on the way. Of linear attention the line is that of the products W_Q W_Kᵀ and W_V P, which alone matter.
Source: von Oswald et al. 2022, §3 and figure 2.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from innerloop.artifact.parts import Idle, Norm
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from innerloop.runtime import Transformer
from numpy.typing import ArrayLike

from .distance import Fields, Floats, squared_difference
from .gauge import matched


@dataclass(frozen=True)
class Line:
    """Squared errors [tasks, points] at alphas [points]: 0 is compiled, 1 trained."""

    alphas: Floats
    each: Floats

    @property
    def losses(self) -> Floats:
        """[points]"""
        return np.asarray(self.each.mean(0))

    @property
    def rise(self) -> float:
        """How far the loss rises above the larger end, relative to it: 0 where it never does."""
        ends = max(self.losses[0], self.losses[-1])
        return float(max(0.0, self.losses.max() / ends - 1)) if ends > 0 else float(self.losses.max())


def interpolation(
    compiled: Weights, trained: Weights, tasks: Fields, targets: ArrayLike, points: int = 11, row: int = -1
) -> Line:
    """The loss E (ŷ − y)² at `row` of the output on `points` of the line, for targets [batch, rows, *shape].

    Weights on the way may diverge, so that a loss may be infinite. Raises InnerloopError for weights of two
    architectures."""
    theirs, ours = matched(trained, compiled)
    alphas, errors = np.linspace(0, 1, points), []
    for alpha in alphas:
        outputs = Transformer(between(ours, theirs, float(alpha)), guard="off")(**tasks)
        errors.append(squared_difference(np.asarray(outputs)[:, [row]], np.asarray(targets)[:, [row]])[:, 0])
    return Line(alphas, np.stack(errors, 1))


def between(a: Weights, b: Weights, alpha: float) -> Weights:
    """(1 − α) a + α b, number by number, for weights that `matched` has made alike."""
    mixed = {
        name: _mixed(getattr(a, name), getattr(b, name), alpha)
        for name in ("embedding", "positions", "final_norm", "readout", "readout_bias")
    }
    body = tuple(_mixed(x, y, alpha) for x, y in zip(a.body, b.body, strict=True))
    return replace(a, body=body, **mixed)


def _mixed(a: Any, b: Any, alpha: float) -> Any:
    if a is None or isinstance(a, Idle):
        return a
    if isinstance(a, Matrix):
        return a * (1 - alpha) + b * alpha
    if isinstance(a, np.ndarray):
        return (1 - alpha) * a + alpha * b
    assert isinstance(a, Norm) or hasattr(a, "__dataclass_fields__")
    return replace(a, **{f.name: _mixed(getattr(a, f.name), getattr(b, f.name), alpha) for f in fields(a)})
