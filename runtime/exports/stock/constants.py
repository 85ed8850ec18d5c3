"""Slots of the residual stream that hold the same whatever the data: what tokens are, and what norms divide by.

before   weights, and a few tasks
after    the slots. Through them no gradient comes from the data, but one runs down them: each division multiplies what
         reaches a role's slot by 10⁷ and more, until it overflows and the norms below make NaN of every gradient. A
         gradient that is cut at them is the same, and finite

They hold something from the start. What is made later is none of them, though these tasks leave it as it is: a value of
the sixth example is 0 in tasks of four.
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.reference.arithmetic import STOCK, Real
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.weights import Weights
from numpy.typing import NDArray


def constant(weights: Weights, data: TokenData) -> list[int]:
    """Those that hold something before the first sublayer, and that no task changes and no write or field of the data
    reaches; of a single task, or of weights whose layout is not known, none."""
    if data.batch < 2 or not weights.layout:
        return []
    layout, embedding = FeatureLayout.of(weights.signature), weights.embedding.csr
    reached: NDArray[np.bool_] = ~np.asarray(weights.positions.any(axis=0))
    reached[embedding[: layout.roles].indices] = False
    for rows in layout.fields.values():
        reached[embedding[rows].indices] = True
    for placement in weights.layout:
        for write in placement.writes:
            reached[write.matrix.csr.indices] = True

    def observe(stream: Real) -> None:
        reached[(stream != stream[:, :1]).any((1, 2))] = True

    with np.errstate(all="ignore"):
        forward(weights, data, observe, STOCK, whole=True)
    return np.flatnonzero(~reached).tolist()
