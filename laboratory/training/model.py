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
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from innerloop.artifact.errors import InnerloopError, counted
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.folders.manifest import Outline
from innerloop.artifact.folders.storage import entries_of, tensors_of
from innerloop.artifact.parts import Config
from innerloop.artifact.places import Places
from innerloop.artifact.precisions import SHORT
from innerloop.artifact.signature import Signature
from innerloop.artifact.tokens import output_rows, sequence_of, verify_length
from innerloop.artifact.weights import Weights
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.runtime.forward import forward, streams
from innerloop.runtime.packing.pack import turns
from innerloop.runtime.packing.packed import (
    Parameters,
)
from innerloop.runtime.surroundings import devices, promoting, seeded, settled

from .architecture import blank, unrolled, untried
from .build_steps import Build, answering

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
        """The numbers of `weights`, compiled or trained. Idle sublayers stay idle: they have no parameters.

        Raises InnerloopError for weights of 16 bits, which are not trained here."""
        if weights.config.dtype in SHORT:
            raise InnerloopError(
                f"{weights.signature.name} is compiled for {weights.config.dtype}, and training computes in float32: "
                "compile it for float32"
            )
        template = unrolled(weights) if untied else weights
        named = tensors_of(template)
        devices()  # says it if there is none
        with settled(weights.config.dtype):
            found = {name: jnp.asarray(tensor) for name, tensor in named.items()}
        fixed = _fixed(template)
        return Model(
            replace(template.bare(), inputs=(), report=untried(template.output)),
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
        """Its sizes."""
        return self.template.config

    @property
    def signature(self) -> Signature:
        """The tokens and fields that it takes."""
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
            others = len(rows) < features.shape[1] - 1  # beside the rest token
            live = {answering(self.template): rows} if others else {}
            found, _ = forward(self.packed(parameters), features, rows, {}, Places({}, live))
            return found.reshape(*found.shape[:2], *self.template.output.shape)

    def streams(self, parameters: Tree, fields: Mapping[str, Array], every: int = 2) -> Array:
        """The residual stream [runs, batch, tokens, d_model] after each layer (`every` 2) or sublayer (1) of the
        unrolled run. Tokens are those of the data: the rest token is left out."""
        with promoting():
            _, features = self._features(fields)
            slots = np.arange(self.config.d_model)
            found: Array = streams(self.packed(parameters), features, slots, every)
            return found[:, :, 1:]

    @property
    def variant(self) -> str:
        """What it computes beside what its template says, in words: nothing."""
        return ""

    @property
    def architecture(self) -> str:
        """What is trained, and how large: "gpt2, 2 layers of width 64, 4 heads each"."""
        config = self.config
        heads = f", {counted(config.n_head, 'head')} each"
        return f"{config.target}, {counted(config.n_layer, 'layer')} of width {config.d_model}{heads}"

    @property
    def libraries(self) -> tuple[str, ...]:
        """Those that its code is of, beside those that all training takes."""
        return ()

    def save(self, parameters: Tree, trained: str, folder: Path) -> None:
        """Writes it with these numbers to a new folder; `trained`: on what, in words."""
        self.weights(parameters, trained).save(folder)

    def weights(self, parameters: Tree, trained: str = "") -> Weights:
        """The project's Weights with these numbers: they run, are saved and exported as compiled ones are.
        They have no layout and no ranges, since nothing says what training left where; their report says what they
        were `trained` on."""
        template = self.template
        named = {name: np.asarray(tensor) for name, tensor in (self.constants | dict(parameters)).items()}
        entries = entries_of(template)
        found = Weights.of(Outline(entries, template.signature.text).fill(named))
        return replace(found, report=replace(found.report, trained=trained)) if trained else found

    def packed(self, parameters: Tree) -> Parameters:
        """The parameters as the runtime's pass takes them."""
        config = self.config
        named = self.constants | parameters
        dtype = np.dtype(config.dtype)
        build = Build(self.template, named, dtype)
        return Parameters(
            embedding=named["embedding"],
            positions=named["positions"],
            steps=build.all(self.template.body),
            final_norm=build.norm("final_norm", self.template.final_norm),
            readout=named["readout"],
            readout_bias=named["readout_bias"],
            rotations=turns(config, dtype),
        )

    def _features(self, fields: Mapping[str, Array]) -> tuple[Array, Array]:
        """The output's tokens, and the features [batch, 1 + tokens, features] as `Transformer` lays them out."""
        signature, dtype = self.signature, np.dtype(self.config.dtype)
        line = sequence_of(signature, {field.name: fields[field.name].shape[1] for field in signature.fields})
        verify_length(line, signature, self.config.n_positions)
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
