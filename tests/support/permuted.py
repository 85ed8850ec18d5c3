"""The same function in other weights: heads and neurons in another order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from innerloop.artifact.parts import Attention, Mlp, Repeated
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights


def permuted(weights: Weights, seed: int = 0) -> Weights:
    """Softmax heads and neurons of each layer shuffled; without the layout, which would say where everything is."""
    rng, heads = np.random.default_rng(seed), weights.config.n_head

    def columns(matrix: Matrix, order: Any) -> Matrix:
        return Matrix(matrix.csr.toarray()[:, order])

    def other(item: Any) -> Any:
        if isinstance(item, Repeated):
            return replace(item, body=tuple(map(other, item.body)))
        if isinstance(item, Mlp):
            order = rng.permutation(item.up.shape[1])
            return replace(
                item, up=columns(item.up, order), up_bias=item.up_bias[order],
                down=Matrix(item.down.csr.toarray()[order]),
                gate=None if item.gate is None else columns(item.gate, order),
            )  # fmt: skip
        if isinstance(item, Attention):
            order = np.arange(item.query.shape[1]).reshape(heads, -1)[rng.permutation(heads)].ravel()
            return replace(
                item,
                query=columns(item.query, order), query_bias=item.query_bias[order],
                key=columns(item.key, order), key_bias=item.key_bias[order],
                value=columns(item.value, order), value_bias=item.value_bias[order],
                output=Matrix(item.output.csr.toarray()[order]),
            )  # fmt: skip
        return item

    return replace(weights.bare(), body=tuple(map(other, weights.bare().body)))
