"""Weights as Hugging Face transformers' GPT2Model.

c_attn = [query | key | value] and c_fc are [in, out] there as here (Conv1D); the stock scale of the logits,
1/√d_head, is what the weights were compiled for. `wpe` is the table of positions, which the model adds to
`inputs_embeds` = features @ embedding; `wte` is the embedding, so that a token id is a feature that is 1.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from innerloop.artifact.parts import Attention, Mlp, Norm, Sublayer
from innerloop.artifact.weights import Weights

from ..folder import Folder, Sample
from ..tensors import Tensor, constant, dense, layers, vector
from .examples import transformers_example
from .stock_folder import configuration, stock_folder

EXAMPLE = transformers_example("GPT2Model", "h", "attn")


def config(weights: Weights) -> dict[str, Any]:
    """The entries of config.json."""
    of = weights.config
    own = {
        "n_positions": of.n_positions,
        "n_embd": of.d_model,
        "n_layer": of.n_layer,
        "n_head": of.n_head,
        "n_inner": max(1, of.d_mlp),
        "activation_function": "gelu_new",
        "layer_norm_epsilon": of.norm_epsilon,
        "is_causal": of.causal,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
    }
    return configuration(weights, "GPT2Model", "gpt2", own)


def folder(weights: Weights, sample: Sample) -> Folder:
    """What stands in the folder beside the weights."""
    return stock_folder(weights, sample, config(weights), EXAMPLE)


def tensors(weights: Weights) -> list[Tensor]:
    """Every tensor of the model's state."""
    return [
        Tensor("wte.weight", weights.embedding.shape, partial(dense, weights.embedding)),
        Tensor("wpe.weight", weights.positions.shape, lambda: weights.positions),
        *layers(weights, "h", _attention, _mlp),
        *_norm("ln_f", weights.final_norm, weights.config.d_model),
    ]


def _norm(name: str, norm: Norm | None, width: int) -> list[Tensor]:
    if norm is None:
        return [constant(f"{name}.weight", 1.0, width), constant(f"{name}.bias", 0.0, width)]
    return [Tensor(f"{name}.weight", (width,), lambda: norm.gain), Tensor(f"{name}.bias", (width,), lambda: norm.bias)]


def _attention(layer: str, item: Sublayer, weights: Weights) -> list[Tensor]:
    width = weights.config.d_model
    shapes = {"c_attn": (width, 3 * width), "c_proj": (width, width)}
    if not isinstance(item, Attention):
        return _norm(f"{layer}.ln_1", None, width) + _zeros(f"{layer}.attn", shapes)
    return [
        *_norm(f"{layer}.ln_1", item.norm, width),
        Tensor(
            f"{layer}.attn.c_attn.weight",
            shapes["c_attn"],
            lambda: np.concatenate([dense(m) for m in (item.query, item.key, item.value)], 1),
        ),
        Tensor(
            f"{layer}.attn.c_attn.bias",
            (3 * width,),
            lambda: np.concatenate([item.query_bias, item.key_bias, item.value_bias]),
        ),
        Tensor(f"{layer}.attn.c_proj.weight", shapes["c_proj"], partial(dense, item.output)),
        Tensor(f"{layer}.attn.c_proj.bias", (width,), lambda: item.output_bias),
    ]


def _mlp(layer: str, item: Sublayer, weights: Weights) -> list[Tensor]:
    width, neurons = weights.config.d_model, max(1, weights.config.d_mlp)
    shapes = {"c_fc": (width, neurons), "c_proj": (neurons, width)}
    if not isinstance(item, Mlp):
        return _norm(f"{layer}.ln_2", None, width) + _zeros(f"{layer}.mlp", shapes)
    return [
        *_norm(f"{layer}.ln_2", item.norm, width),
        Tensor(f"{layer}.mlp.c_fc.weight", shapes["c_fc"], partial(dense, item.up, shapes["c_fc"])),
        Tensor(f"{layer}.mlp.c_fc.bias", (neurons,), partial(vector, item.up_bias, neurons)),
        Tensor(f"{layer}.mlp.c_proj.weight", shapes["c_proj"], partial(dense, item.down, shapes["c_proj"])),
        Tensor(f"{layer}.mlp.c_proj.bias", (width,), lambda: item.down_bias),
    ]


def _zeros(name: str, shapes: dict[str, tuple[int, int]]) -> list[Tensor]:
    return [
        tensor
        for part, shape in shapes.items()
        for tensor in (constant(f"{name}.{part}.weight", 0.0, *shape), constant(f"{name}.{part}.bias", 0.0, shape[1]))
    ]
