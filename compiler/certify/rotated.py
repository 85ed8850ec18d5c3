"""The same transformer in other coordinates of its stream: what weights that may be rotated are measured in, too.

    before    x @ embedding      norm(x; gain) @ reads      writes            norm(x; gain) @ readout
    after     x @ embedding @ Q  norm(x; 1) @ Qᵀ gain reads  writes @ Q       norm(x; gain) @ Qᵀ readout

Q is a random orthogonal matrix. RMSNorm divides by a length, which Q leaves as it is: in exact arithmetic nothing
changes. The last norm's gain is the same for all slots.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from innerloop.artifact.arrays import Floats
from innerloop.artifact.parts import Attention, Body, Mlp, Norm, Repeated, Sublayer
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights

from ..emit.rounding import rounded, rounded_body

SEED = 0


def rotated(weights: Weights) -> Weights:
    """The weights of an RMSNorm stream, turned, in their own precision."""
    dtype, width = weights.config.dtype, weights.config.d_model
    turn, _ = np.linalg.qr(np.random.default_rng(SEED).standard_normal((width, width)))
    return replace(
        weights.bare(),
        embedding=rounded(_times(weights.embedding, turn), dtype),
        body=rounded_body(_body(weights.body, turn), dtype),
        readout=rounded(_read(weights.readout, np.ones(width), turn), dtype),
    )


def _body(body: Body, turn: Floats) -> Body:
    def one(item: Sublayer | Repeated) -> Sublayer | Repeated:
        match item:
            case Repeated():
                return replace(item, body=_body(item.body, turn))
            case Attention(norm=Norm(gain=gain)):
                return replace(
                    item,
                    norm=_plain(gain),
                    query=_read(item.query, gain, turn),
                    key=_read(item.key, gain, turn),
                    value=_read(item.value, gain, turn),
                    output=_times(item.output, turn),
                )
            case Mlp(norm=Norm(gain=gain)):
                return replace(
                    item,
                    norm=_plain(gain),
                    up=_read(item.up, gain, turn),
                    gate=None if item.gate is None else _read(item.gate, gain, turn),
                    down=_times(item.down, turn),
                )
            case _:
                return item

    return tuple(one(item) for item in body)


def _plain(gain: Floats) -> Norm:
    return Norm(np.ones_like(gain), np.zeros_like(gain))


def _read(matrix: Matrix, gain: Floats, turn: Floats) -> Matrix:
    return Matrix(sp.csr_array(turn.T @ (sp.diags_array(gain) @ matrix.csr).toarray()))


def _times(matrix: Matrix, turn: Floats) -> Matrix:
    return Matrix(sp.csr_array(matrix.csr @ turn))
