"""The weights as the page runs them: what is not zero, sublayer by sublayer as the NumPy pass has them.

before   weights, a sequence of tokens
after    JSON for page/forward.js, or None where it is too large, too slow, or of parts that are unknown there

A head's dimensions that read or write nothing are left out (artifact/reference/sublayers.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.parts import Attention, Config, Idle, LinearAttention, Mlp, Norm
from innerloop.artifact.precisions import SHORT
from innerloop.artifact.reference.sublayers import Heads
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.weights import Weights
from numpy.typing import NDArray

from .encoded import Json, encoded, real, sparse

BYTES = 3 * 2**20
"""Of numbers that are not zero, and where they stand."""
WORK = 30_000_000
"""Multiplications of one run: about 100 ms in a browser (benchmarks/inspector.py prints what they take)."""
ACTIVATION, SHARE = 10, 10
"""Multiplications that cost what one activation does, and one share of attention."""


def live(weights: Weights, data: TokenData) -> Json | None:
    """`data`: of one task."""
    config, tokens = weights.config, 1 + len(data.sequence)
    stored = list(weights.sublayers())
    if not _known(config) or _bytes(weights) > BYTES or _work(weights, tokens) > WORK:
        return None
    layout = FeatureLayout.of(weights.signature)
    return {
        "width": config.d_model,
        "dtype": config.dtype,
        "norm": config.norm,
        "epsilon": config.norm_epsilon,
        "activation": config.activation,
        "d_head": config.d_head,
        "causal": config.causal,
        "unread": config.unread,
        "features": encoded(layout.tokens(data, slice(None), np.float64)[0], "f8"),
        "embedding": sparse(weights.embedding.csr.T.tocsr(), config.dtype),
        "positions": encoded(weights.positions[:tokens], real(config.dtype)),
        "stored": [_sublayer(part, weights, tokens) for part in stored],
        "order": [number for number, _ in weights.unrolled()],
        "final_norm": _norm(weights.final_norm, weights),
        "readout": sparse(weights.readout.csr.T.tocsr(), config.dtype),
        "readout_bias": encoded(weights.readout_bias, "f8"),
        "layout": [
            {
                "name": p.name,
                "first": p.first,
                "last": p.last,
                "kinds": sorted(p.kinds),
                "matrix": sparse(p.matrix.csr.T.tocsr(), "float64"),
            }
            for p in weights.layout
        ],
    }


def _known(config: Config) -> bool:
    """Whether page/forward.js computes what it is made of, with no rounding of its own."""
    whole = config.dtype not in SHORT and config.rotary_fraction == 1.0 and config.block == "serial"
    return whole and config.attention != "delta" and config.activation in ("gelu_tanh", "silu", "none")


def columns(weights: Weights) -> dict[str, tuple[int, int]]:
    """Where each field stands in a token's features."""
    return {name: (at.start, at.stop) for name, at in FeatureLayout.of(weights.signature).fields.items()}


def _nonzeros(part: Any) -> int:
    return sum(matrix.nnz for matrix in vars(part).values() if hasattr(matrix, "nnz"))


def _bytes(weights: Weights) -> int:
    size = 8 if weights.config.dtype == "float32" else 12
    return size * sum(map(_nonzeros, weights.sublayers()))


def _work(weights: Weights, tokens: int) -> int:
    total = 0
    for _, part in weights.unrolled():
        total += tokens * _nonzeros(part)
        if isinstance(part, Mlp):
            total += ACTIVATION * tokens * part.up.shape[1]
        elif isinstance(part, Attention | LinearAttention):
            total += SHARE * tokens**2 * weights.config.n_head
    return total


def _norm(norm: Norm | None, weights: Weights) -> Json | None:
    if norm is None:
        return None
    kind = real(weights.config.dtype)
    return {"gain": encoded(norm.gain, kind), "bias": encoded(norm.bias, kind)}


def _sublayer(part: Any, weights: Weights, tokens: int) -> Json | None:
    config = weights.config
    kind = real(config.dtype)
    match part:
        case Idle():
            return None
        case Mlp():
            return {
                "kind": "mlp",
                "norm": _norm(part.norm, weights),
                "up": sparse(part.up.csr.T.tocsr(), config.dtype),
                "bias": encoded(part.up_bias, kind),
                "gate": None if part.gate is None else sparse(part.gate.csr.T.tocsr(), config.dtype),
                "down": sparse(part.down.csr, config.dtype),
                "out_bias": encoded(part.down_bias, kind),
            }
        case Attention() | LinearAttention():
            heads = Heads.of(part, config, tokens)
            return {
                "kind": "attention" if isinstance(part, Attention) else "linear",
                "norm": _norm(part.norm, weights) if isinstance(part, Attention) else None,
                "project": sparse(heads.project, config.dtype),
                "bias": encoded(heads.bias.ravel(), kind),
                "rotary": None if heads.rotary is None else _rotary(heads),
                "heads": [
                    {
                        "number": head.number,
                        "query": [head.query.start, head.query.stop],
                        "key": head.key.tolist(),
                        "value": head.value.tolist(),
                        "out": [head.out.start, head.out.stop],
                    }
                    for head in heads.heads
                ],
                "output": sparse(heads.output.T.tocsr(), config.dtype),
                "out_bias": encoded(heads.output_bias.ravel(), kind),
                "count": None if heads.count is None else sparse(heads.count, config.dtype),
            }
    raise TypeError(type(part))


def _rotary(heads: Heads) -> Json:
    assert heads.rotary is not None
    turn = heads.rotary
    flat: list[NDArray[Any]] = [table[:, 0].T for table in (turn.cos, turn.sin)]
    return {
        "low": turn.low.tolist(),
        "high": turn.high.tolist(),
        "cos": encoded(flat[0], "f4"),
        "sin": encoded(flat[1], "f4"),
    }
