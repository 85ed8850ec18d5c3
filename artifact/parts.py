"""The parts of a transformer: its configuration, its sublayers, and loops of them.

Matrices act from the right, x @ W with W [in, out], as GPT-2's do, and stay sparse until they are
run or written: a compiled layer is more than 95 % zeros. A sublayer is

    Attention         x ← x + softmax(mask(q kᵀ / √d_head)) v @ output + output_bias,   q, k, v linear in norm(x)
    LinearAttention   x ← x + mask(q kᵀ) / ρ v @ output,   q, k, v linear in x, ρ a number of tokens
    DeltaAttention    x ← x + S q @ output,   S written token by token by the delta rule, with k, v and β linear in x
    Mlp               x ← x + activation(norm(x) @ up + up_bias) @ down + down_bias

The tree unrolls to a strict alternation Attention, Mlp, Attention, Mlp …; a layer is one such pair. `Idle` stands for
a sublayer whose weights are all zero. Where the configuration's block is "parallel", both of a layer read the stream as
it was before the layer, x ← x + attention(x) + mlp(x), and a loop's body is whole layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .arrays import Dtype, Floats
from .sparse import Matrix
from .words import ActivationName, AttentionKind, BlockKind, NormKind, PositionKind, Side, TargetName


@dataclass(frozen=True)
class Config:
    """The architecture. `d_mlp` is the widest sublayer's; `n_layer` counts loops unrolled."""

    target: TargetName
    n_layer: int
    d_model: int
    n_head: int
    d_head: int
    d_mlp: int
    n_positions: int
    activation: ActivationName = "gelu_tanh"
    norm: NormKind = "layernorm"
    norm_epsilon: float = 1e-5
    positions: PositionKind = "learned"
    causal: bool = True
    dtype: Dtype = "float32"
    attention: AttentionKind = "softmax"
    unread: int = 0
    """So many last tokens linear attention does not read, be they the reader itself (`LinearAttention`)."""
    n_kv_head: int | None = None
    """Heads of keys and values, each shared by n_head / n_kv_head queries in order (None: n_head)."""
    rope_theta: float = 10_000.0
    """Of rotary positions (`positions` "rotary"): angles p θ^(−2i/d_head) on the pairs (i, i + d_head/2) of queries and
    keys, as Llama has them."""
    rotary_fraction: float = 1.0
    """The share of the pairs that turn, the first ones, by p θ^(−2i/n), n that share of d_head: GPT-NeoX's, whose
    dimensions stand in another order."""
    block: BlockKind = "serial"


@dataclass(frozen=True)
class Norm:
    """(x − mean) / √(var + ε) · gain + bias, per slot: gain, bias [d_model]. Where the configuration has
    "rmsnorm", x / √(mean x² + ε) · gain, and bias is 0."""

    gain: Floats
    bias: Floats


@dataclass(frozen=True)
class Attention:
    """query, key, value: [d_model, n_head · d_head], head-major columns; output: [n_head · d_head, d_model].
    `norm` None is the identity."""

    norm: Norm | None
    query: Matrix
    query_bias: Floats
    key: Matrix
    key_bias: Floats
    value: Matrix
    value_bias: Floats
    output: Matrix
    output_bias: Floats


@dataclass(frozen=True)
class LinearAttention:
    """x_i ← x_i + Σ_h (1/ρ_ih) Σ_j (q_ih · k_jh) v_jh @ output_h, over tokens j that i sees (von Oswald et al. 2022).

    Not read are the last `Config.unread` tokens, the query's: the mask M of Ahn et al. 2023. Shapes as
    `Attention`'s; `count` [d_model, n_head] reads 1 from a token that ρ counts: ρ_ih = Σ_j x_j @ count_h, and
    1 where that is 0 (Zhang et al. 2023: ρ is the number of examples).
    """

    query: Matrix
    key: Matrix
    value: Matrix
    output: Matrix
    count: Matrix


