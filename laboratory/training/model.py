"""A transformer whose weights can be trained: the forward pass of the runtime on dense parameters.

    before   Weights, sparse; the program's fields x [batch, rows, …], y …
    after    parameters, a pytree {name: array} by the names of model.safetensors; outputs [batch, rows, *shape],
             differentiable in the parameters and in the fields

The runtime leaves out of a compiled layer what is exactly zero; what trains has to keep it. Of the tensors, those are
no parameters but `constants` that the architecture has not, or that a model is given and does not learn:

    ρ of linear attention     which tokens it counts (`count`); there also embedding, positions and readout: the tokens
                              are the data themselves (von Oswald et al. 2022)
    rotary positions          the table of positions, which is 0, and those biases that the target has not
    RMSNorm                   the norms' biases, which are 0

A loop (`Repeated`) has one set of parameters, to which every pass adds its gradient; `untied` gives each pass its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.folders.manifest import Outline
from innerloop.artifact.folders.storage import entries_of, tensors_of
from innerloop.artifact.lengths import verify_length
from innerloop.artifact.parts import Attention, Body, Config, Idle, LinearAttention, Mlp, Norm, Repeated
from innerloop.artifact.signature import Signature
from innerloop.artifact.tokens import output_rows, sequence_of
from innerloop.artifact.weights import Weights
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.runtime.forward import forward, streams
from innerloop.runtime.packing.pack import norm_step, turns
from innerloop.runtime.packing.packed import (
    AttentionStep,
    IdleStep,
    LinearAttentionStep,
    LoopStep,
    MlpStep,
    NormStep,
    Parameters,
    Spread,
    Step,
)
from innerloop.runtime.surroundings import devices, promoting, seeded, settled

from .architecture import UNTRIED, blank, unrolled

Array = Any
Tree = dict[str, Array]
"""Parameters by name: `embedding`, `body.3.attention.query`, `body.5.body.0.mlp.up`, `final_norm.gain` …"""


@dataclass(frozen=True, eq=False)
class Model:
    """The trainable view of Weights.

    template    the architecture: configuration, tokens, output and tree of sublayers
    parameters  {name: array [in, out]}, of the configuration's dtype
    constants   the other tensors, by name, which do not train
    """

    template: Weights
    parameters: Tree
    constants: Tree

    @staticmethod
    def of(weights: Weights, *, untied: bool = False) -> Model:
        """The numbers of `weights`, compiled or trained. Idle sublayers stay idle: they have no parameters."""
        template = unrolled(weights) if untied else weights
        named = tensors_of(template)
        devices()  # says it if there is none
        with settled(weights.config.dtype):
            found = {name: jnp.asarray(tensor) for name, tensor in named.items()}
        fixed = _fixed(template)
        return Model(
            replace(template.bare(), inputs=(), report=UNTRIED),
            {name: tensor for name, tensor in found.items() if not fixed(name)},
            {name: tensor for name, tensor in found.items() if fixed(name)},
        )

    @staticmethod
    def fresh(weights: Weights, seed: int, *, untied: bool = False, **changes: int) -> Model:
        """Random weights in the architecture of `weights`, with other n_layer, d_model, n_head, d_head, d_mlp,
        n_positions or n_kv_head if given (see `architecture`).

        GPT-2's (Radford et al. 2019): matrices and positions N(0, 0.02²), what writes into the stream (attention's
        output, the MLP's down) that over √(2 n_layer), biases 0, norms 1. The fields are read and the output is given
        by linear layers U(−1/√inputs, 1/√inputs), as in Garg et al. 2022. Linear attention: N(0, 0.0002 / n_layer)
        in variance (von Oswald et al. 2022).

        Raises InnerloopError for a change that the architecture does not allow."""
        rng = np.random.default_rng(seeded(seed))
        model = Model.of(blank(weights, **changes), untied=untied)
        config, roles = model.config, len(model.template.roles)

        def draw(name: str, like: Array) -> Array:
            last = name.rsplit(".", 1)[-1]
            if last.endswith(("bias", "gain")):
                return like
            deviation = 0.02
            if ".linear_attention." in name:
                deviation = (0.0002 / config.n_layer) ** 0.5
            elif last in ("output", "down"):
                deviation /= (2 * config.n_layer) ** 0.5
            drawn = deviation * rng.standard_normal(like.shape)
            if name == "readout" and like.size:
                drawn = rng.uniform(-1, 1, like.shape) / like.shape[0] ** 0.5
            if name == "embedding" and like.shape[0] > roles:
                drawn[roles:] = rng.uniform(-1, 1, drawn[roles:].shape) / (like.shape[0] - roles) ** 0.5
            return jnp.asarray(drawn, like.dtype)

        with settled(weights.config.dtype):
            parameters = {name: draw(name, like) for name, like in model.parameters.items()}
        return replace(model, parameters=parameters)

    @property
    def config(self) -> Config:
        return self.template.config

    @property
    def signature(self) -> Signature:
        return self.template.signature

    def precision(self) -> Any:
        """A context in which JAX has this model's dtype; needed around `apply` and `streams` for float64 alone."""
        return settled(self.config.dtype)

    def apply(self, parameters: Tree, fields: Mapping[str, Array]) -> Array:
        """The output [batch, rows, *shape] at every token that gives it.

        `fields` as `Transformer` takes them, with a batch dimension: x [batch, tokens that hold x, *shape]. A pure
        function: jit it, and differentiate it in either. Raises DataError for numbers of rows that do not fit."""
        with promoting():
            rows, features = self._features(fields)
            found, _ = forward(self.packed(parameters), features, rows, {})
            return found.reshape(*found.shape[:2], *self.template.output.shape)

    def streams(self, parameters: Tree, fields: Mapping[str, Array], every: int = 2) -> Array:
        """The residual stream [runs, batch, tokens, d_model] after each layer (`every` 2) or sublayer (1) of the
        unrolled run. Tokens are those of the data: the rest token is left out."""
        with promoting():
            _, features = self._features(fields)
            slots = np.arange(self.config.d_model)
            found: Array = streams(self.packed(parameters), features, slots, every)
            return found[:, :, 1:]

    def weights(self, parameters: Tree) -> Weights:
        """The project's Weights with these numbers: they run, are saved and exported as compiled ones are.
        They have no layout and no ranges, since nothing says what training left where."""
        template = self.template
        named = {name: np.asarray(tensor) for name, tensor in (self.constants | dict(parameters)).items()}
        entries = entries_of(template)
        return Weights.of(Outline(entries, template.signature.text).fill(named))

    def packed(self, parameters: Tree) -> Parameters:
        """The parameters as the runtime's pass takes them."""
        config = self.config
        named = self.constants | parameters
        dtype = np.dtype(config.dtype)
        build = _Build(self.template, named, dtype)
        return Parameters(
            embedding=named["embedding"],
            positions=named["positions"],
            steps=build.steps(self.template.body, "body"),
            final_norm=build.norm("final_norm", self.template.final_norm),
            readout=named["readout"],
            readout_bias=named["readout_bias"],
            rotations=turns(config, dtype),
        )

    def _features(self, fields: Mapping[str, Array]) -> tuple[Array, Array]:
        """The output's tokens, and the features [batch, 1 + tokens, features] as `Transformer` lays them out."""
        signature, dtype = self.signature, np.dtype(self.config.dtype)
        line = sequence_of(signature, {field.name: fields[field.name].shape[1] for field in signature.fields})
        verify_length(line, signature.pattern, self.config.n_positions)
        roles = FeatureLayout.of(signature).one_hot([0, *line.roles], dtype)
        batch = next(iter(fields.values())).shape[0]
        columns = [jnp.broadcast_to(roles, (batch, *roles.shape))]
        for field in signature.fields:
            at = output_rows(line, field.kinds)
            source = np.full(1 + len(line), at.size)  # the last row is zeros
            source[1 + at] = np.arange(at.size)
            held = jnp.asarray(fields[field.name], dtype)[:, : at.size].reshape(batch, at.size, prod(field.shape))
            columns.append(jnp.pad(held, ((0, 0), (0, 1), (0, 0)))[:, source])
        return output_rows(line, self.template.output.kinds) + 1, jnp.concatenate(columns, -1)


