"""The folder of a model class as its library has it: a configuration, tensors, the layout, and an example that runs.

before   weights, the entries of config.json, the library's part of the example
after    config.json, README.md, layout.json, layout.safetensors, interface.safetensors, tasks.safetensors
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from innerloop.artifact.precisions import SHORT
from innerloop.artifact.weights import Weights

from .. import fields
from ..folder import Folder, Sample
from ..tensors import Tensor, dense
from . import followed
from .constants import constant
from .examples import Example
from .layout import layout
from .readme import readme
from .slopes import slopes


def configuration(weights: Weights, architecture: str, model_type: str, own: dict[str, Any]) -> dict[str, Any]:
    """The entries of config.json: what all of transformers' models have, around the model's own."""
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "dtype": weights.config.dtype,
        "vocab_size": weights.embedding.shape[0],
        **own,
        "bos_token_id": None,
        "eos_token_id": None,
        "use_cache": False,
    }


def stock_folder(
    weights: Weights, sample: Sample, config: dict[str, Any], example: Example, embeds: bool = True
) -> Folder:
    """`embeds`: whether the model takes `inputs_embeds`, which fields.py makes from arrays."""
    data = sample.data
    serial = weights.config.block == "serial"  # else what attention writes meets no reader before the layer's end
    right = followed.errors(weights, data) if isfinite(sample.error) and serial else {}
    places, matrices = layout(weights, right, constant(weights, data))
    known = places["constant"] and example.gradients and isfinite(weights.report.predicted_error)
    along = slopes(weights, data) if known and weights.config.dtype not in SHORT else []
    moving = frozenset(field.name for field in weights.signature.fields if along and not field.onehot)
    texts = {
        "config.json": json.dumps(config, indent=1) + "\n",
        "layout.json": json.dumps(places, indent=1) + "\n",
        "README.md": readme(weights, example, (0, *data.sequence.roles), sample, places, moving),
    }
    if embeds:
        texts["fields.py"] = fields.module(weights, torch=True)
        texts["README.md"] += fields.note(weights)
    interface = [
        Tensor("embedding", weights.embedding.shape, lambda: dense(weights.embedding)),
        Tensor("readout", weights.readout.shape, lambda: dense(weights.readout)),
        Tensor("readout_bias", weights.readout_bias.shape, lambda: weights.readout_bias),
    ]
    arrays = {"interface.safetensors": interface, "layout.safetensors": matrices}
    return Folder(texts, arrays | {"tasks.safetensors": [*sample.tensors(weights), *along]})
