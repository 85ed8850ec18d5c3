"""Weights brought into the scale and order of others that compute alike: what no output can tell is no difference.

    linear attention    x_i S x_jᵀ · x_j V with S = W_Q W_Kᵀ and V = W_V P, head by head: (cS, V/c) is the same for any
                        c ≠ 0. c makes ‖S‖/‖V‖ what it is in the other, and ⟨S, S'⟩ ≥ 0. Only the products are kept,
                        with W_K = P = I and so d_head = d_model (von Oswald et al. 2022, §3 and appendix)
    softmax attention   (q G, k G⁻ᵀ) and (v H, H⁻¹ o): G and H are a scale, and, where positions do not turn, the
                        rotation nearest to the other (orthogonal Procrustes)
    heads, neurons      any order: that of the least Σ ‖a − a'‖² / (‖a‖² + ‖a'‖²) (linear_sum_assignment)

Heads are told by what no gauge changes: S ⊗ V, and in softmax attention S and V apart. The basis of the residual
stream is not gauged: a layer's norm fixes it but for an order, and where there is none the tokens are given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.parts import Attention, Config, Idle, LinearAttention, Mlp, Norm, Sublayer
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from innerloop.runtime.packing.pack_heads import each
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .distance import Floats

_SAME = ("d_model", "n_head", "n_layer", "attention", "norm", "positions", "causal", "unread", "activation")


SHARED = 0.5
"""The least cosine of what two models of one basis share."""


def comparable(a: Weights, b: Weights) -> str | None:
    """Why there is no line between the two, or None: they must be of one architecture, sublayer by sublayer."""
    for name in _SAME:
        ours, theirs = getattr(a.config, name), getattr(b.config, name)
        if ours != theirs:
            return f"{name} is {ours} and {theirs}"
    if a.config.attention == "softmax" and a.config.d_head != b.config.d_head:
        return f"d_head is {a.config.d_head} and {b.config.d_head}"
    if a.embedding.shape != b.embedding.shape or a.readout.shape != b.readout.shape:
        return "their tokens or outputs have different shapes"
    for number, (ours, theirs) in enumerate(_pairs(a, b)):
        kinds = {_kind(ours), _kind(theirs)}
        if len(kinds) > 1:
            return f"sublayer {number} is {' and '.join(sorted(kinds))}"
        if not isinstance(ours, Idle) and not isinstance(theirs, Idle) and _parts(ours) != _parts(theirs):
            return f"sublayer {number} has different parts"
    return None


def of_one_basis(trained: Weights, compiled: Weights) -> str | None:
    """Why numbers between the two mean nothing, or None. Linear attention works on tokens as they are given; elsewhere
    the slots of the stream are what training made of them, and those of the compiled hold constants of their own. Both
    have one basis where one was trained from the other, or the embeddings still agree to a cosine of SHARED."""
    if compiled.config.attention == "linear" and not any(isinstance(s, Attention) for s in compiled.sublayers()):
        return None
    parts = [("embeddings", trained.embedding, compiled.embedding)]
    if compiled.config.attention == "linear":  # whose softmax layers copy, with constants as sharp as it takes
        pairs = [(a, b) for a, b in _pairs(trained, compiled) if isinstance(a, Attention) and isinstance(b, Attention)]
        parts = [("copying layers", _scores(a), _scores(b)) for a, b in pairs]
    for what, ours, theirs in parts:
        a, b = (np.ravel(matrix.csr.toarray()) for matrix in (ours, theirs))
        length = float(np.linalg.norm(a) * np.linalg.norm(b))
        cosine = float(a @ b) / length if length else 1.0
        if cosine < SHARED:
            return (
                f"their {what} agree to a cosine of {cosine:.2f} only, so that a slot means one thing here and another "
                f"there, and numbers between the two mean nothing; of models that were trained from the compiled "
                f"weights (`train --start compiled`) there is a line"
            )
    return None


def _scores(item: Attention) -> Matrix:
    """W_Q W_Kᵀ, over all heads."""
    return Matrix(item.query.csr @ item.key.csr.T)


def _kind(item: Sublayer) -> str:
    return "mlp" if isinstance(item, Mlp) or (isinstance(item, Idle) and item.kind == "mlp") else "attention"


def _parts(item: Sublayer) -> tuple[object, ...]:
    """What it has: linear or softmax attention, a norm, a gate."""
    return (type(item), *(f.name for f in fields(item) if getattr(item, f.name) is None))


def _pairs(a: Weights, b: Weights) -> Iterator[tuple[Sublayer, Sublayer]]:
    return zip((s for _, s in a.unrolled()), (s for _, s in b.unrolled()), strict=False)


def matched(trained: Weights, compiled: Weights) -> tuple[Weights, Weights]:
    """Both, loops unrolled, with equal shapes: `trained` in the gauge of `compiled`; either predicts what it did.

    Raises InnerloopError where `comparable` says why not."""
    if (reason := comparable(trained, compiled)) is not None:
        raise InnerloopError(f"no line leads between the two: {reason}")
    config = trained.config
    found = [_matched(ours, theirs, config) for ours, theirs in _pairs(trained, compiled)]
    d_head = config.d_model if config.attention == "linear" else config.d_head
    rest = min(len(trained.positions), len(compiled.positions))

    def whole(weights: Weights, body: list[Sublayer]) -> Weights:
        sizes = [item.up.shape[1] for item in body if isinstance(item, Mlp)]
        neurons = max(sizes, default=weights.config.d_mlp)
        new = replace(weights.config, n_positions=rest, d_mlp=neurons, d_head=d_head, n_kv_head=None)
        return replace(weights.bare(), config=new, positions=weights.positions[:rest], body=tuple(body))

    return whole(trained, [ours for ours, _ in found]), whole(compiled, [theirs for _, theirs in found])


def _matched(ours: Sublayer, theirs: Sublayer, config: Config) -> tuple[Sublayer, Sublayer]:
    if isinstance(ours, Idle) and isinstance(theirs, Idle):
        return ours, theirs
    if isinstance(ours, Idle):
        theirs, ours = _matched(theirs, ours, config)
        return ours, theirs
    if isinstance(theirs, Idle):
        theirs = _zeros(ours)
    if isinstance(ours, LinearAttention) and isinstance(theirs, LinearAttention):
        return _linear(ours, theirs, config)
    if isinstance(ours, Attention) and isinstance(theirs, Attention):
        return _softmax(ours, theirs, config)
    assert isinstance(ours, Mlp)
    assert isinstance(theirs, Mlp)
    return _neurons(ours, theirs)


def _zeros(like: Any) -> Any:
    """A sublayer of zeros of these shapes."""

    def zero(value: Any) -> Any:
        if isinstance(value, Matrix):
            return Matrix.zero(*value.shape)
        return value if value is None or isinstance(value, Norm) else np.zeros_like(value)

    return replace(like, **{field.name: zero(getattr(like, field.name)) for field in fields(like)})


# Linear attention ---------------------------------------------------------------------------------


def products(item: LinearAttention, config: Config) -> tuple[Floats, Floats]:
    """S = W_Q W_Kᵀ and V = W_V P of each head, both [heads, d_model, d_model]."""
    size = item.query.shape[1] // config.n_head
    sides = (getattr(item, side).csr.toarray() for side in ("query", "key", "value"))
    query, key, value = (heads(side, config.n_head, size) for side in sides)
    output = item.output.csr.toarray().reshape(config.n_head, size, -1)
    return query @ key.swapaxes(1, 2), value @ output


def heads(side: Floats, count: int, size: int) -> Floats:
    """[inputs, heads · size] → [count, inputs, size]; keys and values that heads share stand at each."""
    return np.ascontiguousarray(each(side, count, size).swapaxes(0, 1))


def _linear(ours: LinearAttention, theirs: LinearAttention, config: Config) -> tuple[Sublayer, Sublayer]:
    (s, v), (s_to, v_to) = products(ours, config), products(theirs, config)
    size, size_to = (_norms(s) * _norms(v)) ** 2, (_norms(s_to) * _norms(v_to)) ** 2
    order = _assigned(_apart(size, size_to, _inner(s, s_to) * _inner(v, v_to)))
    count = ours.count.csr.toarray()[:, order]
    s, v = s[order], v[order]
    scale = np.sqrt(_ratio(_norms(v), _norms(s)) * _ratio(_norms(s_to), _norms(v_to)))
    scale = scale * np.where((s * s_to).sum((1, 2)) < 0, -1, 1)
    return _of_products(s * scale[:, None, None], v / scale[:, None, None], Matrix(count)), _of_products(
        s_to, v_to, theirs.count
    )


def _of_products(s: Floats, v: Floats, count: Matrix) -> LinearAttention:
    """W_Q = S, W_K = I, W_V = V, P = I."""
    number, width = s.shape[:2]
    ones = np.tile(np.eye(width), (1, number))
    side, other = (Matrix(np.concatenate(list(m), axis=1)) for m in (s, v))
    return LinearAttention(side, Matrix(ones), other, Matrix(ones.T), count)


def _norms(x: Floats) -> Floats:
    return np.asarray(np.sqrt((x**2).sum((1, 2))))


def _ratio(a: Floats, b: Floats) -> Floats:
    """a/b, and 1 where either is 0: a head that does nothing has no scale."""
    nothing = (a == 0) | (b == 0)
    return np.where(nothing, 1.0, a / np.where(nothing, 1.0, b))


def _inner(a: Floats, b: Floats) -> Floats:
    """⟨a_h, b_g⟩ [heads, heads]."""
    return np.asarray(np.einsum("hij,gij->hg", a, b))


def _apart(ours: Floats, theirs: Floats, inner: Floats) -> Floats:
    """‖a − b‖² / (‖a‖² + ‖b‖²) [ours, theirs] from ‖a‖², ‖b‖² and ⟨a, b⟩; 0 where both are 0."""
    total = ours[:, None] + theirs
    return np.asarray(np.where(total > 0, (total - 2 * inner) / np.where(total > 0, total, 1), 0))


def _assigned(cost: Any) -> NDArray[np.int64]:
    """For each of theirs, which of ours: order[theirs] = ours."""
    ours, theirs = linear_sum_assignment(cost)
    return np.asarray(ours[np.argsort(theirs)])


# Softmax attention --------------------------------------------------------------------------------


def _softmax(ours: Attention, theirs: Attention, config: Config) -> tuple[Sublayer, Sublayer]:
    q, k, v, o = _sides(ours, config)
    q_to, k_to, v_to, o_to = _sides(theirs, config)
    invariants = (q @ k.swapaxes(1, 2), q_to @ k_to.swapaxes(1, 2)), (v @ o, v_to @ o_to)
    order = _assigned(sum(_apart(_norms(a) ** 2, _norms(b) ** 2, _inner(a, b)) for a, b in invariants))
    q, k, v, o = q[order], k[order], v[order], o[order]
    turns = config.positions == "rotary"
    k, q = _gauged(k, q, k_to, q_to, turned=turns)
    v, out = _gauged(v, o.swapaxes(1, 2), v_to, o_to.swapaxes(1, 2), turned=False)
    return _of_sides(ours, q, k, v, out.swapaxes(1, 2)), _of_sides(theirs, q_to, k_to, v_to, o_to)


def _sides(item: Attention, config: Config) -> tuple[Floats, Floats, Floats, Floats]:
    """q, k, v [heads, d_model + 1, d_head], the bias last, and o [heads, d_head, d_model]."""
    found = []
    for side in ("query", "key", "value"):
        rows = np.concatenate([getattr(item, side).csr.toarray(), getattr(item, f"{side}_bias")[None]])
        found.append(heads(rows, config.n_head, config.d_head))
    q, k, v = found
    return q, k, v, item.output.csr.toarray().reshape(config.n_head, config.d_head, -1)


def _gauged(a: Floats, b: Floats, a_to: Floats, b_to: Floats, turned: bool) -> tuple[Floats, Floats]:
    """(c a G, b G / c), whose a bᵀ is the same: all [heads, inputs, d_head]. c makes ‖a‖/‖b‖ that of the other; the
    orthogonal G makes ‖a G − a'‖² + ‖b G − b'‖² least, and is I where positions turn the pairs. A head that is
    no nearer then stays as it stands, since compiled weights rest on numbers that a rotation rounds."""
    scale = np.sqrt(_ratio(_norms(b), _norms(a)) * _ratio(_norms(a_to), _norms(b_to)))[:, None, None]
    new_a, new_b = a * scale, b / scale
    if not turned:
        left, _, right = np.linalg.svd(new_a.swapaxes(1, 2) @ a_to + new_b.swapaxes(1, 2) @ b_to)
        new_a, new_b = new_a @ (left @ right), new_b @ (left @ right)
    before, after = (_norms(x - a_to) ** 2 + _norms(z - b_to) ** 2 for x, z in ((a, b), (new_a, new_b)))
    nearer = (after < (1 - 1e-9) * before)[:, None, None]
    return np.where(nearer, new_a, a), np.where(nearer, new_b, b)


def _of_sides(like: Attention, q: Floats, k: Floats, v: Floats, o: Floats) -> Attention:
    q, k, v = (np.concatenate(list(side), axis=1) for side in (q, k, v))
    return replace(
        like,
        query=Matrix(q[:-1]), query_bias=q[-1],
        key=Matrix(k[:-1]), key_bias=k[-1],
        value=Matrix(v[:-1]), value_bias=v[-1],
        output=Matrix(o.reshape(-1, o.shape[2])),
    )  # fmt: skip


# Neurons ------------------------------------------------------------------------------------------


def _neurons(ours: Mlp, theirs: Mlp) -> tuple[Sublayer, Sublayer]:
    size = max(ours.up.shape[1], theirs.up.shape[1])
    mine, wanted = _neuron_rows(ours, size), _neuron_rows(theirs, size)
    pairs = zip(mine, wanted, strict=True)
    order = _assigned(sum(_apart((a**2).sum(1), (b**2).sum(1), a @ b.T) for a, b in pairs))
    return _of_rows(ours, [part[order] for part in mine]), _of_rows(theirs, wanted)


def _neuron_rows(item: Mlp, size: int) -> list[Floats]:
    """[up and its bias, down, and the gate if there is one], a row for each neuron; those that lack do nothing."""
    parts = [np.concatenate([item.up.csr.toarray(), item.up_bias[None]]).T, item.down.csr.toarray()]
    if item.gate is not None:
        parts.append(item.gate.csr.toarray().T)
    return [np.pad(part, ((0, size - len(part)), (0, 0))) for part in parts]


def _of_rows(like: Mlp, parts: list[Floats]) -> Mlp:
    up, down, *gate = parts
    return replace(
        like,
        up=Matrix(up[:, :-1].T),
        up_bias=np.ascontiguousarray(up[:, -1]),
        down=Matrix(down),
        gate=Matrix(gate[0].T) if gate else None,
    )
