"""Weights as Hugging Face transformers' Qwen2Model: a Llama (llama.py) whose queries, keys and values have biases."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.parts import Attention, Body, Repeated, Sublayer
from innerloop.artifact.weights import Weights

from ..folder import Folder, Sample
from ..tensors import Tensor, constant, layers
from . import llama
from .examples import transformers_example
from .stock_folder import stock_folder

EXAMPLE = transformers_example("Qwen2Model", "layers", "self_attn")


def config(weights: Weights) -> dict[str, Any]:
    """The entries of config.json."""
    told = {key: value for key, value in llama.config(weights).items() if key not in ("attention_bias", "mlp_bias")}
    return told | {"architectures": ["Qwen2Model"], "model_type": "qwen2", "use_sliding_window": False}


def folder(weights: Weights, sample: Sample) -> Folder:
    """What stands in the folder beside the weights."""
    return stock_folder(weights, sample, config(weights), EXAMPLE)


def tensors(weights: Weights) -> list[Tensor]:
    """Every tensor of the model's state. Raises InnerloopError as llama.py's does, but for biases of queries, keys and
    values."""
    plain = replace(weights, body=_without_biases(weights.body))
    return [*llama.tensors(plain, "Qwen2"), *layers(weights, "layers", _biases, lambda *_: [])]


def _without_biases(body: Body) -> Body:
    """The same without what a Llama has no place for, and a Qwen2 has."""

    def one(item: Sublayer | Repeated) -> Sublayer | Repeated:
        match item:
            case Repeated():
                return replace(item, body=_without_biases(item.body))
            case Attention():
                query, key, value = (np.zeros_like(bias) for _, bias in _of(item))
                return replace(item, query_bias=query, key_bias=key, value_bias=value)
            case _:
                return item

    return tuple(map(one, body))


def _of(item: Attention) -> list[tuple[str, Floats]]:
    return [("q", item.query_bias), ("k", item.key_bias), ("v", item.value_bias)]


def _biases(layer: str, item: Sublayer, weights: Weights) -> list[Tensor]:
    of = weights.config
    own, shared = of.n_head * of.d_head, (of.n_kv_head or of.n_head) * of.d_head
    if not isinstance(item, Attention):
        return [
            constant(f"{layer}.self_attn.{side}_proj.bias", 0.0, size)
            for side, size in (("q", own), ("k", shared), ("v", shared))
        ]
    return [
        Tensor(f"{layer}.self_attn.{side}_proj.bias", bias.shape, partial(np.asarray, bias)) for side, bias in _of(item)
    ]
