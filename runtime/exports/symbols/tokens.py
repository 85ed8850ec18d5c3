"""Token models: programs of symbols as transformers' GPT2LMHeadModel and LlamaForCausalLM, with a tokenizer.

    in       ids: `<s>`, then a symbol each (vocabulary.py); the embedding has one row an id
    out      logits. Where a program gives probabilities they are their logarithms (logits.py), so that softmax gives
             the program's probabilities; else what the program gives, as it stands

Where a program of one kind of token gives a number for each symbol, its outputs are the logits of the next token, `<s>`
has one that is far below all, and `generate()` goes on. Others (an automaton's states) are classes of the tokens:
GPT2ForTokenClassification and LlamaForTokenClassification, with a label for each component of the output.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.outputs import OutputSpec
from innerloop.artifact.reference.arithmetic import OWN, normalise
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import TokenData, output_rows, read_data
from innerloop.artifact.weights import Weights

from ..folder import Folder, Sample
from ..stock import gpt2, llama
from ..tensors import Tensor, dense
from .logits import sequences
from .token_readme import token_readme
from .vocabulary import REST, Vocabulary, single, tokenizer

BELOW = 100.0
"""How far the logit of `<s>` is below every other: e^-100 of the probability."""
_OF: dict[str, Any] = {"gpt2": gpt2, "llama": llama}
_CAUSAL = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM"}
_CLASSES = {"gpt2": "GPT2ForTokenClassification", "llama": "LlamaForTokenClassification"}
_INNER = {"gpt2": "transformer", "llama": "model"}
_HEAD = {"gpt2": "classifier", "llama": "score"}


def continues(weights: Weights) -> bool:
    """Whether its outputs are logits of the next token."""
    field = single(weights.signature)
    return field is not None and weights.output.shape == field.shape


def config(weights: Weights) -> dict[str, Any]:
    """The entries of config.json."""
    target, causal = weights.config.target, continues(weights)
    labels = _labels(weights.output)
    told: dict[str, Any] = {
        **_OF[target].config(weights),
        "architectures": [(_CAUSAL if causal else _CLASSES)[target]],
        "vocab_size": len(Vocabulary.of(weights.signature).names),
        "bos_token_id": 0,
        "pad_token_id": 0,
        "tie_word_embeddings": False,
        "use_cache": weights.config.causal,
    }
    if not causal:
        told |= {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
        told |= {"classifier_dropout": 0.0}
    return told


def tensors(weights: Weights) -> list[Tensor]:
    """Every tensor of the model's state. Raises InnerloopError for fields that are not one-hot, and as the library of
    the model without a head does."""
    target, vocabulary = weights.config.target, Vocabulary.of(weights.signature)
    embedding, *inner = _OF[target].tensors(weights)
    rows = partial(embedded, weights, vocabulary)
    shape = (len(vocabulary.names), weights.config.d_model)
    stem = _INNER[target]
    return [
        Tensor(f"{stem}.{embedding.name}", shape, rows),
        *(replace(tensor, name=f"{stem}.{tensor.name}") for tensor in inner),
        *(_continuing(weights, shape) if continues(weights) else _classifying(weights, _HEAD[target])),
    ]


def embedded(weights: Weights, vocabulary: Vocabulary) -> Floats:
    """A row for each id [ids, d_model]."""
    return np.asarray(vocabulary.features @ dense(weights.embedding))


def head(weights: Weights) -> Floats:
    """A row for each id [ids, d_model]: that of `<s>` below all others; a bias stands on the stream's constant slot."""
    data = read_data(weights.signature, sequences(weights))
    slot, constant = _constant_slot(weights, data)
    rows = np.zeros((weights.readout.shape[1] + 1, weights.config.d_model))
    rows[1:] = dense(weights.readout).T
    rows[1:, slot] += weights.readout_bias / constant
    rows[0, slot] = -(BELOW + np.abs(forward(weights, data)).max()) / constant
    return rows


def _constant_slot(weights: Weights, data: TokenData) -> tuple[int, float]:
    """A slot of the final stream that holds the same number at every token of the data, and that number: the norm's
    own, of which there is one. What has no biases gets one by a row on that slot."""
    seen: list[Floats] = []
    forward(weights, data, observe=lambda stream: seen.append(stream))
    last = seen[-1].reshape(seen[-1].shape[0], -1)
    final = normalise(last, weights.final_norm, weights.config, OWN).astype(np.float64)
    least, most = final.min(1), final.max(1)
    level = np.where(least == most, np.abs(most), 0.0)
    slot = int(level.argmax())
    assert level[slot] > 0.0, "no slot of the final stream is constant"
    return slot, float(most[slot])


def folder(weights: Weights, sample: Sample) -> Folder:
    """What stands in the folder beside the weights."""
    vocabulary, causal = Vocabulary.of(weights.signature), continues(weights)
    line = sample.data.sequence
    rows = 1 + output_rows(line, weights.output.kinds)
    tasks = {
        "text": vocabulary.texts(sample.data, weights.signature),
        "rows": rows.tolist(),
        "output": sample.truth.reshape(*sample.truth.shape[:2], -1).tolist(),
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": REST,
        "pad_token": REST,
        "padding_side": "left",
        "model_max_length": weights.config.n_positions,
        "clean_up_tokenization_spaces": False,
    }
    texts = {
        "config.json": _json(config(weights)),
        "tokenizer.json": _json(tokenizer(vocabulary)),
        "tokenizer_config.json": _json(settings),
        "tasks.json": _json(tasks),
        "README.md": token_readme(weights, vocabulary, sample, causal),
    }
    if causal:
        texts["generation_config.json"] = _json({"bos_token_id": 0, "pad_token_id": 0, "do_sample": False})
    return Folder(texts)


def _continuing(weights: Weights, shape: tuple[int, int]) -> list[Tensor]:
    return [Tensor("lm_head.weight", shape, partial(head, weights))]


def _classifying(weights: Weights, name: str) -> list[Tensor]:
    return [
        Tensor(f"{name}.weight", weights.readout.shape[::-1], lambda: np.ascontiguousarray(dense(weights.readout).T)),
        Tensor(f"{name}.bias", weights.readout_bias.shape, lambda: weights.readout_bias),
    ]


def _labels(output: OutputSpec) -> list[str]:
    """The components of the output: "0", "1" …; of a matrix "0,1"."""
    return [",".join(map(str, index)) or "output" for index in np.ndindex(output.shape)]


def _json(held: object) -> str:
    return json.dumps(held, indent=1) + "\n"
