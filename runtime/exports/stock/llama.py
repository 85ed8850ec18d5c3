"""Weights as Hugging Face transformers' LlamaModel.

Its matrices are [out, in] (Linear), ours transposed; its rotary phases are those of the compiled heads, from the same
rope_theta. There is no table of positions and no bias. `embed_tokens` is the embedding, so that a token id is a
feature that is 1.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.parts import Attention, Mlp, Norm, Sublayer
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights

from ..folder import Folder, Sample
from ..tensors import Tensor, constant, dense, layers
from .examples import transformers_example
from .stock_folder import configuration, stock_folder

EXAMPLE = transformers_example("LlamaModel", "layers", "self_attn")


def config(weights: Weights) -> dict[str, Any]:
    """The entries of config.json."""
    of = weights.config
    own = {
        "max_position_embeddings": of.n_positions,
        "hidden_size": of.d_model,
        "intermediate_size": max(1, of.d_mlp),
        "num_hidden_layers": of.n_layer,
        "num_attention_heads": of.n_head,
        "num_key_value_heads": of.n_kv_head or of.n_head,
        "head_dim": of.d_head,
        "hidden_act": "silu",
        "rms_norm_eps": of.norm_epsilon,
        "rope_parameters": {"rope_type": "default", "rope_theta": of.rope_theta},
        "is_causal": of.causal,
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
    }
    return configuration(weights, "LlamaModel", "llama", own)


def folder(weights: Weights, sample: Sample) -> Folder:
    """What stands in the folder beside the weights."""
    return stock_folder(weights, sample, config(weights), EXAMPLE)


def tensors(weights: Weights, model: str = "Llama") -> list[Tensor]:
    """Every tensor of the model's state. Raises InnerloopError for float64, and for weights with biases, a table of
    positions or neurons without gates, which a stock Llama, or a `model` that is made like it, has no place for."""
    _is_stock(weights, model)
    width = weights.config.d_model
    return [
        Tensor("embed_tokens.weight", weights.embedding.shape, partial(dense, weights.embedding)),
        *layers(weights, "layers", _attention, _mlp),
        _norm("norm", weights.final_norm, width),
    ]


def _is_stock(weights: Weights, model: str) -> None:
    if weights.config.dtype == "float64":
        raise InnerloopError(
            f"{weights.signature.name} is compiled in {weights.config.dtype}, and transformers' {model}Model takes "
            f"norms and softmax in float32 whatever the weights are: compile it with dtype float32 to export it"
        )
    items = list(weights.sublayers())
    biases = [value for item in items for name, value in vars(item).items() if name.endswith("_bias")]
    norms = [norm for item in items if (norm := getattr(item, "norm", None))] + [weights.final_norm]
    biases += [norm.bias for norm in norms if norm]
    for what, found in (
        ("biases", any(bias.any() for bias in biases)),
        ("a table of positions", weights.positions.any()),
        ("neurons without gates", any(isinstance(item, Mlp) and item.gate is None for item in items)),
    ):
        if found:
            raise InnerloopError(f"{weights.signature.name} has {what}, which a stock {model} has no place for")


def _norm(name: str, norm: Norm | None, width: int) -> Tensor:
    if norm is None:
        return constant(f"{name}.weight", 1.0, width)
    return Tensor(f"{name}.weight", (width,), lambda: norm.gain)


def _attention(layer: str, item: Sublayer, weights: Weights) -> list[Tensor]:
    of = weights.config
    own, shared = of.n_head * of.d_head, (of.n_kv_head or of.n_head) * of.d_head
    shapes = {"q": (own, of.d_model), "k": (shared, of.d_model), "v": (shared, of.d_model), "o": (of.d_model, own)}
    stored = None
    if isinstance(item, Attention):
        stored = {"q": item.query, "k": item.key, "v": item.value, "o": item.output}
    norm = item.norm if isinstance(item, Attention) else None
    return [_norm(f"{layer}.input_layernorm", norm, of.d_model), *_linear(f"{layer}.self_attn", shapes, stored)]


def _mlp(layer: str, item: Sublayer, weights: Weights) -> list[Tensor]:
    width, neurons = weights.config.d_model, max(1, weights.config.d_mlp)
    shapes = {"gate": (neurons, width), "up": (neurons, width), "down": (width, neurons)}
    stored = None
    if isinstance(item, Mlp):
        assert item.gate is not None
        stored = {"gate": item.gate, "up": item.up, "down": item.down}
    norm = item.norm if isinstance(item, Mlp) else None
    return [_norm(f"{layer}.post_attention_layernorm", norm, width), *_linear(f"{layer}.mlp", shapes, stored)]


def _linear(name: str, shapes: dict[str, tuple[int, int]], stored: dict[str, Matrix] | None) -> list[Tensor]:
    """A projection for each of `shapes` [out, in]; zeros where nothing is stored."""

    def transposed(matrix: Matrix, shape: tuple[int, int]) -> Floats:
        return np.ascontiguousarray(dense(matrix, (shape[1], shape[0])).T)

    return [
        constant(f"{name}.{part}_proj.weight", 0.0, *shape)
        if stored is None
        else Tensor(f"{name}.{part}_proj.weight", shape, partial(transposed, stored[part], shape))
        for part, shape in shapes.items()
    ]
