"""The weights of a transformer: a tree of sublayers and loops, with everything that is needed to run it.

Matrices act from the right, x @ W with W [in, out], as GPT-2's do, and stay sparse until they are
run or written: a compiled layer is more than 95 % zeros. A sublayer is

    Attention         x ← x + softmax(mask(q kᵀ / √d_head)) v @ output + output_bias,   q, k, v linear in norm(x)
    LinearAttention   x ← x + mask(q kᵀ) / ρ v @ output,   q, k, v linear in x, ρ a number of tokens
    Mlp               x ← x + activation(norm(x) @ up + up_bias) @ down + down_bias

The tree unrolls to a strict alternation Attention, Mlp, Attention, Mlp …; a layer is one such pair.
None stands for a sublayer whose weights are all zero.

The first token is a rest for empty reads: it holds no field, and stands before those of the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .graph import Signature
from .sparse import Floats, Matrix

if TYPE_CHECKING:
    from os import PathLike


@dataclass(frozen=True)
class Config:
    """The architecture. `d_mlp` is the widest sublayer's; `n_layer` counts loops unrolled."""

    target: str
    n_layer: int
    d_model: int
    n_head: int
    d_head: int
    d_mlp: int
    n_positions: int
    activation: str = "gelu_tanh"
    norm: str = "layernorm"
    norm_epsilon: float = 1e-5
    positions: str = "learned"
    causal: bool = True
    dtype: str = "float32"
    attention: str = "softmax"
    unread: int = 0
    """So many last tokens linear attention does not read, be they the reader itself (`LinearAttention`)."""
    n_kv_head: int | None = None
    """Heads of keys and values, each shared by n_head / n_kv_head queries in order (None: n_head)."""
    rope_theta: float = 10_000.0
    """Of rotary positions (`positions` "rotary"): angles p θ^(−2i/d_head) on the pairs (i, i + d_head/2) of queries and
    keys, as Llama has them."""


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

    kind: str


@dataclass(frozen=True)
class Repeated:
    """`body` run `count` times with the same weights; the body has as many attention as MLP sublayers.

    In a `scan` every token repeats its own update, and holds its true values from the pass in which its
    turn comes; all do in the last.
    """

    count: int
    body: tuple[Sublayer | Repeated, ...]
    scan: bool = False


Sublayer = Attention | LinearAttention | Mlp | Idle
Body = tuple[Sublayer | Repeated, ...]


@dataclass(frozen=True)
class Placement:
    """Where a named value stands: value = stream @ matrix (+ nothing), after each of the sublayers first … last.

    Sublayers are numbered in the order of the tree, a loop's body once. `low`, `high` [size] is the
    range that the weights were compiled for, at the tokens of `kinds`.
    """

    name: str
    shape: tuple[int, ...]
    kinds: frozenset[str]
    matrix: Matrix
    first: int
    last: int
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Domain:
    """Where a construction is right: stream @ matrix lies in [low, high] at the tokens of `kinds`, before the stored
    sublayer `sublayer`, which reads it, or `after` the one that writes it (see domains.py).

    construction   product, function, divisor, value; comparison: |value| is *not* between the two, where its
                   sign does not decide;
                   scores: stream @ matrix at a token of `kinds`, times stream @ key at one of `over` that it sees;
                   softmax: of such scores of up to `reach`, which leave nothing for rounding to decide; `high` is the
                   size of what is read
    what, sizes    how the program says what the columns are, and how many columns each of those has
    pairs          of a product: columns i, j may leave their ranges while both, from the middle in half ranges, are
                   2 together
    """

    construction: str
    sublayer: int
    after: bool
    kinds: frozenset[str]
    matrix: Matrix
    low: Floats
    high: Floats
    what: tuple[str, ...]
    sizes: tuple[int, ...]
    pairs: tuple[tuple[int, ...], ...] = ()
    key: Matrix | None = None
    over: str = ""
    reach: float = 0.0


@dataclass(frozen=True)
class InputRange:
    """The range of a field that the weights were compiled for."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Certificate:
    """What a report's errors were measured on, and what else the weights were made from.

    measured_on  the tasks, in words, those of the default drawn from `seed`; `seen`: each field's range on them
    calibrated   the data that the compiled ranges were taken from, in words; the ranges are `Weights.inputs`
    default      whether both are drawn by default_tasks.py, and not the caller's
    optimize, tolerance, certify    as `compile_program` was given them
    """

    measured_on: str
    seen: tuple[InputRange, ...]
    calibrated: str
    default: bool
    seed: int | None
    optimize: str
    tolerance: float | None
    certify: int = 64


@dataclass(frozen=True)
class Report:
    """What was built, and how exact it is; `predicted` and `measured` are largest errors of the output.
    `certificate` is None for weights that were saved before there was one."""

    layers: int
    critical_path: int
    width: int
    slots: int
    live: int
    neurons: int
    heads: int
    nonzeros: int
    parameters: int
    predicted_error: float
    measured_error: float
    output_rms: float
    tasks: int
    certificate: Certificate | None = None


@dataclass(frozen=True)
class OutputSpec:
    """`program output e`: its shape, and the kinds of token that give it."""

    name: str
    shape: tuple[int, ...]
    kinds: frozenset[str]


@dataclass(frozen=True)
class Weights:
    """A compiled transformer.

    A token's features are its role (one-hot over `roles`), then the components of every field in
    the signature's order, zero where the token does not hold it. stream = features @ embedding +
    positions[position]; output = norm(stream) @ readout + readout_bias.
    """

    config: Config
    signature: Signature
    roles: tuple[str, ...]
    """"rest", then one for each place of the pattern: prefix, group, suffix; see `tokens.py`."""
    embedding: Matrix
    positions: Floats
    body: Body
    final_norm: Norm | None
    readout: Matrix
    readout_bias: Floats
    output: OutputSpec
    layout: tuple[Placement, ...]
    inputs: tuple[InputRange, ...]
    report: Report = field(repr=False)
    domains: tuple[Domain, ...] = field(default=(), repr=False)
    """Of weights that were saved before there were any, none."""

    def sublayers(self) -> Iterator[Sublayer]:
        """The stored sublayers in the order of the tree, a loop's body once."""
        return _stored(self.body)

    def unrolled(self) -> Iterator[tuple[int, Sublayer]]:
        """Every sublayer that runs, in order, with its number among the stored ones."""
        return iter(_unroll(self.body, 0)[0])

    def save(self, folder: str | PathLike[str]) -> None:
        """Writes config.json, model.safetensors and program.icl to a new folder, whole or not at all."""
        from .storage import save

        save(self, folder)

    @staticmethod
    def load(folder: str | PathLike[str]) -> Weights:
        """Reads what `save` wrote; a folder that is not whole is refused with the reason."""
        from .storage import load

        return load(folder)


def _stored(body: Body) -> Iterator[Sublayer]:
    for item in body:
        if isinstance(item, Repeated):
            yield from _stored(item.body)
        else:
            yield item


def _unroll(body: Body, start: int) -> tuple[list[tuple[int, Sublayer]], int]:
    run: list[tuple[int, Sublayer]] = []
    for item in body:
        if isinstance(item, Repeated):
            once, end = _unroll(item.body, start)
            run.extend(once * item.count)
            start = end
        else:
            run.append((start, item))
            start += 1
    return run, start
