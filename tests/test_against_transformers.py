"""Both forward passes against the stock LlamaModel of Hugging Face's transformers, on random weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from innerloop.compiler import measure
from innerloop.compiler.sparse import Floats
from innerloop.compiler.tokens import output_rows, read_data
from innerloop.compiler.weights import Attention, Mlp, Norm, Weights
from innerloop.runtime import Transformer

from .by_the_book import tasks
from .random_weights import Random, config

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def drawn(seed: int, layers: int, **parts: Any) -> Weights:
    """A random Llama: no biases, no table of positions."""
    llama = replace(config(layers, 32, 4, 40), target="llama", activation="silu", norm="rmsnorm", positions="rotary")
    draw = Random(seed, replace(llama, **parts))
    body: list[Attention | Mlp] = []
    for _ in range(layers):
        attention, mlp = draw.attention(), draw.mlp()
        free = {n: 0.0 * getattr(attention, n) for n in ("query_bias", "key_bias", "value_bias", "output_bias")}
        body += [
            replace(attention, **free),
            replace(mlp, up_bias=0.0 * mlp.up_bias, down_bias=0.0 * mlp.down_bias),
        ]
    weights = draw.weights(tuple(body))
    return replace(weights, positions=np.zeros_like(weights.positions))


def stock(weights: Weights) -> Any:
    """The same weights as a `LlamaModel`."""
    of = weights.config
    settings = transformers.LlamaConfig(
        vocab_size=1,
        hidden_size=of.d_model,
        intermediate_size=of.d_mlp,
        num_hidden_layers=of.n_layer,
        num_attention_heads=of.n_head,
        num_key_value_heads=of.n_kv_head or of.n_head,
        head_dim=of.d_head,
        max_position_embeddings=of.n_positions,
        rms_norm_eps=of.norm_epsilon,
        rope_parameters={"rope_type": "default", "rope_theta": of.rope_theta},
        attn_implementation="eager",
    )
    model = transformers.LlamaModel(settings).eval()
    state = {"embed_tokens.weight": np.zeros((1, of.d_model)), "norm.weight": gain(weights.final_norm)}
    for number, item in enumerate(weights.sublayers()):
        layer = f"layers.{number // 2}"
        if isinstance(item, Attention):
            state[f"{layer}.input_layernorm.weight"] = gain(item.norm)
            for name, side in (("q", item.query), ("k", item.key), ("v", item.value), ("o", item.output)):
                state[f"{layer}.self_attn.{name}_proj.weight"] = side.csr.toarray().T
        else:
            assert isinstance(item, Mlp)
            assert item.gate is not None
            state[f"{layer}.post_attention_layernorm.weight"] = gain(item.norm)
            for name, side in (("gate", item.gate), ("up", item.up), ("down", item.down)):
                state[f"{layer}.mlp.{name}_proj.weight"] = side.csr.toarray().T
    tensors = {name: torch.tensor(np.ascontiguousarray(array, np.float32)) for name, array in state.items()}
    model.load_state_dict(tensors, strict=True)
    return model


def gain(norm: Norm | None) -> Floats:
    assert norm is not None
    return norm.gain


@pytest.mark.parametrize(
    "parts",
    [{}, {"n_kv_head": 2}, {"n_kv_head": 1, "rope_theta": 1e15}, {"n_head": 2, "d_head": 32, "rope_theta": 100.0}],
    ids=["all heads their own", "grouped", "one for all, slow phases", "heads wider than the stream"],
)
@pytest.mark.parametrize("seed", range(2))
def test_random_weights_are_llamas(seed: int, parts: dict[str, Any]) -> None:
    weights = drawn(seed, 3, **parts)
    data = tasks(4, examples=25, seed=seed)
    tokens = read_data(weights.signature, data)
    embedded = (measure.features(weights, tokens) @ weights.embedding.csr.toarray()).astype(np.float32)
    with torch.no_grad():
        hidden = stock(weights)(inputs_embeds=torch.tensor(embedded)).last_hidden_state.numpy()
    rows = output_rows(tokens.sequence, weights.output.kinds)
    expected = (hidden.astype(np.float64) @ weights.readout.csr.toarray() + weights.readout_bias)[:, rows + 1, 0]
    largest = np.abs(expected).max()
    for found in (Transformer(weights, guard="off")(**data), measure.forward(weights, tokens)[:, rows, 0]):
        assert np.abs(found - expected).max() < 2e-6 * largest
