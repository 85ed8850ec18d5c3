"""Exact patching: what each edge between heads and MLPs carries, measured.

    before   Weights, tasks and as many others of the same length, clean and corrupted
    after    for every edge, how far the outputs of the clean tasks move when that edge alone has what its parent writes
             on the corrupted ones; and for every neuron, when it alone is as active as on those

Nodes and edges are those of edge attribution patching (Syed et al. 2023, "Attribution patching outperforms automated
circuit discovery", arXiv 2310.10348; Hanna et al. 2024, EAP-IG, arXiv 2403.17806): `input`, heads `a1.h0`, MLPs `m1`,
`logits`; an edge goes from what a node adds to the stream to what a later one reads, of a head's to its query, key or
value. Nothing is approximated: the child reads the other stream, and all behind it is run again, in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.parts import Attention, Config, Mlp, Norm, Sublayer
from innerloop.artifact.reference.arithmetic import OWN, normalise
from innerloop.artifact.rotations import rotations
from innerloop.artifact.weights import Weights
from numpy.typing import NDArray

from ..tensors import dense

AT_ONCE = 2**21
"""Numbers of patched streams that are run together."""
SIDES = "qkv"
Slots = NDArray[np.bool_]
"""Which of the stream's slots [d_model]."""


@dataclass(frozen=True)
class Edge:
    """`effect`: the largest change of an output over the outputs' root mean square; `wired`: whether the child's
    weights read a slot that the parent's write. Where not, an effect is that of a norm, which reads all."""

    parent: str
    child: str
    side: str
    effect: float
    wired: bool

    @property
    def name(self) -> str:
        return f"{self.parent}->{self.child}<{self.side}>" if self.side else f"{self.parent}->{self.child}"


def edges(weights: Weights, clean: Floats, corrupted: Floats, rows: Indices) -> list[Edge]:
    """Every edge; clean and corrupted are features [tasks, tokens, features], `rows` the tokens that give output. An
    edge into a head that writes nothing has 0, and no run."""
    patching = Patching(weights, clean, corrupted, rows)
    with np.errstate(over="ignore"):
        return list(patching.edges())


def neurons(weights: Weights, clean: Floats, corrupted: Floats, rows: Indices) -> dict[str, list[float]]:
    """By MLP, `m0`, of those that there are: how far the outputs move, over their root mean square, when one of its
    neurons alone is as active as on the corrupted tasks, of each; the others' are as they were."""
    patching = Patching(weights, clean, corrupted, rows)
    with np.errstate(over="ignore"):
        return {
            f"m{place // 2}": patching.by_neuron(place, number, part)
            for place, (number, part) in enumerate(patching.steps)
            if isinstance(part, Mlp)
        }


def count_neurons(weights: Weights) -> int:
    """How many neurons there are, those of a loop in every pass."""
    return sum(part.up.shape[1] for _, part in weights.unrolled() if isinstance(part, Mlp))


def count(weights: Weights) -> int:
    """How many edges there are."""
    layers, heads = weights.config.n_layer, weights.config.n_head
    before = [1 + layer * (heads + 1) for layer in range(layers + 1)]
    return sum(3 * heads * nodes + nodes + heads for nodes in before[:-1]) + before[-1]


@dataclass(frozen=True)
class _Heads:
    """An attention sublayer's heads apart: [heads, d_model, d_head], biases [heads, 1, d_head], output [heads, d_head,
    d_model]."""

    norm: Norm | None
    read: tuple[Floats, Floats, Floats]
    bias: tuple[Floats, Floats, Floats]
    output: Floats

    @staticmethod
    def of(part: Attention, of: Config) -> _Heads:
        group = of.n_head // (of.n_kv_head or of.n_head)

        def apart(matrix: Floats) -> Floats:
            return matrix.reshape(len(matrix), -1, of.d_head).swapaxes(0, 1)

        sides = [apart(dense(m)) for m in (part.query, part.key, part.value)]
        biases = [b.reshape(-1, 1, of.d_head) for b in (part.query_bias, part.key_bias, part.value_bias)]
        shared = [1, group, group]
        query, key, value = (side.repeat(times, axis=0) for side, times in zip(sides, shared, strict=True))
        q, k, v = (bias.repeat(times, axis=0) for bias, times in zip(biases, shared, strict=True))
        output = dense(part.output).reshape(of.n_head, of.d_head, of.d_model)
        return _Heads(part.norm, (query, key, value), (q, k, v), output)


