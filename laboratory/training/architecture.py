"""A tree of sublayers without numbers: the architecture that a model trains in.

    before   the weights of a compiled program, and what is to be different: n_layer=3, d_model=64 …
    after    Weights of the same tokens and output, every number 0

Without a change of `n_layer` the tree is the compiled one, so that a loop's passes stay tied, and idle sublayers are
filled; with one it is a stack of so many layers, each with weights of its own.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
from innerloop.artifact.claims import AnswerError, Report
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.memory import spend
from innerloop.artifact.outputs import OutputSpec
from innerloop.artifact.parts import Attention, Body, Config, Idle, LinearAttention, Mlp, Norm, Repeated, Sublayer
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from innerloop.compiler.architectures.targets import TARGETS

CHANGES = ("n_layer", "d_model", "n_head", "d_head", "d_mlp", "n_positions", "n_kv_head")

TRAINED = 5
"""Numbers for each parameter while it is trained: itself, its next value, its gradient and Adam's two moments."""


UNTRAINED = (
    "target deltanet is compiled for and run, and not trained: train a model of target lsa, gpt2 or llama, whose "
    "layers the laboratory compares"
)


def untried(output: OutputSpec) -> Report:
    """The report of weights with this output that no compiler vouches for."""
    unknown = float("inf"), float("nan"), float("nan")
    answers = tuple(AnswerError(answer.name, *unknown) for answer in output.answers)
    return Report(0, 0, 0, 0, 0, 0, 0, 0, 0, *unknown, 0, answers=answers)


def changed(config: Config, changes: dict[str, int]) -> Config:
    """The configuration with `changes`. What follows from others follows, unless it is given too: of a new width
    d_mlp = 4 d_model, and, but for linear attention, d_head = d_model / n_head. Raises InnerloopError."""
    if config.attention == "delta":
        raise InnerloopError(UNTRAINED)
    for name, value in changes.items():
        if name not in CHANGES:
            raise InnerloopError(f"{name}={value!r}: a fresh model can differ in {', '.join(CHANGES)}")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InnerloopError(f"{name}={value!r}: must be a whole number of at least 1")
    given = dict(changes)
    width, heads = given.get("d_model", config.d_model), given.get("n_head", config.n_head)
    if "d_model" in given and config.activation != "none":
        given.setdefault("d_mlp", 4 * width)
    if {"d_model", "n_head"} & set(given) and "d_head" not in given and config.attention == "softmax":
        if width % heads:
            raise InnerloopError(f"n_head={heads} does not divide d_model={width}: take another, or give d_head")
        given["d_head"] = width // heads
    if "n_head" in given:
        given.setdefault("n_kv_head", heads)
    new = replace(config, **given)  # type: ignore[arg-type]
    if heads % (new.n_kv_head or heads):
        raise InnerloopError(f"n_kv_head={new.n_kv_head} does not divide n_head={heads}: take another")
    if new.positions == "rotary" and new.d_head % 2:
        raise InnerloopError(f"d_head={new.d_head} is odd, and rotary positions turn pairs: take an even one")
    if new.attention == "linear" and width < config.d_model:
        raise InnerloopError(
            f"d_model={width}: linear attention works on the tokens as compiled, which take {config.d_model} slots"
        )
    return new


def blank(weights: Weights, **changes: int) -> Weights:
    """Weights of zeros in the architecture of `weights` with `changes`; but for what linear attention is given and
    does not learn (its tokens, ρ and the readout), which is the compiled."""
    config = changed(weights.config, changes)
    width, size = config.d_model, prod(weights.output.shape)
    features = weights.embedding.shape[0]
    inside = config.n_head * config.d_head
    numbers = config.n_layer * width * (4 * inside + 3 * config.d_mlp) + width * (features + config.n_positions)
    what = f"training {config.n_layer:,} layers of width {width:,}: numbers, gradients and Adam's moments"
    spend(TRAINED * numbers * np.dtype(config.dtype).itemsize, what, "train a smaller one")
    linear = config.attention == "linear"
    body = _stack(weights, config) if "n_layer" in changes else tuple(_filled(weights.bare().body, config))
    return replace(
        weights.bare(),
        config=config,
        embedding=_padded(weights.embedding, features, width) if linear else Matrix(np.zeros((features, width))),
        positions=_positions(weights, config) if linear else np.zeros((config.n_positions, width)),
        body=body,
        final_norm=None if weights.final_norm is None and config.norm == "none" else _norm(config),
        readout=_padded(weights.readout, width, size) if linear else Matrix(np.zeros((width, size))),
        readout_bias=weights.readout_bias if linear else np.zeros(size),
        inputs=(),
        report=untried(weights.output),
    )