TAPS = 4
"""Tokens that a short convolution reaches over: the reader itself and three before it."""


@dataclass(frozen=True)
class DeltaAttention:
    """x_t ← x_t + Σ_h S_t q_t @ output_h, where each head's matrix S is carried from token to token (gated DeltaNet):

        S_t = α_t S_{t−1} (I − β_t k_t k_tᵀ) + β_t v_t k_tᵀ        α_t = 1 − x_t @ forget_h
                                                                   β_t = (x_t @ rate_h) / (c + s |k_t|²)

    Shapes as `Attention`'s, q linear in x; k and v are x @ key and x @ value under a short convolution, channel by
    channel: Σ_b taps[b] · (x_{t−b} @ key), taps [TAPS, n_head · d_head]. rate and forget [d_model, n_head];
    `divisor` [n_head, 2] holds c and s, (1, 0) for none; 0/0 is 0. `start` [n_head · d_head, d_head]: S before the
    first token, transposed, so that a row is a component of k.

    Source: Schlag et al. 2021 (arXiv 2102.11174), Yang et al. 2024 (arXiv 2406.06484; gates: 2412.06464); the
    recurrence of flash-linear-attention. Its layers take σ of the rate, the SiLU of convolutions, and norms of keys and
    outputs beside; here none is taken.
    """

    query: Matrix
    key: Matrix
    key_taps: Floats
    value: Matrix
    value_taps: Floats
    output: Matrix
    rate: Matrix
    forget: Matrix
    divisor: Floats
    start: Matrix


@dataclass(frozen=True)
class Mlp:
    """up: [d_model, neurons], down: [neurons, d_model]; the number of neurons may differ between sublayers.
    `norm` None is the identity. With a `gate` [d_model, neurons] (SwiGLU), what goes down is
    activation(norm(x) @ gate) · (norm(x) @ up + up_bias)."""

    norm: Norm | None
    up: Matrix
    up_bias: Floats
    down: Matrix
    down_bias: Floats
    gate: Matrix | None = None


@dataclass(frozen=True)
class Idle:
    """An attention or MLP sublayer (`kind`) of zeros: it leaves the stream as it is."""

    kind: Side


@dataclass(frozen=True)
class Repeated:
    """`body` run `count` times with the same weights; the body has as many attention as MLP sublayers.

    In a `scan` every token repeats its own update, and holds its true values from the pass in which its
    turn comes; all do in the last. `turn`: the kind that is scanned, where a pass at a token reads that token, the
    rest token and, in its first sublayer, the token of the kind before it, and no other: then it is enough to run each
    token's own pass (turns.py), and others find it as they would. Other numbers may read more (`without_turns`).
    """

    count: int
    body: tuple[Sublayer | Repeated, ...]
    scan: bool = False
    turn: str | None = None


Sublayer = Attention | LinearAttention | DeltaAttention | Mlp | Idle
Body = tuple[Sublayer | Repeated, ...]


def without_turns(body: Body) -> Body:
    """The same tree, without what is said of whom a scan's passes read: for numbers that are to change."""
    return tuple(
        replace(item, body=without_turns(item.body), turn=None) if isinstance(item, Repeated) else item for item in body
    )


def stored(body: Body) -> Iterator[Sublayer]:
    """The stored sublayers in the order of the tree, a loop's body once."""
    for item in body:
        if isinstance(item, Repeated):
            yield from stored(item.body)
        else:
            yield item


def unroll(body: Body, start: int = 0) -> tuple[list[tuple[int, Sublayer]], int]:
    """Every sublayer that runs, in order, with its number among the stored ones, of which `start` are before; and the
    number of the next."""
    run: list[tuple[int, Sublayer]] = []
    for item in body:
        if isinstance(item, Repeated):
            once, end = unroll(item.body, start)
            run.extend(once * item.count)
            start = end
        else:
            run.append((start, item))
            start += 1
    return run, start