class Patching:
    """`heads`, `neurons` by stored sublayer; `written`: what each node adds to the stream on the clean tasks [tasks,
    tokens, d_model], and `apart` how much more on the corrupted ones."""

    def __init__(self, weights: Weights, clean: Floats, corrupted: Floats, rows: Indices) -> None:
        self.weights, self.config, self.rows = weights, weights.config, rows
        self.steps = list(weights.unrolled())
        self.heads = {n: _Heads.of(p, self.config) for n, p in self.steps if isinstance(p, Attention)}
        self.neurons = {n: _dense(p) for n, p in self.steps if isinstance(p, Mlp)}
        tokens = clean.shape[1]
        self.seen = np.tri(tokens, dtype=bool) if self.config.causal else np.ones((tokens, tokens), bool)
        self.turn = rotations(self.config.d_head, self.config.rope_theta, tokens)
        self.embedding, self.readout = dense(weights.embedding), dense(weights.readout)
        self.streams, written = self._run(clean)
        self.corrupted, other = self._run(corrupted)
        self.apart = {node: other[node] - written[node] for node in written}
        self.output = self._read(self.streams[-1])
        self.at_once = max(1, AT_ONCE // self.streams[0].size)
        self.slots = {"input": _any(self.embedding, 0)}

    def edges(self) -> Iterator[Edge]:
        parents = ["input"]
        for place, (number, part) in enumerate(self.steps):
            layer, mlp = divmod(place, 2)
            children = [f"m{layer}"] if mlp else [f"a{layer}.h{head}" for head in range(self.config.n_head)]
            for head, child in enumerate(children):
                for side in ("",) if mlp else SIDES:
                    found = self._patched(parents, place, number, part, head, side)
                    yield from self._named(parents, child, side, found, self._reads(number, part, head, side))
            self.slots |= self._writes(children, number, part)
            parents += children
        found = [e for some in self._some(parents) for e in self._moved(self.streams[-1] + self._apart(some))]
        yield from self._named(parents, "logits", "", found, _any(self.readout, 1))

    def by_neuron(self, place: int, number: int, part: Mlp) -> list[float]:
        """Of one MLP's neurons, as `neurons` says."""
        change = self._active(number, part, self.corrupted[place]) - self._active(number, part, self.streams[place])
        down, found = self.neurons[number][2], np.zeros(change.shape[-1])
        moves = np.flatnonzero(change.reshape(-1, change.shape[-1]).any(0) & down.any(1))
        for some in np.split(moves, range(self.at_once, len(moves), self.at_once)):
            added = np.moveaxis(change[..., some], -1, 0)[..., None] * down[some][:, None, None]
            found[some] = self._moved(self._through(self.streams[place + 1] + added, place + 1))
        rms = float(np.sqrt(np.mean(self.output**2)))
        return [float(effect) / rms for effect in found]

    def _named(self, parents: list[str], child: str, side: str, found: list[float], read: Slots) -> Iterator[Edge]:
        rms = float(np.sqrt(np.mean(self.output**2)))
        for parent, effect in zip(parents, found, strict=True):
            yield Edge(parent, child, side, effect / rms, bool((self.slots[parent] & read).any()))

    def _reads(self, number: int, part: Sublayer, head: int, side: str) -> Slots:
        """The slots that a child's weights read."""
        if isinstance(part, Mlp):
            up, gate, _ = self.neurons[number]
            return _any(up, 1) if gate is None else _any(up, 1) | _any(gate, 1)
        if not isinstance(part, Attention) or not self.heads[number].output[head].any():
            return np.zeros(self.config.d_model, bool)
        return _any(self.heads[number].read[SIDES.index(side)][head], 1)

    def _writes(self, nodes: list[str], number: int, part: Sublayer) -> dict[str, Slots]:
        """The slots that nodes of a sublayer write."""
        none = np.zeros((1, self.config.d_model))
        written = [none] * len(nodes)
        if isinstance(part, Mlp):
            written = [self.neurons[number][2]]
        elif isinstance(part, Attention):
            written = list(self.heads[number].output)
        return {node: _any(matrix, 0) for node, matrix in zip(nodes, written, strict=True)}

    def _patched(
        self, parents: list[str], place: int, number: int, part: Sublayer, head: int, side: str
    ) -> list[float]:
        """How far the outputs move with each parent's edge into one child patched."""
        if not isinstance(part, Attention | Mlp) or (side and not self.heads[number].output[head].any()):
            return [0.0] * len(parents)
        found: list[float] = []
        before, after = self.streams[place], self.streams[place + 1]
        own = self._added(number, part, before, before, head, side)
        for some in self._some(parents):
            change = self._added(number, part, before + self._apart(some), before, head, side) - own
            moves = np.flatnonzero(change.reshape(len(some), -1).any(1))
            effect = np.zeros(len(some))
            if moves.size:
                effect[moves] = self._moved(self._through(after + change[moves], place + 1))
            found += effect.tolist()
        return found

    def _some(self, parents: list[str]) -> Iterator[list[str]]:
        """Parents, as many at a time as are run together."""
        yield from (parents[i:j] for i, j in pairwise([*range(0, len(parents), self.at_once), len(parents)]))

    def _apart(self, parents: list[str]) -> Floats:
        return np.stack([self.apart[parent] for parent in parents])

    def _moved(self, last: Floats) -> list[float]:
        """The largest change of an output for each of the final streams [edges, tasks, tokens, d_model]."""
        change = np.abs(self._read(last) - self.output)
        return [float(most) for most in change.reshape(len(last), -1).max(1)]

    # The forward pass ------------------------------------------------------------------------------

    def _run(self, features: Floats) -> tuple[list[Floats], dict[str, Floats]]:
        """The stream before each sublayer and behind the last, and what each node writes."""
        embedded = features @ self.embedding
        written = {"input": embedded}
        streams = [embedded + self.weights.positions[: features.shape[1]]]
        for place, (number, part) in enumerate(self.steps):
            x, (layer, mlp) = streams[-1], divmod(place, 2)
            if mlp:
                written[f"m{layer}"] = self._added(number, part, x, x, 0, "")
                streams.append(x + written[f"m{layer}"])
                continue
            bias = part.output_bias if isinstance(part, Attention) else np.zeros(self.config.d_model)
            for head in range(self.config.n_head):
                written[f"a{layer}.h{head}"] = self._added(number, part, x, x, head, "q")
            streams.append(x + sum(written[f"a{layer}.h{head}"] for head in range(self.config.n_head)) + bias)
        return streams, written

    def _through(self, x: Floats, place: int) -> Floats:
        """The final stream, from that before a sublayer."""
        for number, part in self.steps[place:]:
            if isinstance(part, Attention):
                total = sum(self._added(number, part, x, x, head, "q") for head in range(self.config.n_head))
                x = x + total + part.output_bias
            else:
                x = x + self._added(number, part, x, x, 0, "")
        return x

    def _added(self, number: int, part: Sublayer, x: Floats, other: Floats, head: int, side: str) -> Floats:
        """What a head or an MLP adds; a head reads `x` on its `side`, and `other` on the two that are left."""
        if isinstance(part, Mlp):
            return np.asarray(self._active(number, part, x) @ self.neurons[number][2] + part.down_bias)
        if not isinstance(part, Attention) or not self.heads[number].output[head].any():
            return np.zeros_like(other)
        of = self.heads[number]
        here, there = self._normed(x, of.norm), self._normed(other, of.norm)
        q, k, v = (
            (here if side == name else there) @ read[head] + bias[head]
            for name, read, bias in zip(SIDES, of.read, of.bias, strict=True)
        )
        if self.config.positions == "rotary":
            q, k = self._turned(q), self._turned(k)
        scores = np.where(self.seen, q @ k.swapaxes(-1, -2) / np.sqrt(self.config.d_head), -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        return np.asarray(shares / shares.sum(-1, keepdims=True) @ v @ of.output[head])

    def _active(self, number: int, part: Mlp, x: Floats) -> Floats:
        """How active each neuron is [..., tokens, neurons]: what its row of `down` is multiplied by."""
        h, (up, gate, _) = self._normed(x, part.norm), self.neurons[number]
        hidden = h @ up + part.up_bias
        bent = OWN.activations[self.config.activation](hidden if gate is None else h @ gate, np.asarray)
        return np.asarray(bent if gate is None else bent * hidden)

    def _turned(self, rows: Floats) -> Floats:
        half, (cos, sin) = rows.shape[-1] // 2, self.turn
        low, high = rows[..., :half], rows[..., half:]
        return np.concatenate([low * cos - high * sin, high * cos + low * sin], -1)

    def _normed(self, x: Floats, norm: Norm | None) -> Floats:
        if norm is None:
            return x
        found = normalise(np.moveaxis(x, -1, 0).reshape(x.shape[-1], -1), norm, self.config, OWN)
        return np.moveaxis(found.reshape(x.shape[-1], *x.shape[:-1]), 0, -1)

    def _read(self, last: Floats) -> Floats:
        final = self._normed(last[..., self.rows, :], self.weights.final_norm)
        return np.asarray(final @ self.readout + self.weights.readout_bias)


def _dense(part: Mlp) -> tuple[Floats, Floats | None, Floats]:
    return dense(part.up), None if part.gate is None else dense(part.gate), dense(part.down)


def _any(matrix: Floats, axis: int) -> Slots:
    return np.asarray(np.any(matrix != 0.0, axis=axis))
