"""Steps of the forward pass out of named tensors, all of them dense.

before   weights, and arrays by the names of model.safetensors
after    the runtime's steps, differentiable in the arrays
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.parts import Attention, Body, DeltaAttention, Idle, LinearAttention, Mlp, Norm, Repeated
from innerloop.artifact.weights import Weights
from innerloop.runtime.packing.pack import norm_step
from innerloop.runtime.packing.packed import (
    AttentionStep,
    IdleStep,
    LinearAttentionStep,
    LoopStep,
    MlpStep,
    NormStep,
    Spread,
    Step,
)

from .architecture import UNTRAINED

Array = Any


def answering(weights: Weights) -> tuple[str, ...]:
    """The kinds of token that give an output, as steps name where they are live."""
    return tuple(sorted(weights.output.kinds))


class Build:
    """Steps of the pass out of named tensors, numbered as `Weights.sublayers` has them. From the last that mixes tokens
    on they are live where an output is given: nothing reads what they would change elsewhere."""

    def __init__(self, weights: Weights, named: Mapping[str, Array], dtype: np.dtype[Any]) -> None:
        self.config, self.named, self.dtype = weights.config, named, dtype
        self._number = 0
        mixing = [k for k, item in enumerate(weights.body) if not isinstance(item, Mlp | Idle)]
        self._live = answering(weights)
        self._last = mixing[-1] if mixing else 0

    def all(self, body: Body) -> tuple[Step, ...]:
        """Of the whole body."""
        steps = self.steps(body, "body")
        return steps[: self._last] + tuple(
            replace(step, live=self._live) if isinstance(step, AttentionStep | MlpStep) else step
            for step in steps[self._last :]
        )

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
                case DeltaAttention():
                    raise InnerloopError(UNTRAINED)
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
