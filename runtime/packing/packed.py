"""Parameters: the weights as the forward pass takes them, a pytree of dense arrays whose structure is static.

before   what pack.py leaves of the sublayers: the heads, neurons and slots that can change a result
after    steps, in a tree like that of `Weights.body`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

Array = Any  # a NumPy array while packing, a JAX array in the pass


Live = tuple[str, ...] | None
"""The kinds of token, sorted, at which a step has to run for the outputs (None: all); see `Contents.live`."""


Short = str | None
"""The precision of 16 bits that every result is rounded to, in arrays of float32 (None: nothing is)."""


class NormStep(NamedTuple):
    """gain, bias [slots read]; epsilon and width are scalars of the pass, so that XLA folds no other number with them.
    `bias` None is RMSNorm, which takes no mean away."""

    gain: Array
    bias: Array | None
    epsilon: Array
    width: Array


class Spread(NamedTuple):
    """columns [written]: the slots that columns go to, in order (None: to all); bias [written]. Columns that go beyond
    the stream, or bring nothing, fill up (divided.py)."""

    columns: Array | None
    bias: Array


@dataclass(frozen=True)
class AttentionStep:
    """qkv [slots read, heads · (2 qk + v)], output [heads · v, slots written]; `number` as in Weights.sublayers.
    `norm` None is the identity. `pairs` [heads or 1, qk / 2], where positions are rotary: the columns of
    `Parameters.rotations` that turn dimensions i and i + qk / 2 of each head."""

    norm: NormStep | None
    rows: Array | None
    qkv: Array
    qkv_bias: Array
    output: Array
    spread: Spread
    number: int
    heads: int
    qk: int
    v: int
    d_head: int
    causal: bool
    pairs: Array | None = None
    live: Live = None
    short: Short = None


@dataclass(frozen=True)
class LinearAttentionStep:
    """qkvc [slots read, heads · (2 qk + v + 1)], the last column of each head what it counts; output as above."""

    rows: Array | None
    qkvc: Array
    output: Array
    spread: Spread
    number: int
    heads: int
    qk: int
    v: int
    causal: bool
    unread: int


@dataclass(frozen=True)
class DeltaStep:
    """packed [slots read, heads · (2 qk + v + 2)], the last two columns of each head its rate and what it forgets; key
    and value taps [TAPS, heads, …], divisor [heads, 2], start [heads, v, qk]; output as above."""

    rows: Array | None
    packed: Array
    key_taps: Array
    value_taps: Array
    divisor: Array
    start: Array
    output: Array
    spread: Spread
    number: int
    heads: int
    qk: int
    v: int


class Block(NamedTuple):
    """Banks of equally many neurons; those of a bank read the same slots and write along one direction. rows [banks,
    read] among the slots read, up [read, banks, neurons], bias and weight [banks, neurons], write [banks, slots
    written]."""

    rows: Array
    up: Array
    bias: Array
    weight: Array
    write: Array


@dataclass(frozen=True)
class MlpStep:
    """up [slots read, neurons], down [neurons, slots written]; `norm` None is the identity. With a gate, `up` and
    `up_bias` hold the gates of all neurons before their ups. `blocks`: further neurons (pack_neurons.py). `parallel`:
    it reads what the attention before it in its layer read."""

    norm: NormStep | None
    rows: Array | None
    up: Array
    up_bias: Array
    down: Array
    spread: Spread
    number: int
    activation: str = "gelu_tanh"
    gated: bool = False
    live: Live = None
    blocks: tuple[Block, ...] = ()
    parallel: bool = False
    short: Short = None


@dataclass(frozen=True)
class BiasStep:
    """A sublayer that adds a constant [width] and nothing else."""

    bias: Array
    number: int
    live: Live = None
    short: Short = None


@dataclass(frozen=True)
class IdleStep:
    """A sublayer that leaves the stream as it is."""

    number: int


@dataclass(frozen=True)
class LoopStep:
    """`steps` run `count` times; in a scan only the last pass is checked. `turn`: as in parts.py."""

    steps: tuple[Step, ...]
    count: int
    scan: bool
    turn: str | None = None

    @property
    def sublayers(self) -> int:
        """How many run in a pass."""
        return sum(step.count * step.sublayers if isinstance(step, LoopStep) else 1 for step in self.steps)

    @property
    def times(self) -> frozenset[int]:
        """Those before and after its sublayers, as the guard counts them."""
        found: set[int] = set()
        for step in self.steps:
            found |= step.times if isinstance(step, LoopStep) else {2 * step.number, 2 * step.number + 1}
        return frozenset(found)


Sublayer = AttentionStep | LinearAttentionStep | DeltaStep | MlpStep | BiasStep | IdleStep
Step = Sublayer | LoopStep


@dataclass(frozen=True)
class Parameters:
    """embedding [features, width], positions [n_positions, width], readout [width, outputs]; `rotations`, where
    positions are rotary: cosines and sines, each [n_positions, d_head / 2]."""

    embedding: Array
    positions: Array
    steps: tuple[Step, ...]
    final_norm: NormStep | None
    readout: Array
    readout_bias: Array
    rotations: tuple[Array, Array] | None = None
    short: Short = None


def _register(cls: type, *static: str) -> None:
    fields = [name for name in cls.__dataclass_fields__ if name not in static]  # type: ignore[attr-defined]
    jax.tree_util.register_dataclass(cls, data_fields=fields, meta_fields=list(static))


_register(AttentionStep, "number", "heads", "qk", "v", "d_head", "causal", "live", "short")
_register(LinearAttentionStep, "number", "heads", "qk", "v", "causal", "unread")
_register(DeltaStep, "number", "heads", "qk", "v")
_register(MlpStep, "number", "activation", "gated", "live", "parallel", "short")
_register(BiasStep, "number", "live", "short")
_register(IdleStep, "number")
_register(LoopStep, "count", "scan", "turn")
_register(Parameters, "short")
