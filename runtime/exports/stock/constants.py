"""Slots of the residual stream that hold the same whatever the data: what tokens are, and what norms divide by.

before   weights, and a few tasks
after    the slots. Through them no gradient comes from the data, but one runs down them: each division multiplies what
         reaches a role's slot by 10⁷ and more, until it overflows and the norms below make NaN of every gradient. A
         gradient that is cut at them is the same, and finite
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.reference.arithmetic import STOCK, Real
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.weights import Weights


def constant(weights: Weights, data: TokenData) -> list[int]:
    """Those that no task changes and no write or field of the data reaches; of a single task, or of weights whose
    layout is not known, none."""
    if data.batch < 2 or not weights.layout:
        return []
    reached = np.zeros(weights.config.d_model, bool)
    embedding = weights.embedding.csr
    for rows in FeatureLayout.of(weights.signature).fields.values():
        reached[embedding[rows].indices] = True
    for placement in weights.layout:
        for write in placement.writes:
            reached[write.matrix.csr.indices] = True

    def observe(stream: Real) -> None:
        reached[(stream != stream[:, :1]).any((1, 2))] = True

    with np.errstate(all="ignore"):
        forward(weights, data, observe, STOCK, whole=True)
    return np.flatnonzero(~reached).tolist()