def _fixed(weights: Weights) -> Callable[[str], bool]:
    """Which tensors are constants: see above."""
    config = weights.config
    linear, rotary, rms = config.attention == "linear", config.positions == "rotary", config.norm == "rmsnorm"
    there = {"everywhere": ("_bias",), "queries": ("query_bias", "key_bias", "value_bias"), "none": ()}
    owned = there[TARGETS[config.target].biases]

    def fixed(name: str) -> bool:
        last = name.rsplit(".", 1)[-1]
        if linear and name in ("embedding", "positions", "readout", "readout_bias"):
            return True
        bias = last.endswith("_bias") and name != "readout_bias" and not last.endswith(owned)
        return last == "count" or (rms and last == "bias") or (rotary and (name == "positions" or bias))

    return fixed


class _Build:
    """Steps of the pass out of named tensors, numbered as `Weights.sublayers` has them."""

    def __init__(self, weights: Weights, named: Mapping[str, Array], dtype: np.dtype[Any]) -> None:
        self.config, self.named, self.dtype = weights.config, named, dtype
        self._number = 0

    def steps(self, body: Body, prefix: str) -> tuple[Step, ...]:
        found: list[Step] = []
        for index, item in enumerate(body):
            here = f"{prefix}.{index}"
            if isinstance(item, Repeated):
                found.append(LoopStep(self.steps(item.body, f"{here}.body"), item.count, item.scan))
                continue
            match item:
                case Attention():
                    found.append(self._attention(item, f"{here}.attention"))
                case LinearAttention():
                    found.append(self._linear_attention(f"{here}.linear_attention"))
                case Mlp():
                    found.append(self._mlp(item, f"{here}.mlp"))
                case Idle():
                    found.append(IdleStep(self._number))
            self._number += 1
        return tuple(found)

    def norm(self, prefix: str, norm: Norm | None) -> NormStep | None:
        if norm is None:
            return None
        gain, bias = (self.named[f"{prefix}.{part}"] for part in ("gain", "bias"))
        return norm_step(gain, bias, self.config, self.dtype)

    def _attention(self, item: Attention, here: str) -> AttentionStep:
        of, take = self.config, self._taker(here)
        sides = [self._shared(take(side)) for side in ("query", "key", "value")]
        biases = [self._shared(take(f"{side}_bias")) for side in ("query", "key", "value")]
        pairs = np.arange(of.d_head // 2, dtype=np.int32)[None] if of.positions == "rotary" else None
        return AttentionStep(
            norm=self.norm(f"{here}.norm", item.norm),
            rows=None,
            qkv=jnp.concatenate(sides, -1),
            qkv_bias=jnp.concatenate(biases, -1),
            output=take("output"),
            spread=Spread(None, take("output_bias")),
            number=self._number,
            heads=of.n_head,
            qk=of.d_head,
            v=of.d_head,
            d_head=of.d_head,
            causal=of.causal,
            pairs=pairs,
        )

    def _linear_attention(self, here: str) -> LinearAttentionStep:
        of, take = self.config, self._taker(here)
        sides = [self._shared(take(side)) for side in ("query", "key", "value")]
        bias = np.zeros(of.d_model, self.dtype)
        qkvc = jnp.concatenate([*sides, take("count")], -1)
        return LinearAttentionStep(
            None, qkvc, take("output"), Spread(None, bias), self._number, of.n_head, of.d_head, of.d_head, of.causal,
            of.unread,
        )  # fmt: skip

    def _mlp(self, item: Mlp, here: str) -> MlpStep:
        take = self._taker(here)
        up, bias = take("up"), take("up_bias")
        if item.gate is not None:
            up, bias = jnp.concatenate([take("gate"), up], -1), jnp.concatenate([jnp.zeros_like(bias), bias])
        return MlpStep(
            norm=self.norm(f"{here}.norm", item.norm),
            rows=None,
            up=up,
            up_bias=bias,
            down=take("down"),
            spread=Spread(None, take("down_bias")),
            number=self._number,
            activation=self.config.activation,
            gated=item.gate is not None,
            parallel=self.config.block == "parallel",
        )

    def _taker(self, prefix: str) -> Callable[[str], Array]:
        return lambda name: self.named[f"{prefix}.{name}"]

    def _shared(self, side: Array) -> Array:
        """Keys or values [..., n_kv_head · d_head] for every head: those that heads share stand at each of them."""
        of = self.config
        if side.shape[-1] == of.n_head * of.d_head:
            return side
        groups = side.reshape(*side.shape[:-1], -1, of.d_head)
        return jnp.repeat(groups, of.n_head // groups.shape[-2], axis=-2).reshape(*side.shape[:-1], -1)