def unrolled(weights: Weights) -> Weights:
    """The same with every pass of a loop a sublayer of its own, and without what is said by their numbers."""
    return replace(weights.bare(), body=tuple(item for _, item in weights.unrolled()))


def _stack(weights: Weights, config: Config) -> Body:
    """n_layer layers. Where attention is linear, the softmax layers that copy between tokens come first, as compiled
    (von Oswald et al. 2022, Prop. 3), and are among them."""
    if config.attention == "softmax":
        return tuple(item for _ in range(config.n_layer) for item in (_attention(config), _mlp(config)))
    kinds = [item for _, item in weights.unrolled() if isinstance(item, Attention | LinearAttention)]
    copies = sum(isinstance(item, Attention) for item in kinds)
    one = next((item for item in kinds if isinstance(item, LinearAttention)), None)
    if one is None or copies >= config.n_layer:
        raise InnerloopError(
            f"n_layer={config.n_layer}: {weights.signature.name} has {copies} layers that copy between tokens, and at "
            f"least one of linear attention has to follow them"
        )
    layers: list[Sublayer] = []
    for layer in range(config.n_layer):
        layers.append(_attention(config) if layer < copies else _linear_attention(config, one))
        layers.append(Idle("mlp") if config.activation == "none" else _mlp(config))
    return tuple(layers)


def _filled(body: Body, config: Config) -> list[Sublayer | Repeated]:
    """The same tree of zeros; idle sublayers are filled where the architecture has such."""
    items: list[Sublayer | Repeated] = []
    for item in body:
        match item:
            case Repeated():
                items.append(replace(item, body=tuple(_filled(item.body, config))))
            case LinearAttention():
                items.append(_linear_attention(config, item))
            case Idle(kind="attention") if config.attention == "linear":
                items.append(item)
            case Attention() | Idle(kind="attention"):
                items.append(_attention(config))
            case _:
                items.append(Idle("mlp") if config.activation == "none" else _mlp(config))
    return items


def _attention(config: Config) -> Attention:
    width, inside, shared = _sizes(config)
    norm = None if config.norm == "none" else _norm(config)
    query, key, value = (Matrix(np.zeros((width, size))) for size in (inside, shared, shared))
    biases = np.zeros(inside), np.zeros(shared), np.zeros(shared)
    output = Matrix(np.zeros((inside, width)))
    return Attention(norm, query, biases[0], key, biases[1], value, biases[2], output, np.zeros(width))


def _linear_attention(config: Config, like: LinearAttention) -> LinearAttention:
    """Its ρ counts what the compiled one's counts; every head what the first does, if there are more or fewer."""
    width, inside, shared = _sizes(config)
    count = like.count.csr.toarray()
    if count.shape[1] != config.n_head:
        count = np.repeat(count[:, :1], config.n_head, axis=1)
    query, key, value = (Matrix(np.zeros((width, size))) for size in (inside, shared, shared))
    output = Matrix(np.zeros((inside, width)))
    return LinearAttention(query, key, value, output, _padded(Matrix(count), width, config.n_head))


def _mlp(config: Config) -> Mlp:
    up, down = Matrix(np.zeros((config.d_model, config.d_mlp))), Matrix(np.zeros((config.d_mlp, config.d_model)))
    norm = None if config.norm == "none" else _norm(config)
    gate = up if TARGETS[config.target].gated else None
    return Mlp(norm, up, np.zeros(config.d_mlp), down, np.zeros(config.d_model), gate)


def _norm(config: Config) -> Norm:
    return Norm(np.ones(config.d_model), np.zeros(config.d_model))


def _sizes(config: Config) -> tuple[int, int, int]:
    """The width, the dimensions of all queries, and those of all keys or values."""
    return config.d_model, config.n_head * config.d_head, (config.n_kv_head or config.n_head) * config.d_head


def _padded(matrix: Matrix, rows: int, columns: int) -> Matrix:
    dense = matrix.csr.toarray()
    return Matrix(np.pad(dense, ((0, rows - dense.shape[0]), (0, columns - dense.shape[1]))))


def _positions(weights: Weights, config: Config) -> np.ndarray:
    """The table as compiled, cut or (of no position, where it is longer) padded."""
    have = weights.positions[: config.n_positions]
    return np.pad(have, ((0, config.n_positions - len(have)), (0, config.d_model - have.shape[1])))
