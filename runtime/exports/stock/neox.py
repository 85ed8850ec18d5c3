"""Weights as Hugging Face transformers' GPTNeoXModel, which Pythia is.

Its matrices are [out, in] (Linear), ours transposed; `query_key_value` holds a head's queries, keys and values, then
the next head's. Attention and MLP of a layer read the same stream (`use_parallel_residual`). Of a head's dimensions the
first quarter turns, as pairs (i, i + n/2) of n; here turning pairs are (i, i + d_head/2), the first of each half:

    here     0 … n/2     n/2 … d/2     d/2 … d/2 + n/2     d/2 + n/2 … d
    there    0 … n/2     n   … …       n/2 … n             … d

`embed_in` is the embedding, so that a token id is a feature that is 1.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.parts import Attention, Config, Mlp, Norm, Sublayer
from innerloop.artifact.rotations import turning_of
from innerloop.artifact.weights import Weights

from ..folder import Folder, Sample
from ..tensors import Tensor, constant, dense, layers, vector
from .examples import transformers_example
from .stock_folder import configuration, stock_folder

EXAMPLE = transformers_example("GPTNeoXModel", "layers", "attention")


def config(weights: Weights) -> dict[str, Any]:
    """The entries of config.json."""
    of = weights.config
    own = {
        "max_position_embeddings": of.n_positions,
        "hidden_size": of.d_model,
        "intermediate_size": max(1, of.d_mlp),
        "num_hidden_layers": of.n_layer,
        "num_attention_heads": of.n_head,
        "hidden_act": "gelu",
        "layer_norm_eps": of.norm_epsilon,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": of.rope_theta,
            "partial_rotary_factor": of.rotary_fraction,
        },
        "use_parallel_residual": of.block == "parallel",
        "is_causal": of.causal,
        "attention_bias": True,
        "attention_dropout": 0.0,
        "hidden_dropout": 0.0,
    }
    return configuration(weights, "GPTNeoXModel", "gpt_neox", own)


def folder(weights: Weights, sample: Sample) -> Folder:
    """What stands in the folder beside the weights."""
    return stock_folder(weights, sample, config(weights), EXAMPLE)


def tensors(weights: Weights) -> list[Tensor]:
    """Every tensor of the model's state. Raises InnerloopError for float64, and for weights with heads that share keys
    or are no part of the width, or a table of positions, which a stock GPT-NeoX has no place for."""
    _is_stock(weights)
    width = weights.config.d_model
    return [
        Tensor("embed_in.weight", weights.embedding.shape, partial(dense, weights.embedding)),
        *layers(weights, "layers", _attention, _mlp),
        *_norm("final_layer_norm", weights.final_norm, width),
    ]


def _is_stock(weights: Weights) -> None:
    of, name = weights.config, weights.signature.name
    if of.dtype != "float32":
        raise InnerloopError(
            f"{name} is compiled in {of.dtype}, and transformers' GPTNeoXModel takes softmax in float32 whatever the "
            f"weights are: compile it with dtype float32 to export it"
        )
    for what, found in (
        ("heads that are no part of the width", of.n_head * of.d_head != of.d_model),
        ("heads that share keys", (of.n_kv_head or of.n_head) != of.n_head),
        ("a table of positions", weights.positions.any()),
        ("neurons with gates", any(isinstance(item, Mlp) and item.gate is not None for item in weights.sublayers())),
    ):
        if found:
            raise InnerloopError(f"{name} has {what}, which a stock GPT-NeoX has no place for")


def turned(of: Config) -> Indices:
    """[d_head]: which of a head's dimensions here stand there, in the order of there."""
    half, turning = of.d_head // 2, turning_of(of.d_head, of.rotary_fraction) // 2
    low, high = np.arange(half), np.arange(half, of.d_head)
    return np.concatenate([low[:turning], high[:turning], low[turning:], high[turning:]])


def _norm(name: str, norm: Norm | None, width: int) -> list[Tensor]:
    if norm is None:
        return [constant(f"{name}.weight", 1.0, width), constant(f"{name}.bias", 0.0, width)]
    return [Tensor(f"{name}.weight", (width,), lambda: norm.gain), Tensor(f"{name}.bias", (width,), lambda: norm.bias)]


def _attention(layer: str, item: Sublayer, weights: Weights) -> list[Tensor]:
    of, width = weights.config, weights.config.d_model
    here = f"{layer}.attention"
    if not isinstance(item, Attention):
        return [
            *_norm(f"{layer}.input_layernorm", None, width),
            *_zeros(f"{here}.query_key_value", 3 * width, width),
            *_zeros(f"{here}.dense", width, width),
        ]

    def heads(query: Floats, key: Floats, value: Floats) -> Floats:
        """[rows, width] each → [3 width, rows], head by head."""
        query, key, value = (side.reshape(-1, of.n_head, of.d_head) for side in (query, key, value))
        order = turned(of)
        stacked = np.stack([query[..., order], key[..., order], value], axis=2)
        return stacked.reshape(len(stacked), -1).T

    return [
        *_norm(f"{layer}.input_layernorm", item.norm, width),
        Tensor(
            f"{here}.query_key_value.weight",
            (3 * width, width),
            lambda: heads(dense(item.query), dense(item.key), dense(item.value)),
        ),
        Tensor(
            f"{here}.query_key_value.bias",
            (3 * width,),
            lambda: heads(item.query_bias, item.key_bias, item.value_bias).ravel(),
        ),
        Tensor(f"{here}.dense.weight", (width, width), lambda: dense(item.output).T),
        Tensor(f"{here}.dense.bias", (width,), lambda: item.output_bias),
    ]


def _mlp(layer: str, item: Sublayer, weights: Weights) -> list[Tensor]:
    width, neurons = weights.config.d_model, max(1, weights.config.d_mlp)
    up, down = f"{layer}.mlp.dense_h_to_4h", f"{layer}.mlp.dense_4h_to_h"
    if not isinstance(item, Mlp):
        return [
            *_norm(f"{layer}.post_attention_layernorm", None, width),
            *_zeros(up, neurons, width),
            *_zeros(down, width, neurons),
        ]
    return [
        *_norm(f"{layer}.post_attention_layernorm", item.norm, width),
        Tensor(f"{up}.weight", (neurons, width), lambda: dense(item.up, (width, neurons)).T),
        Tensor(f"{up}.bias", (neurons,), partial(vector, item.up_bias, neurons)),
        Tensor(f"{down}.weight", (width, neurons), lambda: dense(item.down, (neurons, width)).T),
        Tensor(f"{down}.bias", (width,), lambda: item.down_bias),
    ]


def _zeros(name: str, rows: int, columns: int) -> list[Tensor]:
    return [constant(f"{name}.weight", 0.0, rows, columns), constant(f"{name}.bias", 0.0, rows)]
