"""Weights as Hugging Face transformers' GemmaModel: a Llama (llama.py) that says two things otherwise.

    norms         gain 1 + w: w is the compiled gain − 1, exact, as gains are powers of two
    embeddings    token ids take √width times a row of `embed_tokens`: the row is the compiled one over √width, a whole
                  number. What is given as `inputs_embeds` is taken as it is

Heads have a size of their own, beside the width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import sqrt
from typing import Any

from innerloop.artifact.weights import Weights

from ..folder import Folder, Sample
from ..tensors import Floats, Tensor
from . import llama
from .examples import transformers_example
from .stock_folder import stock_folder

EXAMPLE = transformers_example("GemmaModel", "layers", "self_attn")


def config(weights: Weights) -> dict[str, Any]:
    """The entries of config.json."""
    told = {key: value for key, value in llama.config(weights).items() if key != "mlp_bias"}
    return told | {
        "architectures": ["GemmaModel"],
        "model_type": "gemma",
        "hidden_act": "gelu_pytorch_tanh",
        "pad_token_id": None,
    }


def folder(weights: Weights, sample: Sample) -> Folder:
    """What stands in the folder beside the weights."""
    return stock_folder(weights, sample, config(weights), EXAMPLE)


def tensors(weights: Weights) -> list[Tensor]:
    """Every tensor of the model's state. Raises InnerloopError as llama.py's does."""
    root = sqrt(weights.config.d_model)

    def own(tensor: Tensor) -> Tensor:
        if tensor.name.endswith("norm.weight"):
            return _made(tensor, lambda array: array - 1.0)
        return _made(tensor, lambda array: array / root) if tensor.name == "embed_tokens.weight" else tensor

    return [own(tensor) for tensor in llama.tensors(weights, "Gemma")]


def _made(tensor: Tensor, change: Callable[[Floats], Floats]) -> Tensor:
    return replace(tensor, make=lambda: change(tensor.make()))
