"""Parameters: the weights as the forward pass takes them, dense and without what is exactly zero.

    before   Weights: a tree of sparse sublayers and loops
    after    Parameters: the same tree, a pytree of dense arrays whose structure is static

Left out is only what can never change a result: heads that write nothing, head dimensions that
nothing reads (where positions are rotary, pairs of them), neurons without effect, slots that a
sublayer does not read or write. A compiled layer is more than 95 % zeros, and most of a stock head's
dimensions stand idle. Heads that share keys and values get their own, each what it uses of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.parts import (
    TAPS,
    Attention,
    Body,
    Config,
    DeltaAttention,
    Idle,
    LinearAttention,
    Mlp,
    Norm,
    Repeated,
)
from innerloop.artifact.precisions import SHORT, carrier, rounding
from innerloop.artifact.rotations import rotations
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from numpy.typing import NDArray

from .pack_heads import biased, columns, halves, paired, pairs
from .pack_neurons import blocks_of
from .packed import (
    Array,
    AttentionStep,
    BiasStep,
    Block,
    DeltaStep,
    IdleStep,
    LinearAttentionStep,
    LoopStep,
    MlpStep,
    NormStep,
    Parameters,
    Spread,
    Step,
    Sublayer,
)


def pack(weights: Weights, dtype: np.dtype[Any]) -> Parameters:
    """The weights as dense NumPy arrays of `dtype`, without what is exactly zero; of 16 bits in float32, with what
    rounds every result."""
    config, short, held = weights.config, dtype.name if dtype.name in SHORT else None, rounding(dtype.name)
    dtype = carrier(dtype.name)
    tables = turns(config, dtype)
    steps, _ = _pack_body(weights.body, 0, weights, dtype)
    steps = steps if short is None else _shortened(steps, short)
    return Parameters(
        embedding=_dense(weights.embedding, dtype),
        positions=np.asarray(weights.positions, dtype),
        steps=steps,
        final_norm=_pack_norm(weights.final_norm, config, dtype),
        readout=_dense(weights.readout, dtype),
        readout_bias=np.asarray(weights.readout_bias, dtype),
        rotations=None if tables is None else (held(tables[0]), held(tables[1])),
        short=short,
    )


def turns(config: Config, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """`Parameters.rotations`."""
    if config.positions != "rotary":
        return None
    cos, sin = rotations(config.d_head, config.rope_theta, config.n_positions, config.rotary_fraction)
    return cos.astype(dtype), sin.astype(dtype)


def _shortened(steps: tuple[Step, ...], short: str) -> tuple[Step, ...]:
    """The steps, and that they round their results to 16 bits."""

    def one(step: Step) -> Step:
        match step:
            case LoopStep():
                return replace(step, steps=_shortened(step.steps, short))
            case AttentionStep() | MlpStep() | BiasStep():
                return replace(step, short=short)
            case LinearAttentionStep() | DeltaStep() | IdleStep():
                return step

    return tuple(map(one, steps))


def _pack_body(body: Body, number: int, weights: Weights, dtype: np.dtype[Any]) -> tuple[tuple[Step, ...], int]:
    steps: list[Step] = []
    config = weights.config
    for item in body:
        if isinstance(item, Repeated):
            inner, number = _pack_body(item.body, number, weights, dtype)
            steps.append(LoopStep(inner, item.count, item.scan, item.turn))
            continue
        if isinstance(item, Idle):
            steps.append(IdleStep(number))
        elif isinstance(item, DeltaAttention):
            steps.append(_pack_delta(item, number, config, dtype))
        elif isinstance(item, Attention | LinearAttention):
            steps.append(_live(_pack_attention(item, number, config, dtype), weights))
        else:
            steps.append(_live(_pack_mlp(item, number, config, dtype), weights))
        number += 1
    return tuple(steps), number


def _live(step: Sublayer, weights: Weights) -> Sublayer:
    """The step with where it is live."""
    if not weights.live or isinstance(step, IdleStep | LinearAttentionStep | DeltaStep):
        return step
    return replace(step, live=tuple(sorted(weights.live[step.number])))


def _pack_attention(
    item: Attention | LinearAttention, number: int, config: Config, dtype: np.dtype[Any]
) -> Sublayer:  # fmt: skip
    matrices, output_bias = (item.query, item.key, item.value), np.zeros(config.d_model)
    biases: Iterable[Floats] = (np.zeros(matrix.shape[1]) for matrix in matrices)
    if isinstance(item, Attention):
        biases, output_bias = (item.query_bias, item.key_bias, item.value_bias), item.output_bias
    query, key, value = (
        biased(_dense(matrix, dtype), bias, config.n_head, config.d_head)
        for matrix, bias in zip(matrices, biases, strict=True)
    )
    output = _dense(item.output, dtype).reshape(config.n_head, config.d_head, config.d_model)

    # A dimension of q · k counts if both sides can be nonzero, one of v if it is nonzero and is written.
    rotary = isinstance(item, Attention) and config.positions == "rotary"
    asked, met = np.asarray(query.any(0)), np.asarray(key.any(0))
    if rotary:  # turning mixes a pair: of each side both or none can be nonzero
        asked, met = paired(asked), paired(met)
    compared = asked & met
    carried = np.asarray(value.any(0) & output.any(-1))
    writing = carried.any(-1)
    if isinstance(item, LinearAttention):
        writing &= compared.any(-1)  # with nothing compared, softmax is a mean, and Σ (q · k) v is 0
    kept = np.flatnonzero(writing)
    if not kept.size:
        return _pack_bias(output_bias, number, dtype)
    qk = max(1 + rotary, int(compared[kept].sum(-1).max()))
    v = int(carried[kept].sum(-1).max())
    sides = [halves(side, compared, kept, qk) if rotary else columns(side, compared, kept, qk) for side in (query, key)]
    qkv = np.concatenate([*sides, columns(value, carried, kept, v)], -1)
    packed = columns(np.moveaxis(output, -1, 0), carried, kept, v).T
    written, spread = _spread(packed, output_bias, dtype)
    matrix, bias = qkv[:-1], qkv[-1]
    if isinstance(item, LinearAttention):
        rows, qkvc = _read(np.concatenate([matrix, _dense(item.count, dtype)[:, kept]], -1))
        return LinearAttentionStep(
            rows, qkvc, written, spread, number, len(kept), qk, v, config.causal, config.unread
        )  # fmt: skip
    rows, qkv = _read(matrix)
    norm = _pack_norm(item.norm, config, dtype, rows)
    turned = pairs(compared, kept, qk // 2) if rotary else None
    return AttentionStep(
        norm, rows, qkv, bias, written, spread, number, len(kept), qk, v, config.d_head, config.causal, turned
    )  # fmt: skip


def _pack_delta(item: DeltaAttention, number: int, config: Config, dtype: np.dtype[Any]) -> Sublayer:
    """A dimension of keys counts if something is written or begun there, one of values if it is read."""
    heads, size = config.n_head, config.d_head
    sides = [_dense(m, dtype).reshape(config.d_model, heads, size) for m in (item.query, item.key, item.value)]
    query, key, value = sides
    start = _dense(item.start, dtype).reshape(heads, size, size)
    output = _dense(item.output, dtype).reshape(heads, size, config.d_model)
    compared = np.asarray(key.any(0) | (query.any(0) & start.any(-1)))
    carried = np.asarray(output.any(-1) & (value.any(0) | start.any(1)))
    kept = np.flatnonzero(carried.any(-1) & compared.any(-1))
    if not kept.size:
        return IdleStep(number)
    qk, v = (int(used[kept].sum(-1).max()) for used in (compared, carried))
    gates = [_dense(gate, dtype)[:, kept] for gate in (item.rate, item.forget)]
    packed = [columns(query, compared, kept, qk), columns(key, compared, kept, qk), columns(value, carried, kept, v)]
    written, spread = _spread(columns(np.moveaxis(output, -1, 0), carried, kept, v).T, np.zeros(config.d_model), dtype)
    rows, matrix = _read(np.concatenate([*packed, *gates], -1))

    def tapped(taps: Floats, used: NDArray[np.bool_], most: int) -> NDArray[Any]:
        by_head = np.asarray(taps, dtype).reshape(TAPS, heads, size)
        return columns(by_head, used, kept, most).reshape(TAPS, kept.size, most)

    begun = np.zeros((kept.size, v, qk), dtype)
    for place, head in enumerate(kept):
        held = start[head][compared[head]][:, carried[head]].T
        begun[place, : held.shape[0], : held.shape[1]] = held
    taps = tapped(item.key_taps, compared, qk), tapped(item.value_taps, carried, v)
    divisor = np.asarray(item.divisor, dtype)[kept]
    return DeltaStep(rows, matrix, *taps, divisor, begun, written, spread, number, kept.size, qk, v)


def _pack_mlp(item: Mlp, number: int, config: Config, dtype: np.dtype[Any]) -> Sublayer:
    up, down = _dense(item.up, dtype), _dense(item.down, dtype)
    up_bias = np.asarray(item.up_bias, dtype)
    used = down.any(-1)
    gate = None if item.gate is None else _dense(item.gate, dtype)
    if gate is not None:
        used &= gate.any(0) & (up.any(0) | (up_bias != 0))  # activation(0) = 0
    alive = np.flatnonzero(used)
    if not alive.size:
        return _pack_bias(item.down_bias, number, dtype)
    up, up_bias = up[:, alive], up_bias[alive]
    if gate is not None:
        up, up_bias = np.concatenate([gate[:, alive], up], -1), np.concatenate([np.zeros_like(up_bias), up_bias])
    rows, up = _read(up)
    written, spread = _spread(down[alive], item.down_bias, dtype)
    norm, gated = _pack_norm(item.norm, config, dtype, rows), item.gate is not None
    blocks: tuple[Block, ...] = ()
    if not gated:
        stay, blocks = blocks_of(up, up_bias, written)
        up, up_bias, written = up[:, stay], up_bias[stay], written[stay]
    parallel = config.block == "parallel"
    return MlpStep(
        norm, rows, up, up_bias, written, spread, number, config.activation, gated, blocks=blocks, parallel=parallel
    )


def _pack_bias(bias: NDArray[Any], number: int, dtype: np.dtype[Any]) -> Sublayer:
    return BiasStep(np.asarray(bias, dtype), number) if np.any(bias) else IdleStep(number)


def _pack_norm(
    norm: Norm | None, config: Config, dtype: np.dtype[Any], rows: NDArray[Any] | None = None
) -> NormStep | None:  # fmt: skip
    """Of the slots that are read (None: all)."""
    if norm is None:
        return None
    gain, bias = (np.asarray(array if rows is None else array[rows], dtype) for array in (norm.gain, norm.bias))
    return norm_step(gain, bias, config, dtype)


def norm_step(gain: Array, bias: Array, config: Config, dtype: np.dtype[Any]) -> NormStep:
    """A norm of these arrays [slots read]."""
    epsilon, width = (np.asarray(number, dtype) for number in (config.norm_epsilon, config.d_model))
    return NormStep(gain, None if config.norm == "rmsnorm" else bias, epsilon, width)


def _dense(matrix: Matrix, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.asarray(matrix.csr.toarray(), dtype)


def _read(matrix: NDArray[Any]) -> tuple[NDArray[Any] | None, NDArray[Any]]:
    """The slots that are read and the matrix on them; no list if that is most slots."""
    rows = np.flatnonzero(matrix.any(-1))
    if rows.size > 0.9 * len(matrix):
        return None, matrix
    rows = rows if rows.size else np.zeros(1, np.int64)
    return rows.astype(np.int32), matrix[rows]


def _spread(matrix: NDArray[Any], bias: NDArray[Any], dtype: np.dtype[Any]) -> tuple[NDArray[Any], Spread]:
    """The matrix on the slots that are written, and how they go back into the stream."""
    bias = np.asarray(bias, dtype)
    written = np.flatnonzero(matrix.any(0) | (bias != 0))
    if written.size > 0.9 * bias.size:
        return matrix, Spread(None, bias)
    return matrix[:, written], Spread(written.astype(np.int32), bias[written])
